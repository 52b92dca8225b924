//! Whose the hashed lines of a [`KnownHostsIndex`] are.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU8, Ordering};

use rayon::prelude::*;

use crate::openssh::key::{KeyBlob, KeyKind, PublicKey};

use super::document::{Hosts, KnownHost, Marker};
use super::hashed::{HashMatcher, HashableName};
use super::index::{EntryId, KnownHostsIndex, Name};

/// Hashed lines after they were tried with names.
#[derive(Default)]
struct Tried {
    /// Lines and the number of the name that each is for.
    resolved: Vec<(EntryId, usize)>,
    /// Lines for none of the names.
    unresolved: Vec<EntryId>,
}

impl KnownHostsIndex {
    pub(super) fn resolve_hashed(&mut self) {
        if self.hashed.is_empty() || self.names.is_empty() {
            self.unresolved.clone_from(&self.hashed);
            return;
        }
        let mut by_key: HashMap<&KeyBlob, Vec<usize>> = HashMap::new();
        for (number, name) in self.names.iter().enumerate() {
            let blobs: HashSet<&KeyBlob> = name.keys().map(PublicKey::plain_blob).collect();
            for blob in blobs {
                by_key.entry(blob).or_default().push(number);
            }
        }
        let no_names = Vec::new();
        let by_own_key = self.try_lines(&self.hashed, |entry: &KnownHost| {
            by_key
                .get(entry.key.plain_blob())
                .unwrap_or(&no_names)
                .as_slice()
        });

        let open = OpenNames::new(self, &by_own_key.resolved);
        let everyone: Vec<usize> = (0..self.names.len())
            .filter(|number| self.names[*number].dialled)
            .collect();
        let by_others = self.try_lines(&by_own_key.unresolved, |entry: &KnownHost| {
            if entry.marker == Marker::None {
                open.for_kind(entry.key.kind())
            } else {
                &everyone
            }
        });
        self.unresolved = by_others.unresolved;
        for (id, number) in by_own_key.resolved.into_iter().chain(by_others.resolved) {
            self.names[number].hashed_lines.push(id);
        }
    }

    /// Tries each hashed line with the names it may be for. Returns which line is whose, and the lines that are nobody's.
    fn try_lines<'a>(
        &self,
        lines: &[EntryId],
        names_for: impl Fn(&KnownHost) -> &'a [usize] + Sync,
    ) -> Tried {
        /// Long enough that the first line of a chunk, which has no predecessor to start from, does not matter.
        const CHUNK: usize = 256;
        let lines = self.group_by_key(lines);
        let search = Search::new(&self.names);
        let chunks: Vec<Tried> = lines
            .par_chunks(CHUNK)
            .map(|chunk| {
                let mut tried = Tried::default();
                let mut last = 0;
                for id in chunk {
                    let entry = self.entry(*id).entry;
                    let Some(matcher) = matcher(entry) else {
                        continue;
                    };
                    match search.find(&matcher, entry.key.kind(), names_for(entry), last) {
                        Some(number) => {
                            last = number;
                            tried.resolved.push((*id, number));
                        }
                        None => tried.unresolved.push(*id),
                    }
                }
                tried
            })
            .collect();
        chunks.into_iter().fold(Tried::default(), |mut all, chunk| {
            all.resolved.extend(chunk.resolved);
            all.unresolved.extend(chunk.unresolved);
            all
        })
    }

    /// Brings lines with one key together: they are for names of one host, which lie side by side.
    fn group_by_key(&self, lines: &[EntryId]) -> Vec<EntryId> {
        let mut first_with_key: HashMap<&KeyBlob, EntryId> = HashMap::new();
        let mut keyed: Vec<(EntryId, EntryId)> = lines
            .iter()
            .map(|id| {
                let blob = self.entry(*id).entry.key.plain_blob();
                (*first_with_key.entry(blob).or_insert(*id), *id)
            })
            .collect();
        keyed.sort_unstable();
        keyed.into_iter().map(|(_, id)| id).collect()
    }
}

/// The search for a name. It begins where it is likely to end.
struct Search {
    names: Vec<HashableName>,
    /// For each name the kinds of keys, one bit each, that a line has been found with: a second one is unlikely.
    found: Vec<AtomicU8>,
}

impl Search {
    fn new(names: &[Name]) -> Self {
        Self {
            names: names
                .iter()
                .map(|name| HashableName::new(name.text.as_bytes()))
                .collect(),
            found: names.iter().map(|_| AtomicU8::new(0)).collect(),
        }
    }

