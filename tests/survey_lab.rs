//! The survey on lab nodes: real sshd, real accounts, and files as faults leave them.

use std::io::Write;
use std::process::Stdio;

use clearway::domain::{Dial, LaneProfile, LaneUse, Profile, SshdProfile};
use clearway::frame::Nonce;
use clearway::survey::{
    Answer, CheckedFile, ClientFacts, ContentPool, FileFact, FileState, Identity, IdentityState,
    Labels, LockState, LoginAccount, Survey, SurveyRequest, WrongLabel, parse,
};
use clearway_lab::{Lab, LabSupport, Node};

/// The profile `nova`.
fn profile() -> Profile {
    let nova = ["runuser", "-u", "nova", "--"].map(str::to_owned).to_vec();
    let lane = |context: &[String], dial| LaneProfile {
        used: LaneUse::Auto,
        context: context.to_vec(),
        dial,
        user: None,
        port: None,
        identity: None,
    };
    Profile {
        name: "nova".to_owned(),
        repair: Default::default(),
        nova_conf: vec![
            "/etc/nova/nova.conf".to_owned(),
            "/etc/nova/nova.conf.d".to_owned(),
        ],
        nova_context: nova.clone(),
        sshd: SshdProfile {
            context: Vec::new(),
            binary: "/usr/sbin/sshd".to_owned(),
            config: "/etc/ssh/sshd_config".to_owned(),
            port: 22,
        },
        cold_push: lane(&nova, Dial::MigrationAddress),
        cold_pull: lane(&nova, Dial::ServiceHost),
        live: lane(&[], Dial::LiveAddress),
    }
}

fn request() -> SurveyRequest {
    SurveyRequest::new(&profile(), &[], Nonce::new([5; 16]))
}

/// The survey of a node by `sh -s` behind some words.
fn survey_through(node: &Node, words: &[&str], request: &SurveyRequest) -> Survey {
    let mut child = node
        .command(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("shell starts");
    let mut stdin = child.stdin.take().expect("piped");
    let script = request.program();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().expect("shell ends");
    writer.join().expect("no panic").expect("script is read");
    parse(request, &output.stdout, &ContentPool::new())
        .unwrap_or_else(|e| panic!("{e:?}: {}", String::from_utf8_lossy(&output.stdout)))
}

fn survey(node: &Node) -> Survey {
    survey_through(node, &["sh", "-s"], &request())
}

fn plant(node: &Node, line: &str) {
    let output = node
        .sh(&format!("set -e; cd /var/lib/nova/.ssh; {line}"))
        .expect("runs");
    assert!(output.status.success(), "{line}: {output:?}");
}

fn identity<'a>(client: &'a ClientFacts, name: &str) -> &'a Identity {
    let path = format!("/var/lib/nova/.ssh/{name}");
    client
        .identities
        .iter()
        .find(|i| i.path == path)
        .expect(name)
}

fn account<'a>(survey: &'a Survey, name: &str) -> &'a LoginAccount {
    let accounts = &survey.facts.server.accounts;
    accounts.iter().find(|a| a.name == name).expect(name)
}

fn keys_file<'a>(account: &'a LoginAccount, path: &str) -> &'a CheckedFile {
    account
        .authorized_keys
        .iter()
        .find(|k| k.file.path == path)
        .expect(path)
}

/// Whether the file was read and the account can read it.
fn state(file: &CheckedFile) -> (bool, bool) {
    match &file.file.state {
        FileState::Present {
            readable, content, ..
        } => (content.is_some(), *readable),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_private_group_is_spared_where_the_distributions_sshd_spares_it() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    for (os, spared) in [
        ("Rocky Linux 9.4 (Blue Onyx)", false),
        ("Ubuntu 24.04.1 LTS", true),
    ] {
        plant(
            node,
            &format!("rm -f /etc/os-release; echo 'PRETTY_NAME=\"{os}\"' >/etc/os-release"),
        );
        let found = survey(node);
        assert_eq!(found.facts.os.as_deref(), Some(os));
        let keys = keys_file(
            account(&found, "nova"),
            "/var/lib/nova/.ssh/authorized_keys",
        );
        assert_eq!(keys.private_group, [spared; 3], "{os}");
    }
}

#[test]
fn an_sshd_in_a_container_has_the_machine_id_of_the_container() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let own = "fedcba9876543210fedcba9876543210";
    for (id, expected) in [(own, Some(own)), ("uninitialized", None), ("", None)] {
        let enter =
            format!("echo '{id}' >/tmp/id && mount --bind /tmp/id /etc/machine-id && exec \"$@\"");
        let mut profile = profile();
        profile.sshd.context = ["unshare", "-m", "sh", "-c", &enter, "sh"]
            .map(str::to_owned)
            .into();
        let request = SurveyRequest::new(&profile, &[], Nonce::new([5; 16]));
        let Survey { facts, .. } = survey_through(node, &["sh", "-s"], &request);
        assert_eq!(facts.server.machine_id.as_deref(), expected, "{id:?}");
        let host = facts.machine_id.expect("the host has one");
        assert_ne!(Some(host.as_str()), expected);
    }
}

