//! `--accept-new-host-keys`: shows the host keys that the operator's known_hosts does not have, and asks.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};

use super::session::Session;
use crate::cli::error::CliError;
use crate::cli::paint::Label;
use crate::cli::text::count;
use crate::remote::{Environment, HostKeyProblem};
use crate::report::escape;
use crate::run::{Request, record_host_keys, unknown_host_keys};

/// More rounds than a chain of jump hosts has links are not needed: behind each accepted hop, others come to light.
const ROUNDS: usize = 8;

/// Looks for unknown host keys, asks for all that were found at once, and records those that are accepted.
///
/// Changed, revoked and pinned keys are never offered: accepting them is no matter of a keystroke.
pub(super) async fn ask(
    session: &Session,
    request: &Request,
    environment: &Environment,
) -> Result<(), CliError> {
    let terminal = session.environment.terminal;
    if !terminal.stdin || !terminal.stderr {
        return Err(CliError::usage(
            "`--accept-new-host-keys` asks before it accepts, and there is no terminal to ask on",
        )
        .hint("add the keys to known_hosts or pin their fingerprints in the inventory"));
    }
    for _ in 0..ROUNDS {
        session.console.note("looking for unknown host keys");
        let found = unknown_host_keys(request, environment).await;
        if found.is_empty() {
            return Ok(());
        }
        // Nodes behind one jump host all complain of the same key.
        let mut keys: BTreeMap<String, HostKeyProblem> = BTreeMap::new();
        for problem in found {
            keys.entry(problem.host.clone()).or_insert(problem);
        }
        if !confirmed(session, &keys)? {
            return Ok(());
        }
        let keys: Vec<_> = keys.into_values().collect();
        record_host_keys(&keys)
            .map_err(|error| CliError::usage(format!("cannot record the host keys: {error}")))?;
        session
            .console
            .note(format!("recorded {}", count(keys.len() as u64, "host key")));
    }
    Ok(())
}

fn confirmed(session: &Session, keys: &BTreeMap<String, HostKeyProblem>) -> io::Result<bool> {
    let paint = session.console.err_paint();
    let mut err = session.console.err.clone();
    writeln!(
        err,
        "{}",
        paint.text(Label::Doubtful, "not in your known_hosts:")
    )?;
    for (host, problem) in keys {
        let host = escape::line(host);
        writeln!(err, "  {host}  {}", escape::line(&problem.described_key()))?;
    }
    write!(
        err,
        "Compare each fingerprint with the machine's own console. Add {}? [y/N] ",
        count(keys.len() as u64, "key")
    )?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
