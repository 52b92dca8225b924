//! `clearway keys revoke` for nodes that know each other by keys.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::check::tellers;
use super::keys::{list_file, read_list};
use super::repair::{Looking, PATIENCE, ask, operator, seed, with_ledger};
use super::runs::write_report;
use super::session::Session;
use crate::cli::args::{Format, RepairFormat};
use crate::cli::error::CliError;
use crate::cli::keys_args::Revoke;
use crate::cli::render::{write_json, write_plan};
use crate::cli::text::count;
use crate::domain::{Fleet, Lane, Step};
use crate::files::{read_text, write_text};
use crate::inventory::nearest;
use crate::repair::{Policy, Progress, Revocation};
use crate::report::{Report, escape, exit};
use crate::run::{self, KeyChange, RepairRequest, Request};
use crate::system;

/// A public key takes a line.
const LONGEST_KEY: u64 = 64 << 10;

pub(super) fn revoke(session: &Session, arguments: &Revoke) -> Result<u8, CliError> {
    let fleet: Arc<Fleet> = Arc::new(session.inventory()?.fleet);
    let revocation = named(arguments)?;
    let list_file = list_file(session, arguments.how.revocations.as_deref());
    let mut list = read_list(&list_file)?;
    let changing = &arguments.changing;
    let looking = Looking {
        run: system::run_id(system::now()),
        limit: changing.limit.clone(),
        lanes: Lane::ALL.to_vec(),
        concurrency: changing.concurrency.get(),
        timeout: Duration::from_secs(changing.proving.timeout.get()),
    };
    let request = Request {
        command: "keys revoke",
        control_accounts: true,
        ..looking.request(session)?
    };
    let node = fleet.find(&arguments.node);
    if node.is_none() {
        let name = &arguments.node;
        if name.starts_with(['@', '!']) || name.contains(['[', ']', '*', '?', ',']) {
            let text = format!("`{}` is no name of a node", escape::line(name));
            return Err(
                CliError::usage(text).hint("nodes are taken out one by one, each by its name")
            );
        }
        let names = fleet.nodes.iter().map(|it| it.name.as_str());
        let near = nearest(name, names)
            .map_or_else(String::new, |near| format!(" (or did you mean `{near}`?)"));
        session.console.note(format!(
            "{name} is not in the inventory: what the others have under its name is taken out{near}"
        ));
    }
    if node.is_some_and(|id| !request.selected.contains(&id)) {
        let text = format!("`--limit` leaves {} out", arguments.node);
        return Err(CliError::usage(text).hint("name it, and the nodes that must not trust it"));
    }
    let asked = RepairRequest {
        request,
        policy: Policy {
            revoked: list.clone(),
            ..Policy::new(seed())
        },
        plan: None,
        change: Some(KeyChange::Revoke(revocation)),
        certificates: None,
        patience: PATIENCE,
        operator: operator(session),
    };
    let format = changing.proving.format;
    let telling = RepairFormat::before(format);
    let done = with_ledger(session, telling, async |around, tellers| {
        let prepared = run::prepare(asked, around).await?;
        tellers.finish();
        let mut out = session.console.out.clone();
        match format {
            Format::Table => write_plan(&mut out, prepared.plan(), session.console.view())?,
            Format::Json if changing.dry_run => write_json(&mut out, prepared.plan())?,
            Format::Json | Format::Jsonl | Format::Junit => {}
        }
        out.flush()?;
        if prepared.is_interrupted() {
            return Ok(None);
        }
        let retired = prepared.plan().turnover.retired.clone();
        let is_left = !prepared.plan().left.is_empty();
        let nodes = Progress::new(prepared.plan()).nodes().count() as u64;
        let question = if nodes == 0 {
            "No file trusts it. Keep its keys from being trusted again?".to_owned()
        } else {
            format!("Take {} out of {}?", arguments.node, count(nodes, "node"))
        };
        let only_shown = changing.dry_run || retired.is_empty();
        if only_shown || (!changing.yes && !ask(session, &question)?) {
            prepared.leave().await?;
            return Ok(Some((None, retired.is_empty(), is_left)));
        }
        // Before any node: what is written here keeps a repair from bringing them back.
        for key in &retired {
            list.add_retired(key);
        }
        write_text(&list_file, &list.text()).map_err(|error| {
            CliError::usage(format!("cannot write {}: {error}", list_file.display()))
        })?;
        tellers.replace(self::tellers(session, format));
        let report = if nodes == 0 {
            prepared.leave().await?
        } else {
            prepared.carry_out().await?
        };
        Ok(Some((Some(report), false, is_left)))
    })?;
    let Some((report, nothing, is_left)) = done else {
        return Ok(exit::INTERRUPTED);
    };
    let Some(report) = report else {
        if nothing {
            session.console.note(format!(
                "nothing is known that {} could log in with: name its keys with `--key`",
                arguments.node
            ));
            return Ok(exit::UNPROVEN);
        }
        return Ok(exit::BROKEN);
    };
    write_report(&session.console, &report, format, session.kept())?;
    session.console.note(format!(
        "the keys that it is to lose are in `{}`: `clearway repair` does not trust them again; take the node out of the inventory, or \
         give it new keys if it is to come back",
        list_file.display()
    ));
    let changed = report.repair.iter().any(|it| !it.nodes.is_empty());
    if changed {
        let undo = session.typed(&format!("repair undo {}", report.run));
        session
            .console
            .note(format!("`{undo}` puts the files back"));
    }
    Ok(match shown(session, &report, &arguments.node) {
        exit::WELL if is_left => exit::BROKEN,
        code => code,
    })
}