#[test]
fn a_healthy_node_is_told_as_it_was_made() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(2).start().expect("lab");
    let node = lab.node("node1");
    let Survey { facts, learnt } = survey(node);
    assert_eq!(facts.gaps, Vec::<String>::new());
    assert_eq!(facts.hostname, "node1");
    assert!(facts.machine_id.is_some());
    assert!(facts.addresses.contains(&node.address().into()));
    let listeners = facts.listeners.expect("known");
    assert!(listeners.iter().any(|socket| socket.port() == 22));

    let nova = &facts.nova;
    assert_eq!(nova.problems, Vec::<String>::new());
    assert_eq!(nova.host.as_deref(), Some(node.host()));
    let address = node.address().to_string();
    assert_eq!(
        nova.migration_inbound_addr.as_deref(),
        Some(address.as_str())
    );
    assert_eq!(nova.instances_path, "/var/lib/nova/instances");
    assert!(facts.instances.writable && !facts.instances.read_only);
    assert!(facts.instances.free_bytes.is_some_and(|free| free > 0));
    assert!(facts.instances.meta.is_some());

    let [as_nova, as_root] = facts.clients.as_slice() else {
        panic!("nova's context, and root's for live migration");
    };
    let who = |client: &ClientFacts| client.account.clone().expect("known").name;
    assert_eq!(
        (who(as_nova), who(as_root)),
        ("nova".to_owned(), "root".to_owned())
    );
    for client in [as_nova, as_root] {
        assert_eq!(client.failed, None);
        assert!(matches!(client.base_config, Answer::Output(_)));
        let usable: Vec<&Identity> = client.identities.iter().collect();
        assert!(!usable.is_empty());
        assert!(
            usable
                .iter()
                .all(|i| i.state == IdentityState::Usable && i.public.is_some())
        );
        assert!(
            client
                .known_hosts
                .iter()
                .any(|file| file.content().is_some())
        );
        assert!(client.hosts.content().is_some());
        let home = &client.account.as_ref().expect("known").home;
        let directories: Vec<&str> = client.directories.iter().map(|it| &*it.path).collect();
        assert_eq!(directories, [&format!("{home}/.ssh"), home]);
        let searched =
            |it: &FileFact| matches!(it.state, FileState::Present { readable: true, .. });
        assert!(client.directories.iter().all(searched));
    }
    let halves = &as_nova.public_halves;
    assert_eq!(halves, &["/var/lib/nova/.ssh/id_ed25519.pub"]);

    let server = &facts.server;
    assert!(matches!(server.base_config, Answer::Output(_)));
    assert!(!server.host_keys.is_empty());
    let nova = server
        .accounts
        .iter()
        .find(|a| a.name == "nova")
        .expect("learnt from the live URI");
    assert!(nova.shell_usable);
    assert_eq!(nova.lock, LockState::Open);
    let keys = keys_file(nova, "/var/lib/nova/.ssh/authorized_keys");
    assert_eq!(state(keys), (true, true));
    let above: Vec<&str> = keys.above.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(above, ["/var/lib/nova/.ssh", "/var/lib/nova"]);
    assert_eq!(keys.private_group, [true, true, true]);

    // The other node is the same in this, so that it does not run ssh and sshd again.
    let mut request = request();
    request.known.clone_from(&learnt);
    let again = survey_through(lab.node("node2"), &["sh", "-s"], &request);
    assert_eq!(learnt.len(), 3);
    assert_eq!(again.learnt.len(), 0);
    assert_eq!(again.facts.clients[0].base_config, as_nova.base_config);
    assert_eq!(again.facts.server.base_config, server.base_config);
}

