//! From parsed files to a fleet: every property applied to every node.

use std::sync::Arc;

use super::document::Document;
use super::entry::{Entry, Tables};
use super::groups::{read_entries, read_groups};
use super::jump::{HopDefaults, JumpHosts};
use super::layer::{Layer, Lookup, Origins, Shared};
use super::problem::{Fault, Faults, InventoryError, Mark, Source};
use super::profiles::{Pool, Profiles};
use super::scope::read_scope;
use super::syntax::parse;
use super::unique::Unique;
use super::values::{Context, path, user};
use super::yaml::{At, Field};
use crate::domain::{Fleet, NodeId, Scope};

/// The version of the format that is understood.
const VERSION: &str = "1";

/// More nodes than this are refused: a check of all their pairs would be 4·10⁸ pairs.
pub const MAX_NODES: usize = 20_000;

/// An inventory that has been understood.
#[derive(Debug, Clone)]
pub struct Inventory {
    /// The nodes with everything applied.
    pub fleet: Fleet,
    /// For each node, the index of its entry in `origins`.
    pub(super) entry_of: Vec<usize>,
    /// Where the properties of each entry of nodes come from.
    pub(super) origins: Vec<Origins>,
}

impl Inventory {
    /// Understands the files of one inventory, in this order.
    ///
    /// # Errors
    /// Everything that is wrong with the files, with the lines at fault. Files that are not YAML of the right shape
    /// are reported first; what the values mean is only looked at when all files have that shape.
    pub fn read(sources: &[Source], context: &Context) -> Result<Self, InventoryError> {
        let mut all = super::embedded::sources();
        let first = all.len();
        all.extend_from_slice(sources);
        let all: Arc<[Source]> = all.into();
        let mut faults = Faults::new(Arc::clone(&all));
        let documents: Vec<Document> = all
            .iter()
            .enumerate()
            .filter_map(|(file, source)| faults.keep(parse(file, &source.text)))
            .collect();
        faults.check()?;
        for (file, document) in documents.iter().enumerate() {
            faults.keep(check_version(file, document));
        }
        faults.check()?;
        let shared = Shared::new(context, &all);
        let inventory = resolve(&documents, first, &shared, &mut faults);
        faults.check()?;
        Ok(inventory)
    }
}

/// Whatever can be understood of the documents; it is the whole inventory when no fault has been added.
fn resolve(
    documents: &[Document],
    first: usize,
    shared: &Shared,
    faults: &mut Faults,
) -> Inventory {
    let defaults = only_one(documents, |document| &document.defaults, "defaults", faults).map(
        |(file, defaults)| Layer {
            label: Arc::from("defaults"),
            file,
            properties: defaults.value.properties(),
            is_entry: false,
        },
    );
    let profiles = Profiles::read(documents, shared, faults);
    let jumps = JumpHosts::read(
        documents,
        &hop_defaults(defaults.as_ref(), shared, faults),
        shared,
        faults,
    );
    let groups = read_groups(documents, faults);
    let entries = read_entries(documents, defaults.as_ref(), &groups, faults);
    let mut inventory = Inventory {
        fleet: Fleet {
            nodes: Vec::new(),
            groups: groups
                .keys()
                .map(|name| ((*name).to_owned(), Vec::new()))
                .collect(),
            scope: Scope::All,
        },
        entry_of: Vec::new(),
        origins: Vec::new(),
    };
    let count: usize = entries.iter().map(|entry| entry.range.count()).sum();
    if count == 0 {
        if faults.is_empty() {
            faults.add(
                Fault::new(Mark::file(first), "the inventory has no nodes")
                    .expected("names or ranges of names under `nodes:`, here or in a group"),
            );
        }
        return inventory;
    }
    if let Some(entry) = over_the_bound(&entries) {
        faults.add(
            Fault::new(
                entry.mark,
                format!("with these the inventory has more than {MAX_NODES} nodes"),
            )
            .expected("one inventory for each cell or region"),
        );
        return inventory;
    }
    let tables = Tables {
        shared,
        profiles: &profiles,
        jumps: &jumps,
    };
    let mut pool = Pool::default();
    let mut unique = Unique::default();
    for (index, entry) in entries.iter().enumerate() {
        let (nodes, origins) = entry.resolve(&tables, &mut pool, faults);
        inventory.origins.push(origins);
        for resolved in nodes {
            unique.add(&resolved, entry.mark);
            let id = NodeId(u32::try_from(inventory.fleet.nodes.len()).unwrap_or(u32::MAX));
            for group in &resolved.node.groups {
                inventory
                    .fleet
                    .groups
                    .entry(group.clone())
                    .or_default()
                    .push(id);
            }
            inventory.entry_of.push(index);
            inventory.fleet.nodes.push(resolved.node);
        }
    }
    unique.report(faults);
    for (name, group) in &groups {
        if !entries.iter().any(|entry| entry.groups.contains(name)) {
            faults.add(
                Fault::new(group.mark, format!("the group `{name}` has no nodes"))
                    .expected("names under `nodes:`, or nodes with the group in their `groups:`"),
            );
        }
    }
    if let Some((file, scope)) = only_one(documents, |document| &document.scope, "scope", faults) {
        let nodes = &inventory.fleet.nodes;
        let has_cells = nodes.iter().any(|node| node.cell.is_some());
        if let Some(scope) = read_scope(file, scope, &groups, has_cells, faults) {
            inventory.fleet.scope = scope;
        }
    }
    inventory
}

