//! What the operator decides about certificates.

use ipnet::IpNet;

use crate::openssh::key::PublicKey;

use super::revocation_list::RevocationList;

/// Seconds of a day.
const DAY: u64 = 86_400;

/// The keys that sign. One key may do both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    /// Signs host certificates; clients trust it for the fleet's names.
    pub hosts: PublicKey,
    /// Signs user certificates; servers trust it for the migration accounts.
    pub users: PublicKey,
}

/// What is decided before anything is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The keys that sign.
    pub authorities: Authorities,
    /// Whether a certificate of another authority beside a key of the fleet is replaced, as when the authority's key
    /// changes. Without, it is left as it is, and told.
    pub replace_others: bool,
    /// Whether only certificates that are there are made again, and no line or directive is added anywhere.
    pub renew_only: bool,
    /// How long a new certificate is valid, in seconds.
    pub lifetime: u64,
    /// How long before now it begins, in seconds: for nodes whose clock is behind.
    pub backdate: u64,
    /// How long before its end a certificate is made again, in seconds.
    pub renew_before: u64,
    /// Whether user certificates are only good for logins from the node's own addresses (`source-address`).
    pub source_address: bool,
    /// Networks that the authority's line admits logins from (`from=`); empty for any. Networks and not addresses: a
    /// list of all nodes would have to be changed on every node whenever one is added.
    pub networks: Vec<IpNet>,
    /// Whether nodes are certified for addresses that the inventory does not know, where they are on the node's own
    /// interfaces and no other node's ([`super::owned_names`]). A hostile node then chooses an address.
    pub reported_addresses: bool,
    /// What was revoked: nothing is signed for such a key, and such a key id is never given again.
    pub revoked: RevocationList,
    /// The controller's clock, seconds since the epoch.
    pub now: u64,
}

impl Policy {
    /// Half a year, renewed in the last thirty days, an hour of tolerance for clocks.
    #[must_use]
    pub fn new(authorities: Authorities, now: u64) -> Self {
        Self {
            authorities,
            replace_others: false,
            renew_only: false,
            lifetime: 180 * DAY,
            backdate: 3_600,
            renew_before: 30 * DAY,
            source_address: true,
            networks: Vec::new(),
            reported_addresses: false,
            revoked: RevocationList::default(),
            now,
        }
    }
}