#[test]
fn private_keys_are_judged_as_ssh_would_and_never_sent() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    plant(
        node,
        "rm -f id_*; \
         ssh-keygen -q -t ed25519 -N '' -f id_ed25519; \
         ssh-keygen -q -t ecdsa -N '' -f id_ecdsa; \
         ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f id_rsa; rm id_rsa.pub; \
         ssh-keygen -q -t ed25519 -N secret -f id_locked; \
         ssh-keygen -q -t ed25519 -N '' -f id_open; \
         ssh-keygen -q -t ed25519 -N '' -f id_broken; rm id_broken.pub; sed -i '3s/..../AAAA/' id_broken; \
         ssh-keygen -q -t ed25519 -N '' -f id_roots; \
         ssh-keygen -q -t ed25519 -N '' -f id_copy; \
         ssh-keygen -q -t ed25519 -N '' -f ca; ssh-keygen -q -s ca -I x -n nova id_ed25519.pub; \
         mkdir id_directory; \
         for k in locked open broken roots directory missing; do echo \"IdentityFile ~/.ssh/id_$k\"; done > config; \
         chown -R nova: .; chmod 640 id_open; chown root: id_roots",
    );
    let Survey { facts, .. } = survey(node);
    let client = &facts.clients[0];
    for (name, expected, known) in [
        ("id_ed25519", IdentityState::Usable, true),
        ("id_ecdsa", IdentityState::Usable, true),
        ("id_rsa", IdentityState::Usable, true),
        ("id_locked", IdentityState::Passphrase, true),
        ("id_open", IdentityState::TooOpen, true),
        ("id_broken", IdentityState::Invalid, false),
        ("id_roots", IdentityState::Unreadable, true),
        ("id_directory", IdentityState::Invalid, false),
        ("id_missing", IdentityState::Missing, false),
    ] {
        let found = identity(client, name);
        assert_eq!(
            (found.state, found.public.is_some()),
            (expected, known),
            "{name}"
        );
    }
    for name in ["id_ed25519", "id_ecdsa"] {
        let beside = node
            .sh(&format!("cut -d' ' -f1,2 /var/lib/nova/.ssh/{name}.pub"))
            .expect("runs");
        let beside = String::from_utf8(beside.stdout).expect("text");
        assert_eq!(
            identity(client, name).public.as_deref(),
            Some(beside.trim()),
            "{name}"
        );
    }
    let certificate = identity(client, "id_ed25519")
        .certificate
        .as_ref()
        .expect("beside it");
    assert!(certificate.content().is_some());
    let copies: Vec<&str> = client
        .key_copies
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    assert_eq!(copies, ["/var/lib/nova/.ssh/id_copy"]);
    assert!(client.key_copies[0].content().is_none());

    // Nothing of a private half is in the answer.
    let mut child = node
        .command("sh")
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("shell");
    let mut stdin = child.stdin.take().expect("piped");
    let script = request().program();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let answered = child.wait_with_output().expect("ends").stdout;
    writer.join().expect("no panic").expect("written");
    let answered = String::from_utf8_lossy(&answered);
    let secrets = node.sh("cat /var/lib/nova/.ssh/id_*[!b] /root/.ssh/id_*[!b] /etc/ssh/*_key; cut -d: -f2 /etc/shadow");
    let secrets = String::from_utf8(secrets.expect("runs").stdout).expect("text");
    assert!(secrets.lines().count() > 20);
    // A line of a private key file may hold nothing but the modulus, which is public.
    let public = "cd /var/lib/nova/.ssh; for k in /etc/ssh/*_key id_*[!b]; do ssh-keygen -P '' -y -f $k; done 2>/dev/null";
    let public = node.sh(public).expect("runs").stdout;
    let public = String::from_utf8(public).expect("text");
    for line in secrets
        .lines()
        .filter(|line| line.len() > 20 && !line.starts_with('-') && !public.contains(*line))
    {
        assert!(!answered.contains(line), "{line}");
    }
}

#[test]
fn what_an_account_cannot_read_is_not_read_for_it() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let keys = "/var/lib/nova/.ssh/authorized_keys";
    let of_nova = |survey: &Survey| state(keys_file(account(survey, "nova"), keys));

    plant(
        node,
        "chown root: authorized_keys; chmod 600 authorized_keys",
    );
    assert_eq!(of_nova(&survey(node)), (false, false));
    plant(node, "chmod 644 authorized_keys");
    assert_eq!(of_nova(&survey(node)), (true, true));
    plant(
        node,
        "chgrp nova authorized_keys; chmod 640 authorized_keys",
    );
    assert_eq!(of_nova(&survey(node)), (true, true));
    plant(
        node,
        "mv authorized_keys x; ln -s /etc/shadow authorized_keys",
    );
    assert_eq!(of_nova(&survey(node)), (false, false));
    plant(node, "rm authorized_keys; mkfifo authorized_keys");
    assert!(!of_nova(&survey(node)).0);
    plant(
        node,
        "rm authorized_keys; mv x authorized_keys; chown nova: authorized_keys; chmod 600 authorized_keys",
    );
    // A private key is not sent, whatever it is called.
    plant(node, "cp id_ed25519 known_hosts; chown nova: known_hosts");
    let found = survey(node);
    let known_hosts = &found.facts.clients[0].known_hosts[0];
    assert!(known_hosts.content().is_none());
    assert!(
        found
            .facts
            .gaps
            .iter()
            .any(|gap| gap.contains("private key")),
        "{:?}",
        found.facts.gaps
    );

    plant(node, "chown root: known_hosts; chmod 600 known_hosts");
    let found = survey(node);
    let FileState::Present {
        readable, content, ..
    } = &found.facts.clients[0].known_hosts[0].state
    else {
        panic!("there");
    };
    assert_eq!((*readable, content.is_some()), (false, false));

    plant(node, "chown root: .; chmod 700 .");
    let found = survey(node);
    let client = &found.facts.clients[0];
    assert!(matches!(
        client.known_hosts[0].state,
        FileState::Unreadable(_)
    ));
    assert_eq!(
        of_nova(&found),
        (false, false),
        "behind a directory that nova cannot search"
    );
}

