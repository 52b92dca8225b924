//! `clearway keys`: certificates set up, renewed, and taken away.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::check::{LEFT_RUNNING, proven, request, tellers};
use super::keys_shown::{lost, show, still_in, told};
use super::revoke::revoke;
use super::rotate::rotate;
use super::session::{Session, runtime};
use crate::cli::args::Format;
use crate::cli::error::CliError;
use crate::cli::keys_args::{AuthorityOptions, Changing, Keys, Signing};
use crate::cli::observe::Tellers;
use crate::cli::signals;
use crate::files::{read_text, write_text};
use crate::inventory::select;
use crate::remote::Environment;
use crate::repair::certificates::{Authorities, Policy, RevocationList};
use crate::report::exit;
use crate::run::{
    Canceller, CertificatesRequest, CertificatesTask, NodeOutcome, PreparedCertificates, Request,
    Surroundings, prepare_certificates,
};
use crate::signer::{KeySource, Signer};
use crate::system;

const DAY: u64 = 86_400;
/// The operator's list of what was revoked: a line or two for each node.
const LONGEST_LIST: u64 = 1 << 20;

pub(in crate::cli) fn keys(session: &Session, command: &Keys) -> Result<u8, CliError> {
    match command {
        Keys::Certify(it) => {
            let adjust = |policy: &mut Policy| {
                signing(policy, &it.signing);
                policy.networks.clone_from(&it.from);
                policy.reported_addresses = it.reported_addresses;
                policy.replace_others = it.replace_others;
            };
            let authority = &it.signing.authority;
            run(
                session,
                (&authority.ca, &authority.how),
                &it.changing,
                |_| Ok(CertificatesTask::Certify),
                adjust,
            )
        }
        Keys::Renew(it) => {
            let adjust = |policy: &mut Policy| {
                signing(policy, &it.signing);
                // Renewed as they are: names that were certified stay certified.
                policy.reported_addresses = true;
            };
            let authority = &it.signing.authority;
            run(
                session,
                (&authority.ca, &authority.how),
                &it.changing,
                |_| Ok(CertificatesTask::Renew),
                adjust,
            )
        }
        Keys::Retire(it) => {
            let task = |_: &_| Ok(CertificatesTask::Retire);
            let adjust = |policy: &mut Policy| policy.reported_addresses = true;
            let authority = (it.authority.ca.as_path(), &it.authority.how);
            run(session, authority, &it.changing, task, adjust)
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
            let adjust = |policy: &mut Policy| policy.reported_addresses = true;
            run(session, (ca, &it.how), &it.changing, task, adjust)
        }
    }
}

fn signing(policy: &mut Policy, arguments: &Signing) {
    policy.lifetime = u64::from(arguments.lifetime.get()) * DAY;
    policy.renew_before = u64::from(arguments.before) * DAY;
    policy.source_address = !arguments.no_source_address;
}

fn run(
    session: &Session,
    (ca, authority): (&Path, &AuthorityOptions),
    changing: &Changing,
    task: impl FnOnce(&Request) -> Result<CertificatesTask, CliError>,
    adjust: impl FnOnce(&mut Policy),
) -> Result<u8, CliError> {
    let fleet = Arc::new(session.inventory()?.fleet);
    let selected = select(&fleet, changing.limit.as_deref().unwrap_or("all"))?;
    let request = Request {
        limit: changing.limit.clone(),
        concurrency: usize::try_from(changing.concurrency.get()).unwrap_or(usize::MAX),
        ..request(session, "keys", fleet, selected, &changing.proving)
    };
    let task = task(&request)?;
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
    let list_file = list_file(session, authority.revocations.as_deref());
    let authorities = Authorities {
        hosts: hosts.public.clone(),
        users: users.public.clone(),
    };
    let mut policy = Policy::new(authorities, system::now_unix());
    policy.revoked = read_list(&list_file)?;
    adjust(&mut policy);
    let asked = CertificatesRequest {
        request: request.clone(),
        signer,
        hosts,
        users,
        policy,
        task,
        patience: Duration::from_secs(changing.revert_after.get().into()),
    };
    let environment = Environment {
        home: session
            .environment
            .home
            .clone()
            .unwrap_or_else(|| "/".into()),
        agent_socket: session.environment.agent_socket.clone(),
        now: system::now_unix,
    };
    let runtime = runtime()?;
    let done = runtime.block_on(async {
        let tellers = Arc::new(Tellers::new(tellers(session, Format::Table)));
        let (canceller, cancel) = Canceller::pair();
        let listener = signals::listen(canceller, tellers.clone())?;
        let around = Surroundings {
            environment,
            ledger: None,
            observer: tellers.clone(),
            cancel,
        };
        let prepared = prepare_certificates(asked, &around).await;
        listener.abort();
        tellers.finish();
        let prepared = prepared?;
        show(session, &prepared)?;
        if prepared.plan.nodes.is_empty() && prepared.plan.sshd.is_empty() {
            return Ok(Done::Nothing(prepared.failures.len()));
        }
        if changing.dry_run || !confirmed(session, changing)? {
            return Ok(Done::Declined);
        }
        if matches!(task, CertificatesTask::Revoke(_)) {
            // Before any node: a list that is lost would give the same key ids again.
            write_text(&list_file, &prepared.revoked.text()).map_err(|error| {
                CliError::usage(format!("cannot write {}: {error}", list_file.display()))
            })?;
        }
        let outcomes = prepared.apply().await;
        told(session, &outcomes)?;
        Ok::<_, CliError>(Done::Applied(Box::new(prepared), outcomes))
    });
    let code = match done? {
        Done::Nothing(0) => Ok(exit::WELL),
        Done::Nothing(_) => Ok(exit::UNPROVEN),
        Done::Declined => Ok(exit::WELL),
        Done::Applied(prepared, outcomes) => {
            let mut check = request.clone();
            check.run = system::run_id(system::now());
            check.command = "check";
            let report = proven(session, check, &changing.proving)?;
            let failed = outcomes.values().any(|it| it.failed.is_some());
            let lost = lost(&prepared, &report, task);
            if lost.is_empty() {
                // What is kept needs no way back.
                runtime.block_on(prepared.forget(&outcomes));
                Ok(match task {
                    _ if failed => exit::BROKEN,
                    // What is broken with a revoked node is just what was asked for.
                    CertificatesTask::Revoke(node) => still_in(session, &prepared, &report, node),
                    _ => report.summary.exit_code,
                })
            } else {
                session.console.note(format!(
                    "legs that worked before do not work any more, so everything is put back: {}",
                    lost.join("; ")
                ));
                let back = runtime.block_on(prepared.take_back(&outcomes));
                told(session, &back)?;
                Ok(exit::BROKEN)
            }
        }
    };
    runtime.shutdown_timeout(LEFT_RUNNING);
    code
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
    /// There is nothing to change; so many nodes could not be looked at.
    Nothing(usize),
    Declined,
    Applied(Box<PreparedCertificates>, BTreeMap<String, NodeOutcome>),
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
