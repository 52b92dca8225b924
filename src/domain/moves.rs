//! Servers and their moves, as Nova names them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

/// A server's id: a UUID in its canonical form, lower case (Nova shows no other). Safe in a path, a file, a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct ServerId(Arc<str>);

impl ServerId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ServerId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.to_ascii_lowercase();
        let groups: Vec<&str> = lower.split('-').collect();
        let hexadecimal = |group: &&str| {
            group
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && groups.iter().all(hexadecimal)
        {
            Ok(Self(lower.into()))
        } else {
            Err("a server id is a UUID")
        }
    }
}

impl<'de> Deserialize<'de> for ServerId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A compute service's host name (`CONF.host`): what Nova's API accepts as a destination.
///
/// 1 to 255 of the characters that the API's schema allows (`^[a-zA-Z0-9-._]*$`,
/// nova/api/validation/parameter_types.py `fqdn`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct HostName(Arc<str>);

impl HostName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if (1..=255).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err("a host name has 1 to 255 letters, digits, `.`, `_` and `-`")
        }
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a server is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveKind {
    /// Powered off, its disks copied, powered on (`migrate`).
    Cold,
    /// While it runs (`os-migrateLive`).
    Live,
    /// Like [`Self::Cold`], with another flavor (`resize`). Nova chooses the destination.
    Resize,
}

impl MoveKind {
    /// Its name in reports and arguments.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Live => "live",
            Self::Resize => "resize",
        }
    }

    /// Whether the move waits for a confirmation when it has arrived.
    #[must_use]
    pub fn is_confirmed(self) -> bool {
        matches!(self, Self::Cold | Self::Resize)
    }

    /// Nova's `migration_type` of its row in os-migrations.
    #[must_use]
    pub fn migration_type(self) -> &'static str {
        match self {
            Self::Cold => "migration",
            Self::Live => "live-migration",
            Self::Resize => "resize",
        }
    }

    /// Nova's name of the instance action.
    #[must_use]
    pub fn action(self) -> &'static str {
        match self {
            Self::Cold => "migrate",
            Self::Live => "live-migration",
            Self::Resize => "resize",
        }
    }
}

impl fmt::Display for MoveKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_and_nothing_else_gets_into_a_path() {
        let id: ServerId = "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11".parse().unwrap();
        assert_eq!(id.as_str(), "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        for wrong in [
            "",
            "web-1",
            "a0eebc999c0b4ef8bb6d6bb9bd380a11",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g",
            "../../v3/users/a0eebc99-9c0b-4ef8-bb",
            "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11/action",
        ] {
            assert!(wrong.parse::<ServerId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_host_is_what_the_api_would_accept() {
        assert!("cmp-001.az1_x".parse::<HostName>().is_ok());
        for wrong in ["", "cmp 1", "cmp/1", "cmp\n", "кмп", &"x".repeat(256)] {
            assert!(wrong.parse::<HostName>().is_err(), "{wrong}");
        }
    }
}
