//! Releases of OpenSSH, which do not all break in the same places.

use serde::Deserialize;

/// A release of OpenSSH: `10.0` in files, `OpenSSH_10.0p2` where it tells itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct OpenSsh {
    major: u32,
    minor: u32,
}

impl OpenSsh {
    /// Reads what `ssh -V` says.
    #[must_use]
    pub fn told(text: &str) -> Option<Self> {
        let text = text.trim_start().strip_prefix("OpenSSH_")?;
        let (major, rest) = text.split_once('.')?;
        let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl TryFrom<String> for OpenSsh {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        Self::told(&format!("OpenSSH_{text}"))
            .ok_or(format!("`{text}` is no release, as `10.0` is"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_ordered_by_their_numbers() {
        let release = |text: &str| OpenSsh::try_from(text.to_owned());
        let told = OpenSsh::told("OpenSSH_10.0p2 Debian-7, OpenSSL 3.5.1");
        assert_eq!(told, release("10.0").ok());
        assert!(release("9.9").unwrap() < release("10.0").unwrap());
        assert_eq!(OpenSsh::told("Dropbear v2022.83"), None);
        assert_eq!(OpenSsh::told("sh: ssh: not found"), None);
        assert!(release("ten").is_err());
    }
}
