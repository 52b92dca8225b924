//! What may be typed.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use jiff::Timestamp;

use super::DEFAULT_INVENTORY;
use super::paint::ColorChoice;
use crate::domain::{Depth, HostName, Lane};

const GLOBAL: &str = "Global options";
const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Yellow.on_default().bold())
    .usage(AnsiColor::Yellow.on_default().bold())
    .literal(AnsiColor::Cyan.on_default())
    .placeholder(AnsiColor::Cyan.on_default());

/// Prove that every ordered pair of OpenStack compute nodes can do what Nova will ask of them over SSH
///
/// To move a server, Nova makes one compute node log in to another: as the right user, at the right address, with a
/// host key already known, and then copy files. Clearway does the same beforehand, with the nodes' own ssh and scp,
/// and says for each pair that cannot: at which step it breaks, why, how it knows, and what to type.
#[derive(Debug, Parser)]
#[command(name = "clearway", version, styles = STYLES, max_term_width = 100)]
#[command(
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: Global,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command understands.
#[derive(Debug, Args)]
pub(super) struct Global {
    /// Inventory: a YAML file, or a directory of them
    #[arg(
        short,
        long,
        global = true,
        value_name = "PATH",
        env = "CLEARWAY_INVENTORY",
        hide_env_values = true
    )]
    #[arg(default_value = DEFAULT_INVENTORY, value_hint = ValueHint::AnyPath, help_heading = GLOBAL)]
    pub(super) inventory: PathBuf,
    /// Where runs are kept [default: $XDG_STATE_HOME/clearway/ledger.sqlite, else ~/.local/state/…]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "CLEARWAY_LEDGER",
        hide_env_values = true
    )]
    #[arg(value_hint = ValueHint::FilePath, help_heading = GLOBAL)]
    pub(super) ledger: Option<PathBuf>,
    /// When to use colours; `auto` honours NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = GLOBAL)]
    #[arg(hide_possible_values = true, value_enum)]
    pub(super) color: ColorChoice,
    /// Show no progress
    #[arg(short, long, global = true, help_heading = GLOBAL)]
    pub(super) quiet: bool,
    /// Show everything: all groups, all evidence, each leg as it is proven
    #[arg(short, long, global = true, conflicts_with = "quiet", help_heading = GLOBAL)]
    pub(super) verbose: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Prove every ordered pair in scope, and say what is broken, why, and what to do
    ///
    /// Surveys every node over one connection, predicts every leg from the files found, then lets each node climb each
    /// of its legs with its own ssh and scp, in Nova's context and words. What is written on a far end carries a unique
    /// name in Nova's instances_path and is removed again.
    Check(Check),
    /// Prove one pair and show it rung by rung: what was dialled, what answered, why, what to type
    Trace(Trace),
    /// List the servers that could move: whether they can, what stands in the way, which destinations are open now
    ///
    /// Nothing is proven by this: destinations are open when `check` has proven their legs within --max-age.
    Servers(Servers),
    /// Move servers, each one across a pair that has just been proven; confirm, compare, report
    ///
    /// The legs that a move needs are proven right before it is requested, and Nova is always told where to go. A move is
    /// tracked to its end, confirmed, and its server compared with what it was. Whatever happens is in the journal:
    /// `clearway resume` goes on with it.
    Migrate(Migrate),
    /// Empty hosts: their services are taken out of scheduling meanwhile, and put back as they were
    Drain(Drain),
    /// Go on with moves that were interrupted or killed
    ///
    /// What was being done is looked up in Nova first. Nothing that may have been requested is requested again.
    Resume(Resume),
    /// Follow the moves of another process
    Watch(Watch),
    /// Say what the failure of a move is: from a server, or from a pasted error text
    Diagnose(Diagnose),
    /// Explain the codes: what each means, on which rung it stops a leg, what to do
    Reasons(Reasons),
    /// List earlier runs, newest first
    ///
    /// A run is `running`, `finished`, `interrupted` (it said so), `failed` (it could not do its work), or `unfinished`:
    /// it has no end and its process is gone, or is on another machine.
    Runs(Runs),
    /// Print the report of an earlier run again, in any format
    Show(Show),
    /// Look at the inventory as it is understood
    #[command(subcommand, arg_required_else_help = true)]
    Inventory(Inventory),
    /// Print the completions of a shell
    Completions(Completions),
    /// Write the man pages into a directory
    Man(Man),
}

