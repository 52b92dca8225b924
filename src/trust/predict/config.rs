//! The effective client configuration for one name, from what `ssh -G` printed.

use crate::openssh::known_hosts::{KeyTypeOrder, StrictHostKeyChecking};
use crate::survey::{Account, BASE_NAME};

use super::dialing::{Family, LoginConfig, PathConfig, Transport};
use super::expand::{self, Tokens};
use super::settings::Settings;

/// What a lane's command line adds to the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct CommandLine {
    /// `-l`.
    pub(super) user: Option<String>,
    /// `-p`.
    pub(super) port: Option<u16>,
    /// `-i`.
    pub(super) identity: Option<String>,
    /// `-o`.
    pub(super) options: Vec<String>,
}

impl CommandLine {
    fn option(&self, keyword: &str) -> Option<&str> {
        self.options.iter().find_map(|option| {
            let (key, value) = option.split_once('=')?;
            key.eq_ignore_ascii_case(keyword).then_some(value)
        })
    }
}

/// The configuration for one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Effective {
    /// What is dialled: the name, or what `HostName` makes of it.
    pub(super) host: String,
    pub(super) path: PathConfig,
    pub(super) login: LoginConfig,
}

/// Reads the settings that `ssh` has for a name.
///
/// `written_algorithms` is `HostKeyAlgorithms` as it stands in the files, which `ssh -G` does not show.
pub(super) fn effective(
    settings: &Settings,
    account: &Account,
    line: &CommandLine,
    name: &str,
    written_algorithms: Option<&str>,
) -> Effective {
    let text = |keyword: &str| settings.set(keyword).map(str::to_owned);
    let host = match settings.first("hostname") {
        // Asked for another name than this one: what `HostName %h.example` adds to it stays.
        Some(host) if host.contains(BASE_NAME) => host.replace(BASE_NAME, name),
        Some(host) if !host.is_empty() => host.to_owned(),
        _ => name.to_owned(),
    };
    let port = line
        .port
        .or_else(|| settings.first("port").and_then(|port| port.parse().ok()))
        .unwrap_or(22);
    let user = line
        .user
        .clone()
        .or_else(|| text("user"))
        .unwrap_or_else(|| account.name.clone());
    let tokens = Tokens {
        home: &account.home,
        user: &account.name,
        uid: account.uid,
        host: Some(&host),
        remote_user: Some(&user),
        port: Some(port),
    };
    // A name with an unknown token is kept as it is: no surveyed file is called so, and that says it all.
    let expand = |text: &str| expand::client(text, tokens).unwrap_or_else(|| text.to_owned());
    let files = |keyword: &str| -> Vec<String> {
        let line = settings.first(keyword).unwrap_or_default();
        let words = line.split_ascii_whitespace();
        words.filter(|word| *word != "none").map(&expand).collect()
    };
    let user_files = files("userknownhostsfile");
    let can_record = !user_files.is_empty();
    let user_count = user_files.len();
    let mut known_hosts = user_files;
    known_hosts.extend(files("globalknownhostsfile"));
    let strict = line
        .option("StrictHostKeyChecking")
        .or_else(|| settings.first("stricthostkeychecking"));
    let path = PathConfig {
        port,
        alias: text("hostkeyalias"),
        proxy: ["proxyjump", "proxycommand"]
            .into_iter()
            .find_map(|keyword| {
                settings
                    .set(keyword)
                    .map(|value| format!("{keyword} {value}"))
            }),
        undecided: None,
        canonicalizes: matches!(
            settings.first("canonicalizehostname"),
            Some("yes" | "true" | "always")
        ),
        family: match settings.first("addressfamily") {
            Some("inet") => Family::Inet,
            Some("inet6") => Family::Inet6,
            _ => Family::Any,
        },
        strict: strictness(strict),
        check_address: settings.is_on("checkhostip"),
        known_hosts,
        user_files: user_count,
        can_record,
        revoked: settings.set("revokedhostkeys").map(&expand),
        asks_command: settings.set("knownhostscommand").is_some(),
        host_key_algorithms: settings
            .first("hostkeyalgorithms")
            .unwrap_or_default()
            .to_owned(),
        order: KeyTypeOrder::from_setting(written_algorithms),
        ca_algorithms: text("casignaturealgorithms"),
        transport: Transport {
            kex: settings
                .first("kexalgorithms")
                .unwrap_or_default()
                .to_owned(),
            ciphers: settings.first("ciphers").unwrap_or_default().to_owned(),
            macs: settings.first("macs").unwrap_or_default().to_owned(),
        },
    };
    let elsewhere = ["identityagent", "pkcs11provider"]
        .into_iter()
        .find_map(|keyword| {
            // The agent of a login session is not there when Nova runs ssh.
            settings
                .set(keyword)
                .filter(|value| *value != "SSH_AUTH_SOCK")
                .map(|value| format!("{keyword} {value}"))
        });
    let (identities, without_given) = identities(settings, line, &expand);
    let login = LoginConfig {
        no_publickey: no_publickey(settings),
        identities,
        without_given,
        certificates: settings.all("certificatefile").map(&expand).collect(),
        algorithms: text("pubkeyacceptedalgorithms").or_else(|| text("pubkeyacceptedkeytypes")),
        rsa_bits: settings
            .first("requiredrsasize")
            .and_then(|bits| bits.parse().ok())
            .unwrap_or(0),
        elsewhere,
        bind: text("bindaddress").or_else(|| text("bindinterface")),
        user,
    };
    Effective { host, path, login }
}