/// What the operator knows of the node's keys.
fn named(arguments: &Revoke) -> Result<Revocation, CliError> {
    let mut revocation = Revocation::new(&arguments.node);
    for name in &arguments.keys {
        if revocation.name_fingerprint(name) {
            continue;
        }
        let text = read_text(Path::new(name), LONGEST_KEY).map_err(CliError::new)?;
        revocation.name_keys(&text).map_err(|error| {
            CliError::usage(format!("{name}: {error}"))
                .hint("`--key` takes a file with public keys, or a fingerprint such as SHA256:…")
        })?;
    }
    Ok(revocation)
}

/// What was shown of the node being out: by its own attempts, where it can be told to try.
fn shown(session: &Session, report: &Report, node: &str) -> u8 {
    let failed = report.repair.iter().flat_map(|it| &it.nodes);
    let failed: Vec<&str> = failed
        .filter(|it| it.outcome != "kept")
        .map(|it| it.name.as_str())
        .collect();
    let (mut still, mut unknown, mut refused, mut others) = (Vec::new(), 0, 0, 0);
    for leg in &report.legs {
        let verdict = leg.verdict.as_str();
        if leg.client == node {
            match verdict {
                "verified" => still.push(format!("{} to {}", leg.lane, leg.server)),
                "broken" if leg.step == Some(Step::Login) => refused += 1,
                "not-needed" => {}
                // Broken for another reason, it shows nothing of its keys.
                _ => unknown += 1,
            }
        } else if leg.server != node && verdict == "broken" {
            others += 1;
        }
    }
    let console = &session.console;
    if !failed.is_empty() {
        console.note(format!(
            "not all files were changed: {} may still trust {node}",
            crate::domain::fold(failed.iter().copied())
        ));
        return exit::BROKEN;
    }
    if !still.is_empty() {
        let still = still.join("; ");
        console.note(format!("{node} is not out, it still logs in: {still}"));
        return exit::BROKEN;
    }
    let looked: HashSet<&str> = report
        .nodes
        .iter()
        .filter(|it| it.name != node && it.surveyed)
        .map(|it| it.name.as_str())
        .collect();
    let files = format!(
        "no keys file of the lanes' accounts, of root or of the control account on the {} that were looked at lets in a key that is \
         known to be its",
        count(looked.len() as u64, "node")
    );
    if unknown > 0 || refused == 0 {
        console.note(format!("not shown: {node} cannot be told to try; {files}"));
        return exit::UNPROVEN;
    }
    console.note(format!(
        "{node} is out: its own ssh was refused on all of {}; {files}",
        count(refused, "leg")
    ));
    if others > 0 {
        console.note(format!(
            "{} among the other nodes do not work, as before",
            count(others, "leg")
        ));
    }
    exit::WELL
}
