//! What counts of an sshd's configuration for one account from one address.

use super::settings::Settings;

/// An sshd's effective settings for a login.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Policy {
    /// `PubkeyAuthentication`.
    pub(super) publickey: bool,
    /// `AuthenticationMethods`: each list must be done as a whole. Empty means that any method will do.
    pub(super) methods: Vec<String>,
    /// `AuthorizedKeysFile`, as configured.
    pub(super) authorized_keys: Vec<String>,
    /// `AuthorizedKeysCommand`.
    pub(super) keys_command: Option<String>,
    /// `TrustedUserCAKeys`.
    pub(super) trusted_authorities: Option<String>,
    /// `AuthorizedPrincipalsFile`, as configured.
    pub(super) principals_file: Option<String>,
    /// `AuthorizedPrincipalsCommand`.
    pub(super) principals_command: Option<String>,
    /// `RevokedKeys`.
    pub(super) revoked: Option<String>,
    /// `PubkeyAcceptedAlgorithms`, expanded.
    pub(super) algorithms: Option<String>,
    /// `CASignatureAlgorithms`, expanded.
    pub(super) ca_algorithms: Option<String>,
    /// `RequiredRSASize`.
    pub(super) rsa_bits: u32,
    /// `StrictModes`.
    pub(super) strict_modes: bool,
    /// `UsePAM`.
    pub(super) pam: bool,
    /// `UseDNS`.
    pub(super) dns: bool,
    /// `PermitRootLogin`.
    pub(super) root: RootLogin,
    /// `AllowUsers`.
    pub(super) allow_users: Vec<String>,
    /// `DenyUsers`.
    pub(super) deny_users: Vec<String>,
    /// `AllowGroups`.
    pub(super) allow_groups: Vec<String>,
    /// `DenyGroups`.
    pub(super) deny_groups: Vec<String>,
    /// `ForceCommand`.
    pub(super) force_command: Option<String>,
    /// `ChrootDirectory`.
    pub(super) chroot: Option<String>,
    /// `MaxAuthTries`.
    pub(super) tries: usize,
    /// The command of `Subsystem sftp`.
    pub(super) sftp: Option<String>,
    /// `MaxSessions`.
    pub(super) sessions: u32,
}

/// The default of `AuthorizedKeysFile`.
const AUTHORIZED_KEYS: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];

/// `PermitRootLogin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum RootLogin {
    /// `yes`, `prohibit-password` and its old name: good for keys.
    ByKey,
    /// `forced-commands-only`.
    ForcedOnly,
    /// `no`.
    No,
}

impl Policy {
    /// Reads `sshd -T`, or the same with `Match` blocks applied. What is missing has OpenSSH's default.
    pub(super) fn read(settings: &Settings) -> Self {
        let words = |keyword: &str| -> Vec<String> {
            settings
                .all(keyword)
                .flat_map(str::split_ascii_whitespace)
                .map(str::to_owned)
                .collect()
        };
        let text = |keyword: &str| settings.set(keyword).map(str::to_owned);
        let is_off = |keyword: &str| matches!(settings.first(keyword), Some("no" | "false"));
        let number = |keyword: &str| settings.first(keyword).and_then(|it| it.parse().ok());
        let without = |words: Vec<String>, default: &str| -> Vec<String> {
            words.into_iter().filter(|word| word != default).collect()
        };
        Self {
            publickey: !is_off("pubkeyauthentication"),
            methods: without(words("authenticationmethods"), "any"),
            authorized_keys: match settings.first("authorizedkeysfile") {
                None => AUTHORIZED_KEYS.map(str::to_owned).into(),
                Some(_) => without(words("authorizedkeysfile"), "none"),
            },
            keys_command: text("authorizedkeyscommand"),
            trusted_authorities: text("trustedusercakeys"),
            principals_file: text("authorizedprincipalsfile"),
            principals_command: text("authorizedprincipalscommand"),
            revoked: text("revokedkeys"),
            algorithms: text("pubkeyacceptedalgorithms").or_else(|| text("pubkeyacceptedkeytypes")),
            ca_algorithms: text("casignaturealgorithms"),
            rsa_bits: number("requiredrsasize").unwrap_or(0),
            strict_modes: !is_off("strictmodes"),
            pam: settings.is_on("usepam"),
            dns: settings.is_on("usedns"),
            root: match settings.first("permitrootlogin") {
                Some("no") => RootLogin::No,
                Some("forced-commands-only") => RootLogin::ForcedOnly,
                _ => RootLogin::ByKey,
            },
            allow_users: words("allowusers"),
            deny_users: words("denyusers"),
            allow_groups: words("allowgroups"),
            deny_groups: words("denygroups"),
            force_command: text("forcecommand"),
            chroot: text("chrootdirectory"),
            tries: number("maxauthtries").map_or(6, |tries: u32| tries as usize),
            sftp: settings.all("subsystem").find_map(|line| {
                let (name, command) = line.split_once([' ', '\t'])?;
                (name == "sftp").then(|| command.trim().to_owned())
            }),
            sessions: number("maxsessions").unwrap_or(10),
        }
    }