/// `clearway check`.
#[derive(Debug, Args)]
pub(super) struct Check {
    /// Only these nodes: ranges, globs, @groups, @cell:names, !exclusions, separated by commas
    #[arg(short, long, value_name = "NODES")]
    pub(super) limit: Option<String>,
    /// Which pairs to prove: all, ring (each to the next), sample=N (each to N others), changed (since their last proof)
    ///
    /// Whatever is not proven is still predicted, and reported as predicted only.
    #[arg(short, long, value_name = "WHICH", default_value = "all")]
    pub(super) pairs: Pairs,
    #[command(flatten)]
    pub(super) proving: Proving,
    /// Survey and predict only: no node logs in to another
    #[arg(long, conflicts_with_all = ["pairs", "depth"])]
    pub(super) predict_only: bool,
    /// Nodes that are surveyed at the same time
    #[arg(short, long, value_name = "N", default_value = "32")]
    pub(super) concurrency: NonZeroU32,
    /// Exit with 1 also when there are findings that are warnings
    #[arg(long)]
    pub(super) fail_on_findings: bool,
}

/// `clearway trace`.
#[derive(Debug, Args)]
pub(super) struct Trace {
    /// Where the server is: a node of the inventory
    #[arg(value_name = "SOURCE")]
    pub(super) source: String,
    /// Where it would go: a node of the inventory
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: String,
    #[command(flatten)]
    pub(super) proving: Proving,
}

/// What check and trace have in common.
#[derive(Debug, Args)]
pub(super) struct Proving {
    /// How far to climb: connect (name, TCP, banner), login (one command), copy (everything)
    #[arg(short, long, value_name = "RUNG", default_value = "copy", value_parser = depth)]
    pub(super) depth: Depth,
    /// Write nothing on the far ends: rungs that need it stay predicted
    #[arg(long)]
    pub(super) no_write: bool,
    /// Only these lanes: cold-push, cold-pull, live, separated by commas
    #[arg(long, value_name = "LANES", value_delimiter = ',', value_parser = lane)]
    pub(super) lanes: Vec<Lane>,
    /// How long the survey of one node, and the proof of one leg, may take
    #[arg(short, long, value_name = "SECONDS", default_value = "30")]
    pub(super) timeout: NonZeroU64,
    /// Output: table, json (one document), jsonl (events as they happen, then the report), junit
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: Format,
    /// Record nothing: the run is in no ledger, and `--pairs changed` does not know of it
    #[arg(long)]
    pub(super) no_ledger: bool,
    /// Show host keys of nodes that your known_hosts does not have, and ask whether to add them; needs a terminal
    #[arg(long)]
    pub(super) accept_new_host_keys: bool,
}

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
    /// Let one move through although its legs are not proven; asks, and stands in the ledger
    #[arg(long, value_name = "REASON")]
    pub(super) override_gate: Option<String>,
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
    /// Leave cold moves to be confirmed or reverted by somebody else
    #[arg(long)]
    pub(super) leave_unconfirmed: bool,
    /// Moves at the same time
    #[arg(long, value_name = "N", default_value = "8")]
    pub(super) max_moves: NonZeroU32,
    /// Moves at the same time away from one host
    #[arg(long, value_name = "N", default_value = "4")]
    pub(super) per_source: NonZeroU32,
    /// Live moves at the same time away from one host (Nova's max_concurrent_live_migrations)
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) live_per_source: NonZeroU32,
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
    /// How long one move may take before it is given up as unknown
    #[arg(long, value_name = "MINUTES", default_value = "240")]
    pub(super) longest: NonZeroU32,
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
        // In the range of a u64 by the bounds above.
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded above"
        )]
        Ok((seconds * 1_000.0) as u64)
    } else {
        Err("expected 0.1 to 600 seconds")
    }
}

