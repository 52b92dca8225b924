//! The layers that a node's properties come from, and looking a property up in them.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::document::Properties;
use super::problem::{Fault, Faults, Mark, Source};
use super::values::Context;
use super::yaml::{At, WordOr, Words};

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// `defaults`, `group az1`, `profile …`, or the entry of the node itself (`nodes cmp[1-3]`).
    pub layer: Arc<str>,
    /// The file it is written in.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// Whether it is the entry of the node itself.
    #[serde(skip)]
    pub(super) in_entry: bool,
}

/// The properties of the defaults, of one group, or of one entry of nodes.
#[derive(Debug, Clone)]
pub(super) struct Layer<'d> {
    /// What messages call it.
    pub(super) label: Arc<str>,
    /// Index of the file that it is written in.
    pub(super) file: usize,
    pub(super) properties: Properties<'d>,
    /// Whether it is an entry of nodes, where ranges of addresses may stand.
    pub(super) is_entry: bool,
}

/// A value found in one of the layers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'d, T> {
    pub(super) value: &'d T,
    pub(super) mark: Mark,
    /// Whether it stands in the entry of the nodes itself.
    pub(super) in_entry: bool,
}

/// A property as reports name it: section (may be empty) and key.
pub(super) type Key = (&'static str, &'static str);

/// Where the properties of the nodes of one entry come from; of several origins of one property the last holds.
#[derive(Debug, Clone)]
pub(super) struct Origins {
    pub(super) own: Vec<(Key, Origin)>,
    /// Those of the profile, shared like the profile itself.
    pub(super) profile: Arc<[(Key, Origin)]>,
}

impl Default for Origins {
    fn default() -> Self {
        Self {
            own: Vec::new(),
            profile: Arc::new([]),
        }
    }
}

impl Origins {
    pub(super) fn iter(&self) -> impl Iterator<Item = &(Key, Origin)> {
        self.own.iter().chain(self.profile.iter())
    }
}

/// What all look-ups share.
pub(super) struct Shared {
    pub(super) context: Context,
    sources: Arc<[Source]>,
    /// The names of the sources, to be shared by all origins.
    names: Vec<Arc<str>>,
}

/// Looks properties up in the layers of one entry, and notes where each was found.
pub(super) struct Lookup<'a, 'd> {
    pub(super) shared: &'a Shared,
    /// Outermost first; the innermost that has a value wins.
    pub(super) layers: &'a [Layer<'d>],
    pub(super) faults: &'a mut Faults,
    pub(super) origins: Vec<(Key, Origin)>,
}

impl<'d> Lookup<'_, 'd> {
    /// The innermost value of a property.
    pub(super) fn find<T>(
        &mut self,
        key: Key,
        get: impl Fn(&Properties<'d>) -> Option<&'d At<T>>,
    ) -> Option<Found<'d, T>> {
        let (layer, value) = self
            .layers
            .iter()
            .rev()
            .find_map(|layer| Some((layer, get(&layer.properties)?)))?;
        let mark = value.mark(layer.file);
        let origin = self.shared.origin(&layer.label, layer.is_entry, mark);
        self.origins.push((key, origin));
        Some(Found {
            value: &value.value,
            mark,
            in_entry: layer.is_entry,
        })
    }

    /// The innermost value of a property, understood by `read`.
    pub(super) fn read<U>(
        &mut self,
        key: Key,
        get: impl Fn(&Properties<'d>) -> Option<&'d At<String>>,
        read: impl Fn(Mark, &str) -> Result<U, Fault>,
    ) -> Option<U> {
        let found = self.find(key, get)?;
        self.faults.keep(read(found.mark, found.value))
    }

    /// The innermost list of a property, each word understood by `read`.
    pub(super) fn read_all<U>(
        &mut self,
        key: Key,
        get: impl Fn(&Properties<'d>) -> Option<&'d At<Words>>,
        read: impl Fn(Mark, &str) -> Result<U, Fault>,
    ) -> Vec<U> {
        let Some(found) = self.find(key, get) else {
            return Vec::new();
        };
        words(found.mark, found.value)
            .into_iter()
            .filter_map(|(mark, word)| self.faults.keep(read(mark, word)))
            .collect()
    }
}

impl Shared {
    pub(super) fn new(context: &Context, sources: &Arc<[Source]>) -> Self {
        Self {
            context: context.clone(),
            sources: Arc::clone(sources),
            names: sources
                .iter()
                .map(|source| Arc::from(source.name.as_str()))
                .collect(),
        }
    }

    /// `in_entry` when the label is that of an entry of nodes.
    pub(super) fn origin(&self, label: &Arc<str>, in_entry: bool, mark: Mark) -> Origin {
        Origin {
            layer: Arc::clone(label),
            file: Arc::clone(&self.names[mark.file]),
            line: mark.line,
            in_entry,
        }
    }

    /// The directory that relative paths in a file are relative to.
    pub(super) fn base(&self, mark: Mark) -> &Path {
        &self.sources[mark.file].base
    }
}

/// The words of one word or a list, each with its place.
pub(super) fn words(whole: Mark, words: &Words) -> Vec<(Mark, &str)> {
    match words {
        WordOr::Word(word) => vec![(whole, word)],
        WordOr::List(list) => list
            .iter()
            .map(|word| (word.mark(whole.file), word.value.as_str()))
            .collect(),
    }
}
