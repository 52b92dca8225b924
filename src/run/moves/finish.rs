//! The report at the end, and the exit code.

use jiff::Timestamp;

use crate::domain::Event;
use crate::moves::machine::{Stage, Verdict};
use crate::report::{
    MOVES_SCHEMA_VERSION, MoveRow, MovesReport, ServiceRow, StayRow, UnseenRow, exit,
};

use super::engine::Engine;
use super::journal::Entry;
use super::options::MoveOptions;
use super::servers::on_host;

/// What the hosts of a drain have in the end.
#[derive(Default)]
pub(super) struct Left {
    /// Servers that came while the hosts were emptied.
    pub(super) late: Vec<StayRow>,
    /// Hosts of which nobody knows whether they are empty.
    pub(super) unseen: Vec<UnseenRow>,
}

/// The exit code that the moves mean. A failure says most; what nobody knows says more than what was never begun.
pub(super) fn exit_code(
    entries: &[Entry],
    stay: &[StayRow],
    services: &[ServiceRow],
    unseen: &[UnseenRow],
    interrupted: bool,
) -> u8 {
    let any = |verdict| {
        entries.iter().any(|it| {
            it.tracked
                .end
                .as_ref()
                .is_some_and(|end| end.verdict == verdict)
        })
    };
    let hook_failed = entries.iter().any(|it| it.tracked.hook_failure().is_some());
    let unsettled = services.iter().any(|it| !it.settled);
    if interrupted {
        exit::INTERRUPTED
    } else if any(Verdict::Failed) || hook_failed || !stay.is_empty() || unsettled {
        exit::BROKEN
    } else if any(Verdict::Unknown) || !unseen.is_empty() {
        exit::UNPROVEN
    } else if any(Verdict::Refused) {
        exit::REFUSED
    } else if any(Verdict::NotStarted) {
        exit::UNPROVEN
    } else {
        exit::WELL
    }
}

/// One move of the report.
pub(super) fn row(entry: &Entry) -> MoveRow {
    let tracked = &entry.tracked;
    let seconds = |from: Timestamp, to: Timestamp| {
        u64::try_from(to.duration_since(from).as_secs()).unwrap_or_default()
    };
    MoveRow {
        server: tracked.server.to_string(),
        name: entry.name.clone(),
        kind: tracked.kind.to_string(),
        source: tracked.source.to_string(),
        destination: tracked.destination.as_ref().map(ToString::to_string),
        verdict: tracked
            .end
            .as_ref()
            .map_or(tracked.stage.as_str(), |end| end.verdict.as_str())
            .to_owned(),
        why: match &tracked.end {
            Some(end) => end.why.clone(),
            None => entry.last_why.clone(),
        },
        explained: explained(entry),
        request_id: tracked.request_id.clone(),
        seconds: entry
            .began
            .zip(entry.ended)
            .map(|(from, to)| seconds(from, to)),
        candidates: Vec::new(),
    }
}

/// What is said of a move beside its verdict. Nova may have sent a resize elsewhere than it could when it was asked: to a
/// host that came back in that moment.
fn explained(entry: &Entry) -> Vec<String> {
    let tracked = &entry.tracked;
    let mut lines = tracked.explained.clone();
    if let Some(failure) = tracked.hook_failure() {
        lines.push(format!("the command after the move failed: {failure}"));
    }
    if let Some(host) = &tracked.destination
        && !tracked.proven.is_empty()
        && *host != tracked.source
        && !tracked.proven.contains(host)
    {
        lines.push(format!(
            "Nova chose {host}, which it could not have chosen a moment before: that pair was not proven"
        ));
    }
    lines
}

impl Engine<'_> {
    /// Looks whether drained hosts are empty. Nobody has planned anything for servers that came while these were emptied.
    pub(super) async fn left_on_hosts(&self, known: &[StayRow]) -> Left {
        let mut left = Left::default();
        for host in &self.cloud.draining {
            let servers = match on_host(&self.session, host).await {
                Ok(servers) => servers,
                Err(error) => {
                    let (host, why) = (host.to_string(), error.told());
                    self.journal.event(&Event::HostUnseen {
                        host: host.clone(),
                        why: why.clone(),
                    });
                    left.unseen.push(UnseenRow { host, why });
                    continue;
                }
            };
            for server in servers {
                let id = server.id.as_str();
                let is_known = self
                    .entries
                    .iter()
                    .any(|it| it.tracked.server.as_str() == id)
                    || known.iter().any(|it| it.server == id);
                if !is_known {
                    left.late.push(StayRow {
                        server: id.to_owned(),
                        name: server.name.clone(),
                        host: Some(host.to_string()),
                        why: format!(
                            "it came while the host was emptied: `clearway drain {host}` again"
                        ),
                    });
                }
            }
        }
        left
    }

    /// The report of what was done.
    pub(super) fn report(
        &self,
        command: &str,
        stay: Vec<StayRow>,
        services: Vec<ServiceRow>,
        unseen: Vec<UnseenRow>,
        options: &MoveOptions,
    ) -> MovesReport {
        debug_assert_eq!(self.options, options);
        let open = |it: &Entry| it.tracked.stage != Stage::Ended;
        let interrupted = self.entries.iter().any(open);
        MovesReport {
            schema: MOVES_SCHEMA_VERSION,
            run: self.run.clone(),
            command: command.to_owned(),
            cloud: self.session.endpoint().to_owned(),
            dry_run: false,
            interrupted,
            exit_code: exit_code(&self.entries, &stay, &services, &unseen, interrupted),
            stopped: self.stopped.clone(),
            moves: self.entries.iter().map(row).collect(),
            stay,
            services,
            unseen,
        }
    }
}
