//! Which moves are started when.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::machine::{Stage, Tracked, Verdict};
use crate::domain::{HostName, MoveKind};
use crate::openstack::compute::Server;

/// In which order servers are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// By name.
    #[default]
    Name,
    /// The smallest first: many are done soon.
    Smallest,
    /// The largest first: while there is most room.
    Largest,
}

/// Puts servers in order; the id decides between equals, so that a plan is the same each time.
pub fn sort(servers: &mut [Server], order: Order) {
    let size = |it: &Server| (it.flavor.ram_mib, it.flavor.disk_gib);
    match order {
        Order::Name => servers.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id))),
        Order::Smallest => servers.sort_by_key(|it| (size(it), it.id.clone())),
        Order::Largest => servers.sort_by_key(|it| (Reverse(size(it)), it.id.clone())),
    }
}

/// How much may go on at the same time, and when to stop.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Moves in all.
    pub moves: usize,
    /// Moves away from one host.
    pub per_source: usize,
    /// Live moves away from one host: Nova lets those beyond its own bound wait unseen.
    pub live_per_source: usize,
    /// The same for hosts that have a bound of their own: `max_concurrent_live_migrations` of their nova.conf.
    pub live_of: HashMap<HostName, usize>,
    /// Moves to one host.
    pub per_destination: usize,
    /// Failures after which nothing new is started; `None` for no bound.
    pub failures: Option<usize>,
    /// When nothing new is started any more.
    pub until: Option<Timestamp>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            moves: 8,
            per_source: 4,
            // What Nova has where nothing is set.
            live_per_source: 1,
            live_of: HashMap::new(),
            per_destination: 4,
            failures: Some(1),
            until: None,
        }
    }
}

/// Why nothing new is started any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// As many moves have failed as may.
    Failures(usize),
    /// The deadline has passed.
    Deadline,
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Failures(number) => write!(f, "{number} moves have failed (--max-failures)"),
            Self::Deadline => f.write_str("the deadline has passed (--until)"),
        }
    }
}

/// Whether anything new may be started at all.
#[must_use]
pub fn stop<'m>(
    moves: impl IntoIterator<Item = &'m Tracked>,
    limits: &Limits,
    now: Timestamp,
) -> Option<Stop> {
    if limits.until.is_some_and(|until| now >= until) {
        return Some(Stop::Deadline);
    }
    let failed = moves
        .into_iter()
        .filter(|it| {
            let end = it.end.as_ref();
            end.is_some_and(|end| matches!(end.verdict, Verdict::Failed | Verdict::Unknown))
                || it.hook_failure().is_some()
        })
        .count();
    limits
        .failures
        .filter(|&bound| failed >= bound)
        .map(|_| Stop::Failures(failed))
}

/// What goes on.
#[derive(Debug, Default)]
pub struct Load {
    all: usize,
    sources: HashMap<HostName, usize>,
    live_sources: HashMap<HostName, usize>,
    destinations: HashMap<HostName, usize>,
}

impl Load {
    /// Counts it: a move counts from its proof to its end.
    #[must_use]
    pub fn of<'m>(moves: impl IntoIterator<Item = &'m Tracked>) -> Self {
        let mut load = Self::default();
        for it in moves {
            if matches!(it.stage, Stage::Planned | Stage::Ended) {
                continue;
            }
            load.add(it.kind, &it.source, it.destination.as_ref());
        }
        load
    }

    fn add(&mut self, kind: MoveKind, source: &HostName, destination: Option<&HostName>) {
        self.all += 1;
        *self.sources.entry(source.clone()).or_default() += 1;
        if kind == MoveKind::Live {
            *self.live_sources.entry(source.clone()).or_default() += 1;
        }
        if let Some(destination) = destination {
            *self.destinations.entry(destination.clone()).or_default() += 1;
        }
    }

    /// Whether one more move may leave a host.
    #[must_use]
    pub fn may_leave(&self, kind: MoveKind, source: &HostName, limits: &Limits) -> bool {
        let of = |map: &HashMap<HostName, usize>| map.get(source).copied().unwrap_or(0);
        let own = limits.live_of.get(source).copied();
        let live = own.unwrap_or(limits.live_per_source);
        self.all < limits.moves
            && of(&self.sources) < limits.per_source
            && (kind != MoveKind::Live || of(&self.live_sources) < live)
    }

    /// Whether one more move may come to a host.
    #[must_use]
    pub fn may_come(&self, destination: &HostName, limits: &Limits) -> bool {
        self.destinations.get(destination).copied().unwrap_or(0) < limits.per_destination
    }
}

