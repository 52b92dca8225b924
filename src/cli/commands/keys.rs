//! `clearway keys`: certificates set up, renewed, and taken away.

use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::check::{request, tellers};
use super::host_keys;
use super::keys_shown::{show, still_in};
use super::repair::{operator, seed, with_ledger};
use super::revoke::revoke;
use super::rotate::rotate;
use super::runs::write_report;
use super::session::Session;
use crate::cli::args::{Format, RepairFormat};
use crate::cli::error::CliError;
use crate::cli::keys_args::{AuthorityOptions, Changing, Keys, Signing};
use crate::cli::render::{write_json, write_repair_notes};
use crate::files::{read_text, write_text};
use crate::inventory::select;
use crate::repair::certificates::{Authorities, Policy, RevocationList};
use crate::report::{Report, exit};
use crate::run::{self, CertificatesRequest, CertificatesTask, RepairRequest, Request};
use crate::signer::{KeySource, Signer};
use crate::system;

const DAY: u64 = 86_400;
/// The operator's list of what was revoked: a line or two for each node.
const LONGEST_LIST: u64 = 1 << 20;

pub(in crate::cli) fn keys(session: &Session, command: &Keys) -> Result<u8, CliError> {
    match command {
        Keys::Certify(it) => {
            let adjust = |policy: &mut Policy| {
                signing(policy, &it.signing)?;
                policy.networks.clone_from(&it.from);
                policy.reported_addresses = it.reported_addresses;
                policy.replace_others = it.replace_others;
                Ok(())
            };
            let authority = &it.signing.authority;
            run(
                session,
                "keys certify",
                (&authority.ca, &authority.how),
                &it.changing,
                |_| Ok(CertificatesTask::Certify),
                adjust,
            )
        }
        Keys::Renew(it) => {
            let adjust = |policy: &mut Policy| {
                signing(policy, &it.signing)?;
                // Renewed as they are: names that were certified stay certified.
                policy.reported_addresses = true;
                Ok(())
            };
            let authority = &it.signing.authority;
            run(
                session,
                "keys renew",
                (&authority.ca, &authority.how),
                &it.changing,
                |_| Ok(CertificatesTask::Renew),
                adjust,
            )
        }
        Keys::Retire(it) => {
            let task = |_: &_| Ok(CertificatesTask::Retire);
            let adjust = |policy: &mut Policy| {
                policy.reported_addresses = true;
                Ok(())
            };
            let authority = (it.authority.ca.as_path(), &it.authority.how);
            run(
                session,
                "keys retire",
                authority,
                &it.changing,
                task,
                adjust,
            )
        }
        Keys::Rotate(it) => rotate(session, it),
        Keys::Revoke(it) => {
            let Some(ca) = &it.ca else {
                return revoke(session, it);
            };
            let task = |request: &Request| {
                let node = request.fleet.find(&it.node);
                node.map(CertificatesTask::Revoke).ok_or_else(|| {
                    CliError::usage(format!("no node `{}` in the inventory", it.node))
                        .hint("`clearway inventory show` lists them; a node is taken out of it afterwards")
                })
            };
            let adjust = |policy: &mut Policy| {
                policy.reported_addresses = true;
                Ok(())
            };
            run(
                session,
                "keys revoke",
                (ca, &it.how),
                &it.changing,
                task,
                adjust,
            )
        }
    }
}

fn signing(policy: &mut Policy, arguments: &Signing) -> Result<(), CliError> {
    if arguments.lifetime.get() <= arguments.before {
        let text = format!(
            "a certificate of {} days is made again when it has fewer than {}: each time, for ever",
            arguments.lifetime, arguments.before
        );
        return Err(CliError::usage(text).hint("a `--lifetime` above `--before`"));
    }
    policy.lifetime = u64::from(arguments.lifetime.get()) * DAY;
    policy.renew_before = u64::from(arguments.before) * DAY;
    policy.source_address = !arguments.no_source_address;
    Ok(())
}

