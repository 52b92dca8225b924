//! What is asked for; kept in the ledger, so that a run can be resumed as it was meant.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::HostName;
use crate::moves::plan::{Limits, Order};
use crate::openstack::compute::WantedFlavor;

/// Which servers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// These, by id or by name.
    Servers(Vec<String>),
    /// All on these hosts; their services are taken out of scheduling meanwhile.
    Hosts(Vec<HostName>),
}

/// How they are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Powered off.
    Cold,
    /// While they run.
    Live,
    /// Those that run, while they run; the others cold.
    Auto,
    /// Powered off, to another flavor.
    Resize,
}

/// What becomes of a cold move that has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Finish {
    /// It is confirmed: the source is cleaned up.
    Confirm,
    /// It is left to somebody else.
    Leave,
    /// It is brought back.
    Revert,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveOptions {
    /// Which servers.
    pub what: What,
    /// How.
    pub how: How,
    /// Only to these hosts; none means any.
    pub to: BTreeSet<HostName>,
    /// The flavor of a resize.
    pub flavor: Option<WantedFlavor>,
    /// What becomes of a cold move that has arrived.
    pub finish: Finish,
    /// In which order: `name`, `smallest`, `largest`, or `given`: as they are named.
    pub order: String,
    /// Moves at the same time.
    pub moves: usize,
    /// Moves at the same time away from one host.
    pub per_source: usize,
    /// Live moves at the same time away from one host; `None` for as many as its nova.conf allows.
    pub live_per_source: Option<usize>,
    /// Moves at the same time to one host.
    pub per_destination: usize,
    /// Failures after which nothing new is started; 0 for no bound.
    pub failures: usize,
    /// When nothing new is started any more.
    pub until: Option<Timestamp>,
    /// How old a proof may be, in seconds.
    pub max_age: u64,
    /// How often Nova is looked at, in milliseconds.
    pub interval: u64,
    /// How long a phase of one move may take, in seconds.
    pub longest_seconds: u64,
    /// The reason for overriding the gate, for one move.
    pub overriding: Option<String>,
    /// What is run after each move.
    #[serde(default)]
    pub hook: Option<HookCommand>,
}

/// A command that is run after each move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HookCommand {
    /// The program, by its absolute path.
    pub program: PathBuf,
    /// How long it may take, in seconds.
    pub timeout: u64,
}

impl MoveOptions {
    /// For moves that wait to be confirmed or reverted: nothing of them is started.
    #[must_use]
    pub fn settling(what: What, finish: Finish) -> Self {
        Self {
            what,
            how: How::Cold,
            to: BTreeSet::new(),
            flavor: None,
            finish,
            order: "given".to_owned(),
            moves: 1,
            per_source: 1,
            live_per_source: None,
            per_destination: 1,
            failures: 0,
            until: None,
            max_age: 60,
            interval: 1_000,
            longest_seconds: 3_600,
            overriding: None,
            hook: None,
        }
    }

    /// The limits; `live_of` is what the nova.conf of each host allows, where it says so.
    pub(super) fn limits(&self, live_of: HashMap<HostName, usize>) -> Limits {
        let usual = Limits::default();
        Limits {
            moves: self.moves,
            per_source: self.per_source,
            live_per_source: self.live_per_source.unwrap_or(usual.live_per_source),
            live_of: match self.live_per_source {
                Some(_) => HashMap::new(),
                None => live_of,
            },
            per_destination: self.per_destination,
            failures: Some(self.failures).filter(|&bound| bound > 0),
            until: self.until,
        }
    }

    pub(super) fn order(&self) -> Option<Order> {
        match self.order.as_str() {
            "name" => Some(Order::Name),
            "smallest" => Some(Order::Smallest),
            "largest" => Some(Order::Largest),
            _ => None,
        }
    }

    pub(super) fn max_age(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.max_age).unwrap_or(i64::MAX / 2))
    }

    pub(super) fn longest(&self) -> SignedDuration {
        SignedDuration::from_secs(i64::try_from(self.longest_seconds).unwrap_or(i64::MAX / 2))
    }

    pub(super) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval.max(100))
    }
}
