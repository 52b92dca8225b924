//! A node taken out of everybody's trust, without a certificate authority.

use crate::binary::clearway;
use crate::rotate::{KEY, admitted, public, working};
use crate::support::{KNOWN_HOSTS, picture, sh};

#[test]
fn a_node_that_is_revoked_logs_in_nowhere_and_no_repair_brings_it_back() {
    let Some(lab) = working(3) else { return };
    let out = lab.node("node3");
    let (others, key) = (["node1", "node2"], public(out));
    let host = sh(out, "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub");
    // Somebody has let it in as the account that clearway itself logs in to.
    let control = "~deploy/.ssh/authorized_keys";
    sh(
        lab.node("node1"),
        &format!("echo '{key} somebody' >>{control}"),
    );
    let before: Vec<String> = lab.nodes().iter().map(picture).collect();
    let known = |name: &str| sh(lab.node(name), &format!("cat {KNOWN_HOSTS}"));
    assert!(known("node1").contains(&host));

    let shown = clearway(&lab, &["keys", "revoke", "node3", "--diff"]);
    assert_eq!(shown.code(), 1, "{shown:?}");
    assert!(
        shown.out.contains(&key) && shown.out.contains("SHA256:"),
        "{shown:?}"
    );
    let now: Vec<String> = lab.nodes().iter().map(picture).collect();
    assert_eq!(now, before);

    let plan = clearway(
        &lab,
        &["keys", "revoke", "node3", "--diff", "--format", "json"],
    );
    let plan: serde_json::Value = serde_json::from_str(&plan.out).expect("one document");
    assert_eq!(plan["nodes"].as_array().unwrap().len(), 2, "{plan}");

    let revoked = clearway(
        &lab,
        &["keys", "revoke", "node3", "--yes", "--format", "json"],
    );
    assert_eq!(revoked.code(), 0, "{revoked:?}");
    assert_eq!(revoked.report().command, "keys revoke");
    assert!(
        revoked
            .err
            .contains("node3 is out: its own ssh was refused"),
        "{revoked:?}"
    );
    for name in others {
        let node = lab.node(name);
        assert!(!admitted(node).contains(&key), "{name}");
        assert!(
            admitted(node).contains("x y"),
            "{name}: a line of somebody else's"
        );
        assert!(!known(name).contains(&host), "{name}");
    }
    let control = sh(lab.node("node1"), &format!("cat {control}"));
    assert!(!control.contains(&key) && !control.is_empty(), "{control}");
    assert_eq!(
        picture(out),
        before[2],
        "nothing is changed on the node itself"
    );
    let refused = out
        .sh_as(
            "nova",
            &format!("ssh -o BatchMode=yes {} true", lab.node("node1").address()),
        )
        .unwrap();
    assert!(!refused.status.success(), "{refused:?}");
    let check = clearway(&lab, &["check", "--limit", "node1,node2"]);
    assert_eq!(check.code(), 0, "{check:?}");

    // A repair sees that its legs are broken, and leaves them alone.
    let now: Vec<String> = lab.nodes().iter().map(picture).collect();
    let repaired = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(repaired.code(), 1, "{repaired:?}");
    assert!(
        repaired
            .out
            .contains("the key was revoked by `clearway keys revoke`"),
        "{repaired:?}"
    );
    for name in others {
        assert!(!admitted(lab.node(name)).contains(&key), "{name}");
    }
    let after: Vec<String> = lab.nodes().iter().map(picture).collect();
    assert_eq!(after[..2], now[..2]);

    // New keys are no revoked ones: the node comes back.
    sh(out, &format!("rm {KEY} {KEY}.pub; rm -f /root/.ssh/id_*"));
    sh(
        out,
        "rm /etc/ssh/ssh_host_*; ssh-keygen -qA; kill -HUP $(cat /run/sshd.pid)",
    );
    trust_again(&lab);
    let repaired = clearway(&lab, &["repair", "--yes"]);
    assert_eq!(repaired.code(), 0, "{repaired:?}");
}

/// The operator has compared the new host keys of node3.
fn trust_again(lab: &clearway_lab::Lab) {
    crate::reinstalled::record(lab, "node3");
}

#[test]
fn a_node_that_does_not_answer_is_revoked_by_what_others_have_of_it() {
    let Some(lab) = working(3) else { return };
    let out = lab.node("node3");
    let key = public(out);
    let file = lab.dir().join("node3.pub");
    std::fs::write(&file, format!("{key} somebody\n")).unwrap();
    let before: Vec<String> = lab.nodes().iter().take(2).map(picture).collect();
    sh(out, "kill $(cat /run/sshd.pid)");
    let words = [
        "keys",
        "revoke",
        "node3",
        "--yes",
        "--key",
        file.to_str().unwrap(),
    ];
    let revoked = clearway(&lab, &words);
    assert_eq!(revoked.code(), 3, "{revoked:?}");
    assert!(
        revoked
            .err
            .contains("not shown: node3 cannot be told to try; no keys file of "),
        "{revoked:?}"
    );
    for name in ["node1", "node2"] {
        assert!(!admitted(lab.node(name)).contains(&key), "{name}");
        let known = sh(lab.node(name), &format!("cat {KNOWN_HOSTS}"));
        assert!(!known.contains(&out.address().to_string()), "{known}");
    }
    let report = clearway(&lab, &["runs", "--format", "json"]);
    let rows: serde_json::Value = serde_json::from_str(&report.out).unwrap();
    let run = rows[0]["run"].as_str().unwrap().to_owned();
    let undone = clearway(&lab, &["repair", "undo", &run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    let now: Vec<String> = lab.nodes().iter().take(2).map(picture).collect();
    assert_eq!(now, before);
}

#[test]
fn the_key_that_clearway_itself_logs_in_with_is_not_taken_out_under_it() {
    let Some(lab) = working(3) else { return };
    // A deployer's key that one of the nodes has, too.
    let inventory = std::fs::read_to_string(lab.inventory()).unwrap();
    let line = inventory.lines().find(|line| line.contains("identity:"));
    let path = line.unwrap().split(':').nth(1).unwrap().trim();
    let path = lab.dir().join(path.trim_matches(|c| "[]\"'".contains(c)));
    let out = lab.node("node3");
    std::fs::copy(&path, out.path(crate::rotate::KEY)).unwrap();
    sh(
        out,
        &format!(
            "chown nova: {0}; chmod 600 {0}; ssh-keygen -y -f {0} >{0}.pub",
            crate::rotate::KEY
        ),
    );
    let key = public(out);
    for name in ["node1", "node2"] {
        sh(
            lab.node(name),
            &format!("echo '{key}' >>/var/lib/nova/.ssh/authorized_keys"),
        );
    }
    let before: Vec<String> = lab.nodes().iter().map(picture).collect();
    for words in [
        &["keys", "revoke", "node3", "--yes"][..],
        &["keys", "rotate", "--yes"],
    ] {
        let refused = clearway(&lab, words);
        assert_eq!(refused.code(), 2, "{refused:?}");
        assert!(
            refused.err.contains("the plan would cut clearway off: "),
            "{refused:?}"
        );
        let now: Vec<String> = lab.nodes().iter().map(picture).collect();
        assert_eq!(now, before, "{words:?}");
    }
    let again = clearway(&lab, &["check"]);
    assert_eq!(again.code(), 0, "{again:?}");
}
