//! The effective configuration for one name, as `ssh -G` prints it (`dump_client_config` of `readconf.c`).

use std::collections::BTreeMap;

use crate::openssh::config::Difference;
use crate::openssh::dump::{Dump, DumpError};
use crate::openssh::known_hosts::{HostName, StrictHostKeyChecking};

/// `ControlMaster`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ControlMaster {
    /// `false`
    No,
    /// `true`
    Yes,
    /// `ask`
    Ask,
    /// `auto`
    Auto,
    /// `autoask`
    AutoAsk,
}

/// `UpdateHostKeys`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpdateHostKeys {
    /// `false`
    No,
    /// `true`
    Yes,
    /// `ask`
    Ask,
}

/// What `ssh` would do. Paths of identities and certificates are as configured (see [`super::Tokens`]), those of `known_hosts` files
/// and of the revoked keys are expanded already, except global ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// The name on the command line (`host`); releases before 9.0 do not print it.
    pub host: Option<String>,
    /// The name or address connected to, behind `HostName`.
    pub hostname: String,
    /// The port.
    pub port: u16,
    /// The account at the server.
    pub user: String,
    /// `IdentityFile`, or the defaults whether they exist or not.
    pub identity_files: Vec<String>,
    /// `CertificateFile`
    pub certificate_files: Vec<String>,
    /// `IdentitiesOnly`
    pub identities_only: bool,
    /// `IdentityAgent`
    pub identity_agent: Option<String>,
    /// `UserKnownHostsFile`; empty for `none`.
    pub user_known_hosts: Vec<String>,
    /// `GlobalKnownHostsFile`; empty for `none`.
    pub global_known_hosts: Vec<String>,
    /// `KnownHostsCommand`
    pub known_hosts_command: Option<String>,
    /// `RevokedHostKeys`
    pub revoked_host_keys: Vec<String>,
    /// `StrictHostKeyChecking`
    pub strict_host_key_checking: StrictHostKeyChecking,
    /// `HostKeyAlias`
    pub host_key_alias: Option<String>,
    /// `CheckHostIP`
    pub check_host_ip: bool,
    /// `VerifyHostKeyDNS` is not off.
    pub verify_host_key_dns: bool,
    /// `NoHostAuthenticationForLocalhost`
    pub no_host_authentication_for_localhost: bool,
    /// `UpdateHostKeys`
    pub update_host_keys: UpdateHostKeys,
    /// `HashKnownHosts`
    pub hash_known_hosts: bool,
    /// `CanonicalizeHostname` is not off.
    pub canonicalize_hostname: bool,
    /// `ProxyJump`
    pub proxy_jump: Option<String>,
    /// `ProxyCommand`
    pub proxy_command: Option<String>,
    /// `ControlMaster`
    pub control_master: ControlMaster,
    /// `ControlPath`
    pub control_path: Option<String>,
    /// `BatchMode`
    pub batch_mode: bool,
    /// `PubkeyAuthentication` is not off.
    pub pubkey_authentication: bool,
    /// `ConnectTimeout` in seconds; `None` leaves it to the system.
    pub connect_timeout: Option<u32>,
    /// `RequiredRSASize` in bits; 1,024 for releases before 9.1, which do not print it.
    pub required_rsa_size: u32,
    /// `LogLevel`
    pub log_level: String,
    /// `HostKeyAlgorithms`, comma-separated, all options of the list expanded.
    pub host_key_algorithms: String,
    /// `KexAlgorithms`
    pub kex_algorithms: String,
    /// `Ciphers`
    pub ciphers: String,
    /// `MACs`
    pub macs: String,
    /// `PubkeyAcceptedAlgorithms`, before 8.5 `PubkeyAcceptedKeyTypes`.
    pub pubkey_accepted_algorithms: String,
    /// `CASignatureAlgorithms`
    pub ca_signature_algorithms: Option<String>,
    /// Everything else, by keyword in lower case.
    pub other: BTreeMap<String, Vec<String>>,
}

impl ClientSettings {
    /// Reads the output of `ssh -G`. Keywords that are not known are kept in [`Self::other`].
    ///
    /// # Errors
    /// It is not what any `ssh -G` prints.
    pub fn parse(output: &[u8]) -> Result<Self, DumpError> {
        Self::read(Dump::parse(output)?)
    }

    /// The settings for another name: what `ssh -G` printed for one, changed as the files say.
    ///
    /// # Errors
    /// See [`Self::parse`]; also where a keyword falls back to OpenSSH's default, which `ssh -G` did not print.
    pub fn parse_changed(output: &[u8], difference: &Difference) -> Result<Self, DumpError> {
        let mut dump = Dump::parse(output)?;
        dump.change(difference);
        Self::read(dump)
    }

