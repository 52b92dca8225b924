//! What may be typed behind the commands that move servers.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use jiff::Timestamp;

use super::args::ListFormat;
use crate::domain::HostName;

/// Which cloud.
#[derive(Debug, Args)]
pub(super) struct WhichCloud {
    /// The cloud's name in clouds.yaml; otherwise OS_CLOUD, then the OS_* variables
    #[arg(long, value_name = "NAME")]
    pub(super) os_cloud: Option<String>,
}

/// `clearway servers`.
#[derive(Debug, Args)]
pub(super) struct Servers {
    /// Only these servers, by id or name
    #[arg(value_name = "SERVER")]
    pub(super) servers: Vec<String>,
    /// Only those that a file lists, one id or name a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: Option<PathBuf>,
    /// Only those on this compute host, by service host name
    #[arg(long, value_name = "HOST")]
    pub(super) host: Option<HostName>,
    /// Only those of this project, by id
    #[arg(long, value_name = "ID")]
    pub(super) project: Option<String>,
    /// Only those of this availability zone
    #[arg(long, value_name = "ZONE")]
    pub(super) zone: Option<String>,
    /// Only those in this status, for example ACTIVE
    #[arg(long, value_name = "STATUS")]
    pub(super) status: Option<String>,
    /// Only those with this in their name (a regular expression of Nova's database)
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// How old the proof of a destination may be
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub(super) max_age: u32,
    /// Output: table, json
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: ListFormat,
    #[command(flatten)]
    pub(super) cloud: WhichCloud,
}

/// `clearway migrate`.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// The servers, by id or name
    #[arg(value_name = "SERVER", required = true)]
    pub(super) servers: Vec<String>,
    /// Move while they run
    #[arg(long, conflicts_with = "cold")]
    pub(super) live: bool,
    /// Power off, copy, power on (the default)
    #[arg(long)]
    pub(super) cold: bool,
    /// Power off, copy, power on with another flavor, by name or id. Nova chooses where to: every host that it could choose
    /// is proven first, or the resize is refused
    #[arg(long, value_name = "FLAVOR", conflicts_with_all = ["live", "cold", "to", "override_gate"])]
    pub(super) resize: Option<String>,
    /// Let one move through although its legs are not proven; asks, and stands in the ledger
    #[arg(long, value_name = "REASON")]
    pub(super) override_gate: Option<String>,
    /// In which order: name, smallest, largest; unless told, as they are named
    #[arg(long, value_name = "ORDER", value_parser = ["name", "smallest", "largest"])]
    #[arg(hide_possible_values = true)]
    pub(super) order: Option<String>,
    #[command(flatten)]
    pub(super) moving: Moving,
}

/// `clearway drain`.
#[derive(Debug, Args)]
pub(super) struct Drain {
    /// The compute hosts, by service host name
    #[arg(value_name = "HOST", required = true)]
    pub(super) hosts: Vec<HostName>,
    /// Only live moves: servers that do not run stay
    #[arg(long, conflicts_with = "cold")]
    pub(super) live: bool,
    /// Only cold moves, also of servers that run
    #[arg(long)]
    pub(super) cold: bool,
    /// In which order: name, smallest, largest
    #[arg(long, value_name = "ORDER", default_value = "name", value_parser = ["name", "smallest", "largest"])]
    #[arg(hide_possible_values = true)]
    pub(super) order: String,
    #[command(flatten)]
    pub(super) moving: Moving,
}

/// What migrate and drain have in common.
#[derive(Debug, Args)]
pub(super) struct Moving {
    /// Only to these hosts, by service host name
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub(super) to: Vec<HostName>,
    /// Show the plan and the destinations in their order; move nothing
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Leave cold moves to be confirmed or reverted later: `clearway moves confirm` and `revert`
    #[arg(long, conflicts_with = "revert")]
    pub(super) leave_unconfirmed: bool,
    /// Bring cold moves back once they have arrived, instead of confirming them
    #[arg(long)]
    pub(super) revert: bool,
    /// Moves at the same time
    #[arg(long, value_name = "N", default_value = "8")]
    pub(super) max_moves: NonZeroU32,
    /// Moves at the same time away from one host
    #[arg(long, value_name = "N", default_value = "4")]
    pub(super) per_source: NonZeroU32,
    /// Live moves at the same time away from one host; unless told, what max_concurrent_live_migrations in its nova.conf
    /// says, else 1
    #[arg(long, value_name = "N")]
    pub(super) live_per_source: Option<NonZeroU32>,
    /// Moves at the same time to one host
    #[arg(long, value_name = "N", default_value = "4")]
    pub(super) per_destination: NonZeroU32,
    /// Failures after which nothing new is started; 0 for no bound
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) max_failures: u32,
    /// When nothing new is started any more: a time such as 2026-11-25T22:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<Timestamp>,
    /// How old a proof may be when the move is requested
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub(super) max_age: NonZeroU32,
    /// How often Nova is looked at
    #[arg(long, value_name = "SECONDS", default_value = "2", value_parser = seconds)]
    pub(super) interval: u64,
    /// How long a phase of one move may take before it is given up as unknown; `clearway resume` looks at it again
    #[arg(long, value_name = "MINUTES", default_value = "240", value_parser = minutes)]
    pub(super) longest: u64,
    /// Run after each move that Nova was asked for: a program, told by the variables CLEARWAY_* (docs/moves.md)
    #[arg(long, value_name = "PROGRAM", value_hint = ValueHint::ExecutablePath)]
    pub(super) hook: Option<PathBuf>,
    /// How long it may take before it is killed and counts as failed
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    pub(super) hook_timeout: NonZeroU32,
    /// How long the survey of one node, and the proof of one leg, may take
    #[arg(short, long, value_name = "SECONDS", default_value = "30")]
    pub(super) timeout: NonZeroU64,
    /// Output: table, json (one document), jsonl (events as they happen, then the report)
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: MovesFormat,
    #[command(flatten)]
    pub(super) cloud: WhichCloud,
}