/// Writes down what it is asked, and answers in the words of a release before 2.6.
const RESTORECON: &str = r#"#!/bin/sh
echo "$(id -un) $*" >>/tmp/asked
echo "restorecon reset /var/lib/nova/.ssh context u:r:var_lib_t:s0->u:r:ssh_home_t:s0"
"#;

#[test]
fn restorecon_is_asked_once_in_each_place_and_only_under_selinux() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    std::fs::write(node.path("/usr/local/sbin/restorecon"), RESTORECON).expect("written");
    plant(
        node,
        "chmod 755 /usr/local/sbin/restorecon; : >/tmp/asked; chmod 666 /tmp/asked",
    );
    let asked = || std::fs::read_to_string(node.path("/tmp/asked")).expect("text");
    let found = survey(node).facts;
    assert_eq!((found.server.labels, asked().as_str()), (None, ""));
    assert_eq!(found.clients[0].labels, None);

    // As a container sees its host's.
    plant(
        node,
        "mkdir -p /sys/fs/selinux; echo 1 >/sys/fs/selinux/enforce; mkdir /sys/fs/selinux/context",
    );
    plant(
        node,
        "mount --bind -r /sys/fs/selinux/context /sys/fs/selinux/context",
    );
    let unknown = Some(Labels {
        enforcing: true,
        wrong: None,
    });
    let found = survey(node).facts;
    assert_eq!((&found.server.labels, asked().as_str()), (&unknown, ""));
    assert_eq!(found.clients[0].labels, unknown);
    let gaps = found.gaps.iter().filter(|gap| gap.contains("SELinux"));
    assert_eq!(gaps.count(), 1, "{:?}", found.gaps);

    plant(
        node,
        "umount /sys/fs/selinux/context; rmdir /sys/fs/selinux/context; \
         : >/sys/fs/selinux/context; chmod 666 /sys/fs/selinux/context",
    );
    let found = survey(node).facts;
    let known = Some(Labels {
        enforcing: true,
        wrong: Some(vec![WrongLabel {
            path: "/var/lib/nova/.ssh".to_owned(),
            has: "u:r:var_lib_t:s0".to_owned(),
            policy: "u:r:ssh_home_t:s0".to_owned(),
        }]),
    });
    assert_eq!(found.server.labels, known);
    assert_eq!(found.clients[0].labels, known);
    let asked = asked();
    let lines: Vec<&str> = asked.lines().collect();
    let starts = |line: &str, who: &str| line.starts_with(&format!("{who} -i -n -v -- /"));
    assert!(starts(lines[0], "nova"), "{asked}");
    assert!(starts(lines[1], "root"), "{asked}");
    assert_eq!(lines.len(), 2, "{asked}");
    for path in [
        "/var/lib/nova",
        "/var/lib/nova/.ssh",
        "/var/lib/nova/.ssh/authorized_keys",
    ] {
        assert!(lines[1].split(' ').any(|word| word == path), "{asked}");
    }
    assert!(
        !asked.contains("/proc/") && !asked.contains(" / "),
        "{asked}"
    );
}

