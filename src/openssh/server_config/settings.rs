//! The effective configuration for one connection, as `sshd -T` prints it (`dump_config` of `servconf.c`).

use std::collections::BTreeMap;

use crate::openssh::config::Difference;
use crate::openssh::dump::{Dump, DumpError};

/// `PermitRootLogin`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PermitRootLogin {
    /// `yes`
    Yes,
    /// `prohibit-password`, printed as `without-password`: keys are fine.
    ProhibitPassword,
    /// `forced-commands-only`: keys with a forced command are fine.
    ForcedCommandsOnly,
    /// `no`
    No,
}

/// `MaxStartups`: how many connections may be waiting for authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MaxStartups {
    /// From so many on, new ones are dropped at random.
    pub start: u32,
    /// With this probability in percent at first.
    pub rate: u32,
    /// From so many on, all are.
    pub full: u32,
}

/// `PerSourcePenalties`; releases before 9.8 have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PenaltySettings {
    /// `no`
    Off,
    /// The penalties by name (`authfail`, `noauth`, `min`, `max`, …), as printed: seconds, or a word.
    On(BTreeMap<String, String>),
}

/// What `sshd` would do. Paths are as configured; see [`Self::authorized_keys_paths`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// `Port`, all of them.
    pub ports: Vec<u16>,
    /// `ListenAddress`, with ports.
    pub listen_addresses: Vec<String>,
    /// `HostKey` files, in order.
    pub host_keys: Vec<String>,
    /// `HostCertificate` files.
    pub host_certificates: Vec<String>,
    /// `PubkeyAuthentication`
    pub pubkey_authentication: bool,
    /// `AuthorizedKeysFile`; empty for `none`.
    pub authorized_keys_files: Vec<String>,
    /// `AuthorizedKeysCommand`
    pub authorized_keys_command: Option<String>,
    /// `TrustedUserCAKeys`
    pub trusted_user_ca_keys: Option<String>,
    /// `AuthorizedPrincipalsFile`
    pub authorized_principals_file: Option<String>,
    /// `AuthorizedPrincipalsCommand`
    pub authorized_principals_command: Option<String>,
    /// `RevokedKeys`
    pub revoked_keys: Vec<String>,
    /// `AllowUsers` patterns.
    pub allow_users: Vec<String>,
    /// `DenyUsers` patterns.
    pub deny_users: Vec<String>,
    /// `AllowGroups` patterns.
    pub allow_groups: Vec<String>,
    /// `DenyGroups` patterns.
    pub deny_groups: Vec<String>,
    /// `PermitRootLogin`
    pub permit_root_login: PermitRootLogin,
    /// `ForceCommand`
    pub force_command: Option<String>,
    /// `ChrootDirectory`
    pub chroot_directory: Option<String>,
    /// `Subsystem`s: name and command.
    pub subsystems: BTreeMap<String, String>,
    /// `StrictModes`
    pub strict_modes: bool,
    /// `UsePAM`; `None` where this `sshd` has no PAM.
    pub use_pam: Option<bool>,
    /// `PermitUserRC`
    pub permit_user_rc: bool,
    /// `UseDNS`
    pub use_dns: bool,
    /// `MaxStartups`
    pub max_startups: MaxStartups,
    /// `PerSourceMaxStartups`; `None` for no limit, and before 8.5.
    pub per_source_max_startups: Option<u32>,
    /// `PerSourcePenalties`; `None` before 9.8.
    pub per_source_penalties: Option<PenaltySettings>,
    /// `PerSourcePenaltyExemptList`
    pub per_source_penalty_exempt: Option<String>,
    /// `MaxSessions`
    pub max_sessions: u32,
    /// `MaxAuthTries`
    pub max_auth_tries: u32,
    /// `AuthenticationMethods`; empty for `any`.
    pub authentication_methods: Vec<String>,
    /// `RequiredRSASize` in bits; 1,024 for releases before 9.1, which do not print it.
    pub required_rsa_size: u32,
    /// `LogLevel`
    pub log_level: String,
    /// `HostKeyAlgorithms`
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

impl ServerSettings {
    /// Reads the output of `sshd -T`. Keywords that are not known are kept in [`Self::other`].
    ///
    /// # Errors
    /// It is not what any `sshd -T` prints.
    pub fn parse(output: &[u8]) -> Result<Self, DumpError> {
        Self::read(Dump::parse(output)?)
    }

    /// The settings for another connection: what `sshd -T` printed for one, changed as the files say.
    ///
    /// # Errors
    /// See [`Self::parse`]; also where a keyword falls back to OpenSSH's default, which `sshd -T` did not print.
    pub fn parse_changed(output: &[u8], difference: &Difference) -> Result<Self, DumpError> {
        let mut dump = Dump::parse(output)?;
        dump.change(difference);
        Self::read(dump)
    }

