//! Selections: `--limit 'cmp[001-040],@az1,!cmp017'`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::problem::printable;
use super::range::{NameRange, split_list};
use super::suggest::nearest;
use super::values::listed;
use crate::domain::{Fleet, NodeId, fold};

/// Why a selection cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("selection `{term}`: {problem}")]
pub struct LimitError {
    /// The term at fault, as written.
    pub term: String,
    /// What is wrong with it.
    pub problem: String,
    /// What was probably meant, or what to do.
    pub hint: Option<String>,
}

/// The nodes that a selection names, ascending by id (inventory order), each once.
///
/// A selection is a list of terms separated by commas:
///
/// | term | selects |
/// |---|---|
/// | `cmp7`, `cmp[001-040]` | these nodes; each must exist |
/// | `cmp*`, `cmp0?[1-3]` | every node whose name matches (`*` any characters, `?` one) |
/// | `@az1`, `@az[1-2]`, `@az*` | the members of these groups |
/// | `@cell:cell1` | the nodes of this cell, ranges and globs as well |
/// | `all` | every node |
/// | `!TERM` | takes the nodes of any of the above out again |
///
/// The order of terms does not matter: first everything that is named is put together (every node, when only
/// exclusions are given), then every exclusion is taken out. So `!cmp017` holds wherever it stands.
///
/// # Errors
/// A term that is empty or not a good range, that names a node, group or cell that does not exist or matches
/// nothing, and a selection that leaves no node over. Exclusions are held to the same rule: a misspelt exclusion
/// would let something happen to a node that was meant to be left alone.
pub fn select(fleet: &Fleet, limit: &str) -> Result<Vec<NodeId>, LimitError> {
    let index = Index::new(fleet);
    let mut named = BTreeSet::new();
    let mut excluded = BTreeSet::new();
    let mut only_exclusions = true;
    for (_, word) in split_list(limit) {
        let word = word.trim();
        if let Some(term) = word.strip_prefix('!') {
            index.collect(word, term.trim(), &mut excluded)?;
        } else {
            only_exclusions = false;
            index.collect(word, word, &mut named)?;
        }
    }
    if only_exclusions {
        named.extend(fleet.ids());
    }
    let selected: Vec<NodeId> = named.difference(&excluded).copied().collect();
    if selected.is_empty() {
        return Err(LimitError::new(limit, "the exclusions leave no node over"));
    }
    Ok(selected)
}

/// What terms can name.
struct Index<'f> {
    nodes: HashMap<&'f str, Vec<NodeId>>,
    groups: BTreeMap<&'f str, Vec<NodeId>>,
    cells: BTreeMap<&'f str, Vec<NodeId>>,
    all: Vec<NodeId>,
}

/// One sort of thing that a term can name, with its words for messages.
struct Kind {
    one: &'static str,
    sigil: &'static str,
}

const NODE: Kind = Kind {
    one: "node",
    sigil: "",
};
const GROUP: Kind = Kind {
    one: "group",
    sigil: "@",
};
const CELL: Kind = Kind {
    one: "cell",
    sigil: "@cell:",
};

impl<'f> Index<'f> {
    fn new(fleet: &'f Fleet) -> Self {
        let mut cells: BTreeMap<&str, Vec<NodeId>> = BTreeMap::new();
        let mut nodes = HashMap::with_capacity(fleet.nodes.len());
        for id in fleet.ids() {
            let node = fleet.node(id);
            nodes.insert(node.name.as_str(), vec![id]);
            if let Some(cell) = &node.cell {
                cells.entry(cell).or_default().push(id);
            }
        }
        let groups = fleet
            .groups
            .iter()
            .map(|(name, members)| (name.as_str(), members.clone()))
            .collect();
        Self {
            nodes,
            groups,
            cells,
            all: fleet.ids().collect(),
        }
    }

    /// Adds the nodes of one term. `word` is the term as written, for messages.
    fn collect(
        &self,
        word: &str,
        term: &str,
        into: &mut BTreeSet<NodeId>,
    ) -> Result<(), LimitError> {
        if term.is_empty() {
            return Err(LimitError::new(word, "a name is missing")
                .hint("terms are separated by single commas"));
        }
        if term.starts_with('!') {
            return Err(LimitError::new(word, "excluded twice").hint("write one `!`"));
        }
        if term == "all" {
            into.extend(&self.all);
            return Ok(());
        }
        let find = |name: &str| self.nodes.get(name).map(Vec::as_slice);
        if let Some(cell) = term.strip_prefix("@cell:") {
            let find = |name: &str| self.cells.get(name).map(Vec::as_slice);
            lookup(word, cell, &CELL, find, self.cells.keys().copied(), into)
        } else if let Some(group) = term.strip_prefix('@') {
            let find = |name: &str| self.groups.get(name).map(Vec::as_slice);
            lookup(word, group, &GROUP, find, self.groups.keys().copied(), into)
        } else {
            lookup(word, term, &NODE, find, self.nodes.keys().copied(), into)
        }
    }
}

/// Finds every name or pattern of one term among the things of one kind.
fn lookup<'n>(
    word: &str,
    term: &str,
    kind: &Kind,
    find: impl Fn(&str) -> Option<&'n [NodeId]>,
    known: impl Iterator<Item = &'n str> + Clone,
    into: &mut BTreeSet<NodeId>,
) -> Result<(), LimitError> {
    let range = NameRange::parse(term).map_err(|error| {
        LimitError::new(word, error.message).hint(format!("expected {}", error.expected))
    })?;
    let mut missing = Vec::new();
    for name in range.expand() {
        if name.contains(['*', '?']) {
            let mut matched = known.clone().filter(|known| glob(&name, known)).peekable();
            if matched.peek().is_none() {
                let problem = format!("no {} matches `{}{name}`", kind.one, kind.sigil);
                return Err(LimitError::new(word, problem).hint(kind.advice(&[], known)));
            }
            into.extend(matched.filter_map(&find).flatten());
        } else if let Some(ids) = find(&name) {
            into.extend(ids);
        } else {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let problem = format!(
        "no {} is called `{}{}`",
        kind.one,
        kind.sigil,
        fold(&missing)
    );
    Err(LimitError::new(word, problem).hint(kind.advice(&missing, known)))
}

impl Kind {
    /// What was probably meant, or what there is.
    fn advice<'n>(&self, missing: &[String], known: impl Iterator<Item = &'n str>) -> String {
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        if let [name] = missing
            && let Some(near) = nearest(name, known.iter().copied())
        {
            return format!("did you mean `{}{near}`?", self.sigil);
        }
        if known.is_empty() {
            return format!("the inventory has no {}s", self.one);
        }
        match self.sigil {
            "" => "`clearway inventory show` lists the nodes".to_owned(),
            sigil => {
                let names: Vec<String> =
                    known.iter().map(|name| format!("{sigil}{name}")).collect();
                format!("there are {}", listed(names.iter().map(String::as_str)))
            }
        }
    }
}

impl LimitError {
    fn new(term: &str, problem: impl AsRef<str>) -> Self {
        Self {
            term: printable(term),
            problem: printable(problem.as_ref()),
            hint: None,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// Whether a name matches a pattern of `*` (any characters, also none), `?` (exactly one) and literal characters.
fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to go on after a mismatch: the last `*`, and the first character that it has not yet eaten.
    let mut retry: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&byte) if byte == b'?' || byte == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut retry {
                Some((star, eaten)) => {
                    *eaten += 1;
                    p = *star + 1;
                    n = *eaten;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&byte| byte == b'*')
}
