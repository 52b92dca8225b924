//! What may be typed.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;

use super::DEFAULT_INVENTORY;
use super::keys_args::{AUTHORITY, AuthorityOptions, Keys};
use super::moves_args::{Diagnose, Drain, Migrate, Resume, Servers, UnderWay, Watch};
use super::paint::ColorChoice;
use crate::domain::{Depth, Lane};

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
    /// Repair what is broken: plan, show, ask, apply, prove, keep or put back
    ///
    /// Finds what is broken as `check` does, plans which files must change on which nodes, and shows it. Once you agree,
    /// each node edits its files, or none of them if one cannot be; then every affected pair is proven again. A node
    /// through which a pair is lost that worked before gets its files back. What clearway leaves alone is listed with
    /// what to do. See docs/repair.md.
    #[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
    Repair(Repair),
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
    /// Confirm, revert, abort or force moves that are under way or wait
    #[command(subcommand, arg_required_else_help = true)]
    Moves(UnderWay),
    /// Go on with moves that were interrupted or killed
    ///
    /// What was being done is looked up in Nova first. Nothing that may have been requested is requested again.
    Resume(Resume),
    /// Follow the moves of another process
    Watch(Watch),
    /// Say what the failure of a move is: from a server, or from a pasted error text
    ///
    /// Of a server it reads what the API says, then nova-compute's log on the nodes of its last move, and climbs the leg
    /// that they speak of.
    Diagnose(Diagnose),
    /// Explain the codes: what each means, on which rung it stops a leg, what to do
    Reasons(Reasons),
    /// List earlier runs, newest first
    ///
    /// A run is `running`, `finished`, `interrupted` (it said so), `failed` (it could not do its work), or `unfinished`:
    /// it has no end and its process is gone, or is on another machine.
    Runs(Runs),
    /// Print the report of an earlier run again, in any format
    ///
    /// Of a run of moves it is what the ledger has of it, also while it goes on and after a kill; JUnit's form is for legs.
    Show(Show),
    /// Set certificates up, renew them, and take nodes out of everybody's trust
    #[command(subcommand, arg_required_else_help = true)]
    Keys(Keys),
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
    #[arg(short, long, value_name = "N", default_value = "64")]
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

/// `clearway repair`.
#[derive(Debug, Args)]
pub(super) struct Repair {
    #[command(subcommand)]
    pub(super) other: Option<RepairOther>,
    /// Only these nodes: ranges, globs, @groups, @cell:names, !exclusions, separated by commas
    #[arg(short, long, value_name = "NODES")]
    pub(super) limit: Option<String>,
    /// Only these lanes: cold-push, cold-pull, live, separated by commas
    #[arg(long, value_name = "LANES", value_delimiter = ',', value_parser = lane)]
    pub(super) lanes: Vec<Lane>,
    /// Only show what would change; with `--format json`, the plan itself
    #[arg(long, conflicts_with = "yes")]
    pub(super) diff: bool,
    /// Apply without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Write the plan to a file, for review; implies `--diff`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["yes", "plan"], value_hint = ValueHint::FilePath)]
    pub(super) out: Option<PathBuf>,
    /// Apply exactly this plan, or nothing if a node has changed since
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    #[arg(conflicts_with_all = ["no_from", "accounts", "strict_host_keys"])]
    pub(super) plan: Option<PathBuf>,
    /// Do not limit authorised keys to the addresses of their nodes
    #[arg(long)]
    pub(super) no_from: bool,
    /// Which pairs to prove before a plan: changed (since their last proof) or all
    ///
    /// To find out whether there is anything to repair, a pair that an earlier run has proven is not proven again while nothing
    /// that the survey reads has changed at either end. Before anything is written, all pairs are proven.
    #[arg(
        short,
        long,
        value_name = "WHICH",
        default_value = "changed",
        conflicts_with = "plan"
    )]
    #[arg(hide_possible_values = true)]
    pub(super) pairs: RepairPairs,
    /// Set accounts right, too: a login shell that runs no commands, a lock
    #[arg(long)]
    pub(super) accounts: bool,
    /// Make clients check host keys where their configuration defeats it, and all keys are in place
    #[arg(long)]
    pub(super) strict_host_keys: bool,
    /// The certificate authority's private key, for nodes whose inventory says `trust: certificates`; with --ca-agent or
    /// --ca-token its public half
    #[arg(long, value_name = "FILE", env = "CLEARWAY_CA", hide_env_values = true)]
    #[arg(value_hint = ValueHint::FilePath, help_heading = AUTHORITY)]
    pub(super) ca: Option<PathBuf>,
    #[command(flatten)]
    pub(super) how: AuthorityOptions,
    /// Nodes that are worked on at the same time
    #[arg(short, long, value_name = "N", default_value = "32")]
    pub(super) concurrency: NonZeroU32,
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
    pub(super) format: RepairFormat,
}

/// Which pairs a repair proves before it plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RepairPairs {
    /// Those that have changed since their last proof.
    Changed,
    /// All in scope.
    All,
}

/// What else there is to do about repairs.
#[derive(Debug, Subcommand)]
pub(super) enum RepairOther {
    /// Put back what a repair did: every byte, mode and owner
    ///
    /// A file that somebody has changed since stays as it is, and the difference is shown.
    Undo(RepairUndo),
    /// Go on with a repair that was killed or interrupted, or lost a node
    ///
    /// What was begun is looked at first, and then finished or put back, as it would have been.
    Resume(RepairResume),
    /// Give up the way back of a repair: remove the old files that lie beside the new ones
    ///
    /// Old private keys of a rotation go with them. The run cannot be undone after that.
    Forget(RepairUndo),
}

/// `clearway repair undo` and `clearway repair forget`.
#[derive(Debug, Args)]
pub(super) struct RepairUndo {
    /// The run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Do it without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Nodes that are worked on at the same time
    #[arg(short, long, value_name = "N", default_value = "32")]
    pub(super) concurrency: NonZeroU32,
    /// Output: table, json (one document), jsonl (events as they happen, then the report)
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "table",
        hide_possible_values = true
    )]
    pub(super) format: RepairFormat,
}

/// `clearway repair resume`.
#[derive(Debug, Args)]
pub(super) struct RepairResume {
    /// The run: its id, the beginning or end of it, or `last`
    #[arg(value_name = "RUN")]
    pub(super) run: String,
    /// Nodes that are worked on at the same time
    #[arg(short, long, value_name = "N", default_value = "32")]
    pub(super) concurrency: NonZeroU32,
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
    pub(super) format: RepairFormat,
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
        /// The same, as other commands take it
        #[arg(short, long, value_name = "NODES", conflicts_with = "nodes")]
        limit: Option<String>,
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

/// Output formats of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum RepairFormat {
    Table,
    Json,
    Jsonl,
}

impl RepairFormat {
    /// The format of the report.
    pub(super) fn of_report(self) -> Format {
        match self {
            Self::Table => Format::Table,
            Self::Json => Format::Json,
            Self::Jsonl => Format::Jsonl,
        }
    }

    /// The format in which a repair tells what happens, where its report is to be in another one.
    pub(super) fn before(report: Format) -> Self {
        match report {
            Format::Table => Self::Table,
            Format::Json | Format::Junit => Self::Json,
            Format::Jsonl => Self::Jsonl,
        }
    }
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