    /// What `AuthenticationMethods` asks for besides a key.
    pub(super) fn more_than_a_key(&self) -> MoreThanKey {
        let asks = |list: &String| {
            let mut methods = list.split(',').map(|it| it.split(':').next().unwrap_or(it));
            methods.any(|method| method == "publickey")
        };
        if self.methods.is_empty() || self.methods.iter().any(|list| list == "publickey") {
            MoreThanKey::Nothing
        } else if self.methods.iter().any(asks) {
            MoreThanKey::More
        } else {
            MoreThanKey::Instead
        }
    }
}

/// See [`Policy::more_than_a_key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MoreThanKey {
    /// A key is enough.
    Nothing,
    /// A key and something else.
    More,
    /// No list has keys in it.
    Instead,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_sshd_prints_is_read_with_its_defaults() {
        let policy = Policy::read(&Settings::parse(
            "port 22\nusepam yes\npubkeyauthentication yes\nauthorizedkeysfile .ssh/authorized_keys /etc/k/%u\n\
             authenticationmethods any\nallowusers nova@10.0.0.0/8\nallowusers root\nrevokedkeys none\n\
             forcecommand none\nsubsystem sftp /usr/lib/openssh/sftp-server\npermitrootlogin without-password\n\
             trustedusercakeys /etc/ssh/ca.pub\nmaxauthtries 3\n",
        ));
        assert_eq!(
            policy.authorized_keys,
            [".ssh/authorized_keys", "/etc/k/%u"]
        );
        assert_eq!(policy.allow_users, ["nova@10.0.0.0/8", "root"]);
        assert_eq!((policy.revoked, policy.force_command), (None, None));
        assert_eq!(policy.sftp.as_deref(), Some("/usr/lib/openssh/sftp-server"));
        assert_eq!(
            policy.trusted_authorities.as_deref(),
            Some("/etc/ssh/ca.pub")
        );
        assert!(policy.pam && policy.publickey && policy.strict_modes && !policy.dns);
        assert_eq!((policy.root, policy.tries), (RootLogin::ByKey, 3));
    }

    #[test]
    fn a_second_factor_is_told_from_no_keys_at_all() {
        for (methods, expected) in [
            ("any", MoreThanKey::Nothing),
            ("publickey password", MoreThanKey::Nothing),
            ("publickey,password", MoreThanKey::More),
            (
                "publickey,keyboard-interactive:pam password",
                MoreThanKey::More,
            ),
            ("password", MoreThanKey::Instead),
        ] {
            let line = format!("authenticationmethods {methods}");
            let policy = Policy::read(&Settings::parse(&line));
            assert_eq!(policy.more_than_a_key(), expected, "{methods}");
        }
    }
}