/// `clearway moves`: moves that are under way or wait.
#[derive(Debug, Subcommand)]
pub(super) enum UnderWay {
    /// Confirm cold moves and resizes that were left unconfirmed; compare, report
    Confirm(Settle),
    /// Bring back cold moves and resizes that were left unconfirmed; compare, report
    Revert(Settle),
    /// Give up live moves that are under way: the servers stay where they are
    ///
    /// Nova does it while a move is queued, being prepared or running, not once it has switched to post-copy or is
    /// ending. Also from another terminal: the run that made the move sees it.
    Abort(Steer),
    /// Let live moves that are running end now, at the price of a pause of the guest or of post-copy
    ForceComplete(Steer),
}

/// `clearway moves confirm` and `revert`.
#[derive(Debug, Args)]
pub(super) struct Settle {
    /// The servers, by id or name
    #[arg(value_name = "SERVER", required = true)]
    pub(super) servers: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Output: table, json (one document), jsonl (events as they happen, then the report)
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: MovesFormat,
    #[command(flatten)]
    pub(super) cloud: WhichCloud,
}

/// `clearway moves abort` and `force-complete`.
#[derive(Debug, Args)]
pub(super) struct Steer {
    /// The servers, by id or name
    #[arg(value_name = "SERVER", required_unless_present = "run")]
    pub(super) servers: Vec<String>,
    /// All live moves of a run that are under way: its id, the beginning or end of it, or `last`
    #[arg(long, value_name = "RUN", conflicts_with = "servers")]
    pub(super) run: Option<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Output: table, json
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: ListFormat,
    #[command(flatten)]
    pub(super) cloud: WhichCloud,
}

/// `clearway resume`.
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// How long the survey of one node, and the proof of one leg, may take
    #[arg(short, long, value_name = "SECONDS", default_value = "30")]
    pub(super) timeout: NonZeroU64,
    /// Output: table, json (one document), jsonl (events as they happen, then the report)
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: MovesFormat,
    #[command(flatten)]
    pub(super) cloud: WhichCloud,
}

/// `clearway watch`.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// The run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "RUN", default_value = "last")]
    pub(super) run: String,
    /// Output: table (a line for each change), jsonl
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: WatchFormat,
}

/// `clearway diagnose`.
#[derive(Debug, Args)]
pub(super) struct Diagnose {
    /// The server whose last move failed, by id or name
    #[arg(
        value_name = "SERVER",
        required_unless_present = "error",
        conflicts_with = "error"
    )]
    pub(super) server: Option<String>,
    /// A file with the error text; `-` for standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) error: Option<PathBuf>,
    /// Bring a server back that the move has left in ERROR: asks, does it step by step, and reads each one back
    #[arg(long, conflicts_with = "error")]
    pub(super) recover: bool,
    /// Do not ask
    #[arg(short, long, requires = "recover")]
    pub(super) yes: bool,
    /// How long the survey of one node, and the proof of one leg, may take
    #[arg(short, long, value_name = "SECONDS", default_value = "30")]
    pub(super) timeout: NonZeroU64,
    /// Output: table, json
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: ListFormat,
    #[command(flatten)]
    pub(super) cloud: WhichCloud,
}

/// Output formats of a run of moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum MovesFormat {
    Table,
    Json,
    Jsonl,
}

/// Output formats of a run that is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WatchFormat {
    Table,
    Jsonl,
}

/// Seconds with a fraction, as milliseconds.
fn seconds(text: &str) -> Result<u64, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    if (0.1..=600.0).contains(&seconds) {
        Ok(whole(seconds * 1_000.0))
    } else {
        Err("expected 0.1 to 600 seconds")
    }
}

/// Minutes with a fraction, as seconds.
fn minutes(text: &str) -> Result<u64, &'static str> {
    let minutes: f64 = text.parse().map_err(|_| "expected a number of minutes")?;
    if (0.05..=100_000.0).contains(&minutes) {
        Ok(whole(minutes * 60.0))
    } else {
        Err("expected 0.05 to 100000 minutes")
    }
}

/// A number without its fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "its callers have bounded it"
)]
fn whole(number: f64) -> u64 {
    number as u64
}
