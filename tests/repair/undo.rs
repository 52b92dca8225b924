//! What was done is put back, and what somebody else did is not.

use std::collections::BTreeSet;

use clearway::repair::{FileState, Operation, Plan, Said, Sighting, Standing};
use clearway_lab::Node;

use crate::support::{
    AUTHORIZED_KEYS, HOME, KNOWN_HOSTS, apply, edit, file, left_beside, new_key, nova, now,
    one_node, picture, plan, refusals, run, sh, undo,
};

#[test]
fn undo_gives_back_every_byte_mode_owner_and_time() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    sh(
        node,
        "cd /var/lib/nova && mkdir sub && chmod 2771 sub && printf 'x\\0y' >.ssh/odd && chmod 4710 .ssh/odd && touch -d 2001-02-03 .ssh/*",
    );
    let odd = format!("{HOME}/.ssh/odd");
    let fresh = format!("{HOME}/.ssh/fresh");
    let made = format!("{HOME}/made");
    let sub = format!("{HOME}/sub");
    let gone = format!("{HOME}/.ssh/known_hosts");
    let edits = vec![
        edit(
            &sub,
            now(node, &sub),
            FileState::Directory {
                attributes: nova(node, 0o700),
            },
        ),
        edit(
            &made,
            FileState::Absent,
            FileState::Directory {
                attributes: nova(node, 0o750),
            },
        ),
        edit(&odd, now(node, &odd), file(nova(node, 0o600), b"even")),
        edit(&fresh, FileState::Absent, file(nova(node, 0o640), b"")),
        edit(
            &format!("{made}/deep"),
            FileState::Absent,
            file(nova(node, 0o640), b"deep"),
        ),
        edit(&gone, now(node, &gone), FileState::Absent),
    ];
    let plan = plan(node, edits, vec![new_key(node, &format!("{HOME}/id_new"))]);
    let before = picture(node);
    assert!(matches!(
        run(node, &plan, Operation::Keys).said[..],
        [Said::Key(0, _)]
    ));
    let answer = apply(node, &plan);
    assert_eq!(answer.written().count(), 6, "{answer:?}");
    for planned in &plan.nodes[0].edits {
        assert_eq!(
            now(node, &planned.target.path),
            planned.after,
            "{:?}",
            planned.target
        );
    }
    let answer = undo(node, &plan);
    assert_eq!(refusals(&answer), [""; 0]);
    assert_eq!(picture(node), before);
    assert_eq!(left_beside(node), [""; 0]);
    // And once more, there is nothing to put back.
    undo(node, &plan);
    assert_eq!(picture(node), before);
}

/// A plan that gives both files a line of clearway's, and nothing else.
/// A plan that replaces known_hosts.
pub(crate) fn replaced(node: &Node) -> Plan {
    let known = edit(
        KNOWN_HOSTS,
        now(node, KNOWN_HOSTS),
        file(nova(node, 0o644), b"ours\n"),
    );
    plan(node, vec![known], Vec::new())
}

pub(crate) fn both_ours(node: &Node) -> Plan {
    let known = edit(
        KNOWN_HOSTS,
        now(node, KNOWN_HOSTS),
        file(nova(node, 0o644), b"ours\n"),
    );
    let authorized = edit(
        AUTHORIZED_KEYS,
        now(node, AUTHORIZED_KEYS),
        file(nova(node, 0o600), b"ours\n"),
    );
    plan(node, vec![known, authorized], Vec::new())
}

#[test]
fn a_file_that_was_changed_since_is_shown_and_left() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = both_ours(node);
    apply(node, &plan);
    sh(node, &format!("echo theirs >>{KNOWN_HOSTS}"));
    let answer = undo(node, &plan);
    assert_eq!(
        refusals(&answer),
        [format!(
            "`{KNOWN_HOSTS}` has changed since it was looked at"
        )]
    );
    assert!(
        answer
            .said
            .contains(&Said::Content(0, b"ours\ntheirs\n".to_vec())),
        "{answer:?}"
    );
    assert!(answer.said.contains(&Said::Back(1, true)));
    assert_eq!(sh(node, &format!("cat {KNOWN_HOSTS}")), "ours\ntheirs");
    assert_eq!(now(node, AUTHORIZED_KEYS), plan.nodes[0].edits[1].before);
}