/// `clearway reasons`.
#[derive(Debug, Args)]
pub(super) struct Reasons {
    /// One code, for example host-key-changed; all of them otherwise
    #[arg(value_name = "CODE")]
    pub(super) code: Option<String>,
    /// Output: table, json, markdown
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: ReasonsFormat,
}

/// `clearway runs`.
#[derive(Debug, Args)]
pub(super) struct Runs {
    /// How many to list
    #[arg(short = 'n', long, value_name = "N", default_value = "20")]
    pub(super) number: NonZeroU32,
    /// Output: table, json
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: ListFormat,
    /// Forget all runs but the latest N first, and give their space back
    ///
    /// Runs that go on are kept, and so is what `check --pairs changed` knows of proven legs.
    #[arg(long, value_name = "N")]
    pub(super) prune: Option<u32>,
}

/// `clearway show`.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Output: table, json, jsonl, junit
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: Format,
}

/// `clearway inventory`.
#[derive(Debug, Subcommand)]
pub(super) enum Inventory {
    /// Show each node with everything applied, and where each property comes from
    Show {
        /// Only these nodes: ranges, globs, @groups, @cell:names, !exclusions, separated by commas
        #[arg(value_name = "NODES")]
        nodes: Option<String>,
        /// Output: table, json
        #[arg(
            short,
            long,
            value_name = "FORMAT",
            default_value = "table",
            hide_possible_values = true
        )]
        format: ListFormat,
    },
    /// Say whether the inventory is right, or everything that is wrong with it
    Validate {
        /// Output: table, json
        #[arg(
            short,
            long,
            value_name = "FORMAT",
            default_value = "table",
            hide_possible_values = true
        )]
        format: ListFormat,
    },
}

/// `clearway completions`.
#[derive(Debug, Args)]
pub(super) struct Completions {
    /// bash, elvish, fish, powershell or zsh
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(super) shell: Shell,
}

/// `clearway man`.
#[derive(Debug, Args)]
pub(super) struct Man {
    /// An existing directory
    #[arg(value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub(super) directory: PathBuf,
}

/// Output formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
    Jsonl,
    Junit,
}

/// Output formats of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    Table,
    Json,
}

/// Output formats of the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReasonsFormat {
    Table,
    Json,
    Markdown,
}

/// `--pairs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairs {
    All,
    Ring,
    Sample(NonZeroU32),
    Changed,
}

impl FromStr for Pairs {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "ring" => Ok(Self::Ring),
            "changed" => Ok(Self::Changed),
            _ => text
                .strip_prefix("sample=")
                .and_then(|number| number.parse().ok())
                .map(Self::Sample)
                .ok_or("expected all, ring, sample=N (N from 1) or changed"),
        }
    }
}

fn depth(text: &str) -> Result<Depth, &'static str> {
    match text {
        "connect" => Ok(Depth::Connect),
        "login" => Ok(Depth::Login),
        "copy" => Ok(Depth::Copy),
        _ => Err("expected connect, login or copy"),
    }
}

fn lane(text: &str) -> Result<Lane, &'static str> {
    Lane::ALL
        .into_iter()
        .find(|lane| lane.as_str() == text)
        .ok_or("expected cold-push, cold-pull or live")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn pairs_are_read_strictly() {
        for (text, pairs) in [
            ("all", Ok(Pairs::All)),
            ("ring", Ok(Pairs::Ring)),
            ("changed", Ok(Pairs::Changed)),
            ("sample=3", Ok(Pairs::Sample(NonZeroU32::new(3).unwrap()))),
        ] {
            assert_eq!(text.parse(), pairs);
        }
        for wrong in [
            "",
            "ALL",
            "sample",
            "sample=",
            "sample=0",
            "sample=-1",
            "sample=x",
        ] {
            assert!(wrong.parse::<Pairs>().is_err(), "{wrong}");
        }
    }
}
