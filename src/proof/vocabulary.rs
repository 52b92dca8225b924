//! What is said to the far end: one table for all lanes.
//!
//! Each text is one line of POSIX sh for the login shell there. Where it stands for commands of Nova it uses the same
//! ones (nova/virt/libvirt/volume/remotefs.py `SshDriver`: `touch`, `rm`, `mkdir -p`, `rm -rf`), and each failure has
//! an exit status of its own ([`Failure`]). Everything else is shell builtins, so that it costs the far end nothing.
//!
//! Placeholders: `{token}` marks the answer; `{machine}` is who should answer, empty when that is not known; `{dir}` is
//! Nova's directory and `{far}` the probe's own below it, both quoted; `{patience}` counts 5 s intervals.

use crate::domain::{Depth, Lane, Leg, Reason, Transport};

/// Says who answers, on stderr: stdout stays empty on an account that is not noisy. Another machine than the
/// intended one is left alone. What is no machine id (images ship `uninitialized`) tells nothing.
const HELLO: &str = r#"export LC_ALL=C;m=;h=;{ read -r m </etc/machine-id;read -r h </proc/sys/kernel/hostname;} 2>/dev/null;case $m in *[!0-9a-fA-F]*)m=;;esac;[ ${#m} = 32 ]||m=;echo "{token} id $m $h" >&2;[ -z "$m" ]||[ -z "{machine}" ]||[ "$m" = "{machine}" ]||exit 40;"#;

/// Nova's first commands. The loop in the background removes the directory when nobody comes back for it, because the
/// client or the network died; it ends by itself as soon as the directory is gone.
const PREPARE: &str = r#"[ -d {dir} ]||exit 41;mkdir -p {far}||exit 42;(i=0;while [ $i -lt {patience} ]&&sleep 5&&[ -d {far} ];do i=$((i+1));done;rm -rf {far}) </dev/null >/dev/null 2>&1 & touch {far}/x.tmp||{ rm -rf {far};exit 43;};rm {far}/x.tmp||{ rm -rf {far};exit 44;}"#;

/// The same without Nova's touch and rm: over rsync, files are made by copying.
const PREPARE_RSYNC: &str = r#"[ -d {dir} ]||exit 41;[ -w {dir} ]||exit 45;command -v rsync >/dev/null||exit 48;(i=0;while [ $i -lt {patience} ]&&sleep 5;do i=$((i+1));[ $i = 1 ]||[ -d {far} ]||break;done;rm -rf {far}) </dev/null >/dev/null 2>&1 &"#;

/// What can be seen of the directory without writing.
const LOOK: &str = "[ -d {dir} ]||exit 41;[ -w {dir} ]||exit 45";

/// The copied file comes back, and all goes.
const COLLECT: &str = "cat {far}/probe;s=$?;rm -rf {far};[ ! -e {far} ]||exit 46;exit $s";

/// After a copy that failed: sftp has no word for a full disk, so ask for a few KiB in another way, then remove all.
const DISCARD: &str = "export LC_ALL=C;mkdir -p {far}&&dd if=/dev/zero of={far}/full bs=4096 count=2;s=$?;rm -rf {far};[ ! -e {far} ]||exit 46;[ $s = 0 ]||exit 47";

/// What libvirt's own script looks for (libvirt/src/rpc/virnetclient.c `virNetClientSSHHelperCommand`), without
/// starting a session, and the socket of its daemon. No single quotes: libvirt hands its script to `sh -c`.
const LIBVIRT: &str = r#"which virt-ssh-helper 1>/dev/null 2>&1;if test $? = 0;then p=virt-ssh-helper;else which nc 1>/dev/null 2>&1||exit 50;p=nc;fi;for s in /run/libvirt/virtqemud-sock /run/libvirt/libvirt-sock;do if [ -S $s ];then [ -r $s ]&&[ -w $s ]||exit 52;echo "{token} libvirt $p $s" >&2;exit 0;fi;done;exit 51"#;

