//! The rungs `command` and `copy`: Nova's directory, and the programs that copy.

use crate::domain::{Evidence, Lane, Predicted, Reason, Transport, Why};
use crate::openssh::Release;
use crate::survey::{ClientFacts, FileState, NodeFacts};
use crate::trust::legs::Used;

use super::notes::Notes;
use super::path::fact;
use super::policy::Policy;

/// What a client brings to the last rungs, the same for all servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Baggage {
    pub(super) lane: Lane,
    pub(super) transport: Transport,
    /// Whether its scp speaks SFTP.
    pub(super) sftp: bool,
    /// Whether the program that copies is there.
    pub(super) has_program: bool,
    /// The directory that it writes to on the far end.
    pub(super) directory: String,
    /// The account that it runs as. Who logs in under the same name is Nova's account over there.
    pub(super) account: Option<String>,
}

impl Baggage {
    pub(super) fn new(lane: Lane, used: &Used, facts: &ClientFacts) -> Self {
        let program = match used.transport {
            Transport::Scp => Some("scp"),
            Transport::Rsync => Some("rsync"),
            Transport::Libvirt => None,
        };
        // An empty list is one that was not read.
        let has =
            |program| facts.programs.is_empty() || facts.programs.iter().any(|it| it == program);
        Self {
            lane,
            transport: used.transport,
            sftp: facts
                .ssh_version
                .as_deref()
                .and_then(Release::find)
                .is_none_or(scp_speaks_sftp),
            has_program: program.is_none_or(has),
            directory: used.directory.to_string(),
            account: facts.account.as_ref().map(|it| it.name.clone()),
        }
    }
}

/// Since OpenSSH 9.0; RHEL 9, the only distribution with 8.7, has it from there.
fn scp_speaks_sftp(release: Release) -> bool {
    release >= Release::new(9, 0) || release == Release::new(8, 7)
}

/// What becomes of Nova's commands and copies, once the login as `user` works.
pub(super) fn judge(
    (client, server): (&str, &str),
    baggage: &Baggage,
    user: &str,
    facts: &NodeFacts,
    policy: Option<&Policy>,
    notes: &mut impl Notes,
) -> Predicted {
    if baggage.lane == Lane::ColdPush
        && let Some(predicted) = directory(server, baggage, user, facts, notes)
    {
        return predicted;
    }
    if !baggage.has_program {
        notes.add(|| {
            fact(
                client,
                "the program that copies is not on the PATH".to_owned(),
            )
        });
        return Predicted::Breaks(Reason::CopyToolMissing);
    }
    let needed = match baggage.transport {
        Transport::Libvirt => return Predicted::Works,
        Transport::Rsync => "rsync",
        Transport::Scp if baggage.sftp => {
            return match policy {
                Some(policy) => sftp(server, facts, policy, notes),
                None => Predicted::Works,
            };
        }
        Transport::Scp => "scp",
    };
    let programs = &facts.server.programs;
    if !programs.is_empty() && !programs.iter().any(|program| program == needed) {
        notes.add(|| fact(server, format!("no {needed} on the PATH")));
        return Predicted::Breaks(Reason::CopyToolMissing);
    }
    Predicted::Works
}

fn sftp(server: &str, facts: &NodeFacts, policy: &Policy, notes: &mut impl Notes) -> Predicted {
    if let Some(predicted) = without_subsystem(server, policy, notes) {
        return predicted;
    }
    let is_internal = || policy.sftp.as_deref().is_some_and(is_internal_sftp);
    match &facts.server.sftp_server {
        Some(file) if file.state == FileState::Absent && !is_internal() => {
            notes.add(|| Evidence::FileLine {
                node: server.to_owned(),
                path: file.path.clone(),
                line: None,
                note: "does not exist, but `Subsystem sftp` names it".to_owned(),
            });
            Predicted::Breaks(Reason::SftpMissing)
        }
        _ => Predicted::Works,
    }
}

/// What sshd says to a request for a subsystem that it does not have, before it starts anything for the account
/// (`session_subsystem_req` of session.c).
pub(super) fn without_subsystem(
    server: &str,
    policy: &Policy,
    notes: &mut impl Notes,
) -> Option<Predicted> {
    if policy.sftp.is_some() {
        return None;
    }
    notes.add(|| fact(server, "its sshd has no `Subsystem sftp`".to_owned()));
    Some(Predicted::Breaks(Reason::SftpMissing))
}

/// Whether a command is the sftp server inside of sshd, which needs no program and no shell.
pub(super) fn is_internal_sftp(command: &str) -> bool {
    command.split_ascii_whitespace().next() == Some("internal-sftp")
}

fn directory(
    server: &str,
    baggage: &Baggage,
    user: &str,
    facts: &NodeFacts,
    notes: &mut impl Notes,
) -> Option<Predicted> {
    /// What the probe, and Nova's own small files, take at the least.
    const LEAST_BYTES: u64 = 64 * 1024;
    const LEAST_INODES: u64 = 8;
    let there = &facts.instances;
    notes.value("instances_path", || baggage.directory.clone());
    let same = |path: &str| path.trim_end_matches('/') == baggage.directory.trim_end_matches('/');
    if !same(&there.path) {
        notes.add(|| {
            let text = format!(
                "the client uses its own instances_path {} there, the server's is {}",
                baggage.directory, there.path
            );
            fact(server, text)
        });
        return Some(Predicted::Unknown(Why::NotPredictable));
    }
    let (reason, note) = if there.meta.is_none() {
        (Reason::InstancesPathMissing, "does not exist")
    } else if there.read_only {
        (Reason::ReadOnlyFilesystem, "is mounted read-only")
    } else if !there.writable && baggage.account.as_deref() == Some(user) {
        (
            Reason::InstancesPathNotWritable,
            "cannot be written to by Nova's account",
        )
    } else if there.free_bytes.is_some_and(|free| free < LEAST_BYTES) {
        (Reason::DiskFull, "has no space left")
    } else if there.free_inodes.is_some_and(|free| free < LEAST_INODES)
        // btrfs and others have no fixed number and say 0.
        && there.free_inodes != Some(0)
    {
        (Reason::DiskFull, "has no inodes left")
    } else {
        return None;
    };
    notes.add(|| Evidence::FileLine {
        node: server.to_owned(),
        path: there.path.clone(),
        line: None,
        note: note.to_owned(),
    });
    Some(Predicted::Breaks(reason))
}
