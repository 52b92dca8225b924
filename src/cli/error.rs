//! Every failure of a command: what failed, why, and what to type next. The only place where errors become text.

use std::error::Error;
use std::io::{self, Write};

use super::console::Console;
use super::paint::Label;
use crate::files::{FileError, LoadError, PlanFileError};
use crate::inventory::LimitError;
use crate::ledger::LedgerError;
use crate::nova::{Distrust, NovaError};
use crate::openstack::cloud::CloudError;
use crate::report::{escape, exit};
use crate::run::RunError;
use crate::run::moves::MovesError;
use crate::signer::SignerError;

/// A command that could not do its work.
#[derive(Debug)]
pub(super) struct CliError {
    /// The exit code.
    pub(super) code: u8,
    /// What failed; the causes are its sources.
    pub(super) error: Box<dyn Error + Send + Sync>,
    /// What to do, most likely first.
    pub(super) hints: Vec<String>,
}

/// A failure that has no type of its own: its text says everything.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Message(String);

impl CliError {
    /// A wrong use that only the command itself can see.
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::new(Message(text.into()))
    }

    pub(super) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self {
            code: exit::USAGE,
            error: Box::new(error),
            hints: Vec::new(),
        }
    }

    /// With something to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Writes the error, its causes once each, and the hints.
    pub(super) fn write(&self, console: &Console) -> io::Result<()> {
        let paint = console.err_paint();
        let mut out = console.err.clone();
        let mut told = self.error.to_string();
        let text = escape::lines(&told).collect::<Vec<_>>().join("\n");
        writeln!(out, "{} {text}", paint.text(Label::Bad, "error:"))?;
        let mut cause = self.error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !told.contains(&text) {
                let shown = escape::lines(&text).collect::<Vec<_>>().join("\n");
                writeln!(out, "{} {shown}", paint.text(Label::Heading, "caused by:"))?;
                told.push_str(&text);
            }
            cause = error.source();
        }
        for hint in &self.hints {
            writeln!(
                out,
                "{} {}",
                paint.text(Label::Code, "hint:"),
                escape::line(hint)
            )?;
        }
        Ok(())
    }
}

impl From<LoadError> for CliError {
    fn from(error: LoadError) -> Self {
        let hint = match &error {
            LoadError::File(FileError::Read { source, .. })
                if source.kind() == io::ErrorKind::NotFound =>
            {
                Some(
                    "name the inventory with `-i PATH` or in CLEARWAY_INVENTORY; docs/inventory.md shows how to write one",
                )
            }
            LoadError::NoFiles(_) => Some("name a YAML file, or a directory that has some"),
            _ => None,
        };
        let converted = Self::new(error);
        match hint {
            Some(hint) => converted.hint(hint),
            None => converted,
        }
    }
}

impl From<PlanFileError> for CliError {
    fn from(error: PlanFileError) -> Self {
        let hint = match &error {
            PlanFileError::Write { source, .. }
                if source.kind() == io::ErrorKind::AlreadyExists =>
            {
                Some("name a file that is not there yet: a plan under review is not overwritten")
            }
            PlanFileError::NoPlan { .. } => Some("`clearway repair --out plan.json` writes one"),
            _ => None,
        };
        let converted = Self::new(error);
        match hint {
            Some(hint) => converted.hint(hint),
            None => converted,
        }
    }
}

impl From<LimitError> for CliError {
    fn from(error: LimitError) -> Self {
        let hint = error.hint.clone();
        let converted = Self::new(error);
        match hint {
            Some(hint) => converted.hint(hint),
            None => converted,
        }
    }
}

