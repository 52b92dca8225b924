//! `/etc/hosts` (hosts(5), glibc's nss_files): which of the dialled names it knows.
//!
//! Names that are not in it are looked up in the DNS, which no survey sees.

use std::collections::HashMap;
use std::net::IpAddr;

/// An address of a name and the line that says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct HostsLine {
    pub(super) address: IpAddr,
    /// From 1.
    pub(super) line: u32,
}

/// The lines for the wanted names, by name in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostsFile {
    names: HashMap<Box<str>, Vec<HostsLine>>,
}

impl HostsFile {
    /// Reads the lines for the names that are wanted; they are asked for in lower case.
    pub(super) fn parse(bytes: &[u8], is_wanted: impl Fn(&str) -> bool) -> Self {
        let mut names: HashMap<Box<str>, Vec<HostsLine>> = HashMap::new();
        for (number, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let text = text.split(|byte| *byte == b'#').next().unwrap_or_default();
            let Ok(text) = std::str::from_utf8(text) else {
                continue;
            };
            let mut words = text.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse().ok()) else {
                continue;
            };
            for word in words {
                let name = word.to_ascii_lowercase();
                if is_wanted(&name) {
                    let line = HostsLine {
                        address,
                        line: number,
                    };
                    names.entry(name.into()).or_default().push(line);
                }
            }
        }
        Self { names }
    }

    /// The addresses of a name, in the order of the file.
    pub(super) fn lookup(&self, name: &str) -> &[HostsLine] {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.names.get(name.as_str()).map_or(&[], Vec::as_slice)
    }

    /// All names that it has, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &[HostsLine])> {
        self.names
            .iter()
            .map(|(name, lines)| (&**name, lines.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_any_case_with_comments_and_aliases() {
        let text = b"127.0.0.1 localhost\n\n# 10.0.0.9 cmp1\n10.0.0.1\tcmp1.lab CMP1 # its own\n\
            not-an-address cmp1\n\xff\xfe cmp1\n10.1.0.1 cmp1\nfd00::1 cmp1\n10.0.0.2 other";
        let hosts = HostsFile::parse(text, |name| name.starts_with("cmp"));
        let found: Vec<(String, u32)> = hosts
            .lookup("Cmp1.")
            .iter()
            .map(|it| (it.address.to_string(), it.line))
            .collect();
        let expected = [("10.0.0.1", 4), ("10.1.0.1", 7), ("fd00::1", 8)];
        assert_eq!(
            found,
            expected.map(|(address, line)| (address.to_owned(), line))
        );
        assert_eq!(hosts.lookup("cmp1.lab").len(), 1);
        assert!(hosts.lookup("other").is_empty(), "it was not wanted");
    }
}