    fn read(mut dump: Dump) -> Result<Self, DumpError> {
        let required = |value: Option<String>, keyword| value.ok_or(DumpError::Missing { keyword });
        let pubkey_accepted = match dump.optional("pubkeyacceptedalgorithms")? {
            Some(list) => Some(list),
            None => dump.optional("pubkeyacceptedkeytypes")?,
        };
        Ok(Self {
            host: dump.one("host")?,
            hostname: dump.required("hostname")?,
            port: dump
                .number("port")?
                .ok_or(DumpError::Missing { keyword: "port" })?,
            user: dump.required("user")?,
            identity_files: dump.all("identityfile"),
            certificate_files: dump.all("certificatefile"),
            identities_only: dump.flag("identitiesonly")?.unwrap_or(false),
            identity_agent: dump.one("identityagent")?,
            user_known_hosts: dump.words("userknownhostsfile")?,
            global_known_hosts: dump.words("globalknownhostsfile")?,
            known_hosts_command: dump.optional("knownhostscommand")?,
            revoked_host_keys: dump.words("revokedhostkeys")?,
            strict_host_key_checking: dump
                .read("stricthostkeychecking", |value| match value {
                    "true" | "yes" => Some(StrictHostKeyChecking::Yes),
                    "ask" => Some(StrictHostKeyChecking::Ask),
                    "accept-new" => Some(StrictHostKeyChecking::AcceptNew),
                    "false" | "no" | "off" => Some(StrictHostKeyChecking::No),
                    _ => None,
                })?
                .ok_or(DumpError::Missing {
                    keyword: "stricthostkeychecking",
                })?,
            host_key_alias: dump.one("hostkeyalias")?,
            check_host_ip: dump.flag("checkhostip")?.unwrap_or(false),
            verify_host_key_dns: dump.read("verifyhostkeydns", is_on)?.unwrap_or(false),
            no_host_authentication_for_localhost: dump
                .flag("nohostauthenticationforlocalhost")?
                .unwrap_or(false),
            update_host_keys: dump
                .read("updatehostkeys", |value| match value {
                    "true" | "yes" => Some(UpdateHostKeys::Yes),
                    "false" | "no" => Some(UpdateHostKeys::No),
                    "ask" => Some(UpdateHostKeys::Ask),
                    _ => None,
                })?
                .unwrap_or(UpdateHostKeys::No),
            hash_known_hosts: dump.flag("hashknownhosts")?.unwrap_or(false),
            canonicalize_hostname: dump.read("canonicalizehostname", is_on)?.unwrap_or(false),
            proxy_jump: dump.optional("proxyjump")?,
            proxy_command: dump.optional("proxycommand")?,
            control_master: dump
                .read("controlmaster", |value| match value {
                    "false" | "no" => Some(ControlMaster::No),
                    "true" | "yes" => Some(ControlMaster::Yes),
                    "ask" => Some(ControlMaster::Ask),
                    "auto" => Some(ControlMaster::Auto),
                    "autoask" => Some(ControlMaster::AutoAsk),
                    _ => None,
                })?
                .unwrap_or(ControlMaster::No),
            control_path: dump.optional("controlpath")?,
            batch_mode: dump.flag("batchmode")?.unwrap_or(false),
            pubkey_authentication: dump.read("pubkeyauthentication", is_on)?.unwrap_or(true),
            connect_timeout: match dump.optional("connecttimeout")? {
                None => None,
                Some(value) => match value.parse() {
                    Ok(seconds) => Some(seconds),
                    Err(_) => {
                        return Err(DumpError::Value {
                            keyword: "connecttimeout",
                            value,
                        });
                    }
                },
            },
            required_rsa_size: dump.number("requiredrsasize")?.unwrap_or(1024),
            log_level: dump.one("loglevel")?.unwrap_or_else(|| "INFO".to_owned()),
            host_key_algorithms: required(
                dump.optional("hostkeyalgorithms")?,
                "hostkeyalgorithms",
            )?,
            kex_algorithms: required(dump.optional("kexalgorithms")?, "kexalgorithms")?,
            ciphers: required(dump.optional("ciphers")?, "ciphers")?,
            macs: required(dump.optional("macs")?, "macs")?,
            pubkey_accepted_algorithms: required(pubkey_accepted, "pubkeyacceptedalgorithms")?,
            ca_signature_algorithms: dump.optional("casignaturealgorithms")?,
            other: dump.rest(),
        })
    }

    /// The name under which the host's key is looked up.
    #[must_use]
    pub fn known_hosts_name(&self) -> HostName {
        HostName::new(&self.hostname, self.port).with_alias(self.host_key_alias.as_deref())
    }
}

/// A setting with more values than yes and no, of which one is off.
fn is_on(value: &str) -> Option<bool> {
    match value {
        "false" | "no" => Some(false),
        "true" | "yes" | "ask" | "always" | "none" | "unbound" | "host-bound" => {
            Some(value != "none")
        }
        _ => None,
    }
}
