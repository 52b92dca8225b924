//! Legs that do not, each for one reason.

use std::time::Duration;

use clearway::domain::{Lane, Proof, Proven, Reason, Step};
use clearway_lab::Lab;

use super::support::*;

/// Plants a fault in a lab of its own and climbs one leg.
fn planted(lane: Lane, node: usize, plant: &str) -> Proof {
    let lab = Lab::builder().nodes(3).start().unwrap();
    let leg = leg(&lab, lane, 1, 2);
    sh(&lab, node, &format!("cd /var/lib/nova; {plant}"));
    let proof = climb(&lab, leg);
    nothing_is_left(&lab, Duration::from_secs(15));
    proof
}

/// What it is, the lane, the node and how it is planted there, the rung reached and the reason.
type Row = (&'static str, Lane, usize, String, Option<Step>, Reason);

#[test]
fn faults_are_told_by_their_reason_and_rung() {
    use Lane::{ColdPull, ColdPush, Live};
    use Reason::*;
    let noisy = "sed -i '1i echo Welcome' .bashrc 2>/dev/null || echo 'echo Welcome' >.bashrc; chown nova: .bashrc; usermod -s /bin/bash nova";
    let config = |line: &str| {
        format!(
            "(echo '{line}'; cat /etc/ssh/sshd_config) >/tmp/c && cat /tmp/c >/etc/ssh/sshd_config && {RESTART}"
        )
    };
    let table: Vec<Row> = vec![
        (
            "no name",
            ColdPull,
            1,
            "sed -i /node2/d /etc/hosts".into(),
            None,
            NameUnresolvable,
        ),
        (
            "client config",
            ColdPush,
            1,
            "echo Frobnicate >.ssh/config; chown nova: .ssh/config".into(),
            None,
            ClientConfigInvalid,
        ),
        (
            "no messages",
            ColdPush,
            1,
            "echo LogLevel QUIET >.ssh/config; chown nova: .ssh/config; rm .ssh/known_hosts; : >/etc/ssh/ssh_known_hosts".into(),
            Some(Step::Connect),
            HostKeyUnknown,
        ),
        (
            "control socket",
            ColdPush,
            1,
            "printf 'ControlMaster auto\\nControlPath /root/%%h\\n' >.ssh/config; chown nova: .ssh/config; chmod 700 /root".into(),
            Some(Step::Resolve),
            ControlMasterFailed,
        ),
        (
            "no ssh",
            ColdPush,
            1,
            "rm /usr/bin/ssh".into(),
            None,
            SshMissing,
        ),
        (
            "no scp here",
            ColdPush,
            1,
            "rm /usr/bin/scp".into(),
            Some(Step::Command),
            CopyToolMissing,
        ),
        (
            "nothing listens",
            ColdPush,
            2,
            "kill $(cat /run/sshd.pid)".into(),
            Some(Step::Resolve),
            ConnectionRefused,
        ),
        (
            "no route",
            ColdPush,
            1,
            "ip route del default".into(),
            Some(Step::Resolve),
            NoRoute,
        ),
        (
            "host key",
            ColdPush,
            1,
            "rm .ssh/known_hosts; : >/etc/ssh/ssh_known_hosts".into(),
            Some(Step::Connect),
            HostKeyUnknown,
        ),
        (
            "no identity",
            ColdPull,
            1,
            "rm .ssh/id_*".into(),
            Some(Step::HostKey),
            IdentityMissing,
        ),
        (
            "modes",
            ColdPush,
            1,
            "chmod 644 .ssh/id_ed25519".into(),
            Some(Step::HostKey),
            IdentityModes,
        ),
        (
            "nologin",
            ColdPush,
            2,
            "usermod -s /usr/sbin/nologin nova".into(),
            Some(Step::Login),
            AccountNologin,
        ),
        (
            "nologin, pull",
            ColdPull,
            2,
            "usermod -s /usr/sbin/nologin nova".into(),
            Some(Step::Login),
            AccountNologin,
        ),
        (
            "false as shell",
            ColdPush,
            2,
            "usermod -s /bin/false nova".into(),
            Some(Step::Login),
            AccountNologin,
        ),
        (
            "other machine",
            ColdPush,
            1,
            "printf 'Host *\\n HostName node3\\n' >.ssh/config; chown nova: .ssh/config".into(),
            Some(Step::Login),
            WrongMachine,
        ),
        (
            "other machine, pull",
            ColdPull,
            1,
            "printf 'Host *\\n HostName node3\\n' >.ssh/config; chown nova: .ssh/config".into(),
            Some(Step::Login),
            WrongMachine,
        ),
        (
            "ForceCommand",
            ColdPush,
            2,
            config("ForceCommand echo Forbidden; exit 1"),
            Some(Step::Login),
            ForcedCommandDenied,
        ),
        (
            "no directory",
            ColdPush,
            2,
            format!("rm -rf {INSTANCES}"),
            Some(Step::Login),
            InstancesPathMissing,
        ),
        (
            "directory of root",
            ColdPush,
            2,
            format!("chown root: {INSTANCES}"),
            Some(Step::Login),
            InstancesPathNotWritable,
        ),
        (
            "read-only",
            ColdPush,
            2,
            format!("mount -t tmpfs -o ro t {INSTANCES}"),
            Some(Step::Login),
            ReadOnlyFilesystem,
        ),
        (
            "full of inodes",
            ColdPush,
            2,
            format!("mount -t tmpfs -o nr_inodes=1,mode=777 t {INSTANCES}"),
            Some(Step::Login),
            DiskFull,
        ),
        (
            "full",
            ColdPush,
            2,
            format!(
                "mount -t tmpfs -o size=4k,mode=777 t {INSTANCES}; head -c 4096 /dev/zero >{INSTANCES}/x"
            ),
            Some(Step::Login),
            DiskFull,
        ),
        (
            "noisy",
            ColdPush,
            2,
            noisy.into(),
            Some(Step::Command),
            ShellNoisy,
        ),
        (
            "noisy, pull",
            ColdPull,
            2,
            noisy.into(),
            Some(Step::Command),
            ShellNoisy,
        ),
        (
            "no sftp",
            ColdPush,
            2,
            format!("sed -i '/^Subsystem/d' /etc/ssh/sshd_config; {RESTART}"),
            Some(Step::Command),
            SftpMissing,
        ),
        (
            "no sftp-server, pull",
            ColdPull,
            2,
            "rm /usr/lib/openssh/sftp-server".into(),
            Some(Step::Command),
            SftpMissing,
        ),
        (
            "no helper",
            Live,
            2,
            "rm -f /usr/bin/nc /bin/nc /etc/alternatives/nc /usr/bin/virt-ssh-helper".into(),
            Some(Step::Login),
            LibvirtHelperMissing,
        ),
        (
            "no libvirtd",
            Live,
            2,
            "rm /run/libvirt/libvirt-sock".into(),
            Some(Step::Login),
            LibvirtSocketMissing,
        ),
        (
            "socket of root",
            Live,
            2,
            "chgrp root /run/libvirt/libvirt-sock".into(),
            Some(Step::Login),
            LibvirtSocketDenied,
        ),
    ];
    let mut wrong = Vec::new();
    for (id, lane, node, plant, reached, reason) in table {
        let proof = planted(lane, node, &plant);
        if (proof.reached, proof.outcome) != (reached, Proven::Breaks(reason)) {
            wrong.push(format!("{id}: {proof:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
