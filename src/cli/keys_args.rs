//! What may be typed behind `clearway keys`.

use std::num::NonZeroU32;
use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueHint};
use ipnet::IpNet;

use super::args::Proving;

const AUTHORITY: &str = "Certificate authority";

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
    #[command(flatten)]
    pub(super) authority: Authority,
    #[command(flatten)]
    pub(super) changing: Changing,
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
#[command(group(ArgGroup::new("how").args(["ca_agent", "ca_token"])))]
pub(super) struct Authority {
    /// The authority's private key; with --ca-agent or --ca-token its public half
    #[arg(long, value_name = "FILE", env = "CLEARWAY_CA", hide_env_values = true)]
    #[arg(value_hint = ValueHint::FilePath, help_heading = AUTHORITY)]
    pub(super) ca: PathBuf,
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
    #[arg(long, conflicts_with = "yes")]
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
