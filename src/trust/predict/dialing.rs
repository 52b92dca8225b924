//! What counts of a client's configuration for one name.

use crate::openssh::known_hosts::{HostName, KeyTypeOrder, StrictHostKeyChecking};

/// What counts until the host key is accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct PathConfig {
    /// `Port`.
    pub(super) port: u16,
    /// `HostKeyAlias`.
    pub(super) alias: Option<String>,
    /// `ProxyJump` or `ProxyCommand`, as configured.
    pub(super) proxy: Option<String>,
    /// What in the files cannot be decided from them.
    pub(super) undecided: Option<String>,
    /// `CanonicalizeHostname` is on: the name looked up may be another one.
    pub(super) canonicalizes: bool,
    /// `AddressFamily`.
    pub(super) family: Family,
    /// `StrictHostKeyChecking`.
    pub(super) strict: StrictHostKeyChecking,
    /// `CheckHostIP`.
    pub(super) check_address: bool,
    /// `UserKnownHostsFile`, then `GlobalKnownHostsFile`, expanded.
    pub(super) known_hosts: Vec<String>,
    /// How many of `known_hosts` are of `UserKnownHostsFile`.
    pub(super) user_files: usize,
    /// Whether there is a user file to record new keys in.
    pub(super) can_record: bool,
    /// `RevokedHostKeys`.
    pub(super) revoked: Option<String>,
    /// `KnownHostsCommand` is set.
    pub(super) asks_command: bool,
    /// `HostKeyAlgorithms`, expanded.
    pub(super) host_key_algorithms: String,
    /// Whether known key types come first.
    pub(super) order: KeyTypeOrder,
    /// `CASignatureAlgorithms`.
    pub(super) ca_algorithms: Option<String>,
    /// `KexAlgorithms`, `Ciphers`, `MACs`.
    pub(super) transport: Transport,
}

impl PathConfig {
    /// The name under which a host is looked up in known_hosts.
    pub(super) fn host_name(&self, host: &str) -> HostName {
        HostName::new(host, self.port).with_alias(self.alias.as_deref())
    }
}

/// `AddressFamily`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Family {
    Any,
    Inet,
    Inet6,
}

/// The algorithms of the encrypted transport, each a list by preference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Transport {
    pub(super) kex: String,
    pub(super) ciphers: String,
    pub(super) macs: String,
}

impl Transport {
    /// The first list in which client and server have nothing in common (RFC 4253 section 7.1: the client's first
    /// that the server has). A list that is not known agrees with everything.
    pub(super) fn mismatch(client: &Self, server: &Self) -> Option<&'static str> {
        let common = |client: &str, server: &str| {
            if client.is_empty() || server.is_empty() {
                return Some(String::new());
            }
            client
                .split(',')
                .find(|one| server.split(',').any(|other| other == *one))
                .map(str::to_owned)
        };
        if common(&client.kex, &server.kex).is_none() {
            return Some("KexAlgorithms");
        }
        match common(&client.ciphers, &server.ciphers) {
            None => Some("Ciphers"),
            // These authenticate by themselves, and no MAC is agreed on (PROTOCOL of OpenSSH, 1.6 and
            // PROTOCOL.chacha20poly1305).
            Some(cipher) if cipher.contains("-gcm@") || cipher.contains("-poly1305@") => None,
            Some(_) => common(&client.macs, &server.macs)
                .is_none()
                .then_some("MACs"),
        }
    }
}

/// What counts from the login on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LoginConfig {
    /// The name to log in as.
    pub(super) user: String,
    /// The line of the configuration that keeps ssh from offering keys: `PubkeyAuthentication`, or `PreferredAuthentications`
    /// without `publickey`.
    pub(super) no_publickey: Option<String>,
    /// The key files that are tried, in order, expanded: the one that the command line names, then `IdentityFile`s.
    pub(super) identities: Vec<String>,
    /// Those that are tried instead where the one that the command line names is not there; `None` where it names none.
    pub(super) without_given: Option<Vec<String>>,
    /// `CertificateFile`s in order, expanded.
    pub(super) certificates: Vec<String>,
    /// `PubkeyAcceptedAlgorithms`, expanded.
    pub(super) algorithms: Option<String>,
    /// `RequiredRSASize`.
    pub(super) rsa_bits: u32,
    /// Another source of keys that the survey does not see: an agent's socket, a PKCS#11 library.
    pub(super) elsewhere: Option<String>,
    /// `BindAddress` or `BindInterface`.
    pub(super) bind: Option<String>,
}

impl LoginConfig {
    /// The key file that the command line names, `-i`.
    pub(super) fn given(&self) -> Option<&str> {
        let given = self.identities.first();
        given
            .filter(|_| self.without_given.is_some())
            .map(String::as_str)
    }

    /// The key files that are tried. ssh warns of a `-i` that it cannot look at, and goes on as if it were not there (`main` of
    /// ssh.c).
    pub(super) fn files(&self, is_given_missing: bool) -> &[String] {
        match &self.without_given {
            Some(others) if is_given_missing => others,
            _ => &self.identities,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_is_needed_only_where_the_cipher_does_not_authenticate() {
        let side = |kex: &str, ciphers: &str, macs: &str| Transport {
            kex: kex.into(),
            ciphers: ciphers.into(),
            macs: macs.into(),
        };
        let client = side("a,b", "chacha20-poly1305@openssh.com,aes128-ctr", "m1");
        for (server, expected) in [
            (
                side("b", "chacha20-poly1305@openssh.com,aes128-ctr", "m2"),
                None,
            ),
            (side("b", "aes128-ctr", "m2"), Some("MACs")),
            (side("b", "aes128-ctr", "m2,m1"), None),
            (side("c", "aes128-ctr", "m1"), Some("KexAlgorithms")),
            (side("a", "3des-cbc", "m1"), Some("Ciphers")),
            (side("", "", ""), None),
        ] {
            assert_eq!(Transport::mismatch(&client, &server), expected);
        }
    }
}