fn run(
    session: &Session,
    command: &'static str,
    (ca, authority): (&Path, &AuthorityOptions),
    changing: &Changing,
    task: impl FnOnce(&Request) -> Result<CertificatesTask, CliError>,
    adjust: impl FnOnce(&mut Policy) -> Result<(), CliError>,
) -> Result<u8, CliError> {
    let fleet = Arc::new(session.inventory()?.fleet);
    let selected = select(&fleet, changing.limit.as_deref().unwrap_or("all"))?;
    let request = Request {
        limit: changing.limit.clone(),
        concurrency: usize::try_from(changing.concurrency.get()).unwrap_or(usize::MAX),
        ..request(session, command, fleet.clone(), selected, &changing.proving)
    };
    if changing.proving.no_ledger {
        let text = "what is done with keys is recorded first, so that it can be undone, and `--no-ledger` takes the record away";
        return Err(CliError::usage(text).hint("name another ledger with `--ledger PATH`"));
    }
    let task = task(&request)?;
    let list_file = list_file(session, authority.revocations.as_deref());
    let mut certificates = certificates(session, (ca, authority), task)?;
    adjust(&mut certificates.policy)?;
    let asked = RepairRequest {
        request,
        policy: crate::repair::Policy::new(seed()),
        plan: None,
        change: None,
        certificates: Some(certificates),
        patience: Duration::from_secs(changing.revert_after.get().into()),
        operator: operator(session),
    };
    let format = changing.proving.format;
    let telling = RepairFormat::before(format);
    let done = with_ledger(session, telling, async |around, tellers| {
        if changing.proving.accept_new_host_keys {
            host_keys::ask(session, &asked.request, &around.environment).await?;
        }
        let prepared = run::prepare(asked, around).await?;
        if prepared.is_interrupted() {
            return Ok(Done::Left(prepared.leave().await?.summary.exit_code));
        }
        tellers.finish();
        match format {
            Format::Table => show(session, &prepared)?,
            Format::Json if changing.dry_run => {
                write_json(&mut session.console.out.clone(), prepared.plan())?;
            }
            Format::Json | Format::Jsonl | Format::Junit => {}
        }
        let is_unfinished = prepared.certificates().is_some_and(|it| it.is_unfinished);
        if prepared.is_empty() {
            let code = match prepared.failures().len() {
                _ if is_unfinished => exit::BROKEN,
                0 => exit::WELL,
                _ => exit::UNPROVEN,
            };
            let report = prepared.leave().await?;
            if format != Format::Table && !changing.dry_run {
                write_report(&session.console, &report, format, session.kept())?;
            }
            return Ok(Done::Left(code));
        }
        if changing.dry_run || !confirmed(session, changing)? {
            prepared.leave().await?;
            return Ok(Done::Left(exit::WELL));
        }
        if let (CertificatesTask::Revoke(_), Some(about)) = (task, prepared.certificates()) {
            // Before any node: a list that is lost would give the same key ids again.
            write_text(&list_file, &about.revoked.text()).map_err(|error| {
                CliError::usage(format!("cannot write {}: {error}", list_file.display()))
            })?;
        }
        tellers.replace(self::tellers(session, changing.proving.format));
        let report = Box::new(prepared.carry_out().await?);
        Ok(Done::Applied(report, is_unfinished))
    })?;
    let (report, is_unfinished) = match done {
        Done::Left(code) => return Ok(code),
        Done::Applied(report, is_unfinished) => (*report, is_unfinished),
    };
    write_report(
        &session.console,
        &report,
        changing.proving.format,
        session.kept(),
    )?;
    write_repair_notes(&mut session.console.err.clone(), &report, session.kept())?;
    let is_whole = report.repair.as_ref().is_some_and(|it| {
        let mut nodes = it.nodes.iter();
        it.complete && nodes.all(|node| node.outcome == "kept")
    });
    let code = match task {
        // What is broken with a revoked node is just what was asked for.
        CertificatesTask::Revoke(node) if is_whole => {
            still_in(session, fleet.node(node).name.as_str(), &report)
        }
        CertificatesTask::Revoke(_) => report.summary.exit_code.max(exit::BROKEN),
        _ => report.summary.exit_code,
    };
    Ok(match code {
        exit::WELL if is_unfinished => exit::BROKEN,
        code => code,
    })
}

/// Who signs, as it was typed, with what holds when an operator says no more.
pub(super) fn certificates(
    session: &Session,
    (ca, authority): (&Path, &AuthorityOptions),
    task: CertificatesTask,
) -> Result<CertificatesRequest, CliError> {
    let signer = Signer::new(
        session.environment.agent_socket.clone(),
        session.environment.scratch.clone(),
    );
    let source = |path: &Path| match (&authority.ca_token, authority.ca_agent) {
        (Some(library), _) => KeySource::Token {
            public: public_half(path),
            library: library.clone(),
        },
        (None, true) => KeySource::Agent(public_half(path)),
        (None, false) => KeySource::File(path.to_owned()),
    };
    let users = signer.authority(source(ca))?;
    let hosts = match &authority.host_ca {
        Some(path) => signer.authority(source(path))?,
        None => users.clone(),
    };
    let authorities = Authorities {
        hosts: hosts.public.clone(),
        users: users.public.clone(),
    };
    let mut policy = Policy::new(authorities, system::now_unix());
    let list_file = list_file(session, authority.revocations.as_deref());
    policy.revoked = read_list(&list_file)?;
    Ok(CertificatesRequest {
        list_file,
        signer,
        hosts,
        users,
        policy,
        task,
    })
}

/// The public half, whichever of the two was named.
fn public_half(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let beside = PathBuf::from(beside);
    let is_public = path.extension().is_some_and(|it| it == "pub");
    if is_public || !beside.exists() {
        path.to_owned()
    } else {
        beside
    }
}

enum Done {
    /// Nothing was changed; with this exit code.
    Left(u8),
    /// With whether something that was asked for is left.
    Applied(Box<Report>, bool),
}

/// Where the operator keeps what was revoked.
pub(super) fn list_file(session: &Session, named: Option<&Path>) -> PathBuf {
    let inventory = &session.global.inventory;
    named.map(Path::to_owned).unwrap_or_else(|| {
        let directory = if inventory.is_dir() {
            Some(inventory.as_path())
        } else {
            inventory.parent()
        };
        directory
            .map_or_else(PathBuf::new, PathBuf::from)
            .join("clearway-revoked")
    })
}

/// What was revoked.
pub(super) fn read_list(path: &Path) -> Result<RevocationList, CliError> {
    if !path.exists() {
        return Ok(RevocationList::default());
    }
    let text = read_text(path, LONGEST_LIST).map_err(CliError::new)?;
    RevocationList::parse(&text).map_err(|error| {
        CliError::usage(format!("{}: {error}", path.display()))
            .hint("ssh-keygen(1), KEY REVOCATION LISTS, has the form of `id:` and `key:` lines")
    })
}

fn confirmed(session: &Session, changing: &Changing) -> Result<bool, CliError> {
    if changing.yes {
        return Ok(true);
    }
    let terminal = session.environment.terminal;
    if !terminal.stdin || !terminal.stderr {
        let text = "this changes nodes, and there is no terminal to ask on";
        return Err(CliError::usage(text).hint("look with `--dry-run`, then say `--yes`"));
    }
    let mut err = session.console.err.clone();
    write!(err, "Change these nodes? [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