impl From<LedgerError> for CliError {
    fn from(error: LedgerError) -> Self {
        let hints = ledger_hints(&error);
        hints
            .iter()
            .fold(Self::new(error), |error, hint| error.hint(*hint))
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        let error = match error {
            RunError::Signer(error) => return error.into(),
            error => error,
        };
        let hints: &[&str] = match &error {
            RunError::Ledger(error) | RunError::Unrecorded { source: error, .. } => {
                ledger_hints(error)
            }
            RunError::NothingToCompare(_) => &["check without `--pairs changed` once"],
            RunError::Plan(_) => &["make a new one: `clearway repair --out FILE`"],
            RunError::CutsOff(_) => &[
                "give clearway a key that no node has: authorise it on the nodes, and name it as `control.identity` in the inventory",
            ],
            RunError::Complaints(_) => &["please report this, with the text above"],
            RunError::Changed(_) => {
                &["look at it again, and make a new plan: `clearway repair --out FILE`"]
            }
            RunError::Journal(_) => &["use the clearway that began that repair"],
            RunError::Unlisted { .. } => &[
                "name the list that was kept: `--revocations FILE`",
                "if it is lost, write these entries into it, once they are seen to be of nodes that were revoked",
            ],
            RunError::OtherAuthority(_) => &[
                "name that authority's key with `--ca FILE`; to put this one in its place: `clearway keys certify --replace-others`",
            ],
            RunError::Loses(_) => &["clearway check --predict-only"],
            RunError::Signer(_) => &[],
            RunError::NoRepair(_) => &["`clearway runs` lists what was done"],
        };
        hints
            .iter()
            .fold(Self::new(error), |error, hint| error.hint(*hint))
    }
}

impl From<SignerError> for CliError {
    fn from(error: SignerError) -> Self {
        let hint = match &error {
            SignerError::Start { .. } => {
                "install OpenSSH's client (package openssh-client or openssh-clients)"
            }
            SignerError::Scratch { .. } => "name a directory that can be written to in TMPDIR",
            SignerError::Public { .. } => {
                "name the authority's key with `--ca`; docs/certificates.md says how to start one"
            }
            SignerError::TooSlow { .. } => {
                "a token or an agent waits for somebody: touch it, or confirm"
            }
            SignerError::Refused { fault, .. } => fault.hint(),
            SignerError::Mismatched(_) => "use OpenSSH's own ssh-keygen",
        };
        Self::new(error).hint(hint)
    }
}

impl From<CloudError> for CliError {
    fn from(error: CloudError) -> Self {
        let hint = match &error {
            CloudError::NotNamed { known } if known.is_empty() => {
                "name a cloud of clouds.yaml with `--os-cloud NAME`, or source an openrc file"
                    .to_owned()
            }
            CloudError::NotNamed { known } | CloudError::Unknown { known, .. } => {
                format!("clouds.yaml has {}: `--os-cloud NAME`", known.join(", "))
            }
            CloudError::NoFile { .. } => {
                "put it into ~/.config/openstack, or name it in OS_CLIENT_CONFIG_FILE".to_owned()
            }
            _ => return Self::new(error),
        };
        Self::new(error).hint(hint)
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        Self::new(error)
    }
}

impl From<NovaError> for CliError {
    fn from(error: NovaError) -> Self {
        let hint = nova_hint(&error);
        let converted = Self::new(error);
        match hint {
            Some(hint) => converted.hint(hint),
            None => converted,
        }
    }
}

fn nova_hint(error: &NovaError) -> Option<&'static str> {
    match error {
        NovaError::Login(_) => Some("`openstack token issue` must work with the same cloud"),
        NovaError::Unreachable { .. } => {
            Some("is the address right? `region_name` and `interface` choose it")
        }
        NovaError::Untrusted {
            why: Distrust::OfAnAuthority,
            ..
        } => Some(
            "let that authority sign one for the server (`basicConstraints=CA:FALSE`), and name the authority's own in `cacert` (OS_CACERT): docs/moves.md",
        ),
        NovaError::Untrusted { .. } => {
            Some("name the PEM file of the authority that signed it in `cacert` (OS_CACERT)")
        }
        NovaError::Catalog(_) => Some("name `region_name` and `interface` in clouds.yaml"),
        _ => None,
    }
}

impl From<MovesError> for CliError {
    fn from(error: MovesError) -> Self {
        let hints = moves_hints(&error);
        let is_left = matches!(error, MovesError::Left { .. });
        let mut told = hints.into_iter().fold(Self::new(error), Self::hint);
        if is_left {
            told.code = exit::BROKEN;
        }
        told
    }
}

