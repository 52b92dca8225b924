//! A lab without faults does everything that Nova will ask of it.

use clearway_lab::{Lab, LabSupport};

/// The output of a command that must succeed.
fn ok(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn every_node_reaches_every_other_on_every_lane() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().start().unwrap();
    for from in lab.nodes() {
        for to in lab.nodes().iter().filter(|to| to.name() != from.name()) {
            let (address, host) = (to.address(), to.host());
            let file = format!("/var/lib/nova/instances/{}-{}", from.name(), to.name());
            let push = format!(
                "ssh -n -o BatchMode=yes {address} uname -n && ssh -n -o BatchMode=yes {address} touch {file}.tmp && \
                 scp -q -r /etc/hostname {address}:{file}"
            );
            let pull = format!("scp -q -r {host}:/etc/hostname {file}.pulled && cat {file}.pulled");
            let live = format!("ssh -n -o BatchMode=yes -l nova -T -e none -- {host} uname -n");
            let expected = format!("{}\n", to.name());
            assert_eq!(ok(&from.sh_as("nova", &push).unwrap()), expected);
            assert_eq!(ok(&from.sh_as("nova", &pull).unwrap()), expected);
            assert_eq!(ok(&from.sh(&live).unwrap()), expected);
            let copied = ok(&to.sh(&format!("cat {file}; ls {file}.tmp")).unwrap());
            assert_eq!(copied, format!("{}\n{file}.tmp\n", from.name()));
        }
    }
}

#[test]
fn the_controller_reaches_every_node_with_sudo() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(2).start().unwrap();
    let known_hosts = std::fs::read_to_string(lab.control_known_hosts()).unwrap();
    for node in lab.nodes() {
        let output = lab.hub_sh(&format!(
            "cat > /root/.ssh/known_hosts <<'END'\n{known_hosts}END\n\
             ssh -n -o BatchMode=yes deploy@{} 'sudo -n -u nova id -un; uname -n; sudo -n cat /etc/nova/nova.conf'",
            node.address()
        ));
        let text = ok(&output.unwrap());
        assert!(
            text.starts_with(&format!("nova\n{}\n", node.name())),
            "{text}"
        );
        assert!(
            text.contains(&format!("my_ip = {}\n", node.address())),
            "{text}"
        );
        assert!(
            text.contains(&format!("host = {}\n", node.host())),
            "{text}"
        );
        assert!(
            lab.read_log(node.name())
                .contains("Accepted publickey for deploy")
        );
    }
}

#[test]
fn a_program_of_this_machine_reaches_the_nodes() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(1).start().unwrap();
    let read_banner = format!(
        "read -r banner < /dev/tcp/{}/22; echo $banner",
        lab.node("node1").address()
    );
    let mut command = lab.command("bash");
    let output = command
        .args(["-c", &read_banner])
        .current_dir(lab.dir())
        .output();
    assert!(ok(&output.unwrap()).starts_with("SSH-2.0-OpenSSH"));
    assert!(lab.inventory().exists(), "its files are this machine's");
}

#[test]
fn the_nodes_are_machines_of_their_own() {
    if LabSupport::skips_test() {
        return;
    }
    let lab = Lab::builder().nodes(2).start().unwrap();
    let facts = |name: &str| {
        let node = lab.node(name);
        ok(&node.sh("cat /etc/machine-id /etc/ssh/*.pub; stat -c '%U %a' /var/lib/nova/instances /run/sshd; ls /proc | grep -c '^[0-9]'").unwrap())
    };
    let (one, two) = (facts("node1"), facts("node2"));
    assert_ne!(one.lines().next(), two.lines().next(), "machine ids differ");
    assert_ne!(one.lines().nth(1), two.lines().nth(1), "host keys differ");
    assert!(one.contains("nova 755\nroot 755\n"), "{one}");
    // init, sshd, and the shell with its two children.
    assert_eq!(one.lines().last(), Some("5"), "{one}");
    assert_eq!(
        ok(&lab.hub_sh("ip -o link show v2 | grep -c state.UP").unwrap()),
        "1\n"
    );
}