#[test]
fn strict_modes_are_looked_up_where_the_file_really_is() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    plant(
        node,
        "cd /; mkdir -p /data/homes; mv /var/lib/nova /data/homes/nova; ln -s /data/homes/nova /var/lib/nova; \
         mkdir /data/keys; mv /var/lib/nova/.ssh/authorized_keys /data/keys/nova; chown nova: /data/keys/nova; \
         ln -s /data/keys/nova /var/lib/nova/.ssh/authorized_keys; \
         echo 'AuthorizedKeysFile .ssh/authorized_keys .ssh/second /etc/ssh/keys/%u/%h/%U%%' >> /etc/ssh/sshd_config.d/00.conf; \
         cp /data/keys/nova /var/lib/nova/.ssh/second; chgrp users /var/lib/nova/.ssh/second; chmod 664 /var/lib/nova/.ssh/second",
    );
    let found = survey(node);
    let nova = account(&found, "nova");
    let above = |path: &str| -> Vec<&str> {
        let above = &keys_file(nova, path).above;
        above.iter().map(|(path, _)| path.as_str()).collect()
    };
    assert_eq!(
        above("/var/lib/nova/.ssh/authorized_keys"),
        ["/data/keys", "/data", "/"]
    );
    assert_eq!(
        above("/var/lib/nova/.ssh/second"),
        ["/data/homes/nova/.ssh", "/data/homes/nova"]
    );
    let second = keys_file(nova, "/var/lib/nova/.ssh/second");
    assert_eq!(second.private_group, [false, true, true]);
    let uid = nova.account.as_ref().expect("there").uid;
    let expanded = format!("/etc/ssh/keys/nova//var/lib/nova/{uid}%");
    assert_eq!(keys_file(nova, &expanded).file.state, FileState::Absent);
}

#[test]
fn a_file_of_keys_that_is_not_read_is_a_gap() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    plant(
        node,
        "echo 'AuthorizedKeysFile .ssh/authorized_keys .ssh/2 .ssh/3 .ssh/4 .ssh/5 .ssh/6 .ssh/absent' \
             >> /etc/ssh/sshd_config.d/00.conf; \
         for n in 2 3 4 5 6; do cp -p authorized_keys $n; done",
    );
    let found = survey(node);
    let files = &account(&found, "nova").authorized_keys;
    let known = |file: &&CheckedFile| {
        matches!(
            file.file.state,
            FileState::Present {
                content: Some(_),
                ..
            }
        )
    };
    assert_eq!(files.iter().filter(known).count(), 5);
    assert_eq!(
        found.facts.gaps,
        ["/var/lib/nova/.ssh/6: was not read, so which keys it allows is not known"]
    );
}

#[test]
fn configurations_are_followed_into_what_they_include() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    plant(
        node,
        "mkdir 'with space'; echo 'UserKnownHostsFile ~/.ssh/kh1 \"%d/.ssh/kh 2\" /tmp/%h' > 'with space/a.conf'; \
         echo 'Include \"with space/*.conf\" config.d/*' > config; mkdir config.d; \
         printf 'Host x\\n\\tUser=migrator\\n  identityfile  = %%d/keys/%%u\\nMatch host y\\nInclude ../.ssh/deeper\\n' > config.d/b; \
         echo 'GlobalKnownHostsFile /etc/kh3' > deeper; echo hosts > 'kh 2'; chown -R nova: .; \
         useradd -M -d /srv/migrator -s /bin/sh migrator; \
         printf 'Match User migrator\\n AuthorizedKeysFile %%h/ak\\nTrustedUserCAKeys /etc/ssh/ca\\n' > /etc/ssh/sshd_config.d/50.conf; \
         echo 'AuthorizedPrincipalsFile /etc/ssh/principals/%u' >> /etc/ssh/sshd_config.d/50.conf",
    );
    let found = survey(node);
    let client = &found.facts.clients[0];
    let read: Vec<&str> = client
        .config_files
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    let home = "/var/lib/nova/.ssh";
    let expected = [
        "config".to_owned(),
        "with space/a.conf".to_owned(),
        "config.d/b".to_owned(),
        "../.ssh/deeper".to_owned(),
    ];
    assert_eq!(read[..4], expected.map(|name| format!("{home}/{name}")));
    let known: Vec<&str> = client
        .known_hosts
        .iter()
        .map(|file| file.path.as_str())
        .collect();
    for name in ["kh1", "kh 2"] {
        assert!(
            known.contains(&format!("{home}/{name}").as_str()),
            "{known:?}"
        );
    }
    assert!(known.contains(&"/etc/kh3"));
    let two = client
        .known_hosts
        .iter()
        .find(|file| file.path.ends_with("kh 2"))
        .expect("named");
    assert_eq!(two.content().expect("read").bytes.as_ref(), b"hosts\n");
    assert!(
        client
            .identities
            .iter()
            .any(|i| i.path == "/var/lib/nova/keys/nova")
    );
    assert!(
        found.facts.gaps.iter().any(|gap| gap.contains("/tmp/%h")),
        "{:?}",
        found.facts.gaps
    );

    let migrator = account(&found, "migrator");
    assert_eq!(
        keys_file(migrator, "/srv/migrator/ak").file.state,
        FileState::Absent
    );
    let trust: Vec<&str> = found
        .facts
        .server
        .trust_files
        .iter()
        .map(|f| f.path.as_str())
        .collect();
    assert!(trust.contains(&"/etc/ssh/ca"), "{trust:?}");
    for name in ["migrator", "nova"] {
        let files = &account(&found, name).principals;
        assert_eq!(files[0].file.path, format!("/etc/ssh/principals/{name}"));
    }
}

