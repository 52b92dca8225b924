//! What was seen of one move, and what follows from it.

use crate::domain::{Event, HostName, MoveKind, Pair};
use crate::moves::compare::Portrait;
use crate::moves::machine::{
    Doubt, Lookup, Record, Seen, SeenMigration, SeenServer, Sent, Stage, Verdict, overdue, own_row,
    was_sent,
};
use crate::nova::{NovaError, Written};
use crate::openstack::compute::{self, Server};
use crate::system;

use super::engine::{Done, Engine};
use super::error::MovesError;
use super::explain;
use super::investigate::Case;
use super::journal::Entry;
use super::options::{Finish, MoveOptions};
use crate::run::request::{Request, Surroundings};

/// How often a server that is not as it was is looked at again: its state may still be changing.
const COMPARISONS: u32 = 5;
/// How often a server that cannot be read is asked for.
const UNREAD: u32 = 30;
/// Confirmations that Nova may refuse.
const CONFIRMATIONS: u32 = 5;

impl Engine<'_> {
    /// What was last listed of a move, and what follows from it.
    pub(super) async fn look_at(&mut self, index: usize) -> Result<(), MovesError> {
        let entry = &self.entries[index];
        // It may be that of a destination that was given up since.
        let row = own_row(&entry.tracked, entry.row.as_slice());
        match entry.tracked.stage {
            Stage::Arrived => {
                self.compare(index);
                return Ok(());
            }
            Stage::Requested if row.is_none() && entry.server.is_some() => {
                return self.settle_uncertain(index).await;
            }
            // A row that was there is still there: this listing has not got it.
            _ if row.is_none() && entry.tracked.migration.is_some() && entry.server.is_some() => {}
            _ => {
                let seen = Seen {
                    server: entry.server.as_ref().map(seen_server),
                    migration: row.map(|row| SeenMigration {
                        id: row.id,
                        status: row.status.to_string(),
                        destination: row.dest_compute.clone(),
                    }),
                };
                let record = Record::Seen(seen);
                let next = entry.tracked.after(&record, system::now());
                // What changes nothing is not worth a record.
                if next.is_ok_and(|next| next != entry.tracked) {
                    self.record(index, record).await?;
                }
            }
        }
        self.go_on(index).await
    }

    /// What follows from where a move is.
    async fn go_on(&mut self, index: usize) -> Result<(), MovesError> {
        let tracked = &self.entries[index].tracked;
        if tracked.stage == Stage::Arrived {
            self.compare(index);
        } else if tracked.stage == Stage::Waiting && self.options.finish == Finish::Leave {
            let why = "left unconfirmed, as asked: the source keeps its disks until it is confirmed or reverted";
            self.give_up(index, Verdict::Unconfirmed, why).await?;
        } else if tracked.stage == Stage::Waiting && self.options.finish == Finish::Revert {
            let (session, call) = (self.session.clone(), compute::revert(&tracked.server));
            self.record(index, Record::RevertRequesting).await?;
            self.spawn(
                index,
                async move { Done::Reverted(session.write(&call).await) },
            );
        } else if tracked.stage == Stage::Waiting {
            let (session, call) = (self.session.clone(), compute::confirm(&tracked.server));
            self.record(index, Record::ConfirmRequesting).await?;
            self.spawn(
                index,
                async move { Done::Confirmed(session.write(&call).await) },
            );
        } else {
            self.end_if_overdue(index).await?;
        }
        Ok(())
    }

    pub(super) async fn end_if_overdue(&mut self, index: usize) -> Result<(), MovesError> {
        let entry = &self.entries[index];
        match overdue(&entry.tracked, self.options.longest(), system::now()) {
            Some(why) if !entry.busy => {
                let missing = self.missing_of(index).await;
                let missing = missing.map_or_else(String::new, |it| format!("{it}; "));
                let why = format!("{missing}{why}; `clearway resume {}` looks again", self.run);
                self.give_up(index, Verdict::Unknown, &why).await
            }
            _ => Ok(()),
        }
    }

    /// A request whose outcome is not known is decided from what Nova has.
    async fn settle_uncertain(&mut self, index: usize) -> Result<(), MovesError> {
        let entry = &self.entries[index];
        let id = entry.tracked.server.clone();
        let asked = tokio::join!(
            self.looking.server(&id),
            self.looking.migrations(&id),
            self.looking.actions(&id)
        );
        let (server, rows, actions) = match asked {
            (Ok(server), Ok(rows), Ok(actions)) => (server, rows, actions),
            (Err(error), _, _) | (_, Err(error), _) | (_, _, Err(error)) => {
                self.not_heard(error)?;
                return self.end_if_overdue(index).await;
            }
        };
        let lookup = Lookup {
            server: server.as_ref(),
            rows: &rows,
            actions: &actions,
        };
        let doubt = entry.doubt.unwrap_or(Doubt {
            since: entry.tracked.since,
            over: false,
        });
        let decided = was_sent(&entry.tracked, &lookup, doubt, system::now());
        match decided {
            Sent::Yes => {
                let row = own_row(&self.entries[index].tracked, &rows);
                let seen = Seen {
                    server: server.as_ref().map(seen_server),
                    migration: row.map(|row| SeenMigration {
                        id: row.id,
                        status: row.status.to_string(),
                        destination: row.dest_compute.clone(),
                    }),
                };
                self.entries[index].row = row.cloned();
                self.entries[index].server = server;
                self.record(index, Record::Seen(seen)).await
            }
            Sent::No(why) => self.not_sent(index, why).await,
            Sent::Other(why) => self.give_up(index, Verdict::Unknown, &why).await,
            Sent::NotYetKnown => self.go_on(index).await,
        }
    }

    pub(super) async fn confirmed(
        &mut self,
        index: usize,
        written: Written,
    ) -> Result<(), MovesError> {
        let record = match written {
            Written::Accepted(answer) => Record::ConfirmAccepted {
                request_id: answer.request_id,
            },
            // Whether it was confirmed all the same is seen next: a confirmation can be sent again.
            Written::Refused(fault) => Record::ConfirmRejected {
                why: fault.to_string(),
            },
            Written::NotSent(why) | Written::Unknown { why, .. } => Record::ConfirmRejected { why },
        };
        self.answered(
            index,
            record,
            "confirm it; nova-compute on the source must be up for it",
        )
        .await
    }

    pub(super) async fn reverted(
        &mut self,
        index: usize,
        written: Written,
    ) -> Result<(), MovesError> {
        let record = match written {
            Written::Accepted(answer) => Record::RevertAccepted {
                request_id: answer.request_id,
            },
            // As with a confirmation: it is seen next, and can be sent again.
            Written::Refused(fault) => Record::RevertRejected {
                why: fault.to_string(),
            },
            Written::NotSent(why) | Written::Unknown { why, .. } => Record::RevertRejected { why },
        };
        self.answered(
            index,
            record,
            "revert it; nova-compute on both hosts must be up for it",
        )
        .await
    }

    /// Nova's answer to a confirmation or a reversal. It may refuse a few times, not for ever.
    async fn answered(
        &mut self,
        index: usize,
        record: Record,
        what: &str,
    ) -> Result<(), MovesError> {
        let rejected = match &record {
            Record::ConfirmRejected { why } | Record::RevertRejected { why } => Some(why.clone()),
            _ => None,
        };
        self.record(index, record).await?;
        if let Some(why) = rejected {
            self.entries[index].unconfirmed += 1;
            if self.entries[index].unconfirmed >= CONFIRMATIONS {
                let why = format!("Nova does not {what}: {why}");
                self.give_up(index, Verdict::Unknown, &why).await?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, index: usize) {
        let (session, id) = (
            self.session.clone(),
            self.entries[index].tracked.server.clone(),
        );
        self.spawn(index, async move {
            Done::Compared(session.server(&id).await.map(|it| it.map(Box::new)))
        });
    }

    pub(super) async fn compared(
        &mut self,
        index: usize,
        server: Result<Option<Box<Server>>, NovaError>,
    ) -> Result<(), MovesError> {
        let server = match server {
            Ok(server) => server,
            // Looked at again at the next interval.
            Err(error) => {
                let entry = &mut self.entries[index];
                entry.unread += 1;
                if entry.unread < UNREAD {
                    return Ok(());
                }
                let why = format!("it has arrived, and could not be compared: {error}");
                return self.give_up(index, Verdict::Unknown, &why).await;
            }
        };
        let finish = self.options.finish;
        let entry = &mut self.entries[index];
        let cold = entry.tracked.kind != MoveKind::Live;
        let mut differences: Vec<String> = match &server {
            None => vec!["it was deleted".to_owned()],
            Some(server) => Portrait::of(server)
                .differences(&expected(entry, self.options))
                .iter()
                .map(ToString::to_string)
                .collect(),
        };
        if finish == Finish::Revert && cold && !entry.tracked.reverting {
            differences.push("somebody confirmed it, and it was to be reverted".to_owned());
        }
        entry.server = server.map(|it| *it);
        entry.compared += 1;
        let may_change = |it: &String| it.starts_with("status ") || it.starts_with("power state ");
        if !differences.is_empty()
            && differences.iter().all(may_change)
            && entry.compared < COMPARISONS
        {
            return Ok(());
        }
        self.record(index, Record::Compared { differences }).await
    }

    /// Asks for the reason of a failure, once.
    pub(super) fn explain_if_failed(&mut self, index: usize) {
        let entry = &self.entries[index];
        let failed = entry
            .tracked
            .end
            .as_ref()
            .is_some_and(|end| matches!(end.verdict, Verdict::Failed | Verdict::Unknown));
        if !failed || entry.busy || !entry.tracked.explained.is_empty() || entry.sent.is_none() {
            return;
        }
        let (session, id) = (self.session.clone(), entry.tracked.server.clone());
        let request = entry.tracked.request_id.clone();
        let kind = entry.tracked.kind;
        let since = entry.sent;
        let nodes = self.case(entry);
        let ends = (
            entry.tracked.source.clone(),
            entry.tracked.destination.clone(),
        );
        self.spawn(index, async move {
            let request = request.as_deref();
            let lines = explain::explain(&session, &id, request, kind, since, nodes, ends).await;
            Done::Explained(lines)
        });
    }

    /// Keeps what was found out about a failure.
    pub(super) async fn explained(
        &mut self,
        index: usize,
        lines: Vec<String>,
    ) -> Result<(), MovesError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.record(index, Record::explained(lines)).await?;
        let entry = &self.entries[index];
        self.journal.event(&Event::MoveExplained {
            server: entry.tracked.server.to_string(),
            name: entry.name.clone(),
            lines: entry.tracked.explained.clone(),
        });
        Ok(())
    }

    /// A failed move as its nodes are asked for it; `Err` says why they are not.
    fn case(&self, entry: &Entry) -> Result<(Request, Surroundings, Case), String> {
        let tracked = &entry.tracked;
        let (Some(_), Some(destination)) = (tracked.migration, &tracked.destination) else {
            return Err("Nova has begun nothing on a node".to_owned());
        };
        if entry.compared > 0 {
            return Err("the move itself has not failed".to_owned());
        }
        let node = |host: &HostName| self.cloud.matched.node(host);
        let pair = Pair {
            source: node(&tracked.source)?,
            destination: node(destination)?,
        };
        let lanes = match &entry.server {
            Some(server) => self.needs_of(server, tracked.kind),
            None => Vec::new(),
        };
        let sent = entry.sent.unwrap_or(tracked.since);
        let case = Case {
            server: tracked.server.clone(),
            pair,
            lanes: lanes.into_iter().collect(),
            request_id: tracked.request_id.clone(),
            ago: system::now().duration_since(sent).unsigned_abs(),
        };
        let request = self.prover.request().clone();
        Ok((request, self.around.clone(), case))
    }
}

/// What a server should be after its move.
fn expected(entry: &Entry, options: &MoveOptions) -> Portrait {
    match &options.flavor {
        Some(flavor) if entry.tracked.kind == MoveKind::Resize && !entry.tracked.reverting => {
            entry.before.resized(flavor)
        }
        _ => entry.before.clone(),
    }
}

fn seen_server(server: &Server) -> SeenServer {
    SeenServer {
        status: server.status.status.clone(),
        task: server.status.task.clone(),
        host: server.host.clone(),
    }
}
