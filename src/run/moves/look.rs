//! Looking at Nova: one listing of rows and one of servers for all moves together, beside all else: Nova may be slow, and a
//! proof does not wait for it.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::{Event, ServerId};
use crate::moves::machine::{Stage, own_row};
use crate::nova::NovaError;
use crate::openstack::compute::{Migration, Server};
use crate::system;

use super::candidates::dialled_addresses;
use super::engine::Engine;
use super::error::MovesError;

/// For how long what Nova has dated may not be in its database yet, or be dated by a clock that is late.
const UNSEEN: SignedDuration = SignedDuration::from_secs(20);
/// How often everything since the run's beginning is listed again, and not only what has changed since the last look: for
/// clouds whose clocks differ by more than the margin.
const ALL_AGAIN: SignedDuration = SignedDuration::from_mins(5);
/// For how long Nova may refuse to say how moves go.
const UNHEARD: SignedDuration = SignedDuration::from_secs(30);

/// What Nova has listed.
pub(super) struct Listed {
    /// The moves that were in flight when it was asked, and how many records each of them had.
    flying: Vec<(usize, u64)>,
    /// When it was asked, by the cloud's clock.
    asked: Timestamp,
    /// When everything since the run's beginning was asked for, if it was.
    all: Option<Timestamp>,
    found: Result<(Vec<Migration>, Vec<Server>), NovaError>,
}

