//! Groups, and the entries of nodes in them and beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{Document, Node};
use super::entry::Entry;
use super::layer::{Layer, words};
use super::problem::{Fault, Faults, Mark};
use super::range::NameRange;
use super::values::{did_you_mean, listed, name};
use super::yaml::Entries;

/// A group with the layer of its properties.
pub(super) struct Group<'d> {
    /// The place of its name.
    pub(super) mark: Mark,
    layer: Layer<'d>,
    nodes: Option<&'d Entries<Option<Node>>>,
}

/// A `nodes:` mapping: its place among the others, the group that it stands in, and its entries.
type List<'d> = (Mark, Option<&'d str>, &'d Entries<Option<Node>>);

/// The groups of all files.
pub(super) fn read_groups<'d>(
    documents: &'d [Document],
    faults: &mut Faults,
) -> BTreeMap<&'d str, Group<'d>> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for (file, document) in documents.iter().enumerate() {
        for (key, raw) in document.groups.iter().flat_map(|groups| &groups.value.0) {
            let at = key.mark(file);
            faults.keep(name(at, &key.value));
            if let Some(first) = groups.get(key.value.as_str()) {
                faults.add(
                    Fault::new(at, format!("there is a group `{}` already", key.value))
                        .expected("each group once")
                        .hint(format!(
                            "nodes elsewhere join a group with `groups: [{}]`",
                            key.value
                        ))
                        .also(first.mark, "it is defined here"),
                );
                continue;
            }
            let group = Group {
                mark: at,
                layer: Layer {
                    label: Arc::from(format!("group {}", key.value)),
                    file,
                    properties: raw
                        .as_ref()
                        .map(|group| group.properties())
                        .unwrap_or_default(),
                    is_entry: false,
                },
                nodes: raw
                    .as_ref()
                    .and_then(|group| Some(&group.nodes.as_ref()?.value)),
            };
            groups.insert(&key.value, group);
        }
    }
    groups
}

/// All entries of nodes: file by file, those of the groups before those without a group.
pub(super) fn read_entries<'d>(
    documents: &'d [Document],
    defaults: Option<&Layer<'d>>,
    groups: &BTreeMap<&'d str, Group<'d>>,
    faults: &mut Faults,
) -> Vec<Entry<'d>> {
    let mut lists: Vec<List<'d>> = Vec::new();
    for (name, group) in groups {
        lists.extend(group.nodes.map(|nodes| (group.mark, Some(*name), nodes)));
    }
    for (file, document) in documents.iter().enumerate() {
        let end = Mark {
            line: usize::MAX,
            ..Mark::file(file)
        };
        lists.extend(
            document
                .nodes
                .as_ref()
                .map(|nodes| (end, None, &nodes.value)),
        );
    }
    lists.sort_by_key(|(mark, ..)| *mark);
    let mut entries = Vec::new();
    for (place, home, nodes) in lists {
        for (key, raw) in &nodes.0 {
            let at = key.mark(place.file);
            let range = NameRange::parse(&key.value).map_err(|error| {
                Fault::new(faults.part(at, error.column, error.length), error.message)
                    .expected(error.expected)
            });
            let Some(range) = faults.keep(range) else {
                continue;
            };
            let mut names: Vec<&'d str> = home.into_iter().collect();
            if let Some(list) = raw.as_ref().and_then(|node| node.groups.as_ref()) {
                for (at, name) in words(list.mark(place.file), &list.value) {
                    match known_group(at, name, groups) {
                        Ok(()) if !names.contains(&name) => names.push(name),
                        result => drop(faults.keep(result)),
                    }
                }
            }
            let own = Layer {
                label: Arc::from(format!("nodes {}", key.value)),
                file: place.file,
                properties: raw.as_ref().map(Node::properties).unwrap_or_default(),
                is_entry: true,
            };
            let layers = defaults
                .into_iter()
                .chain(
                    names
                        .iter()
                        .filter_map(|name| Some(&groups.get(name)?.layer)),
                )
                .cloned()
                .chain([own])
                .collect();
            entries.push(Entry {
                mark: at,
                range,
                layers,
                groups: names,
            });
        }
    }
    entries
}

/// Whether there is such a group.
pub(super) fn known_group(
    at: Mark,
    name: &str,
    groups: &BTreeMap<&str, Group<'_>>,
) -> Result<(), Fault> {
    if groups.contains_key(name) {
        return Ok(());
    }
    let known = || groups.keys().copied();
    let fault = Fault::new(at, format!("unknown group `{name}`"));
    Err(if groups.is_empty() {
        fault.expected("a group from `groups:`, which the inventory does not have")
    } else {
        fault
            .expected(listed(known()))
            .hint(did_you_mean(name, known()))
    })
}
