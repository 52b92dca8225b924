//! Which distribution release and mirror this machine installs from.

use std::fs;
use std::path::Path;

/// A release that debootstrap can make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    /// `debian` or `ubuntu`.
    pub(crate) distribution: String,
    /// `bookworm`, `noble`.
    pub(crate) codename: String,
}

impl Release {
    /// The machine's own release; anything but Debian and Ubuntu gets Debian 12.
    pub(crate) fn of_this_machine() -> Self {
        let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
        Self::from_os_release(&text)
    }

    fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches('"').to_owned())
        };
        match (value("ID"), value("VERSION_CODENAME")) {
            (Some(distribution), Some(codename))
                if distribution == "debian" || distribution == "ubuntu" =>
            {
                Self {
                    distribution,
                    codename,
                }
            }
            _ => Self {
                distribution: "debian".into(),
                codename: "bookworm".into(),
            },
        }
    }
}

/// The mirror that apt on this machine uses for the release, if it uses one; None leaves debootstrap its default.
pub(crate) fn mirror(release: &Release) -> Option<String> {
    let mut texts = Vec::new();
    texts.extend(fs::read_to_string("/etc/apt/sources.list"));
    let mut more: Vec<_> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| has_extension(path, "list") || has_extension(path, "sources"))
        .collect();
    more.sort();
    texts.extend(more.iter().filter_map(|path| fs::read_to_string(path).ok()));
    texts.iter().find_map(|text| {
        one_line_mirror(text, &release.codename).or_else(|| deb822_mirror(text, &release.codename))
    })
}

fn has_extension(path: &Path, wanted: &str) -> bool {
    path.extension()
        .is_some_and(|extension| extension == wanted)
}

fn usable(uri: &str) -> bool {
    ["http://", "https://", "file:"]
        .iter()
        .any(|scheme| uri.starts_with(scheme))
}

/// `deb [options] URI SUITE COMPONENT...`, sources.list(5).
fn one_line_mirror(text: &str, codename: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut rest = line.trim().strip_prefix("deb ")?.trim_start();
        if rest.starts_with('[') {
            rest = rest.split_once(']')?.1;
        }
        let words: Vec<_> = rest.split_whitespace().collect();
        let (uri, suite) = (*words.first()?, *words.get(1)?);
        let main = words.get(2..)?.contains(&"main");
        (suite == codename && main && usable(uri)).then(|| uri.to_owned())
    })
}

/// Stanzas of `Key: value`, the deb822 form of sources.list(5).
fn deb822_mirror(text: &str, codename: &str) -> Option<String> {
    text.split("\n\n").find_map(|stanza| {
        let words = |key: &str| -> Vec<&str> {
            stanza
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.trim().eq_ignore_ascii_case(key))
                .map(|(_, value)| value.split_whitespace().collect())
                .unwrap_or_default()
        };
        let fits = words("Types").contains(&"deb")
            && words("Suites").contains(&codename)
            && words("Components").contains(&"main")
            && !words("Enabled").contains(&"no");
        let uri = words("URIs").into_iter().find(|uri| usable(uri))?;
        fits.then(|| uri.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_security_archive_is_not_the_mirror() {
        let text = "Types: deb\nURIs: https://example.org/security\nSuites: bookworm-security\nComponents: main\n\n\
                    Types: deb\n# a comment\nURIs: http://example.org/debian\nSuites: bookworm bookworm-updates\n\
                    Components: main\n";
        assert_eq!(
            deb822_mirror(text, "bookworm").as_deref(),
            Some("http://example.org/debian")
        );
    }

    #[test]
    fn one_line_sources_may_have_options() {
        let text = "# deb http://example.org/no bookworm main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://example.org/debian bookworm main contrib\n";
        assert_eq!(
            one_line_mirror(text, "bookworm").as_deref(),
            Some("http://example.org/debian")
        );
        assert_eq!(one_line_mirror(text, "trixie"), None);
    }

    #[test]
    fn another_distribution_gets_debian() {
        let fedora = Release::from_os_release("ID=fedora\nVERSION_ID=42\n");
        assert_eq!(fedora.codename, "bookworm");
        let ubuntu = Release::from_os_release("ID=ubuntu\nVERSION_CODENAME=noble\n");
        assert_eq!(ubuntu.distribution, "ubuntu");
    }
}