fn moves_hints(error: &MovesError) -> Vec<String> {
    match error {
        MovesError::Left { run, source } => {
            let mut hints = match &**source {
                // In another ledger the run would not be found.
                MovesError::Ledger(_) => Vec::new(),
                source => moves_hints(source),
            };
            hints.push(format!(
                    "`clearway resume {run}` goes on with it, and puts services back: what Nova has begun goes on meanwhile"
                ));
            hints
        }
        MovesError::Nova(inner) => nova_hint(inner).into_iter().map(str::to_owned).collect(),
        MovesError::Ledger(inner) => ledger_hints(inner)
            .iter()
            .map(|it| (*it).to_owned())
            .collect(),
        MovesError::Right { .. } | MovesError::HostsHidden => {
            vec!["log in as an administrator, or let policy.yaml of nova-api allow it".to_owned()]
        }
        MovesError::NoServer(_) => vec!["`clearway servers` lists them".to_owned()],
        MovesError::NoFlavor(_) => {
            vec!["`openstack flavor list --all` lists them".to_owned()]
        }
        MovesError::Ambiguous { ids, .. } => vec![format!("say which: {}", ids.join(", "))],
        MovesError::NoHost { near, .. } if !near.is_empty() => {
            vec![format!("did you mean {}?", near.join(", "))]
        }
        MovesError::NoHost { .. } => {
            vec![
                "`openstack compute service list` has the names: they are those of `host`"
                    .to_owned(),
            ]
        }
        MovesError::Locked { held } => held
            .first()
            .map(|lock| format!("`clearway watch {}` follows it", lock.run))
            .into_iter()
            .collect(),
        MovesError::Running(run) => vec![format!("`clearway watch {run}` follows it")],
        MovesError::NoMoves(_) => vec!["`clearway runs` lists them".to_owned()],
        MovesError::OtherCloud { .. } => vec!["name its cloud with `--os-cloud`".to_owned()],
        MovesError::NotResumable { .. } | MovesError::Journal { .. } => Vec::new(),
    }
}

fn ledger_hints(error: &LedgerError) -> &'static [&'static str] {
    const ELSEWHERE: &str =
        "keep the ledger elsewhere with `--ledger PATH`, or check without one: `--no-ledger`";
    match error {
        LedgerError::Create { .. } | LedgerError::Database { .. } => &[ELSEWHERE],
        LedgerError::Foreign { .. } => &["name the right file with `--ledger PATH`"],
        LedgerError::Damaged { .. } => &["move it away to start a new one", ELSEWHERE],
        LedgerError::Newer { .. } => &["use the clearway that wrote it", ELSEWHERE],
        LedgerError::Locked { .. } => &["another clearway is writing: try again", ELSEWHERE],
        LedgerError::Payload { .. } => &["use the clearway that recorded that run"],
        LedgerError::NoRuns { .. } => {
            &["name the ledger of the runs that are meant with `--ledger PATH`"]
        }
        LedgerError::UnknownRun { .. } => &["`clearway runs` lists them"],
        LedgerError::AmbiguousRun { .. } => &["say more of its name"],
    }
}

impl From<io::Error> for CliError {
    /// The result could not be written: a full disk behind a redirection, for example.
    fn from(error: io::Error) -> Self {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write the result")]
        struct Output(#[source] io::Error);
        Self::new(Output(error))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use insta::assert_snapshot;

    use super::*;
    use crate::cli::testing::captured;

    fn text(error: impl Into<CliError>) -> String {
        let (console, _, err) = captured();
        error.into().write(&console).unwrap();
        err.text()
    }

    #[test]
    fn an_error_says_what_failed_why_and_what_to_do() {
        let error = LedgerError::Create {
            path: PathBuf::from("/var/lib/clearway"),
            source: io::Error::from(io::ErrorKind::PermissionDenied),
        };
        assert_snapshot!(text(error), @r#"
    error: cannot create `/var/lib/clearway`
    caused by: permission denied
    hint: keep the ledger elsewhere with `--ledger PATH`, or check without one: `--no-ledger`
    "#);
    }

    #[test]
    fn a_cause_is_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read `x`: permission denied")]
        struct Repeats(#[source] io::Error);
        let error = CliError::new(Repeats(io::Error::from(io::ErrorKind::PermissionDenied)));
        assert_snapshot!(text(error), @"error: cannot read `x`: permission denied");
    }

    #[test]
    fn an_error_cannot_write_to_the_terminal() {
        assert_snapshot!(text(CliError::usage("no node `\u{1b}[2J`").hint("\u{7}")), @r#"
    error: no node `\u{1b}[2J`
    hint: \u{7}
    "#);
    }
}