impl Engine<'_> {
    /// Asks how all moves are that are in flight.
    pub(super) async fn look(&mut self) -> Result<(), MovesError> {
        let flying: Vec<(usize, u64)> = (0..)
            .zip(&self.entries)
            .filter(|(_, entry)| {
                entry.tracked.stage.is_in_flight() || entry.tracked.stage == Stage::Arrived
            })
            .map(|(index, entry)| (index, entry.seq))
            .collect();
        if flying.is_empty() {
            self.listen().await?;
            return self.look_beside().await;
        }
        let now = system::now();
        let all = (now.duration_since(self.listed_all) > ALL_AGAIN).then_some(now);
        let since = if all.is_some() {
            self.since
        } else {
            self.unlisted
        };
        let (all_rows, all_servers) = self.wanted(&flying);
        let (asked, looking) = (self.session.cloud_time(), self.looking.clone());
        self.listing.spawn(async move {
            // Rows first: a server that is looked at later is never older than its row.
            let found = match looking.changed_migrations(since, all_rows).await {
                Ok(rows) => {
                    let servers = looking.changed_servers(since, all_servers).await;
                    servers.map(|servers| (rows, servers))
                }
                Err(error) => Err(error),
            };
            Listed {
                flying,
                asked,
                all,
                found,
            }
        });
        Ok(())
    }

    /// Takes what Nova has listed.
    pub(super) async fn listed(&mut self, listed: Listed) -> Result<(), MovesError> {
        let Listed {
            flying,
            asked,
            all,
            found,
        } = listed;
        let (rows, servers) = match found {
            Ok(found) => found,
            Err(error) => {
                self.not_heard(error)?;
                // Time goes on for what is not seen, too.
                for (index, _) in flying {
                    self.end_if_overdue(index).await?;
                }
                return Ok(());
            }
        };
        self.heard();
        // Changes that were written while it was listed are listed once more.
        self.unlisted = (asked - UNSEEN).max(self.since);
        self.listed_all = all.unwrap_or(self.listed_all);
        self.dialled.extend(dialled_addresses(&rows));
        let mut rows_of: HashMap<ServerId, Vec<Migration>> = HashMap::new();
        for row in rows {
            rows_of.entry(row.server.clone()).or_default().push(row);
        }
        let mut changed: HashMap<ServerId, Server> =
            servers.into_iter().map(|it| (it.id.clone(), it)).collect();
        for (index, records) in flying {
            let entry = &mut self.entries[index];
            let id = &entry.tracked.server;
            if let Some(server) = changed.remove(id) {
                let gone = matches!(server.status.status.as_str(), "DELETED" | "SOFT_DELETED");
                entry.server = (!gone).then_some(server);
            }
            let rows = rows_of.get(id).map_or(&[][..], Vec::as_slice);
            if let Some(row) = own_row(&entry.tracked, rows) {
                entry.row = Some(row.clone());
            }
            // Of one that something was done to meanwhile this says how it was before.
            if !entry.busy && entry.seq == records {
                self.look_at(index).await?;
                self.explain_if_failed(index);
            }
        }
        self.look_beside().await
    }

    /// What else is asked in an interval. Who does not answer one question is not asked two more.
    async fn look_beside(&mut self) -> Result<(), MovesError> {
        if self.unheard.is_none() {
            self.look_at_copying().await;
            self.look_at_hosts().await;
        }
        Ok(())
    }

    /// Whether rows, and whether servers, are all that is wanted of those under way.
    fn wanted(
        &self,
        flying: &[(usize, u64)],
    ) -> (
        impl Fn(&[Migration]) -> bool + use<>,
        impl Fn(&[Server]) -> bool + use<>,
    ) {
        let flying = flying
            .iter()
            .map(|&(index, _)| &self.entries[index].tracked);
        let servers: HashSet<ServerId> = flying.clone().map(|it| it.server.clone()).collect();
        let rows: Vec<(ServerId, Option<u64>, u64)> = flying
            .map(|it| (it.server.clone(), it.migration, it.baseline))
            .collect();
        let all_rows = move |listed: &[Migration]| {
            // Numbers are those of a cell: only with the server do they name a row.
            let mut numbers: HashMap<&ServerId, Vec<u64>> = HashMap::new();
            for row in listed {
                numbers.entry(&row.server).or_default().push(row.id);
            }
            rows.iter().all(|(server, own, baseline)| {
                numbers.get(server).is_some_and(|numbers| match own {
                    Some(own) => numbers.contains(own),
                    None => numbers.iter().any(|it| it > baseline),
                })
            })
        };
        let all_servers = move |listed: &[Server]| {
            let listed: HashSet<_> = listed.iter().map(|it| it.id.clone()).collect();
            servers.is_subset(&listed)
        };
        (all_rows, all_servers)
    }

    /// Asks whether Nova is there again, where nothing is under way that it would be asked about.
    async fn listen(&mut self) -> Result<(), MovesError> {
        if self.unheard.is_none() {
            return Ok(());
        }
        match self.looking.services().await {
            Ok(services) => {
                self.cloud.services = services;
                self.heard();
                Ok(())
            }
            Err(error) => {
                self.not_heard(error)?;
                if let Some((since, why)) = &self.unheard
                    && system::now().duration_since(*since) > self.options.longest()
                {
                    let why = format!("{why}, for longer than a move may wait (`--longest`)");
                    self.stop(why);
                }
                Ok(())
            }
        }
    }

    fn heard(&mut self) {
        if let Some((since, _)) = self.unheard.take() {
            let away = system::now().duration_since(since).as_secs();
            let seconds = u64::try_from(away).unwrap_or_default();
            self.journal.event(&Event::CloudHeard { seconds });
        }
    }

    /// Nova could not be asked how the moves go. Where it is away, it is asked again for as long as the moves have time; what
    /// will not pass by itself ends the run, which can be resumed.
    pub(super) fn not_heard(&mut self, error: NovaError) -> Result<(), MovesError> {
        let now = system::now();
        // Whatever was asked for: who is away answers nothing.
        let why = match &error {
            NovaError::Unreachable { host, .. } => format!("no answer from {host}"),
            error => error.to_string(),
        };
        let since = match &self.unheard {
            Some((since, told)) if *told == why => *since,
            before => {
                let since = before.as_ref().map_or(now, |(since, _)| *since);
                self.journal
                    .event(&Event::CloudUnheard { why: why.clone() });
                since
            }
        };
        self.unheard = Some((since, why));
        if !error.may_pass() && now.duration_since(since) > UNHEARD {
            return Err(error.into());
        }
        Ok(())
    }
}
