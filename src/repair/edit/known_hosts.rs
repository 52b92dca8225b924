//! Recording host keys in a known_hosts file.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::block::{Block, add_to_block, find_block};
use super::lines::LineEdits;
use crate::domain::COMMENT;
use crate::openssh::key::{KeyBlob, PublicKey};
use crate::openssh::known_hosts::{HashedName, Hosts, KnownHost, KnownHosts, Marker};
use crate::repair::plan::{Piece, Text};

/// What is to be recorded of one host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Host<'a> {
    /// Inventory name, for the comment.
    pub(crate) node: &'a str,
    /// The names that are looked up, as they are looked up.
    pub(crate) names: &'a [String],
    /// Other names of its own: nothing is recorded under them, but a key that is stale under a name above goes from under
    /// these, too.
    pub(crate) others: &'a [String],
    /// Its keys.
    pub(crate) keys: &'a [PublicKey],
}

/// What recording one host changes in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contribution {
    /// Names that stand in a line although the line's key is nobody's of that name: the line, and the name as written;
    /// `None` for a hashed line.
    pub(crate) stale: Vec<(usize, Option<Vec<u8>>)>,
    /// New lines.
    pub(crate) lines: Vec<Piece>,
    /// Lines that revoke a key that was to be recorded.
    pub(crate) revoked: Vec<usize>,
}

/// A salt of 20 bytes for a name and a key, from a secret that nobody can guess.
pub(crate) fn salt(seed: &[u8; 32], file: &[u8], name: &str, key: &PublicKey) -> [u8; 20] {
    let mut hash = Sha256::new();
    for part in [
        &seed[..],
        file,
        name.as_bytes(),
        key.plain_blob().as_bytes(),
    ] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut salt = [0; 20];
    salt.copy_from_slice(&hash[..20]);
    salt
}

/// One known_hosts file, prepared for many hosts. Files of the same bytes share one.
#[derive(Debug)]
pub(crate) struct KnownHostsEditor {
    bytes: Arc<[u8]>,
    spans: Arc<[Range<usize>]>,
    block: Option<Block>,
    parsed: KnownHosts,
    /// Lines without a marker, by key.
    by_key: HashMap<KeyBlob, Vec<usize>>,
    /// Lines without a marker that list a name literally.
    by_name: HashMap<Vec<u8>, Vec<usize>>,
    hashed: Vec<usize>,
    revoked: Vec<usize>,
    is_hashed: bool,
}

impl KnownHostsEditor {
    /// Reads a file; no bytes for one that does not exist.
    pub(crate) fn new(bytes: Arc<[u8]>) -> Self {
        let parsed = KnownHosts::parse(&*bytes);
        let spans = LineEdits::spans(&bytes);
        let file = LineEdits::with_spans(Arc::clone(&bytes), Arc::clone(&spans));
        let mut editor = Self {
            bytes,
            spans,
            block: find_block(&file),
            by_key: HashMap::new(),
            by_name: HashMap::new(),
            hashed: Vec::new(),
            revoked: Vec::new(),
            is_hashed: false,
            parsed: KnownHosts::default(),
        };
        for (number, entry) in parsed.entries() {
            match entry.marker {
                Marker::Revoked => editor.revoked.push(number),
                Marker::CertAuthority => {}
                Marker::None => editor.add(number, entry),
            }
        }
        editor.is_hashed = !editor.hashed.is_empty();
        editor.parsed = parsed;
        editor
    }

    fn add(&mut self, number: usize, entry: &KnownHost) {
        let blob = entry.key.plain_blob().clone();
        self.by_key.entry(blob).or_default().push(number);
        match &entry.hosts {
            Hosts::Hashed(_) => self.hashed.push(number),
            // A list with an exception in it says less than its names: it is not taken apart.
            Hosts::List(list) if list.contains(&b'!') => {}
            Hosts::List(list) => {
                for name in list.split(|byte| *byte == b',') {
                    if !name.is_empty() && !name.iter().any(|byte| matches!(byte, b'*' | b'?')) {
                        let lines = self.by_name.entry(name.to_ascii_lowercase()).or_default();
                        if lines.last() != Some(&number) {
                            lines.push(number);
                        }
                    }
                }
            }
        }
    }

    fn entry(&self, number: usize) -> Option<&KnownHost> {
        self.parsed.entry(number)
    }