/// The procedure of `climb.sh`, and what it says to the far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Errand {
    /// The function of `climb.sh`.
    pub(super) climb: &'static str,
    /// What is said in the first connection: whether `HELLO` is said before, and the rest.
    pub(super) prepare: Option<&'static str>,
    /// What is said after a copy that worked, and after one that failed.
    pub(super) after: Option<(&'static str, &'static str)>,
}

/// The file that is copied from the far end where nothing is copied to it: who answered is in it, where that can be
/// known. Every host and every container has the other.
pub(super) fn pulled(leg: &Leg) -> &'static str {
    match leg.machine_id {
        Some(_) => "/etc/machine-id",
        None => "/etc/hosts",
    }
}

/// What is done on a leg.
pub(super) fn errand(leg: &Leg, depth: Depth, write: bool) -> Errand {
    let one = |prepare| Errand {
        climb: "climb_one",
        prepare: Some(prepare),
        after: None,
    };
    if depth < Depth::Copy {
        return one("");
    }
    match (leg.id.lane, leg.transport) {
        (Lane::Live, _) => one(LIBVIRT),
        (Lane::ColdPush, transport) if !write => Errand {
            climb: match transport {
                Transport::Rsync => "climb_look_rsync",
                _ => "climb_look",
            },
            prepare: Some(LOOK),
            after: None,
        },
        (Lane::ColdPush, Transport::Rsync) => Errand {
            climb: "climb_rsync",
            prepare: Some(PREPARE_RSYNC),
            after: Some((COLLECT, DISCARD)),
        },
        (Lane::ColdPush, _) => Errand {
            climb: "climb_push",
            prepare: Some(PREPARE),
            after: Some((COLLECT, DISCARD)),
        },
        // All that Nova does there is one copy (nova/virt/libvirt/utils.py `copy_image`).
        (Lane::ColdPull, Transport::Rsync) => Errand {
            climb: "climb_pull_rsync",
            prepare: None,
            after: None,
        },
        (Lane::ColdPull, _) => Errand {
            climb: "climb_pull",
            prepare: None,
            after: None,
        },
    }
}

impl Errand {
    /// The text of the first connection.
    pub(super) fn first(&self) -> Option<String> {
        self.prepare.map(|text| format!("{HELLO}{text}"))
    }
}

/// What an exit status of the texts above means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is this.
    Is(Reason),
    /// A command of Nova failed on the directory; its message says why.
    Write,
    /// The probe's directory could not be removed.
    Left,
}

/// Reads an exit status of the texts above.
pub(super) fn failure(status: i32) -> Option<Failure> {
    Some(match status {
        40 => Failure::Is(Reason::WrongMachine),
        41 => Failure::Is(Reason::InstancesPathMissing),
        42 | 43 | 44 | 47 => Failure::Write,
        45 => Failure::Is(Reason::InstancesPathNotWritable),
        46 => Failure::Left,
        48 => Failure::Is(Reason::CopyToolMissing),
        50 => Failure::Is(Reason::LibvirtHelperMissing),
        51 => Failure::Is(Reason::LibvirtSocketMissing),
        52 => Failure::Is(Reason::LibvirtSocketDenied),
        _ => return None,
    })
}

/// A text as a double-quoted word of the program, its placeholders the program's variables.
pub(super) fn quoted(text: &str) -> String {
    let mut word = String::with_capacity(text.len() + 32);
    word.push('"');
    for ch in text.chars() {
        if matches!(ch, '"' | '$' | '`' | '\\') {
            word.push('\\');
        }
        word.push(ch);
    }
    word.push('"');
    for (placeholder, variable) in [
        ("{token}", "$token"),
        ("{machine}", "$machine"),
        ("{dir}", "$dq"),
        ("{far}", "$far"),
        ("{patience}", "$patience"),
    ] {
        word = word.replace(placeholder, variable);
    }
    word
}
