//! What the transcript of a leg proves.

use std::net::IpAddr;

use crate::domain::{Depth, Evidence, Leg, Proof, Proven, Reason, Step, Transport, Why};
use crate::openssh::messages::{Cause, Ending, explain, throttling};
use crate::openssh::parse_address;
use crate::openssh::stages::{Sharing, Stage, Trace};

use super::settings::Settings;
use super::transcript::{Connection, Transcript};
use super::vocabulary::{Errand, Failure, errand, failure, pulled};

/// A leg and what must be known to judge it.
pub(super) struct Judge<'a> {
    pub(super) leg: &'a Leg,
    pub(super) settings: &'a Settings,
    /// What marks the far end's answers.
    pub(super) token: &'a str,
    /// Programs that the client node does not have.
    pub(super) missing: &'a [String],
    /// Inventory name of the client.
    pub(super) client: String,
    /// Inventory name of the server.
    pub(super) server: String,
}

/// One connection, read.
pub(super) struct Seen<'a> {
    pub(super) trace: Trace<'a>,
    /// `None` when a deadline cut it.
    pub(super) status: Option<i32>,
    pub(super) stdout: &'a str,
    /// What the far end's program answered: `id …`, `libvirt …`.
    answers: Vec<&'a str>,
    /// Everything else that was said, decisive or not.
    pub(super) said: Vec<&'a str>,
}

/// The outcome so far: what was reached, what came of it and where to look.
struct Finding {
    reached: Option<Step>,
    outcome: Proven,
    /// The connection whose output shows it.
    shown: Option<u32>,
    facts: Vec<String>,
}

impl Finding {
    fn new(reached: Option<Step>, outcome: Proven) -> Self {
        Self {
            reached,
            outcome,
            shown: None,
            facts: Vec::new(),
        }
    }

    fn shown(mut self, number: u32) -> Self {
        self.shown = Some(number);
        self
    }

    fn fact(mut self, text: impl Into<String>) -> Self {
        self.facts.push(text.into());
        self
    }
}