    /// What recording a host changes. `rightful` tells whether a key is that of some host which is dialled by the name.
    pub(crate) fn contribution(
        &self,
        host: &Host<'_>,
        rightful: impl Fn(&str, &PublicKey) -> bool,
        seed: &[u8; 32],
    ) -> Contribution {
        let mut found = Contribution::default();
        for name in host.names {
            self.find_stale(name, &rightful, &mut found);
        }
        self.find_also(host.others, &mut found);
        for key in host.keys {
            let mut missing: Vec<&str> = Vec::new();
            for name in host.names {
                match self.revocation(name, key) {
                    Some(line) => found.revoked.push(line),
                    None if self.has(name, key) => {}
                    None => missing.push(name),
                }
            }
            if missing.is_empty() {
                continue;
            }
            let node = host.node;
            if self.is_hashed {
                for name in missing {
                    let salt = salt(seed, &self.bytes, name, key);
                    let line = format!("{} {key} {COMMENT}{node}\n", HashedName::new(name, salt));
                    found.lines.push(Piece::Bytes(line.into_bytes().into()));
                }
            } else {
                let line = format!("{} {key} {COMMENT}{node}\n", missing.join(","));
                found.lines.push(Piece::Bytes(line.into_bytes().into()));
            }
        }
        found.revoked.sort_unstable();
        found.revoked.dedup();
        found
    }

    fn find_stale(
        &self,
        name: &str,
        rightful: &impl Fn(&str, &PublicKey) -> bool,
        found: &mut Contribution,
    ) {
        let lower = name.as_bytes().to_ascii_lowercase();
        let literal = self.by_name.get(&lower).into_iter().flatten();
        for &number in literal {
            if self
                .entry(number)
                .is_some_and(|it| !rightful(name, &it.key))
            {
                found.stale.push((number, Some(lower.clone())));
            }
        }
        for &number in &self.hashed {
            if let Some(entry) = self.entry(number)
                && !rightful(name, &entry.key)
                && entry.hosts.matches(name)
            {
                found.stale.push((number, None));
            }
        }
    }

    /// Other names under the keys that were found stale.
    fn find_also(&self, names: &[String], found: &mut Contribution) {
        let key = |number: usize| self.entry(number).map(|it| it.key.plain_blob());
        let stale = found.stale.iter().filter_map(|(number, _)| key(*number));
        let stale: HashSet<&KeyBlob> = stale.collect();
        if stale.is_empty() {
            return;
        }
        for name in names {
            let lower = name.as_bytes().to_ascii_lowercase();
            for &number in self.by_name.get(&lower).into_iter().flatten() {
                if key(number).is_some_and(|it| stale.contains(it)) {
                    found.stale.push((number, Some(lower.clone())));
                }
            }
        }
    }

    fn has(&self, name: &str, key: &PublicKey) -> bool {
        let lines = self.by_key.get(key.plain_blob()).into_iter().flatten();
        lines
            .filter_map(|&number| self.entry(number))
            .any(|entry| entry.key == *key && entry.hosts.matches(name))
    }

    fn revocation(&self, name: &str, key: &PublicKey) -> Option<usize> {
        self.revoked.iter().copied().find(|&number| {
            self.entry(number)
                .is_some_and(|it| it.key == *key && it.hosts.matches(name))
        })
    }

    /// The file with all contributions; `None` if nothing changes.
    pub(crate) fn apply<'a>(
        &self,
        contributions: impl IntoIterator<Item = &'a Contribution>,
    ) -> Option<Text> {
        let mut file = LineEdits::with_spans(Arc::clone(&self.bytes), Arc::clone(&self.spans));
        let mut stale: BTreeMap<usize, BTreeSet<Option<&[u8]>>> = BTreeMap::new();
        let mut lines = Vec::new();
        for contribution in contributions {
            for (number, name) in &contribution.stale {
                stale.entry(*number).or_default().insert(name.as_deref());
            }
            lines.extend(contribution.lines.iter().cloned());
        }
        for (number, names) in stale {
            match without(file.line(number), &names) {
                Some(line) => file.replace(number, line),
                None => file.remove(number),
            }
        }
        add_to_block(&mut file, self.block, lines);
        (!file.is_empty()).then(|| file.finish())
    }
}

/// A line without some of its names; `None` if none is left.
fn without(line: &[u8], names: &BTreeSet<Option<&[u8]>>) -> Option<Vec<u8>> {
    if names.contains(&None) {
        return None;
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = line.iter().position(|byte| !is_blank(byte))?;
    let length = line[start..].iter().position(is_blank)?;
    let (lead, rest) = line.split_at(start);
    let (hosts, tail) = rest.split_at(length);
    let kept: Vec<&[u8]> = hosts
        .split(|byte| *byte == b',')
        .filter(|name| !names.contains(&Some(&*name.to_ascii_lowercase())))
        .collect();
    if kept.iter().all(|name| name.is_empty()) {
        return None;
    }
    Some([lead, &kept.join(&b','), tail].concat())
}
