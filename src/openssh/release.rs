//! The OpenSSH release of a node, where its behaviour depends on it.

/// A release number; portable suffixes (`p1`) do not matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    /// The number before the point.
    pub major: u16,
    /// The number behind the point.
    pub minor: u16,
}

impl Release {
    /// The newest one whose behaviour is known here.
    pub const NEWEST: Self = Self {
        major: 10,
        minor: 5,
    };

    /// A release by its number.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Finds the release in `ssh -V` output or an SSH banner: `OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19`.
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("OpenSSH_")?;
        // Microsoft's port says "OpenSSH_for_Windows_9.5p1".
        let rest = rest.strip_prefix("for_Windows_").unwrap_or(rest);
        let (major, rest) = rest.split_once('.')?;
        let end = rest
            .find(|next: char| !next.is_ascii_digit())
            .unwrap_or(rest.len());
        Some(Self {
            major: major.parse().ok()?,
            minor: rest[..end].parse().ok()?,
        })
    }

    /// Whether DSA keys are still known: removed in 10.0, so that a line with one is no line any more.
    #[must_use]
    pub fn knows_dsa(self) -> bool {
        self < Self::new(10, 0)
    }

    /// Whether a certificate must name principals and a host's may be wildcard patterns: from 10.3 on.
    ///
    /// Before, a certificate without principals was good for every name (except through `TrustedUserCAKeys`, which always wanted
    /// one), and principals were compared as plain text.
    #[must_use]
    pub fn requires_principals(self) -> bool {
        self >= Self::new(10, 3)
    }

    /// Whether a client keeps its order of host key algorithms if it knows a key for the first of them, and prefers certificates
    /// where it knows a CA: from 8.4 on.
    #[must_use]
    pub fn keeps_best_host_key_algorithm(self) -> bool {
        self >= Self::new(8, 4)
    }

    /// Whether sshd says in its log when it begins to drop connections because of `MaxStartups`: from 8.4 on. Before, only
    /// `LogLevel VERBOSE` did.
    #[must_use]
    pub fn logs_throttling(self) -> bool {
        self >= Self::new(8, 4)
    }

    /// Whether a client that orders host key algorithms tells the curves of known ECDSA keys apart: from 8.5 on.
    #[must_use]
    pub fn tells_curves_apart(self) -> bool {
        self >= Self::new(8, 5)
    }

    /// Whether the plain key left of a refused certificate must itself be in `HostKeyAlgorithms`: from 9.8 on.
    #[must_use]
    pub fn checks_downgraded_key(self) -> bool {
        self >= Self::new(9, 8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_found_in_versions_and_banners() {
        for (text, expected) in [
            (
                "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026",
                Some(Release::new(9, 2)),
            ),
            ("SSH-2.0-OpenSSH_10.0", Some(Release::new(10, 0))),
            (
                "OpenSSH_for_Windows_9.5p1, LibreSSL 3.8.2",
                Some(Release::new(9, 5)),
            ),
            ("SSH-2.0-dropbear_2022.83", None),
            ("OpenSSH_", None),
            ("OpenSSH_x.2", None),
        ] {
            assert_eq!(Release::find(text), expected, "{text}");
        }
        assert!(Release::new(10, 0) > Release::new(9, 9));
    }
}