    fn read(mut dump: Dump) -> Result<Self, DumpError> {
        let ports = dump
            .all("port")
            .into_iter()
            .map(|value| match value.parse() {
                Ok(port) => Ok(port),
                Err(_) => Err(DumpError::Value {
                    keyword: "port",
                    value,
                }),
            });
        let pubkey_accepted = match dump.optional("pubkeyacceptedalgorithms")? {
            Some(list) => Some(list),
            None => dump.optional("pubkeyacceptedkeytypes")?,
        };
        let settings = Self {
            ports: ports.collect::<Result<_, _>>()?,
            listen_addresses: dump.all("listenaddress"),
            host_keys: dump.all("hostkey"),
            host_certificates: dump.all("hostcertificate"),
            pubkey_authentication: flag(&mut dump, "pubkeyauthentication")?,
            authorized_keys_files: dump.words("authorizedkeysfile")?,
            authorized_keys_command: dump.optional("authorizedkeyscommand")?,
            trusted_user_ca_keys: dump.optional("trustedusercakeys")?,
            authorized_principals_file: dump.optional("authorizedprincipalsfile")?,
            authorized_principals_command: dump.optional("authorizedprincipalscommand")?,
            revoked_keys: dump.words("revokedkeys")?,
            allow_users: dump.all("allowusers"),
            deny_users: dump.all("denyusers"),
            allow_groups: dump.all("allowgroups"),
            deny_groups: dump.all("denygroups"),
            permit_root_login: required(
                dump.read("permitrootlogin", root_login)?,
                "permitrootlogin",
            )?,
            force_command: dump.optional("forcecommand")?,
            chroot_directory: dump.optional("chrootdirectory")?,
            subsystems: dump
                .all("subsystem")
                .iter()
                .map(|line| subsystem(line))
                .collect(),
            strict_modes: flag(&mut dump, "strictmodes")?,
            use_pam: dump.flag("usepam")?,
            permit_user_rc: dump.flag("permituserrc")?.unwrap_or(true),
            use_dns: dump.flag("usedns")?.unwrap_or(false),
            max_startups: required(dump.read("maxstartups", max_startups)?, "maxstartups")?,
            per_source_max_startups: number_or_none(&mut dump, "persourcemaxstartups")?,
            per_source_penalties: dump
                .one("persourcepenalties")?
                .map(|value| penalties(&value)),
            per_source_penalty_exempt: dump.optional("persourcepenaltyexemptlist")?,
            max_sessions: required(dump.number("maxsessions")?, "maxsessions")?,
            max_auth_tries: required(dump.number("maxauthtries")?, "maxauthtries")?,
            authentication_methods: dump
                .words("authenticationmethods")?
                .into_iter()
                .filter(|it| it != "any")
                .collect(),
            required_rsa_size: dump.number("requiredrsasize")?.unwrap_or(1024),
            log_level: dump.required("loglevel")?,
            host_key_algorithms: dump.required("hostkeyalgorithms")?,
            kex_algorithms: dump.required("kexalgorithms")?,
            ciphers: dump.required("ciphers")?,
            macs: dump.required("macs")?,
            pubkey_accepted_algorithms: required(pubkey_accepted, "pubkeyacceptedalgorithms")?,
            ca_signature_algorithms: dump.optional("casignaturealgorithms")?,
            other: dump.rest(),
        };
        if settings.ports.is_empty() {
            Err(DumpError::Missing { keyword: "port" })
        } else {
            Ok(settings)
        }
    }

    /// The `authorized_keys` files of an account: tokens expanded, relative ones below its home (`expand_authorized_keys`).
    /// Since 10.0 these are `glob(7)` patterns. `None` stands for a path with a token that `sshd` does not know, at which it dies.
    pub fn authorized_keys_paths(
        &self,
        account: &str,
        uid: u32,
        home: &str,
    ) -> impl Iterator<Item = Option<String>> {
        self.authorized_keys_files
            .iter()
            .filter(|path| !path.eq_ignore_ascii_case("none"))
            .map(move |path| expand_account_path(path, account, uid, home))
    }
}

/// Expands `%h`, `%u`, `%U` and `%%`, and puts a relative path below the home.
pub(super) fn expand_account_path(
    path: &str,
    account: &str,
    uid: u32,
    home: &str,
) -> Option<String> {
    let mut expanded = String::new();
    let mut rest = path.chars();
    while let Some(next) = rest.next() {
        match (next, if next == '%' { rest.next() } else { None }) {
            ('%', Some('h')) => expanded.push_str(home),
            ('%', Some('u')) => expanded.push_str(account),
            ('%', Some('U')) => expanded.push_str(&uid.to_string()),
            ('%', Some('%')) => expanded.push('%'),
            ('%', _) => return None,
            (other, _) => expanded.push(other),
        }
    }
    Some(if expanded.starts_with('/') {
        expanded
    } else {
        format!("{home}/{expanded}")
    })
}

fn required<T>(value: Option<T>, keyword: &'static str) -> Result<T, DumpError> {
    value.ok_or(DumpError::Missing { keyword })
}

fn flag(dump: &mut Dump, keyword: &'static str) -> Result<bool, DumpError> {
    required(dump.flag(keyword)?, keyword)
}

fn number_or_none(dump: &mut Dump, keyword: &'static str) -> Result<Option<u32>, DumpError> {
    match dump.optional(keyword)? {
        None => Ok(None),
        Some(value) => match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(DumpError::Value { keyword, value }),
        },
    }
}

fn root_login(value: &str) -> Option<PermitRootLogin> {
    Some(match value {
        "yes" => PermitRootLogin::Yes,
        "without-password" | "prohibit-password" => PermitRootLogin::ProhibitPassword,
        "forced-commands-only" => PermitRootLogin::ForcedCommandsOnly,
        "no" => PermitRootLogin::No,
        _ => return None,
    })
}

fn max_startups(value: &str) -> Option<MaxStartups> {
    let numbers: Vec<u32> = value
        .split(':')
        .map(|number| number.parse().ok())
        .collect::<Option<_>>()?;
    match numbers[..] {
        [start, rate, full] => Some(MaxStartups { start, rate, full }),
        _ => None,
    }
}

fn penalties(value: &str) -> PenaltySettings {
    if value == "no" {
        return PenaltySettings::Off;
    }
    let named = value.split(' ').filter_map(|word| word.split_once(':'));
    PenaltySettings::On(
        named
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    )
}

fn subsystem(line: &str) -> (String, String) {
    let (name, command) = line.split_once(' ').unwrap_or((line, ""));
    (name.to_owned(), command.trim().to_owned())
}
