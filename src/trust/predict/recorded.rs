//! The known_hosts files of clients, parsed once for all that have the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::openssh::key::KeyInterner;
use crate::openssh::known_hosts::{KnownHosts, KnownHostsSet};
use crate::survey::{ClientFacts, FileFact, FileKind, FileState};

use super::host_key::{Lookup, Recorded, has_authority};

/// The files that one configuration names, as one client has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Files {
    /// For each path the hash of what was read there; `None` counts as an empty file.
    contents: Vec<Option<[u8; 32]>>,
    /// See [`Recorded`].
    unreadable: Vec<String>,
    /// See [`Recorded`].
    unseen: Vec<String>,
}

impl Files {
    /// Finds the files that `paths` name.
    pub(super) fn of(facts: &ClientFacts, paths: &[String]) -> Self {
        let mut files = Self::default();
        for path in paths {
            let file = facts.known_hosts.iter().find(|file| file.path == *path);
            let content = match file.map(|file| &file.state) {
                // Nobody can put anything there.
                None if path == "/dev/null" => None,
                None => {
                    files.unseen.push(path.clone());
                    None
                }
                Some(FileState::Absent) => None,
                // The survey looks with the client's own account, so ssh meets the same directory that it cannot
                // search, whether there is a file behind it or not.
                Some(FileState::Unreadable(_)) => {
                    files.unreadable.push(path.clone());
                    None
                }
                // ssh reads nothing from a directory or /dev/null, and says nothing.
                Some(FileState::Present { meta, .. }) if meta.kind != FileKind::File => None,
                Some(FileState::Present {
                    readable: false, ..
                }) => {
                    files.unreadable.push(path.clone());
                    None
                }
                Some(FileState::Present {
                    content: Some(content),
                    ..
                }) => Some(content.sha256),
                Some(FileState::Present { .. }) => {
                    files.unseen.push(path.clone());
                    None
                }
            };
            files.contents.push(content);
        }
        files
    }
}

/// Parses known_hosts files. Keeps the last few, for evidence is asked for client by client.
#[derive(Debug, Default)]
pub(super) struct Library(Mutex<Vec<(Files, Arc<Shelf>)>>);

/// Parsed files.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) set: KnownHostsSet,
    has_authority: bool,
}

impl Shelf {
    /// Parses the files; `facts` is any client that has them.
    pub(super) fn read(files: &Files, facts: &[FileFact], keys: &mut KeyInterner) -> Self {
        let mut parsed: HashMap<[u8; 32], Arc<KnownHosts>> = HashMap::new();
        let empty = Arc::new(KnownHosts::default());
        let documents =
            files.contents.iter().map(|hash| {
                let Some(hash) = hash else {
                    return Arc::clone(&empty);
                };
                let content = facts
                    .iter()
                    .filter_map(FileFact::content)
                    .find(|content| content.sha256 == *hash);
                match content {
                    None => Arc::clone(&empty),
                    Some(content) => Arc::clone(parsed.entry(*hash).or_insert_with(|| {
                        Arc::new(KnownHosts::parse_with(&*content.bytes, keys))
                    })),
                }
            });
        let set = KnownHostsSet::new(documents.collect());
        Self {
            has_authority: has_authority(&set),
            set,
        }
    }

    pub(super) fn recorded<'a>(
        &'a self,
        lookup: Lookup<'a>,
        files: &'a Files,
        paths: &'a [String],
    ) -> Recorded<'a> {
        Recorded {
            lookup,
            paths,
            unreadable: &files.unreadable,
            unseen: &files.unseen,
            has_authority: self.has_authority,
        }
    }
}

impl Library {
    pub(super) fn shelf(&self, files: &Files, facts: &[FileFact]) -> Arc<Shelf> {
        /// Clients are asked about one after the other, each in up to three lanes.
        const KEPT: usize = 8;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, shelf)) = kept.iter().find(|(known, _)| known == files) {
            return Arc::clone(shelf);
        }
        let shelf = Arc::new(Shelf::read(files, facts, &mut KeyInterner::new()));
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((files.clone(), Arc::clone(&shelf)));
        shelf
    }
}