#[test]
fn what_ssh_and_sshd_refuse_is_told_in_their_words() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    plant(
        node,
        "echo 'Frobnicate yes' > config; chown nova: config; echo 'Frobnicate yes' >> /etc/ssh/sshd_config.d/00.conf",
    );
    let found = survey(node).facts;
    let Answer::Failed { status, stderr } = &found.clients[0].base_config else {
        panic!("a bad option");
    };
    assert_eq!(*status, 255);
    assert!(
        stderr.contains("line 1: Bad configuration option: frobnicate"),
        "{stderr}"
    );
    assert!(!stderr.contains("debug1"));
    assert!(found.clients[0].ssh_version.is_some());
    let Answer::Failed { stderr, .. } = &found.server.base_config else {
        panic!("a bad option");
    };
    assert!(
        stderr.contains("Bad configuration option: Frobnicate"),
        "{stderr}"
    );
}

#[test]
fn accounts_and_directories_in_every_state() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    plant(
        node,
        "usermod -L -s /usr/sbin/none nova; chage -E 1 -d 0 nova; touch /run/nologin",
    );
    let found = survey(node);
    let nova = account(&found, "nova");
    assert_eq!((nova.lock, nova.shell_usable), (LockState::Locked, false));
    assert_eq!((nova.expires_day, nova.password_expired), (Some(1), true));
    assert_eq!(found.facts.server.nologin, ["/run/nologin"]);

    plant(
        node,
        "mount -t tmpfs -o size=64k,nr_inodes=10,mode=777 x /var/lib/nova/instances",
    );
    let instances = survey(node).facts.instances;
    assert!(instances.writable && !instances.read_only);
    assert_eq!(
        (instances.free_bytes, instances.free_inodes),
        (Some(65536), Some(9))
    );
    plant(node, "mount -o remount,ro /var/lib/nova/instances");
    let instances = survey(node).facts.instances;
    assert!(!instances.writable && instances.read_only);
    plant(
        node,
        "umount /var/lib/nova/instances; chown root: /var/lib/nova/instances",
    );
    let instances = survey(node).facts.instances;
    assert!(!instances.writable && !instances.read_only && instances.meta.is_some());
    plant(node, "rm -rf /var/lib/nova/instances");
    let instances = survey(node).facts.instances;
    assert_eq!((instances.writable, instances.meta), (false, None));
}

#[test]
fn a_host_key_without_its_public_half_is_asked_of_ssh_keygen() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let before = survey(node).facts.server.host_keys;
    plant(node, "rm /etc/ssh/ssh_host_*.pub");
    let after = survey(node).facts.server.host_keys;
    let public = |keys: &[clearway::survey::HostKeyFact]| -> Vec<String> {
        let words = |key: &clearway::survey::HostKeyFact| {
            key.public.split(' ').take(2).collect::<Vec<_>>().join(" ")
        };
        keys.iter().map(words).collect()
    };
    assert!(!before.is_empty());
    assert_eq!(public(&before), public(&after));

    plant(
        node,
        "ssh-keygen -q -t ed25519 -N '' -f /tmp/other; cp /tmp/other.pub /etc/ssh/ssh_host_ed25519_key.pub",
    );
    let gaps = survey(node).facts.gaps;
    assert!(
        gaps.iter().any(|gap| gap.contains("not its public half")),
        "{gaps:?}"
    );
}

#[test]
fn a_plain_user_sees_less_and_says_so() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let words = [
        "setpriv",
        "--reuid=deploy",
        "--regid=deploy",
        "--init-groups",
        "sh",
        "-s",
    ];
    let facts = survey_through(node, &words, &request()).facts;
    assert!(
        facts.clients[0]
            .failed
            .as_ref()
            .expect("runuser needs root")
            .contains("root")
    );
    assert!(facts.gaps.iter().any(|gap| gap.contains("not run as root")));
    assert!(!facts.nova.read);
    assert!(matches!(facts.server.base_config, Answer::Failed { .. }));
    let nova = facts.server.accounts.iter().find(|a| a.name == "nova");
    assert!(nova.is_none_or(|nova| nova.lock == LockState::Unknown));
}

