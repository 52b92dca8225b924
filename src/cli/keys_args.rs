//! What may be typed behind `clearway keys`.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueHint};
use ipnet::IpNet;

use super::args::{Proving, RepairFormat};

pub(super) const AUTHORITY: &str = "Certificate authority";

/// `clearway keys`.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Set certificates up: host and user certificates, and the lines that trust their authority
    ///
    /// Nothing that admits a plain key is taken away: migrations work before, meanwhile and afterwards. Each sshd is
    /// told only after `sshd -t`, and goes back by itself unless a new login comes within 30 seconds.
    Certify(Certify),
    /// Make certificates again that end soon, and nothing else
    Renew(Renew),
    /// Remove the plain keys that certificates stand for, once these are proven
    Retire(Retire),
    /// Take a node out of every other node's trust: certificates, keys and host keys
    Revoke(Revoke),
    /// Give nodes new keys, with no moment in which a migration would fail
    ///
    /// New keys are made on the nodes, beside the old ones, and let in everywhere. Only those that are proven by themselves
    /// take the names of the old ones, and only then do the old ones go out of every file. Told again, it goes on where it
    /// was left.
    Rotate(Rotate),
}

/// `clearway keys certify`.
#[derive(Debug, Args)]
pub(super) struct Certify {
    #[command(flatten)]
    pub(super) signing: Signing,
    /// Networks that logins with certificates may come from, separated by commas [default: any]
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub(super) from: Vec<IpNet>,
    /// Certify nodes also for addresses of their interfaces that the inventory does not have
    #[arg(long)]
    pub(super) reported_addresses: bool,
    /// Replace certificates of other authorities: the first half of a change of authority
    #[arg(long)]
    pub(super) replace_others: bool,
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// `clearway keys renew`.
#[derive(Debug, Args)]
pub(super) struct Renew {
    #[command(flatten)]
    pub(super) signing: Signing,
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// `clearway keys retire`.
#[derive(Debug, Args)]
pub(super) struct Retire {
    #[command(flatten)]
    pub(super) authority: Authority,
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// `clearway keys revoke`.
#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// The node: its inventory name. It need not answer
    #[arg(value_name = "NODE")]
    pub(super) node: String,
    /// The certificate authority's private key; with --ca-agent or --ca-token its public half. Not for nodes that know each
    /// other by keys
    #[arg(long, value_name = "FILE", env = "CLEARWAY_CA", hide_env_values = true)]
    #[arg(value_hint = ValueHint::FilePath, help_heading = AUTHORITY)]
    pub(super) ca: Option<PathBuf>,
    #[command(flatten)]
    pub(super) how: AuthorityOptions,
    /// A key of the node's that nobody can ask it for: its public half in a file, or a fingerprint (SHA256:…)
    #[arg(long = "key", value_name = "FILE|FINGERPRINT", conflicts_with = "ca")]
    pub(super) keys: Vec<String>,
    #[command(flatten)]
    pub(super) changing: Changing,
}

/// `clearway keys rotate`.
#[derive(Debug, Args)]
pub(super) struct Rotate {
    /// Whose keys: ranges, globs, @groups, @cell:names, !exclusions, separated by commas; all nodes let the new ones in
    #[arg(short, long, value_name = "NODES")]
    pub(super) limit: Option<String>,
    /// Nodes that are not waited for: what they do not learn of new keys, `clearway repair` tells them later
    #[arg(long, value_name = "NODES")]
    pub(super) without: Option<String>,
    /// Only show what the first step would change
    #[arg(long, conflicts_with = "yes")]
    pub(super) diff: bool,
    /// Change without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Do not limit authorised keys to the addresses of their nodes
    #[arg(long)]
    pub(super) no_from: bool,
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

/// How certificates are made.
#[derive(Debug, Args)]
pub(super) struct Signing {
    #[command(flatten)]
    pub(super) authority: Authority,
    /// How long a new certificate is valid
    #[arg(long, value_name = "DAYS", default_value = "180")]
    pub(super) lifetime: NonZeroU32,
    /// Make a certificate again when it has fewer days than this
    #[arg(long, value_name = "DAYS", default_value = "30")]
    pub(super) before: u32,
    /// Do not tie user certificates to the addresses of their node
    #[arg(long)]
    pub(super) no_source_address: bool,
}

/// Where the authority's keys are.
#[derive(Debug, Args)]
pub(super) struct Authority {
    /// The authority's private key; with --ca-agent or --ca-token its public half
    #[arg(long, value_name = "FILE", env = "CLEARWAY_CA", hide_env_values = true)]
    #[arg(value_hint = ValueHint::FilePath, help_heading = AUTHORITY)]
    pub(super) ca: PathBuf,
    #[command(flatten)]
    pub(super) how: AuthorityOptions,
}

/// What else there is to say of an authority.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("how").args(["ca_agent", "ca_token"])))]
pub(super) struct AuthorityOptions {
    /// Another authority for hosts; --ca is then the one for users
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = AUTHORITY)]
    pub(super) host_ca: Option<PathBuf>,
    /// The private key is in the ssh-agent
    #[arg(long, help_heading = AUTHORITY)]
    pub(super) ca_agent: bool,
    /// The private key is on a token behind this PKCS#11 library
    #[arg(long, value_name = "LIBRARY", value_hint = ValueHint::FilePath, help_heading = AUTHORITY)]
    pub(super) ca_token: Option<PathBuf>,
    /// The list of everything revoked; keep it with the inventory [default: clearway-revoked beside it]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = AUTHORITY)]
    pub(super) revocations: Option<PathBuf>,
}

impl AuthorityOptions {
    /// Whether anything was typed that means nothing without an authority.
    pub(super) fn is_stated(&self) -> bool {
        self.host_ca.is_some() || self.ca_agent || self.ca_token.is_some()
    }
}

/// What changes nodes.
#[derive(Debug, Args)]
pub(super) struct Changing {
    /// Only these nodes: ranges, globs, @groups, @cell:names, !exclusions, separated by commas
    #[arg(short, long, value_name = "NODES")]
    pub(super) limit: Option<String>,
    /// Change without asking
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Only show what would change
    #[arg(long, visible_alias = "diff", conflicts_with = "yes")]
    pub(super) dry_run: bool,
    /// How long a node waits for a new login before it takes a change of its sshd back by itself
    #[arg(long, value_name = "SECONDS", default_value = "30")]
    pub(super) revert_after: NonZeroU32,
    /// Nodes that are changed at the same time
    #[arg(short, long, value_name = "N", default_value = "16")]
    pub(super) concurrency: NonZeroU32,
    #[command(flatten)]
    pub(super) proving: Proving,
}