fn strictness(value: Option<&str>) -> StrictHostKeyChecking {
    match value.map(str::to_ascii_lowercase).as_deref() {
        Some("true" | "yes") => StrictHostKeyChecking::Yes,
        Some("false" | "no" | "off") => StrictHostKeyChecking::No,
        Some("accept-new") => StrictHostKeyChecking::AcceptNew,
        _ => StrictHostKeyChecking::Ask,
    }
}

/// What ssh tries when no `IdentityFile` is configured (`fill_default_options` of readconf.c).
const DEFAULT_IDENTITIES: [&str; 5] = [
    "~/.ssh/id_rsa",
    "~/.ssh/id_ecdsa",
    "~/.ssh/id_ecdsa_sk",
    "~/.ssh/id_ed25519",
    "~/.ssh/id_ed25519_sk",
];

/// The files in the order in which they are offered, and where there is a `-i`, those that are offered without it. `ssh -G` lists the default ones when none is configured; a `-i` then
/// stands instead of them (`fill_default_options` of readconf.c).
fn identities(
    settings: &Settings,
    line: &CommandLine,
    expand: &impl Fn(&str) -> String,
) -> (Vec<String>, Option<Vec<String>>) {
    let mut configured: Vec<&str> = settings
        .all("identityfile")
        .filter(|it| *it != "none")
        .collect();
    if settings.first("identityfile").is_none() {
        configured.extend(DEFAULT_IDENTITIES);
    }
    let Some(given) = &line.identity else {
        return (configured.into_iter().map(expand).collect(), None);
    };
    let is_default = |path: &&str| {
        path.strip_prefix("~/.ssh/id_").is_some_and(|kind| {
            matches!(
                kind,
                "rsa" | "ecdsa" | "ecdsa_sk" | "ed25519" | "ed25519_sk" | "xmss" | "dsa"
            )
        })
    };
    /// The shortest list of defaults that any release has.
    const FEWEST: usize = 4;
    let are_defaults = configured.len() >= FEWEST && configured.iter().all(is_default);
    let configured: Vec<String> = configured.into_iter().map(expand).collect();
    let mut files = vec![expand(given)];
    if !are_defaults {
        files.extend(configured.iter().cloned());
    }
    (files, Some(configured))
}

/// The line that keeps ssh from offering keys, as it would stand in a file.
fn no_publickey(settings: &Settings) -> Option<String> {
    if let Some(off @ ("no" | "false")) = settings.first("pubkeyauthentication") {
        return Some(format!("PubkeyAuthentication {off}"));
    }
    let methods = settings.set("preferredauthentications")?;
    let is_among = methods.split(',').any(|it| it == "publickey");
    (!is_among).then(|| format!("PreferredAuthentications {methods}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nova() -> Account {
        Account {
            name: "nova".into(),
            uid: 64060,
            gid: 64060,
            groups: vec!["nova".into()],
            home: "/var/lib/nova".into(),
            shell: "/bin/bash".into(),
        }
    }

    const DEFAULTS: &str = "hostname clearway-base.invalid\nport 22\nuser nova\nstricthostkeychecking ask\n\
        userknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2\n\
        globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n\
        identityfile ~/.ssh/id_rsa\nidentityfile ~/.ssh/id_ecdsa\nidentityfile ~/.ssh/id_ed25519\n\
        identityfile ~/.ssh/id_dsa\npubkeyauthentication true\ncanonicalizehostname false\n";

    fn of(more: &str, line: &CommandLine) -> Effective {
        let settings = Settings::parse(&format!("{more}{DEFAULTS}"));
        effective(&settings, &nova(), line, "cmp2", None)
    }

    #[test]
    fn defaults_are_those_of_ssh() {
        let plain = of("", &CommandLine::default());
        assert_eq!((&*plain.host, plain.path.port), ("cmp2", 22));
        assert_eq!(plain.path.strict, StrictHostKeyChecking::Ask);
        assert_eq!(plain.path.known_hosts[0], "/var/lib/nova/.ssh/known_hosts");
        assert_eq!(plain.path.known_hosts.len(), 4);
        assert_eq!(plain.login.identities[2], "/var/lib/nova/.ssh/id_ed25519");
        assert_eq!(plain.login.user, "nova");
        assert!(plain.login.no_publickey.is_none() && plain.path.can_record);
    }

    #[test]
    fn what_is_configured_for_all_names_holds_for_each() {
        let some = of(
            "hostname clearway-base.invalid.mig\nport 8022\nuser other\nstricthostkeychecking false\n\
             userknownhostsfile /dev/null\nproxyjump bastion\npreferredauthentications password\n",
            &CommandLine::default(),
        );
        assert_eq!((&*some.host, some.path.port), ("cmp2.mig", 8022));
        assert_eq!(some.path.strict, StrictHostKeyChecking::No);
        assert_eq!(some.path.known_hosts[0], "/dev/null");
        assert_eq!(some.path.proxy.as_deref(), Some("proxyjump bastion"));
        assert_eq!(some.login.user, "other");
        assert_eq!(
            some.login.no_publickey.as_deref(),
            Some("PreferredAuthentications password")
        );
    }

    #[test]
    fn the_command_line_wins_and_its_key_stands_for_the_defaults() {
        let line = CommandLine {
            user: Some("mig".into()),
            port: Some(2022),
            identity: Some("/k".into()),
            options: vec!["StrictHostKeyChecking=no".into()],
        };
        let some = of("", &line);
        assert_eq!((some.path.port, &*some.login.user), (2022, "mig"));
        assert_eq!(some.path.strict, StrictHostKeyChecking::No);
        assert_eq!(some.login.identities, ["/k"]);
        assert_eq!(some.login.given(), Some("/k"));
        assert_eq!(some.login.files(false), ["/k"]);
        assert_eq!(
            some.login.files(true),
            of("", &CommandLine::default()).login.identities
        );
    }
}