    /// Tries the names, which are sorted by number, from the one that matched last outwards.
    fn find(
        &self,
        matcher: &HashMatcher,
        kind: KeyKind,
        names: &[usize],
        last: usize,
    ) -> Option<usize> {
        let bit = 1 << kind as u8;
        let (before, from_last) = names.split_at(names.partition_point(|number| *number < last));
        let outwards = || Outwards {
            up: from_last.iter(),
            down: before.iter().rev(),
            upwards: false,
        };
        let had_one = |number: usize| self.found[number].load(Ordering::Relaxed) & bit != 0;
        let is_it = |number: &usize| matcher.matches(&self.names[*number]);
        // Two passes may miss a name that another thread finds in between, so the second one takes all that the first left out.
        let mut left_out = Vec::new();
        let number = outwards()
            .filter(|number| {
                let late = had_one(*number);
                if late {
                    left_out.push(*number);
                }
                !late
            })
            .find(is_it)
            .or_else(|| left_out.iter().copied().find(is_it))?;
        self.found[number].fetch_or(bit, Ordering::Relaxed);
        Some(number)
    }
}

/// Takes from two sides in turn.
struct Outwards<'a> {
    up: std::slice::Iter<'a, usize>,
    down: std::iter::Rev<std::slice::Iter<'a, usize>>,
    upwards: bool,
}

impl Iterator for Outwards<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.upwards = !self.upwards;
        let next = if self.upwards {
            self.up.next().or_else(|| self.down.next())
        } else {
            self.down.next().or_else(|| self.up.next())
        };
        next.copied()
    }
}

fn matcher(entry: &KnownHost) -> Option<HashMatcher> {
    match &entry.hosts {
        Hosts::Hashed(hashed) => hashed.matcher(),
        Hosts::List(_) => None,
    }
}

/// For each kind of key, the names whose answers a further hashed line with a key of that kind could change.
///
/// It cannot where the host's own key of that kind is recorded already, for then that key is accepted whatever else stands there.
/// Nor where the host has no key of the kind and some other of its keys is recorded: the line is then one more with another key.
struct OpenNames {
    by_kind: HashMap<KeyKind, Vec<usize>>,
    without_match: Vec<usize>,
}

impl OpenNames {
    fn new(index: &KnownHostsIndex, resolved: &[(EntryId, usize)]) -> Self {
        let mut hashed_lines: HashMap<usize, Vec<EntryId>> = HashMap::new();
        for (id, number) in resolved {
            hashed_lines.entry(*number).or_default().push(*id);
        }
        let recorded: Vec<(HashSet<KeyKind>, HashSet<KeyKind>)> = (0..index.names.len())
            .into_par_iter()
            .map(|number| {
                let name = &index.names[number];
                let mut ids = index.plain_lines(&name.text);
                ids.extend(hashed_lines.get(&number).into_iter().flatten());
                let is_recorded = |key: &&PublicKey| {
                    ids.iter().map(|id| index.entry(*id).entry).any(|entry| {
                        entry.marker == Marker::None
                            && entry.key.certificate().is_none()
                            && entry.key.plain_blob() == key.plain_blob()
                    })
                };
                // Two keys of one kind (disk and wire differ) are never settled by one of them.
                let missing = name
                    .keys()
                    .filter(|key| !is_recorded(key))
                    .map(PublicKey::kind)
                    .collect();
                let present = name
                    .keys()
                    .filter(is_recorded)
                    .map(PublicKey::kind)
                    .collect();
                (missing, present)
            })
            .collect();
        let mut open = Self {
            by_kind: HashMap::new(),
            without_match: Vec::new(),
        };
        for (number, (missing, present)) in recorded
            .iter()
            .enumerate()
            .filter(|(number, _)| index.names[*number].dialled)
        {
            if present.is_empty() {
                open.without_match.push(number);
            }
            for kind in missing {
                open.by_kind.entry(*kind).or_default().push(number);
            }
        }
        // A name without any match is open for every kind.
        for names in open.by_kind.values_mut() {
            names.extend(&open.without_match);
            names.sort_unstable();
            names.dedup();
        }
        open
    }

    fn for_kind(&self, kind: KeyKind) -> &[usize] {
        self.by_kind.get(&kind).unwrap_or(&self.without_match)
    }
}
