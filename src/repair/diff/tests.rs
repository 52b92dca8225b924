//! Diffs as they would be shown.

use super::{Change, Folded, diff};
use crate::repair::plan::{self, Attributes, Edit, NodePlan, Target, Text};
use crate::repair::planner::tests::world::{node, plan_of, text, world, write};
use crate::survey::{FileState, IdentityState};

/// A diff as plain text, keys shortened.
fn shown(folded: &[Folded]) -> String {
    let mut all = String::new();
    for it in folded {
        let own = if it.without_own {
            ", each without its own"
        } else {
            ""
        };
        all.push_str(&format!("{}{own}: {}\n", it.nodes, it.target.path));
        match &it.change {
            Change::Text {
                before,
                after,
                hunks,
            } => {
                let mode = |mode: u32| format!("{mode:04o}");
                let old = before.map_or("new".to_owned(), |it| mode(it.mode));
                all.push_str(&format!("  {old} -> {}\n", mode(after.mode)));
                for hunk in hunks {
                    all.push_str(&format!(
                        "  @@ -{},{} +{},{} @@\n",
                        hunk.old_start, hunk.old_lines, hunk.new_start, hunk.new_lines
                    ));
                    for line in &hunk.lines {
                        let words = line.text.split(' ').map(|word| match word.len() {
                            ..=40 => word.to_owned(),
                            _ => format!("{}…", &word[..8]),
                        });
                        let words: Vec<String> = words.collect();
                        all.push_str(&format!("  {}{}", line.tag.sign(), words.join(" ")));
                        all.push_str(if line.without_end { "⏎\n" } else { "\n" });
                    }
                }
            }
            other => all.push_str(&format!("  {other:?}\n")),
        }
    }
    all
}

#[test]
fn a_remade_host_key_and_a_missing_key_read_well() {
    let mut world = world(5);
    // The second has another host key, and the first no key and CRLF in its files.
    let facts = node(&mut world, 1);
    for key in &mut facts.server.host_keys {
        key.public = key
            .public
            .replace("AAAAIAh", "AAAAIBh")
            .replace("AAABAQC8", "AAABAQC9");
    }
    let facts = node(&mut world, 0);
    facts.clients[0].public_halves.clear();
    for it in &mut facts.clients[0].identities {
        (it.state, it.meta, it.public) = (IdentityState::Missing, None, None);
    }
    let file = &mut facts.clients[0].known_hosts[0].state;
    let hosts = text(file).replace('\n', "\r\n");
    write(file, hosts.trim_end());
    insta::assert_snapshot!(shown(&diff(&plan_of(&world))));
}

#[test]
fn a_file_that_goes_is_shown_with_its_lines() {
    let attributes = Attributes {
        uid: 0,
        gid: 0,
        mode: 0o644,
    };
    let edit = Edit {
        target: Target {
            context: Vec::new(),
            path: "/etc/ssh/sshd_config.d/60-site.conf".to_owned(),
        },
        before: plan::FileState::File {
            attributes,
            text: Text::known(*b"HostCertificate /etc/ssh/cert\n"),
        },
        after: plan::FileState::Absent,
        label: None,
        answers: Vec::new(),
    };
    let mut plan = plan_of(&world(2));
    plan.nodes = vec![NodePlan {
        node: "cmp00000".to_owned(),
        edits: vec![edit],
    }];
    let folded = diff(&plan);
    let [only] = folded.as_slice() else {
        panic!("{folded:?}");
    };
    let Change::Removed { before, hunks } = &only.change else {
        panic!("{folded:?}");
    };
    assert_eq!(*before, attributes);
    assert_eq!(hunks[0].lines[0].text, "HostCertificate /etc/ssh/cert");
    assert_eq!(hunks[0].lines[0].tag.sign(), '-');
}

#[test]
fn a_full_mesh_from_nothing_is_told_once() {
    let mut world = world(12);
    for facts in world.facts.iter_mut().flatten() {
        facts.clients[0].known_hosts[0].state = FileState::Absent;
        facts.server.accounts[0].authorized_keys[0].file.state = FileState::Absent;
    }
    let folded = diff(&plan_of(&world));
    let nodes: Vec<&str> = folded.iter().map(|it| it.nodes.as_str()).collect();
    assert_eq!(nodes, ["cmp[00000-00011]"; 2], "{}", shown(&folded));
    assert!(folded.iter().all(|it| it.without_own && it.count == 12));
    let Change::Text { hunks, .. } = &folded[0].change else {
        panic!("a text");
    };
    assert_eq!(hunks[0].lines.len(), 12 + 2);
    let names: Vec<&str> = hunks[0]
        .lines
        .iter()
        .filter_map(|line| line.text.rsplit_once(" clearway:cmp"))
        .map(|(_, name)| name)
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted, "in inventory order");
}

#[test]
fn what_takes_a_command_back_and_where_a_copied_key_comes_from_are_part_of_it() {
    let mut plan = plan_of(&world(2));
    let target = |path: &str| Target {
        context: Vec::new(),
        path: path.to_owned(),
    };
    let words = |words: &str| words.split(' ').map(str::to_owned).collect::<Vec<_>>();
    plan.commands.push(plan::AccountCommand {
        node: "cmp00000".into(),
        context: Vec::new(),
        words: words("usermod -p * nova"),
        undo: words("usermod -L nova"),
        answers: Vec::new(),
    });
    plan.copies.push(plan::KeyCopy {
        of: plan::KeySource::Existing {
            node: "cmp00001".into(),
            target: target("/var/lib/nova/.ssh/id_rsa"),
            owner: Attributes {
                uid: 1,
                gid: 1,
                mode: 0o600,
            },
            public: String::new(),
        },
        node: "cmp00000".into(),
        target: target("/var/lib/nova/.ssh/id_ed25519"),
        owner: Attributes {
            uid: 1,
            gid: 1,
            mode: 0o600,
        },
        answers: Vec::new(),
    });
    let text = shown(&diff(&plan));
    assert!(
        text.contains(r#"undo: ["usermod", "-L", "nova"]"#),
        "{text}"
    );
    assert!(text.contains("/var/lib/nova/.ssh/id_rsa"), "{text}");
}

#[test]
fn labels_that_change_are_told_once_for_all_their_nodes() {
    let label = plan::Relabel {
        before: "u:r:var_lib_t:s0".into(),
        after: "u:r:ssh_home_t:s0".into(),
    };
    let attributes = Attributes {
        uid: 1,
        gid: 1,
        mode: 0o700,
    };
    let edit = Edit {
        target: Target {
            context: Vec::new(),
            path: "/var/lib/nova/.ssh".to_owned(),
        },
        before: plan::FileState::Directory { attributes },
        after: plan::FileState::Directory { attributes },
        label: Some(label),
        answers: Vec::new(),
    };
    let mut plan = plan_of(&world(2));
    let of = |node: &str| NodePlan {
        node: node.to_owned(),
        edits: vec![edit.clone()],
    };
    plan.nodes = vec![of("cmp00000"), of("cmp00001")];
    assert_eq!(
        shown(&diff(&plan)),
        "cmp[00000-00001]: /var/lib/nova/.ssh\n  \
         Label { before: \"u:r:var_lib_t:s0\", after: \"u:r:ssh_home_t:s0\" }\n"
    );
}
