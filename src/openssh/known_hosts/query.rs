//! What is asked of `known_hosts`: a name as dialled, and the circumstances.

use crate::openssh::parse_address;
use crate::openssh::release::Release;

/// The name under which `ssh` looks a host's key up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName {
    /// Name or address behind `HostName` substitution (`ssh -G` prints it as `hostname`), in lower case.
    host: String,
    port: u16,
    alias: Option<String>,
}

impl HostName {
    /// A host dialled on a port. Letters are folded to lower case, and an address is written in its usual form, as `ssh` does
    /// (ssh.c `resolve_canonicalize`).
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        let address = parse_address(host);
        Self {
            host: address.map_or_else(|| host.to_ascii_lowercase(), |it| it.to_string()),
            port,
            alias: None,
        }
    }

    /// The same with a `HostKeyAlias`, which replaces name and port.
    #[must_use]
    pub fn with_alias(mut self, alias: Option<&str>) -> Self {
        self.alias = alias.map(str::to_ascii_lowercase);
        self
    }

    /// The name looked up first: the alias, `host` on port 22, else `[host]:port`.
    #[must_use]
    pub fn first(&self) -> String {
        match &self.alias {
            Some(alias) => alias.clone(),
            None => put_host_port(&self.host, self.port),
        }
    }

    /// The name looked up when nothing at all is known under the first: `host` without its port.
    #[must_use]
    pub fn without_port(&self) -> Option<&str> {
        (self.alias.is_none() && self.port != 22 && self.port != 0).then_some(&*self.host)
    }

    /// All names under which a line can concern this host; what a [`super::Candidate`] must list.
    pub fn names(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.first()).chain(self.without_port().map(str::to_owned))
    }

    /// The name that a host certificate must have among its principals.
    #[must_use]
    pub fn principal(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.host)
    }

    /// The port dialled.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// `put_host_port` of OpenSSH's `misc.c`.
pub(super) fn put_host_port(host: &str, port: u16) -> String {
    if port == 22 || port == 0 {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    }
}

/// What else decides about a host key.
#[derive(Clone, Copy, Debug)]
pub struct HostKeyContext<'a> {
    /// The client's clock (epoch seconds), for certificates.
    pub now: u64,
    /// The client's release.
    pub release: Release,
    /// The client's `CASignatureAlgorithms`, if known.
    pub ca_signature_algorithms: Option<&'a str>,
    /// The client's `HostKeyAlgorithms`, if known.
    pub host_key_algorithms: Option<&'a str>,
    /// The address dialled, where `CheckHostIP yes` makes `ssh` look it up too. OpenSSH does not when the host was named by
    /// its address, is on this machine, or is reached through a proxy: leave it out then.
    pub check_address: Option<&'a str>,
}

impl HostKeyContext<'_> {
    /// The usual case: no `CheckHostIP`, the newest release, nothing else known.
    #[must_use]
    pub fn at(now: u64) -> Self {
        Self {
            now,
            release: Release::NEWEST,
            ca_signature_algorithms: None,
            host_key_algorithms: None,
            check_address: None,
        }
    }
}
