//! Looking at Nova: one listing of rows and one of servers for all moves together.

use std::collections::{HashMap, HashSet};

use jiff::SignedDuration;

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

impl Engine<'_> {
    /// Looks at all moves that are in flight.
    pub(super) async fn look(&mut self) -> Result<(), MovesError> {
        let flying: Vec<usize> = (0..self.entries.len())
            .filter(|&index| {
                let entry = &self.entries[index];
                entry.tracked.stage.is_in_flight() || entry.tracked.stage == Stage::Arrived
            })
            .collect();
        if flying.is_empty() {
            return self.listen().await;
        }
        let now = system::now();
        let all = now.duration_since(self.listed_all) > ALL_AGAIN;
        let since = if all { self.since } else { self.unlisted };
        let (all_rows, all_servers) = self.wanted(&flying);
        let asked = self.session.cloud_time();
        // Rows first: a server that is looked at later is never older than its row.
        let rows = self.looking.changed_migrations(since, all_rows).await;
        let servers = match &rows {
            Ok(_) => self.looking.changed_servers(since, all_servers).await,
            Err(_) => Ok(Vec::new()),
        };
        let (rows, servers) = match (rows, servers) {
            (Ok(rows), Ok(servers)) => (rows, servers),
            (Err(error), _) | (_, Err(error)) => {
                self.not_heard(error)?;
                // Time goes on for what is not seen, too.
                for index in flying {
                    self.end_if_overdue(index).await?;
                }
                return Ok(());
            }
        };
        self.heard();
        // Changes that were written while it was listed are listed once more.
        self.unlisted = (asked - UNSEEN).max(self.since);
        if all {
            self.listed_all = now;
        }
        self.dialled.extend(dialled_addresses(&rows));
        let mut rows_of: HashMap<ServerId, Vec<Migration>> = HashMap::new();
        for row in rows {
            rows_of.entry(row.server.clone()).or_default().push(row);
        }
        let mut changed: HashMap<ServerId, Server> =
            servers.into_iter().map(|it| (it.id.clone(), it)).collect();
        for index in flying {
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
            if !entry.busy {
                self.look_at(index).await?;
                self.explain_if_failed(index);
            }
        }
        Ok(())
    }

    /// Whether rows, and whether servers, are all that is wanted of those under way.
    fn wanted(
        &self,
        flying: &[usize],
    ) -> (
        impl Fn(&[Migration]) -> bool + use<>,
        impl Fn(&[Server]) -> bool + use<>,
    ) {
        let flying = flying.iter().map(|&index| &self.entries[index].tracked);
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
