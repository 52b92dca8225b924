//! Single values of an inventory: text to meaning, or what is wrong with the text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::problem::{Fault, Mark};
use super::suggest::nearest;
use crate::domain::{
    Dial, KeySharing, KnownHostsPlace, Lane, LaneUse, NewKeyType, NodeName, TrustBy,
};

/// What the inventory does not say itself.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// The operator's home directory, for paths that start with `~/`.
    pub home: Option<PathBuf>,
    /// The operator's login name, used like `ssh` does where no `user` is given.
    pub user: Option<String>,
}

/// What names are made of, see [`NodeName`].
pub(super) const NAME_RULE: &str = "letters, digits, `.`, `_` and `-`, not starting with `-`";

/// A name of a group, cell, profile or jump host; the rules are those of node names.
pub(super) fn name(mark: Mark, text: &str) -> Result<String, Fault> {
    match NodeName::new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(Fault::new(mark, format!("`{text}` cannot be a name")).expected(NAME_RULE)),
    }
}

/// A TCP port.
pub(super) fn port(mark: Mark, text: &str) -> Result<u16, Fault> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(port) if plain && port > 0 => Ok(port),
        _ => Err(Fault::new(mark, format!("`{text}` is not a port"))
            .expected("a number from 1 to 65535")),
    }
}

/// A truth value, in the spellings of YAML 1.1.
pub(super) fn truth(mark: Mark, text: &str) -> Result<bool, Fault> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(
            Fault::new(mark, format!("`{text}` is neither true nor false"))
                .expected("`true` or `false`"),
        ),
    }
}

/// A login name. It may end up on a command line, so nothing that a program could take for an option.
pub(super) fn user(mark: Mark, text: &str) -> Result<String, Fault> {
    let odd = |character: char| {
        character.is_whitespace()
            || character.is_control()
            || "'\"`$;&|<>(){}[]!*?:/,#=".contains(character)
    };
    if text.is_empty() || text.starts_with('-') || text.contains(odd) || text.len() > 256 {
        return Err(Fault::new(mark, format!("`{text}` cannot be a login name"))
            .expected("a login name, without spaces and not starting with `-`"));
    }
    Ok(text.to_owned())
}

/// A host name or IP address to dial.
pub(super) fn address(mark: Mark, text: &str) -> Result<String, Fault> {
    let fault =
        |message: String| Fault::new(mark, message).expected("a host name or an IP address");
    if let Some((user, host)) = text.rsplit_once('@') {
        return Err(fault(format!("`{text}` is more than an address"))
            .hint(format!("write `address: {host}` and `user: {user}`")));
    }
    if text.contains(':') {
        let (bare, zone) = text.split_once('%').unwrap_or((text, "zone"));
        if bare.parse::<Ipv6Addr>().is_ok() && NodeName::new(zone).is_ok() {
            return Ok(text.to_owned());
        }
        let hint = match text.rsplit_once(':') {
            Some((host, digits)) if port(mark, digits).is_ok() && !host.contains(':') => {
                Some(format!("write `address: {host}` and `port: {digits}`"))
            }
            _ => None,
        };
        return Err(fault(format!("`{text}` is not an address")).hint(hint));
    }
    let numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let good = if numeric {
        text.parse::<Ipv4Addr>().is_ok()
    } else {
        NodeName::new(text).is_ok()
    };
    if good {
        Ok(text.to_owned())
    } else {
        Err(fault(format!("`{text}` is not an address")))
    }
}

/// An address that another node dials to reach this one, so not one that leads back to the dialling node itself.
pub(super) fn reachable_address(mark: Mark, text: &str) -> Result<String, Fault> {
    let text = address(mark, text)?;
    let own = match text.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unspecified(),
        Err(_) => text.eq_ignore_ascii_case("localhost"),
    };
    if own {
        return Err(
            Fault::new(mark, format!("`{text}` leads every node to itself"))
                .expected("an address under which the other nodes reach this one"),
        );
    }
    Ok(text)
}

/// A host key fingerprint as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(mark: Mark, text: &str) -> Result<String, Fault> {
    let hash = text
        .strip_prefix("SHA256:")
        .and_then(|hash| STANDARD_NO_PAD.decode(hash).ok());
    if hash.is_some_and(|hash| hash.len() == 32) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(mark, format!("`{text}` is not a fingerprint"))
        .expected("`SHA256:` and 43 characters of base64")
        .hint("on the host: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub".to_owned()))
}