#[test]
fn bash_as_the_shell_tells_the_same() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let mut one = survey(node).facts;
    plant(node, "ln -sf bash /bin/sh");
    let mut two = survey(node).facts;
    for facts in [&mut one, &mut two] {
        facts.clock = 0;
        facts.instances.free_bytes = None;
        facts.instances.free_inodes = None;
    }
    assert_eq!(one.clients, two.clients);
    assert_eq!(one.server, two.server);
    assert!(one == two, "{:?} {:?}", one.gaps, two.gaps);
}

#[test]
fn bash_needs_no_room_for_temporary_files() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    plant(
        node,
        "ln -sf bash /bin/sh; for d in /tmp /var/tmp; do mount -t tmpfs -o ro tmpfs $d; done; rm -rf /usr/tmp",
    );
    // Where no directory is one for temporary files, bash takes the one it stands in.
    let words = ["sh", "-c", "cd /proc; exec sh -s"];
    // Recent releases use a pipe for what fits into one.
    let mut request = request();
    let many = |number: usize| format!("/etc/nova/none-{number:040}.conf");
    request.nova_conf.extend((0..1200).map(many));
    let facts = survey_through(node, &words, &request).facts;
    assert_eq!(facts.clients[0].failed, None);
    assert!(facts.nova.read, "{:?}", facts.gaps);
}

#[test]
fn a_link_that_an_account_slips_in_is_not_followed_for_it() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let keys = "/var/lib/nova/.ssh/authorized_keys";
    let before = node.sh(&format!("cat {keys}")).expect("read").stdout;
    // The account is as quick as can be: right after root's stat has looked at its file, a file of root's of the same
    // length takes the place of it.
    plant(
        node,
        "cp -p authorized_keys /root/keys; size=$(stat -c %s authorized_keys); head -c $size /dev/zero | tr '\\0' x >/root/secret; chmod 600 /root/secret
         mv /usr/bin/stat /usr/bin/stat.real
         printf '#!/bin/sh\\n/usr/bin/stat.real \"$@\"; s=$?; [ ! -w /root ] || ln -sf /root/secret %s; exit $s\\n' /var/lib/nova/.ssh/authorized_keys >/usr/bin/stat
         chmod 755 /usr/bin/stat",
    );
    for shell in ["dash", "bash"] {
        plant(
            node,
            &format!(
                "ln -sf {shell} /bin/sh; rm -f authorized_keys; cp -p /root/keys authorized_keys"
            ),
        );
        let found = survey(node);
        let file = &keys_file(account(&found, "nova"), keys).file;
        let content = file
            .content()
            .unwrap_or_else(|| panic!("{:?} {file:?}", found.facts.gaps));
        assert_eq!(&*content.bytes, &*before, "{shell}");
    }
}

#[test]
fn a_running_nova_compute_tells_the_order_of_its_files() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    // systemd keeps the processes of a service in a group of that name.
    plant(
        node,
        "mkdir -p /etc/nova/nova.conf.d; printf '[DEFAULT]\\nhost = layered\\n' >/etc/nova/nova.conf.d/10.conf; chgrp -R nova /etc/nova
         printf '#!/bin/sh\\nwhile sleep 100; do :; done\\n' >/usr/bin/nova-compute; chmod 755 /usr/bin/nova-compute
         mkdir -p /sys/fs/cgroup/system.slice/nova-compute.service",
    );
    let own = node.host().to_owned();
    let found = survey(node).facts;
    let undecided = found
        .nova
        .undecided(&["[DEFAULT]host"])
        .expect("two orders");
    assert_eq!(undecided.values, format!("layered or {own}"));
    assert!(
        found
            .gaps
            .iter()
            .any(|gap| gap.contains("[DEFAULT]host is layered or ")),
        "{:?}",
        found.gaps
    );
    plant(node, "printf '[DEFAULT]\\nhost = mine\\n' >/srv/mine.conf");
    let own = own.as_str();
    for (words, expected) in [
        ("", Some("layered")),
        ("--log-file /x", Some("layered")),
        ("--config-file=/etc/nova/nova.conf --log-file /x", Some(own)),
        ("--config-file /etc/nova/nova.conf", Some(own)),
        (
            "--config-file /etc/nova/nova.conf --config-dir /etc/nova/nova.conf.d",
            Some("layered"),
        ),
        (
            "--config-dir=/etc/nova/nova.conf.d/ --config-file=/etc/nova/nova.conf",
            Some(own),
        ),
        ("--config-file /srv/mine.conf", Some("mine")),
        // What is not understood settles nothing.
        ("--config-f /etc/nova/nova.conf", None),
        ("--config-file nova.conf", None),
        ("--config-file", None),
    ] {
        plant(
            node,
            &format!(
                "setsid nova-compute {words} </dev/null >/dev/null 2>&1 &
                 echo $! >/sys/fs/cgroup/system.slice/nova-compute.service/cgroup.procs; sleep 0.2"
            ),
        );
        let found = survey(node).facts.nova;
        let is_decided = found.undecided(&["[DEFAULT]host"]).is_none();
        let host = found.host.as_deref().filter(|_| is_decided);
        assert_eq!(host, expected, "{words}");
    }
}

