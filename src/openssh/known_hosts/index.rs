//! Answers for very many names at once.
//!
//! Names are found in a hash map, patterns by their literal beginning. Hashed names are the hard part: trying every name on every
//! hashed line costs (names × lines) HMACs. So each line is first tried with the names of the hosts that have its key; that
//! finds nearly all. What is left is tried only with names for which it could still change an answer, and in the order in which the
//! lines before it matched, because files and fleets are usually sorted alike.

use std::collections::HashMap;
use std::sync::Arc;

use crate::openssh::key::PublicKey;
use crate::openssh::pattern::{list_items, split_negation};

use super::algorithms::{self, KeyTypeOrder};
use super::check::{self, Found, HostKeyCheck, Lookup, Position};
use super::document::Hosts;
use super::query::{HostKeyContext, HostName};
use super::set::KnownHostsSet;

/// A name of a host, and the keys that the host may show.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// A name in the form that is looked up; see [`HostName::names`].
    pub name: String,
    /// The host's keys: on its disk and served. Certificates count as their plain keys.
    pub keys: Arc<[PublicKey]>,
    /// Whether it will be asked for. Announce all other names and addresses of the host too, with `false`: each one spares the
    /// comparison of its hashed lines with everybody's names.
    pub dialled: bool,
}

/// Number of a line in the index: the order of files and lines.
pub(super) type EntryId = u32;

/// [`KnownHostsSet`], prepared for many questions.
///
/// Every answer is the set's, with one exception: in [`super::HostKeyStatus::Changed`] hashed lines may be missing from the list
/// of lines where they make no difference to the status. Ask the set for the evidence.
/// Names and keys that were not announced as [`Candidate`]s are answered as well, but slowly.
#[derive(Debug)]
pub struct KnownHostsIndex {
    set: KnownHostsSet,
    entries: Vec<Position>,
    literal: HashMap<Box<[u8]>, Vec<EntryId>>,
    by_prefix: HashMap<Box<[u8]>, Vec<EntryId>>,
    longest_prefix: usize,
    numbers: HashMap<Box<str>, usize>,
    pub(super) names: Vec<Name>,
    pub(super) hashed: Vec<EntryId>,
    /// Hashed lines whose name is not known; it is no candidate's, or one's for whom it makes no difference.
    pub(super) unresolved: Vec<EntryId>,
}

#[derive(Debug)]
pub(super) struct Name {
    pub(super) text: Box<str>,
    pub(super) dialled: bool,
    keys: Vec<Arc<[PublicKey]>>,
    pub(super) hashed_lines: Vec<EntryId>,
}

impl Name {
    pub(super) fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().flat_map(|keys| keys.iter())
    }
}

impl KnownHostsIndex {
    /// Prepares the files for these names. Takes all processors of the rayon pool it runs in.
    pub fn build(set: KnownHostsSet, candidates: impl IntoIterator<Item = Candidate>) -> Self {
        let mut index = Self {
            set,
            entries: Vec::new(),
            literal: HashMap::new(),
            by_prefix: HashMap::new(),
            longest_prefix: 0,
            numbers: HashMap::new(),
            names: Vec::new(),
            hashed: Vec::new(),
            unresolved: Vec::new(),
        };
        index.sort_entries();
        for candidate in candidates {
            index.add_name(candidate);
        }
        index.resolve_hashed();
        index
    }

    /// The files.
    #[must_use]
    pub fn set(&self) -> &KnownHostsSet {
        &self.set
    }

    /// See [`KnownHostsSet::check`].
    #[must_use]
    pub fn check(
        &self,
        host: &HostName,
        offered: &PublicKey,
        context: &HostKeyContext<'_>,
    ) -> HostKeyCheck {
        check::check(self, host, offered, context)
    }

