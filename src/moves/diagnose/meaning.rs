//! From a text to a leg, a reason and a remedy.

use super::complete::complete;
use super::python::{self, Process};
use crate::domain::{Lane, Placeholders, Reason, Why};
use crate::openssh::messages::{Cause, explain_text};
use crate::openstack::Policy;

/// How a remedy begins that is not needed any more where the leg was climbed.
pub const TRACE: &str = "clearway trace SOURCE DESTINATION";

/// What a text means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// What it is, in one sentence.
    pub what: String,
    /// The lane in which it happened, where the text says so.
    pub lane: Option<Lane>,
    /// The name that was dialled.
    pub dialled: Option<String>,
    /// The code of the reason (`clearway reasons`), where it is one of SSH.
    pub code: Option<&'static str>,
    /// The policy rule that is missing.
    pub policy: Option<Policy>,
    /// What it has done to the server.
    pub server: Option<&'static str>,
    /// Whether the text was cut and the rest of the message supplied.
    pub completed: bool,
    /// Whether it has nothing to do with the legs between the nodes.
    pub elsewhere: bool,
    /// What to do, in order.
    pub remedy: Vec<String>,
}

/// Says what an error text of Nova's, of its clients' or of its logs means. `None` when it is none that is known.
#[must_use]
pub fn diagnose(text: &str) -> Option<Diagnosis> {
    if let Some(policy) = Policy::find(text) {
        return Some(missing_right(policy));
    }
    if let Some(process) = python::read(text) {
        return Some(of_process(&process));
    }
    if text.contains("remote libvirt URI") || text.contains("Cannot recv data") {
        return Some(of_libvirt(text));
    }
    if text.contains("No valid host was found") {
        return Some(no_valid_host());
    }
    if text.contains("No such file or directory: 'ssh'") || text.trim() == "FileNotFoundError" {
        return Some(of_ssh(
            "nova-compute on the source found no program to run: most likely there is no ssh where it runs",
            Some(Lane::ColdPush),
            None,
            Cause::Breaks(Reason::SshMissing),
            Some("the server is in ERROR, its guest was not powered off"),
        ));
    }
    if text.trim() == "ProcessExecutionError" {
        return Some(Diagnosis {
            what: "a copy between the nodes failed; the text does not say how".to_owned(),
            server: Some(GUEST_OFF),
            remedy: vec![
                "clearway diagnose SERVER    reads the fault's details and nova-compute's log, and traces the leg"
                    .to_owned(),
            ],
            ..nothing()
        });
    }
    // Whatever else ssh may have said by itself.
    let cause = explain_text(text);
    (cause != Cause::Unexplained && !matches!(cause, Cause::Remote(_)))
        .then(|| of_ssh("a message of ssh", None, None, cause, None))
}

const STAYED: &str = "the server stayed where it was and runs as before: Nova rolled the move back";
/// Said of a failure that comes after Nova has powered the guest off.
pub(in crate::moves) const GUEST_OFF: &str =
    "the guest was powered off before the copy: the server is in ERROR";

fn nothing() -> Diagnosis {
    Diagnosis {
        what: String::new(),
        lane: None,
        dialled: None,
        code: None,
        policy: None,
        server: None,
        completed: false,
        elsewhere: false,
        remedy: Vec::new(),
    }
}

fn missing_right(policy: Policy) -> Diagnosis {
    let rule = policy.today();
    let needs = if rule.ends_with(":host") {
        "it lets an administrator choose where a server goes, and clearway never lets Nova choose"
    } else {
        "by default administrators have it, and from 2025.2 on managers of the project"
    };
    let mut remedy = vec![format!("log in with a role that `{rule}` allows: {needs}")];
    remedy.push(format!(
        "openstack --os-cloud CLOUD role assignment list --names --user USER    who may; policy.yaml of nova-api has `{rule}`"
    ));
    Diagnosis {
        what: format!("the right `{rule}` is missing: Nova has not begun to move anything"),
        server: Some("nothing has happened to the server"),
        remedy,
        elsewhere: true,
        policy: Some(policy),
        ..nothing()
    }
}

fn no_valid_host() -> Diagnosis {
    Diagnosis {
        what: "the scheduler found no host that may take the server; this is not about SSH"
            .to_owned(),
        server: Some("nothing has happened to the server"),
        elsewhere: true,
        remedy: vec![
            "clearway servers SERVER    which destinations are open, and why the others are not"
                .to_owned(),
            "which filter said no stands only in the log of nova-scheduler (grep the request id)"
                .to_owned(),
        ],
        ..nothing()
    }
}