#[test]
fn what_was_no_file_when_it_was_looked_for_is_not_read_as_one_later() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let keys = "/var/lib/nova/.ssh/authorized_keys";
    // A directory until root's stat, a file of the account's for it, and a file of root's right after it.
    plant(
        node,
        "cp -p authorized_keys /root/keys; size=$(stat -c %s authorized_keys); head -c $size /dev/zero | tr '\\0' x >/root/secret; chmod 600 /root/secret
         mv /usr/bin/stat /usr/bin/stat.real; rm authorized_keys; mkdir authorized_keys; chown nova authorized_keys
         printf '#!/bin/sh\\n[ ! -w /root ] || { rm -rf %s; cp -p /root/keys %s; }\\n/usr/bin/stat.real \"$@\"; s=$?; [ ! -w /root ] || ln -sf /root/secret %s; exit $s\\n' /var/lib/nova/.ssh/authorized_keys /var/lib/nova/.ssh/authorized_keys /var/lib/nova/.ssh/authorized_keys >/usr/bin/stat
         chmod 755 /usr/bin/stat",
    );
    let found = survey(node);
    let file = &keys_file(account(&found, "nova"), keys).file;
    assert!(file.content().is_none(), "{file:?}");
}

#[test]
fn a_key_that_a_lane_names_is_looked_at_where_its_ssh_runs() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().expect("lab");
    let node = lab.node("node1");
    let key = "/etc/nova/migration/identity";
    plant(
        node,
        "mkdir /etc/nova/migration; ssh-keygen -q -t ecdsa -N '' -f /etc/nova/migration/identity
         ssh-keygen -q -t ed25519 -N '' -f /root/stated; rm /root/stated.pub
         sed -i 's#^live_migration_uri.*#live_migration_uri = qemu+ssh://nova@%s/system?no_verify=1\\&keyfile=/etc/nova/migration/identity#' /etc/nova/nova.conf",
    );
    let states = |found: &Survey, place: usize| -> Vec<(String, IdentityState, bool)> {
        let named = found.facts.clients[place].identities.iter();
        named
            .filter(|it| !it.path.contains("/.ssh/"))
            .map(|it| (it.path.clone(), it.state, it.public.is_some()))
            .collect()
    };
    let usable = |path: &str| (path.to_owned(), IdentityState::Usable, true);
    for shell in [&["dash", "-s"][..], &["bash", "-s"]] {
        // The two contexts of the profile `nova`: it is libvirt's ssh that is given the key.
        let found = survey_through(node, shell, &request());
        assert_eq!(states(&found, 0), [], "{shell:?}");
        assert_eq!(states(&found, 1), [usable(key)], "{shell:?}");
        // One for all, with a key that the profile states too.
        let mut one = profile();
        one.nova_context = Vec::new();
        for lane in [&mut one.cold_push, &mut one.cold_pull, &mut one.live] {
            lane.context = Vec::new();
        }
        one.cold_pull.identity = Some("~/stated".to_owned());
        let one = SurveyRequest::new(&one, &[], Nonce::new([5; 16]));
        let found = survey_through(node, shell, &one);
        let mut all = states(&found, 0);
        all.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(all, [usable(key), usable("/root/stated")], "{shell:?}");
    }
    // What is no plain path is left alone, whatever it would say to a shell.
    for bad in [
        "relative",
        "/a'$(touch /tmp/ran)'",
        "/a%%20b",
        "$state_path/k",
    ] {
        plant(
            node,
            &format!(
                "cat > /tmp/uri <<'EOF'\nlive_migration_uri = qemu+ssh://nova@%s/system?keyfile={bad}\nEOF
                 sed -i -e '/^live_migration_uri/{{r /tmp/uri' -e 'd}}' /etc/nova/nova.conf"
            ),
        );
        let found = survey(node);
        assert_eq!(states(&found, 1), [], "{bad}");
    }
    plant(node, "[ ! -e /tmp/ran ]");
}