fn check_version(file: usize, document: &Document) -> Result<(), Fault> {
    match &document.clearway {
        Some(version) if version.value == VERSION => Ok(()),
        Some(version) => Err(Fault::new(
            version.mark(file),
            format!(
                "version `{}` of the inventory format is not known",
                version.value
            ),
        )
        .expected(format!("`clearway: {VERSION}`"))),
        None => Err(Fault::new(
            Mark::file(file),
            "the file does not say that it is an inventory",
        )
        .expected(format!("`clearway: {VERSION}` as its first line"))),
    }
}

/// The value of a key that may stand in one of the files only.
fn only_one<'d, T>(
    documents: &'d [Document],
    get: impl Fn(&'d Document) -> &'d Field<T>,
    key: &str,
    faults: &mut Faults,
) -> Option<(usize, &'d At<T>)> {
    let mut found: Option<(usize, &'d At<T>)> = None;
    for (file, document) in documents.iter().enumerate() {
        match (get(document), found) {
            (Some(value), None) => found = Some((file, value)),
            (Some(value), Some((first_file, first))) => faults.add(
                Fault::new(value.mark(file), format!("`{key}` is stated in two files"))
                    .expected("it in one of them")
                    .also(first.mark(first_file), "it is stated here"),
            ),
            (None, _) => {}
        }
    }
    found
}

fn hop_defaults(defaults: Option<&Layer<'_>>, shared: &Shared, faults: &mut Faults) -> HopDefaults {
    let mut lookup = Lookup {
        shared,
        layers: defaults.map_or(&[], std::slice::from_ref),
        faults,
        origins: Vec::new(),
    };
    let user = lookup.read(("control", "user"), |p| p.control?.user.as_ref(), user);
    let known_hosts = lookup.read_all(
        ("control", "known_hosts"),
        |p| p.control?.known_hosts.as_ref(),
        |mark, text| path(mark, text, &shared.context, shared.base(mark)),
    );
    HopDefaults {
        user: user.or_else(|| shared.context.user.clone()),
        known_hosts,
    }
}

/// The entry with which there are too many nodes.
fn over_the_bound<'e, 'd>(entries: &'e [Entry<'d>]) -> Option<&'e Entry<'d>> {
    let mut count = 0;
    entries.iter().find(|entry| {
        count += entry.range.count();
        count > MAX_NODES
    })
}