/// The verdicts of a run, counted.
#[must_use]
pub fn count<'m>(moves: impl IntoIterator<Item = &'m Tracked>) -> BTreeMap<Verdict, u64> {
    let mut counts = BTreeMap::new();
    for end in moves.into_iter().filter_map(|it| it.end.as_ref()) {
        *counts.entry(end.verdict).or_default() += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moves::gate::fixtures::server;
    use crate::moves::machine::End;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn tracked(number: u32, stage: Stage, verdict: Option<Verdict>) -> Tracked {
        let mut it = Tracked::planned(
            server(number, "a").id,
            MoveKind::Live,
            "a".parse().unwrap(),
            at(0),
        );
        it.stage = stage;
        it.destination = Some("b".parse().unwrap());
        it.end = verdict.map(|verdict| End {
            verdict,
            why: String::new(),
        });
        it
    }

    #[test]
    fn servers_are_put_in_an_order_that_is_the_same_each_time() {
        let mut servers = vec![server(3, "a"), server(1, "a"), server(2, "a")];
        servers[0].flavor.ram_mib = 4_096;
        servers[1].flavor.ram_mib = 512;
        let names = |servers: &[Server]| {
            servers
                .iter()
                .map(|it| it.name.clone())
                .collect::<Vec<_>>()
                .join(" ")
        };
        sort(&mut servers, Order::Name);
        assert_eq!(names(&servers), "web-1 web-2 web-3");
        sort(&mut servers, Order::Smallest);
        assert_eq!(names(&servers), "web-2 web-1 web-3");
        sort(&mut servers, Order::Largest);
        assert_eq!(names(&servers), "web-3 web-1 web-2");
    }

    #[test]
    fn a_run_stops_starting_after_as_many_failures_as_it_may_have_and_at_its_deadline() {
        let moves = [
            tracked(1, Stage::Ended, Some(Verdict::Failed)),
            tracked(2, Stage::Ended, Some(Verdict::Done)),
            tracked(3, Stage::Ended, Some(Verdict::Refused)),
        ];
        let limits = |failures, until| Limits {
            failures,
            until,
            ..Limits::default()
        };
        assert_eq!(
            stop(&moves, &limits(Some(1), None), at(5)),
            Some(Stop::Failures(1))
        );
        assert_eq!(stop(&moves, &limits(Some(2), None), at(5)), None);
        assert_eq!(stop(&moves, &limits(None, Some(at(9))), at(8)), None);
        assert_eq!(
            stop(&moves, &limits(None, Some(at(9))), at(9)),
            Some(Stop::Deadline)
        );
    }

    #[test]
    fn no_host_gets_or_gives_more_than_it_may() {
        let moves = [
            tracked(1, Stage::Moving, None),
            tracked(2, Stage::Planned, None),
            tracked(3, Stage::Ended, Some(Verdict::Done)),
        ];
        let load = Load::of(&moves);
        let limits = Limits {
            per_destination: 1,
            ..Limits::default()
        };
        let (a, b, c) = (
            "a".parse().unwrap(),
            "b".parse().unwrap(),
            "c".parse().unwrap(),
        );
        assert!(
            !load.may_leave(MoveKind::Live, &a, &limits),
            "Nova would let it wait unseen"
        );
        let own = |bound| Limits {
            live_of: HashMap::from([("a".parse().unwrap(), bound)]),
            live_per_source: 9,
            ..Limits::default()
        };
        assert!(load.may_leave(MoveKind::Live, &a, &own(2)));
        assert!(!load.may_leave(MoveKind::Live, &a, &own(1)));
        assert!(load.may_leave(MoveKind::Cold, &a, &limits));
        assert!(load.may_leave(MoveKind::Live, &b, &limits));
        assert!(!load.may_come(&b, &limits));
        assert!(load.may_come(&c, &limits));
        assert!(!load.may_leave(
            MoveKind::Cold,
            &b,
            &Limits {
                moves: 1,
                ..Limits::default()
            }
        ));
    }
}