/// A file on the operator's machine: `~/` is the home directory, relative paths start at the inventory file.
pub(super) fn path(
    mark: Mark,
    text: &str,
    context: &Context,
    base: &Path,
) -> Result<PathBuf, Fault> {
    let fault = |message: &str| {
        Fault::new(mark, format!("`{text}` {message}"))
            .expected("a path, absolute or from `~/` or from this file")
    };
    if text.is_empty() || text.contains(char::is_control) {
        return Err(fault("is not a path"));
    }
    let Some(rest) = text.strip_prefix('~') else {
        return Ok(base.join(text));
    };
    match (rest.strip_prefix('/'), &context.home) {
        (Some(rest), Some(home)) => Ok(home.join(rest)),
        (None, Some(home)) if rest.is_empty() => Ok(home.clone()),
        (None, _) if !rest.is_empty() => Err(fault("names somebody else's home directory")),
        _ => Err(fault("needs a home directory, and there is none")),
    }
}

/// A file on a node.
pub(super) fn node_path(mark: Mark, text: &str) -> Result<String, Fault> {
    if text.starts_with('/') && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(
        Fault::new(mark, format!("`{text}` is not an absolute path"))
            .expected("a path on the node that starts with `/`"),
    )
}

/// One word of a command that enters a context.
pub(super) fn command_word(mark: Mark, text: &str) -> Result<String, Fault> {
    if !text.is_empty() && !text.contains(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(Fault::new(
        mark,
        "a word of a command is empty or holds control characters",
    )
    .expected("one word, such as `runuser` or `-u`"))
}

/// The name of a lane.
pub(super) fn lane(mark: Mark, text: &str) -> Result<Lane, Fault> {
    choice(
        mark,
        text,
        "lane",
        Lane::ALL.map(|lane| (lane.as_str(), lane)),
    )
}

/// `used:` of a lane. `yes` and `no` are what is documented; YAML users may write them as truth values.
pub(super) fn lane_use(mark: Mark, text: &str) -> Result<LaneUse, Fault> {
    match truth(mark, text) {
        Ok(true) => Ok(LaneUse::Yes),
        Ok(false) => Ok(LaneUse::No),
        Err(_) => choice(
            mark,
            text,
            "choice",
            [
                ("auto", LaneUse::Auto),
                ("yes", LaneUse::Yes),
                ("no", LaneUse::No),
            ],
        ),
    }
}

/// `dial:` of a lane.
pub(super) fn dial(mark: Mark, text: &str) -> Result<Dial, Fault> {
    choice(
        mark,
        text,
        "choice",
        [
            ("migration-address", Dial::MigrationAddress),
            ("service-host", Dial::ServiceHost),
            ("live-address", Dial::LiveAddress),
        ],
    )
}

/// `trust:`
pub(super) fn trust(mark: Mark, text: &str) -> Result<TrustBy, Fault> {
    let choices = [
        ("keys", TrustBy::Keys),
        ("certificates", TrustBy::Certificates),
    ];
    choice(mark, text, "choice", choices)
}

/// `keys:`
pub(super) fn keys(mark: Mark, text: &str) -> Result<KeySharing, Fault> {
    let choices = [
        ("per-node", KeySharing::PerNode),
        ("shared", KeySharing::Shared),
    ];
    choice(mark, text, "choice", choices)
}

/// `key_type:`
pub(super) fn key_type(mark: Mark, text: &str) -> Result<NewKeyType, Fault> {
    let kinds = [NewKeyType::Ed25519, NewKeyType::Ecdsa, NewKeyType::Rsa];
    choice(mark, text, "key type", kinds.map(|it| (it.as_str(), it)))
}

/// `known_hosts:` of a node, which is no path: the node's own configuration names the files.
pub(super) fn known_hosts(mark: Mark, text: &str) -> Result<KnownHostsPlace, Fault> {
    let choices = [
        ("user", KnownHostsPlace::User),
        ("global", KnownHostsPlace::Global),
    ];
    choice(mark, text, "choice", choices)
}

fn choice<T, const N: usize>(
    mark: Mark,
    text: &str,
    what: &str,
    choices: [(&str, T); N],
) -> Result<T, Fault> {
    let names = choices.each_ref().map(|(name, _)| *name);
    match choices.into_iter().find(|(name, _)| *name == text) {
        Some((_, value)) => Ok(value),
        None => Err(Fault::new(mark, format!("unknown {what} `{text}`"))
            .expected(listed(names))
            .hint(did_you_mean(text, names))),
    }
}

/// `one`, `two`, `three`; of very many only the first.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 16;
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match quoted.get(..SHOWN) {
        Some(first) if quoted.len() > SHOWN => format!("{}, …", first.join(", ")),
        _ => quoted.join(", "),
    }
}

/// A hint for a misspelt name.
pub(super) fn did_you_mean<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    nearest(word, known).map(|near| format!("did you mean `{near}`?"))
}
