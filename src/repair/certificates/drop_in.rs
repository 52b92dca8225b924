//! Clearway's part of sshd's configuration.
//!
//! A file of its own where the main file includes a directory for that, which distributions have done since OpenSSH 8.2;
//! else a marked block at the top of the main file. All that stands in either is global, so it must come before the first
//! `Match`, and the top is the one place of a main file of which that is certain.

use crate::domain::SshdProfile;
use crate::openssh::Lines;
use crate::repair::plan::{Attributes, FileState};
use crate::survey::{FileFact, ServerFacts};

use super::entries::{before, parts};

/// The file's name: early, so that the first value of a keyword is clearway's.
const NAME: &str = "10-clearway.conf";
const HEAD: &str =
    "# Written by clearway (docs/certificates.md). Lines of your own belong into another file.\n";
const BEGIN: &str = "# clearway begin (docs/certificates.md)\n";
const END: &str = "# clearway end\n";

/// Where clearway's part stands, and what stands there now.
#[derive(Debug, Clone)]
pub(super) struct DropIn {
    pub(super) path: String,
    pub(super) before: FileState,
    attributes: Attributes,
    bytes: Vec<u8>,
    is_block: bool,
}

impl DropIn {
    /// Finds it.
    ///
    /// # Errors
    /// Why there is no place for it, in words.
    pub(super) fn find(server: &ServerFacts, profile: &SshdProfile) -> Result<Self, String> {
        let main = server
            .config_files
            .iter()
            .find(|file| file.path == profile.config);
        let main = main.ok_or_else(|| format!("{} was not found", profile.config))?;
        let of_main = before(main)?;
        let root = Attributes {
            uid: 0,
            gid: 0,
            mode: 0o644,
        };
        let (bytes, attributes) = parts(&of_main, root);
        if of_main == FileState::Absent {
            return Err(format!("{} does not exist", profile.config));
        }
        let Some(directory) = included_directory(&bytes) else {
            return Ok(Self {
                path: profile.config.clone(),
                before: of_main,
                attributes,
                bytes,
                is_block: true,
            });
        };
        let path = format!("{directory}/{NAME}");
        let of_file = match server.config_files.iter().find(|file| file.path == path) {
            Some(file) => before(file)?,
            None => FileState::Absent,
        };
        let (bytes, attributes) = parts(&of_file, attributes);
        Ok(Self {
            path,
            before: of_file,
            attributes,
            bytes,
            is_block: false,
        })
    }

    /// Clearway's directives that stand there now, without comments.
    pub(super) fn directives(&self) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = if self.is_block {
            let inside = text.split_once(BEGIN).map(|(_, rest)| rest);
            let inside = inside.and_then(|rest| rest.split_once(END));
            inside.map_or("", |(inside, _)| inside).to_owned()
        } else {
            text.into_owned()
        };
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    /// What is there with these directives and no others of clearway's; `None` where nothing changes.
    pub(super) fn with(&self, directives: &[String]) -> Option<FileState> {
        if self.directives() == directives {
            return None;
        }
        let lines: String = directives.iter().map(|line| format!("{line}\n")).collect();
        let bytes = if self.is_block {
            let rest = self.without_block();
            if directives.is_empty() {
                rest
            } else {
                [format!("{BEGIN}{lines}{END}").into_bytes(), rest].concat()
            }
        } else if directives.is_empty() {
            return Some(FileState::Absent);
        } else {
            format!("{HEAD}{lines}").into_bytes()
        };
        Some(FileState::File {
            attributes: self.attributes,
            text: crate::repair::Text::known(bytes),
        })
    }

    fn without_block(&self) -> Vec<u8> {
        let find = |from: usize, what: &str| {
            let rest = self.bytes.get(from..)?;
            rest.windows(what.len())
                .position(|window| window == what.as_bytes())
                .map(|at| from + at)
        };
        let block = find(0, BEGIN).and_then(|start| Some((start, find(start, END)? + END.len())));
        match block {
            Some((start, end)) => [&self.bytes[..start], &self.bytes[end..]].concat(),
            None => self.bytes.clone(),
        }
    }
}

/// Whether a directive of this keyword with this value stands in a configuration file other than clearway's own part.
pub(super) fn is_set_elsewhere(
    server: &ServerFacts,
    own: &DropIn,
    keyword: &str,
    value: &str,
) -> bool {
    values_elsewhere(server, own, keyword).any(|it| it == value)
}

/// The first value that a directive of this keyword has there.
pub(super) fn set_elsewhere(server: &ServerFacts, own: &DropIn, keyword: &str) -> Option<String> {
    values_elsewhere(server, own, keyword).next()
}

fn values_elsewhere<'a>(
    server: &'a ServerFacts,
    own: &'a DropIn,
    keyword: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let values = move |file: &FileFact| -> Vec<String> {
        if file.path == own.path && !own.is_block {
            return Vec::new();
        }
        let bytes = if file.path == own.path {
            own.without_block()
        } else {
            file.content()
                .map(|it| it.bytes.to_vec())
                .unwrap_or_default()
        };
        let lines = Lines::new(bytes);
        let values = lines.visible().filter_map(|line| {
            let line = String::from_utf8_lossy(line);
            let mut words = words(&line);
            let is_it = words.next()?.eq_ignore_ascii_case(keyword);
            is_it.then(|| words.next().unwrap_or_default().to_owned())
        });
        values.collect()
    };
    server.config_files.iter().flat_map(values)
}

/// The directory of which the main file includes every `*.conf`, before any `Match`.
fn included_directory(bytes: &[u8]) -> Option<String> {
    let lines = Lines::new(bytes.to_vec());
    for line in lines.visible() {
        let line = String::from_utf8_lossy(line);
        let mut words = words(&line);
        match words.next() {
            Some(word) if word.eq_ignore_ascii_case("match") => return None,
            Some(word) if word.eq_ignore_ascii_case("include") => {
                let directory = words.find_map(|pattern| pattern.strip_suffix("/*.conf"));
                let directory = directory.filter(|it| !it.contains(['*', '?', '[', '%', '$']));
                if let Some(directory) = directory {
                    // A relative pattern starts in /etc/ssh (servconf.c, `sInclude`).
                    return Some(if directory.starts_with('/') {
                        directory.to_owned()
                    } else {
                        format!("/etc/ssh/{directory}")
                    });
                }
            }
            _ => {}
        }
    }
    None
}

/// The words of a line of sshd_config: separated by blanks, the first perhaps by `=`, in quotes or not.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let line = line.trim();
    let line = if line.starts_with('#') { "" } else { line };
    line.split([' ', '\t', '='])
        .map(|word| word.trim_matches('"'))
        .filter(|word| !word.is_empty())
}