fn of_process(process: &Process) -> Diagnosis {
    let command = process.command.as_deref().unwrap_or_default();
    let words: Vec<&str> = command.split_whitespace().collect();
    let program = words
        .first()
        .map_or("", |word| word.rsplit('/').next().unwrap_or(word));
    let (lane, dialled, what, server) = match program {
        "ssh" => (
            Some(Lane::ColdPush),
            ssh_destination(&words),
            "Nova's ssh from the source to the destination failed, before anything was done to the guest",
            Some(STAYED),
        ),
        "scp" | "rsync" => match copy_direction(&words) {
            Some((Lane::ColdPull, host)) => (
                Some(Lane::ColdPull),
                Some(host),
                "the destination could not fetch a file from the source",
                Some(
                    "the server may be in ERROR on the destination; its disks are still on the source",
                ),
            ),
            Some((lane, host)) => (
                Some(lane),
                Some(host),
                "the source could not copy a disk to the destination",
                Some(GUEST_OFF),
            ),
            None => (
                None,
                None,
                "a copy on the node itself failed",
                Some(GUEST_OFF),
            ),
        },
        _ => (None, None, "a command of nova-compute's failed", None),
    };
    let (stderr, completed) = if process.cut {
        complete(&process.stderr)
    } else {
        (process.stderr.clone(), false)
    };
    let cause = match (process.exit_code, explain_text(&stderr)) {
        // The far end's command answered, so ssh itself did its work.
        (Some(status), Cause::Unexplained | Cause::Remote(_)) if (1..255).contains(&status) => {
            Cause::Remote(status)
        }
        (_, cause) => cause,
    };
    let mut diagnosis = of_ssh(what, lane, dialled, cause, server);
    diagnosis.completed = completed;
    if program == "ssh" || program == "scp" || program == "rsync" || program.is_empty() {
        return diagnosis;
    }
    diagnosis.what = format!("{what}: `{command}`");
    diagnosis
}

fn of_libvirt(text: &str) -> Diagnosis {
    let dialled = text.split_once("qemu+ssh://").map(|(_, rest)| {
        let authority = rest.split(['/', ' ', '?']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        host.trim_end_matches(':').to_owned()
    });
    let inner = text
        .split_once("Cannot recv data: ")
        .map_or(text, |(_, inner)| inner);
    let inner = inner
        .split(": Connection reset by peer")
        .next()
        .unwrap_or(inner);
    of_ssh(
        "libvirt on the source (as root) could not log in to the destination",
        Some(Lane::Live),
        dialled,
        explain_text(inner),
        Some("the guest runs on where it was; from 2026.1 on the server is in ERROR all the same"),
    )
}

fn of_ssh(
    what: &str,
    lane: Option<Lane>,
    dialled: Option<String>,
    cause: Cause,
    server: Option<&'static str>,
) -> Diagnosis {
    let mut values = Placeholders::default();
    if let Some(name) = &dialled {
        values = values.with("name", name.clone());
    }
    let (code, meaning, template) = match cause {
        Cause::Breaks(reason) => (Some(reason.code()), reason.meaning(), reason.remedy()),
        Cause::Refused => {
            let reason = Reason::LoginRefused;
            (
                Some(reason.code()),
                "The far end refuses the login; only its files and its log know why.",
                reason.remedy(),
            )
        }
        Cause::Dropped | Cause::Throttled => (
            Some(Why::Throttled.code()),
            Why::Throttled.meaning(),
            Why::Throttled.remedy(),
        ),
        Cause::Remote(_) => {
            let reason = Reason::CommandFailed;
            (Some(reason.code()), reason.meaning(), reason.remedy())
        }
        Cause::TimedOut => {
            let reason = Reason::ConnectionTimedOut;
            (Some(reason.code()), reason.meaning(), reason.remedy())
        }
        Cause::Unexplained => (None, "The text does not say why.", ""),
    };
    let mut remedy = vec![format!(
        "{TRACE}    climbs that leg now and says what is wrong with it"
    )];
    if !template.is_empty() {
        remedy.push(values.fill(template));
    }
    Diagnosis {
        what: format!("{what}. {meaning}"),
        lane,
        dialled,
        code,
        server,
        remedy,
        ..nothing()
    }
}

/// `ssh -o BatchMode=yes HOST …` (nova/utils.py `ssh_execute`).
fn ssh_destination(words: &[&str]) -> Option<String> {
    let mut rest = words.iter().skip(1);
    while let Some(word) = rest.next() {
        match *word {
            "-o" | "-l" | "-p" | "-i" | "-F" => {
                rest.next();
            }
            option if option.starts_with('-') => {}
            host => return Some(host.to_owned()),
        }
    }
    None
}

/// `scp -r FILE HOST:FILE` pushes, `scp -r HOST:FILE FILE` pulls.
fn copy_direction(words: &[&str]) -> Option<(Lane, String)> {
    let files: Vec<&str> = words
        .iter()
        .skip(1)
        .copied()
        .filter(|word| !word.starts_with('-'))
        .collect();
    let [.., from, to] = files.as_slice() else {
        return None;
    };
    let host = |word: &str| {
        let (host, path) = match word.strip_prefix('[') {
            Some(rest) => rest.split_once("]:")?,
            None => word.split_once(':')?,
        };
        // Nova's paths are absolute; a colon further behind is part of a file's name.
        (path.starts_with('/') && !host.contains('/')).then(|| host.to_owned())
    };
    match (host(from), host(to)) {
        (None, Some(host)) => Some((Lane::ColdPush, host)),
        (Some(host), None) => Some((Lane::ColdPull, host)),
        _ => None,
    }
}