#[test]
fn without_its_backup_a_file_is_written_anew() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let before = now(node, KNOWN_HOSTS);
    let known = edit(
        KNOWN_HOSTS,
        before.clone(),
        file(nova(node, 0o600), b"ours\n"),
    );
    let plan = plan(node, vec![known], Vec::new());
    apply(node, &plan);
    sh(node, "rm /var/lib/nova/.ssh/*.clearway-*");
    // Without the backup nothing on the node tells that this run did it.
    assert_eq!(undo(node, &plan).said, [Said::Back(0, false)]);
    let wrote = BTreeSet::from([0]);
    assert_eq!(
        run(
            node,
            &plan,
            Operation::Undo {
                wrote,
                commands: false
            }
        )
        .said,
        [Said::Back(0, true)]
    );
    assert_eq!(now(node, KNOWN_HOSTS), before);
}

#[test]
fn a_backup_that_was_tampered_with_is_not_put_back() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let before = now(node, KNOWN_HOSTS);
    let known = edit(
        KNOWN_HOSTS,
        before.clone(),
        file(nova(node, 0o600), b"ours\n"),
    );
    let plan = plan(node, vec![known], Vec::new());
    apply(node, &plan);
    sh(
        node,
        "cd /var/lib/nova/.ssh && rm known_hosts.clearway-* && ln -s /etc/shadow known_hosts.clearway-20261125-120000-abcdef",
    );
    assert_eq!(undo(node, &plan).said, [Said::Back(0, true)]);
    assert_eq!(now(node, KNOWN_HOSTS), before);
}

#[test]
fn a_key_that_is_not_the_one_that_was_made_stays() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let path = format!("{HOME}/id_new");
    let key = new_key(node, &path);
    let id = key.id.clone();
    let plan = plan(node, Vec::new(), vec![key]);
    let answer = run(node, &plan, Operation::Keys);
    let [Said::Key(0, public)] = &answer.said[..] else {
        panic!("{answer:?}")
    };
    let public = clearway::repair::public_key(public, "ed25519").unwrap();
    sh(
        node,
        &format!("rm {path} {path}.pub && ssh-keygen -q -t ed25519 -N '' -f {path}"),
    );
    let theirs = picture(node);
    let made = [(id, public)].into_iter().collect();
    let job = clearway::repair::Job::new(&plan, "node1", &made).unwrap();
    let operation = Operation::Undo {
        wrote: BTreeSet::new(),
        commands: false,
    };
    let program = job.program(operation, crate::support::RUN, "", crate::support::nonce());
    let output = crate::support::run_in(node, &["/bin/sh"], &program);
    let answer = program.read(&output.stdout).unwrap();
    assert_eq!(
        refusals(&answer),
        [format!("`{path}` has changed since it was looked at")]
    );
    assert_eq!(picture(node), theirs);
}

#[test]
fn what_is_seen_tells_how_far_a_run_came() {
    let Some(lab) = one_node() else { return };
    let node = lab.node("node1");
    let plan = replaced(node);
    let seen = |standing, marked| vec![Said::Seen(0, Sighting { standing, marked })];
    assert_eq!(
        run(node, &plan, Operation::Observe).said,
        seen(Standing::Before, false)
    );
    apply(node, &plan);
    assert_eq!(
        run(node, &plan, Operation::Observe).said,
        seen(Standing::After, true)
    );
    assert_eq!(run(node, &plan, Operation::Forget).said, [Said::Forgot(0)]);
    assert_eq!(
        run(node, &plan, Operation::Observe).said,
        seen(Standing::After, false)
    );
    sh(node, &format!("echo >{KNOWN_HOSTS}"));
    assert_eq!(
        run(node, &plan, Operation::Observe).said,
        seen(Standing::Other, false)
    );
    assert_eq!(left_beside(node), [""; 0]);
}