impl Judge<'_> {
    pub(super) fn judge(&self, transcript: &Transcript) -> Proof {
        let errand = errand(self.leg, self.settings.depth, self.settings.write);
        let seen: Vec<_> = transcript
            .connections
            .iter()
            .map(|connection| (connection.number, self.read(connection, transcript)))
            .collect();
        let finding = self.find(&errand, transcript, &seen);
        let finding = self.by_its_key(finding, &seen);
        let mut evidence = Vec::new();
        if let Some((_, first)) = seen.first() {
            self.keys(&first.trace, &mut evidence);
            if finding.outcome == Proven::Refused {
                self.offers(&first.trace, &mut evidence);
            }
        }
        let worked = finding.outcome == Proven::Works;
        for (number, seen) in &seen {
            // A login that works may still say something worth reading, such as a changed key that is not checked.
            let telling =
                worked && *number == 1 && seen.said.iter().any(|line| !self.provoked(line));
            if finding.shown == Some(*number) || telling {
                evidence.push(self.output(&errand, *number, seen));
            }
        }
        evidence.extend(finding.facts.into_iter().map(|text| Evidence::Fact {
            node: Some(self.client.clone()),
            text,
        }));
        Proof {
            reached: finding.reached,
            outcome: finding.outcome,
            evidence,
            millis: transcript.millis,
            address: seen.first().and_then(|(_, first)| dialled(&first.trace)),
            throttled: transcript.throttled
                || seen
                    .iter()
                    .any(|(_, seen)| throttling(&seen.trace).is_some()),
        }
    }

    /// What works, works with the key that was to be shown, where one was.
    fn by_its_key(&self, finding: Finding, seen: &[(u32, Seen<'_>)]) -> Finding {
        let wanted = self.leg.identity.as_deref();
        if !self.settings.only_identity || finding.outcome != Proven::Works {
            return finding;
        }
        let other = seen.iter().find_map(|(number, seen)| {
            let taken = seen.trace.accepted.as_ref().map(|key| key.path);
            (taken.is_none() || taken != wanted).then_some((*number, taken))
        });
        let Some((number, taken)) = other else {
            return finding;
        };
        let taken = taken.map_or_else(|| "no key that it told".to_owned(), |it| shortened(it, 300));
        Finding::new(
            Some(Step::HostKey),
            Proven::Breaks(Reason::KeyNotAuthorized),
        )
        .shown(number)
        .fact(format!(
            "the login was to be with {} alone, and was with {taken}",
            wanted.unwrap_or("?"),
        ))
    }

    fn read<'a>(&self, connection: &'a Connection, transcript: &'a Transcript) -> Seen<'a> {
        let mut trace = Trace::read(&connection.stderr);
        let marked = |line: &&str| line.starts_with(self.token);
        let answers: Vec<_> = trace
            .said
            .iter()
            .filter(|line| marked(line))
            .filter_map(|line| line[self.token.len()..].strip_prefix(' '))
            .collect();
        trace.said.retain(|line| !marked(line));
        Seen {
            status: cut_status(connection.status, &trace),
            stdout: if connection.number == 1 {
                &transcript.stdout
            } else {
                ""
            },
            said: trace.said.clone(),
            answers,
            trace,
        }
    }

    fn find(&self, errand: &Errand, transcript: &Transcript, seen: &[(u32, Seen<'_>)]) -> Finding {
        if self.missing.iter().any(|tool| tool == "ssh") {
            return Finding::new(None, Proven::Breaks(Reason::SshMissing));
        }
        let get = |number| {
            seen.iter()
                .find(|(it, _)| *it == number)
                .map(|(_, seen)| seen)
        };
        let Some(first) = get(1) else {
            return Finding::new(None, Proven::Unknown(Why::ControlGarbage));
        };
        let finding = match errand.climb {
            "climb_pull" | "climb_pull_rsync" => {
                // There is no command but the copy itself.
                let logged_in = first.trace.stage >= Stage::Authenticated;
                self.copied_from(transcript, first, 1, logged_in.then_some(Step::Command))
            }
            _ => match self.first(first) {
                Some(failed) => failed,
                None => self.after_login(errand, transcript, &get),
            },
        };
        let finding = self.remark(first, finding);
        if transcript.throttled {
            return finding.fact(format!(
                "a connection was dropped by {}, which said that it throttles, and was tried once more",
                self.server
            ));
        }
        if transcript.retried {
            return finding.fact("a connection was dropped before the banner and tried once more");
        }
        finding
    }

    /// Whether ssh says this because it was told to offer no key.
    fn provoked(&self, line: &str) -> bool {
        self.settings.depth == Depth::Connect && line.contains(": Permission denied (")
    }

    /// The first connection of every leg but a copy from the far end; `None` when it did what it should.
    fn first(&self, seen: &Seen<'_>) -> Option<Finding> {
        if self.settings.depth == Depth::Connect && seen.trace.stage >= Stage::Encrypted {
            return Some(Finding::new(Some(Step::HostKey), Proven::Works));
        }
        let identity = seen
            .answers
            .iter()
            .find_map(|answer| answer.strip_prefix("id "));
        let (Some(identity), Some(status)) = (identity, seen.status) else {
            // Without our answer something else answered: a forced command, a login shell that runs nothing.
            let found = match seen.status {
                Some(0) => Finding::new(
                    Some(Step::Login),
                    Proven::Breaks(Reason::ForcedCommandDenied),
                ),
                _ => self.explained(seen, None),
            };
            return Some(found.shown(1));
        };
        let login = Some(Step::Login);
        let found = match failure(status) {
            _ if status == 0 => return None,
            Some(Failure::Is(Reason::WrongMachine)) => {
                Finding::new(login, Proven::Breaks(Reason::WrongMachine)).fact(format!(
                    "machine {} was meant, and this one answers: {}",
                    self.leg.machine_id.as_deref().unwrap_or("?"),
                    shortened(identity, 200),
                ))
            }
            Some(Failure::Is(reason)) => Finding::new(login, Proven::Breaks(reason)),
            Some(Failure::Write | Failure::Left) => {
                Finding::new(login, Proven::Breaks(write_failure(&seen.said)))
            }
            None => self.explained(seen, None),
        };
        Some(found.shown(1))
    }

    /// After a first connection that did what it should.
    fn after_login<'s, 't: 's>(
        &self,
        errand: &Errand,
        transcript: &Transcript,
        get: &dyn Fn(u32) -> Option<&'s Seen<'t>>,
    ) -> Finding {
        match errand.climb {
            "climb_push" | "climb_rsync" => self.copied_to(transcript, get),
            "climb_look" | "climb_look_rsync" => {
                let copy = get(2).map_or_else(
                    || Finding::new(Some(Step::Login), Proven::Unknown(Why::ControlGarbage)),
                    |copy| self.copied_from(transcript, copy, 2, Some(Step::Login)),
                );
                // A file from there shows that copying works at all, not that Nova's commands do.
                let reached = copy.reached.min(Some(Step::Login));
                Finding { reached, ..copy }.fact(format!(
                    "nothing was written on {}: {} may be written to, and a file was copied from there instead of to there",
                    self.server, self.leg.directory
                ))
            }
            _ if self.settings.depth == Depth::Copy => {
                Finding::new(Some(Step::Command), Proven::Works)
            }
            _ => Finding::new(Some(Step::Login), Proven::Works),
        }
    }

    /// `cold-push`: the copies, and what came back.
    fn copied_to<'s, 't: 's>(
        &self,
        transcript: &Transcript,
        get: &dyn Fn(u32) -> Option<&'s Seen<'t>>,
    ) -> Finding {
        let command = Some(Step::Command);
        let copies = [2, 4, 5]
            .into_iter()
            .filter_map(|number| Some((number, get(number)?)));
        let mut copied = false;
        for (number, copy) in copies {
            copied = true;
            if copy.status != Some(0) {
                // sftp and rsync have no good word for a full disk: what a plain write said afterwards counts.
                let full = get(3)
                    .filter(|after| after.status == Some(47))
                    .map(|after| write_failure(&after.said))
                    .filter(|reason| *reason != Reason::CommandFailed);
                return match full {
                    Some(reason) => {
                        Finding::new(Some(Step::Login), Proven::Breaks(reason)).shown(3)
                    }
                    None => self.copy_failed(copy, get(1), command).shown(number),
                };
            }
        }
        let Some(back) = get(3).filter(|_| copied) else {
            return Finding::new(command, Proven::Unknown(Why::ProbeFailed));
        };
        match (back.status, transcript.same) {
            (Some(0), Some(true)) => Finding::new(Some(Step::Copy), Proven::Works),
            (Some(0), Some(false)) => {
                Finding::new(command, Proven::Breaks(Reason::CopyCorrupted)).shown(3)
            }
            (Some(0), None) => Finding::new(command, Proven::Unknown(Why::ProbeFailed))
                .fact("what came back could not be compared: neither cmp nor cksum works"),
            (status, _) if status.and_then(failure) == Some(Failure::Left) => {
                Finding::new(Some(Step::Login), Proven::Breaks(Reason::CommandFailed))
                    .shown(3)
                    .fact(format!("rm -rf left {}/.clearway-*", self.leg.directory))
            }
            // It is not there although the copy said that it is.
            (Some(1), _) if back.trace.stage == Stage::Ended => {
                Finding::new(command, Proven::Breaks(Reason::CopyFailed)).shown(3)
            }
            _ => self.explained(back, command).shown(3),
        }
    }

    /// A copy from the far end. Where it is of its machine id, that tells who answered.
    fn copied_from(
        &self,
        transcript: &Transcript,
        seen: &Seen<'_>,
        number: u32,
        before: Option<Step>,
    ) -> Finding {
        if seen.status != Some(0) {
            let failed = self.copy_failed(seen, None, before).shown(number);
            let absent = format!("{}: No such file or directory", pulled(self.leg));
            let absent = |line: &&str| line.ends_with(&absent);
            if seen.said.iter().any(absent) {
                return Finding {
                    outcome: Proven::Unknown(Why::ProbeFailed),
                    ..failed
                };
            }
            return failed;
        }
        let machine = transcript.pulled.lines().next().unwrap_or_default();
        match self.leg.machine_id.as_deref() {
            // As `HELLO` has it: what is no machine id tells nothing.
            Some(_) if !is_machine_id(machine) => {
                Finding::new(Some(Step::Copy), Proven::Works).fact(self.untold())
            }
            Some(meant) if meant != machine => {
                Finding::new(Some(Step::Login), Proven::Breaks(Reason::WrongMachine)).fact(format!(
                    "machine {meant} was meant, and this one answers: {}",
                    shortened(machine, 200)
                ))
            }
            _ => Finding::new(Some(Step::Copy), Proven::Works),
        }
    }

    /// What is worth knowing of a far end whose answer cannot be compared.
    fn untold(&self) -> String {
        format!(
            "the far end shows no /etc/machine-id: whether it is {} rests on its host key",
            self.server
        )
    }

    fn copy_failed(
        &self,
        copy: &Seen<'_>,
        first: Option<&Seen<'_>>,
        before: Option<Step>,
    ) -> Finding {
        let tool = match self.leg.transport {
            Transport::Rsync => "rsync",
            _ => "scp",
        };
        if self.missing.iter().any(|it| it == tool) {
            return Finding::new(before, Proven::Breaks(Reason::CopyToolMissing))
                .fact(format!("there is no {tool} on {}", self.client));
        }
        let mut finding = self.explained(copy, before);
        let noisy = first.is_some_and(|first| !first.stdout.trim().is_empty());
        finding.outcome = match finding.outcome {
            Proven::Breaks(Reason::CopyFailed | Reason::CommandFailed | Reason::AccountNologin)
                if noisy =>
            {
                Proven::Breaks(Reason::ShellNoisy)
            }
            Proven::Breaks(Reason::CommandFailed) => {
                Proven::Breaks(match write_failure(&copy.said) {
                    // Commands may write there, as the step before has shown: it is the copy that may not.
                    Reason::CommandFailed | Reason::InstancesPathNotWritable => Reason::CopyFailed,
                    told => told,
                })
            }
            other => other,
        };
        finding.reached = below(copy.trace.stage.passed().max(before), finding.outcome);
        finding
    }

    /// What the messages say. `before` is what an earlier connection of the leg reached already.
    fn explained(&self, seen: &Seen<'_>, before: Option<Step>) -> Finding {
        let cause = explain(Ending {
            trace: &seen.trace,
            stdout: seen.stdout,
            status: seen.status,
        });
        let outcome = match cause {
            Cause::Breaks(reason) => Proven::Breaks(reason),
            Cause::Refused => Proven::Refused,
            // Whether that was throttling, the far end's log may say.
            Cause::Dropped | Cause::Throttled => Proven::Unknown(Why::Throttled),
            Cause::TimedOut => Proven::Unknown(Why::ProbeTimedOut),
            Cause::Remote(_) => Proven::Breaks(Reason::CommandFailed),
            Cause::Unexplained => Proven::Unknown(Why::ProbeFailed),
        };
        let passed = seen.trace.stage.passed();
        let finding = Finding::new(below(passed.max(before), outcome), outcome);
        match throttling(&seen.trace) {
            Some(line) => finding.fact(format!(
                "{} said in place of its banner: {}",
                self.server,
                shortened(line, 200)
            )),
            None => finding,
        }
    }

    /// What is worth saying of a first connection whatever came of it.
    fn remark(&self, first: &Seen<'_>, mut finding: Finding) -> Finding {
        if first.trace.shared == Sharing::Used {
            finding = finding.fact("the session went over a shared connection that was open already: no login was made");
        }
        let answered = |answer: &&str| answer.starts_with("id  ");
        if self.leg.machine_id.is_some() && first.answers.iter().any(answered) {
            finding = finding.fact(self.untold());
        }
        let is_meant = self.leg.machine_id.is_some() || self.settings.depth == Depth::Connect;
        if finding.outcome == Proven::Works && !is_meant {
            finding = finding.fact(format!(
                "no machine id is known that could be compared: whether it is {} rests on its host key",
                self.server
            ));
        }
        if finding.outcome == Proven::Works && !first.stdout.trim().is_empty() {
            finding = finding.fact(format!(
                "the account's start-up files on {} print text: {}",
                self.server,
                shortened(first.stdout.trim(), 200)
            ));
        }
        finding
    }
}

/// The exit status, or `None` when a deadline cut the connection: timeout(1) says 124, or dies like what it had to
/// kill (128 and the signal). The far end's own command may answer the same, which ssh then reports.
fn cut_status(status: i32, trace: &Trace<'_>) -> Option<i32> {
    let by_deadline = matches!(status, 124 | 137 | 143);
    (!by_deadline || trace.exit_status == Some(status)).then_some(status)
}

fn is_machine_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The address that ssh itself connected to.
fn dialled(trace: &Trace<'_>) -> Option<IpAddr> {
    trace
        .address
        .filter(|_| !trace.proxied)
        .and_then(parse_address)
}

/// What a command that writes says when it cannot; the C locale was asked for.
fn write_failure(said: &[&str]) -> Reason {
    let says = |text: &str| said.iter().any(|line| line.contains(text));
    if says("No space left on device") || says("quota exceeded") {
        Reason::DiskFull
    } else if says("Read-only file system") {
        Reason::ReadOnlyFilesystem
    } else if says("Permission denied") || says("Operation not permitted") {
        Reason::InstancesPathNotWritable
    } else {
        Reason::CommandFailed
    }
}

/// The last step below the one that failed.
fn below(reached: Option<Step>, outcome: Proven) -> Option<Step> {
    let failed = match outcome {
        Proven::Breaks(reason) => reason.step(),
        Proven::Refused => Step::Login,
        Proven::Works | Proven::Unknown(_) => return reached,
    };
    let highest = Step::ALL.into_iter().rev().find(|step| *step < failed);
    reached.min(highest)
}

/// At most so many characters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