    /// See [`KnownHostsSet::proposed_algorithms`]. For an announced name the order is exact as far as it concerns the types of
    /// the announced keys.
    #[must_use]
    pub fn proposed_algorithms<'a>(
        &self,
        host: &HostName,
        algorithms: &'a str,
        order: KeyTypeOrder,
        context: &HostKeyContext<'_>,
    ) -> Vec<&'a str> {
        if order == KeyTypeOrder::AsConfigured {
            return self
                .set
                .proposed_algorithms(host, algorithms, order, context);
        }
        let found = check::relevant(self.find_for(&host.first(), None), context);
        algorithms::order(&found, algorithms, context)
    }

    fn sort_entries(&mut self) {
        let mut id: EntryId = 0;
        for found in self.set.entries() {
            self.entries.push(found.at);
            match &found.entry.hosts {
                Hosts::Hashed(_) => self.hashed.push(id),
                Hosts::List(list) => match Shape::of(list) {
                    Shape::Literal => {
                        for item in list_items(list) {
                            self.literal
                                .entry(item.to_ascii_lowercase().into())
                                .or_default()
                                .push(id);
                        }
                    }
                    Shape::Prefixes(prefixes) => {
                        for prefix in prefixes {
                            self.longest_prefix = self.longest_prefix.max(prefix.len());
                            self.by_prefix.entry(prefix).or_default().push(id);
                        }
                    }
                },
            }
            id = id
                .checked_add(1)
                .expect("files of more than 4 billion lines do not fit in memory");
        }
    }

    fn add_name(&mut self, candidate: Candidate) {
        let number = *self
            .numbers
            .entry(candidate.name.as_str().into())
            .or_insert_with(|| {
                let text = candidate.name.into();
                self.names.push(Name {
                    text,
                    dialled: false,
                    keys: Vec::new(),
                    hashed_lines: Vec::new(),
                });
                self.names.len() - 1
            });
        self.names[number].dialled |= candidate.dialled;
        let keys = &mut self.names[number].keys;
        if !keys.iter().any(|known| Arc::ptr_eq(known, &candidate.keys)) {
            keys.push(candidate.keys);
        }
    }

    pub(super) fn entry(&self, id: EntryId) -> Found<'_> {
        let at = self.entries[id as usize];
        let entry = self.set.files()[at.file]
            .entry(at.line)
            .expect("positions come from the entries of the files");
        Found { at, entry }
    }

    /// The lines for a name that are not hashed.
    pub(super) fn plain_lines(&self, name: &str) -> Vec<EntryId> {
        let bytes = name.as_bytes();
        let mut ids = self.literal.get(bytes).cloned().unwrap_or_default();
        if !self.by_prefix.is_empty() {
            let patterns = (0..=bytes.len().min(self.longest_prefix))
                .filter_map(|length| self.by_prefix.get(&bytes[..length]))
                .flatten()
                .copied();
            ids.extend(patterns.filter(|id| self.entry(*id).entry.hosts.matches(name)));
        }
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The lines for a name, exact for this key, or without one for the announced keys.
    fn find_for(&self, name: &str, offered: Option<&PublicKey>) -> Vec<Found<'_>> {
        let mut ids = self.plain_lines(name);
        let known = self.numbers.get(name).map(|number| &self.names[*number]);
        let announced = known.filter(|known| known.dialled).is_some_and(|known| {
            offered.is_none_or(|offered| {
                known
                    .keys()
                    .any(|key| key.plain_blob() == offered.plain_blob())
            })
        });
        if let Some(known) = known {
            ids.extend(&known.hashed_lines);
        }
        if !announced {
            let untried = if known.is_some() {
                &self.unresolved
            } else {
                &self.hashed
            };
            ids.extend(
                untried
                    .iter()
                    .filter(|id| self.entry(**id).entry.hosts.matches(name)),
            );
        }
        ids.sort_unstable();
        ids.into_iter().map(|id| self.entry(id)).collect()
    }
}

impl Lookup for KnownHostsIndex {
    fn find<'a>(&'a self, name: &str, offered: &PublicKey) -> Vec<Found<'a>> {
        self.find_for(name, Some(offered))
    }
}

/// How the hosts field of a line is found.
enum Shape {
    /// Only plain names.
    Literal,
    /// Patterns; each that can match begins with one of these (perhaps with an empty one).
    Prefixes(Vec<Box<[u8]>>),
}

impl Shape {
    fn of(list: &[u8]) -> Self {
        /// Longer items spoil their list, so they need the full matcher.
        const LONGEST: usize = 1022;
        let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'!');
        if !list.iter().any(is_special) && list_items(list).all(|item| item.len() <= LONGEST) {
            return Self::Literal;
        }
        let prefixes = list_items(list).filter_map(|item| match split_negation(item) {
            (true, _) => None,
            (false, pattern) => {
                let end = pattern
                    .iter()
                    .position(|byte| matches!(byte, b'*' | b'?'))
                    .unwrap_or(pattern.len());
                Some(pattern[..end].to_ascii_lowercase().into_boxed_slice())
            }
        });
        Self::Prefixes(prefixes.collect())
    }
}
