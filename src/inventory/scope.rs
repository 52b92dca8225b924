//! `scope:` which pairs are meant to exist.

use std::collections::BTreeMap;

use super::document::Rule;
use super::groups::{Group, known_group};
use super::layer::words;
use super::problem::{Fault, Faults, Mark};
use super::values::did_you_mean;
use super::yaml::{At, Field, WordOr, Words};
use crate::domain::{GroupRule, Scope};

/// The scope that the inventory states.
pub(super) fn read_scope(
    file: usize,
    scope: &At<WordOr<Rule>>,
    groups: &BTreeMap<&str, Group<'_>>,
    has_cells: bool,
    faults: &mut Faults,
) -> Option<Scope> {
    const CHOICES: &str = "`all`, `per-cell`, or a list of `{from: [group], to: [group]}`";
    let at = scope.mark(file);
    match &scope.value {
        WordOr::Word(word) if word == "all" => Some(Scope::All),
        WordOr::Word(word) if word == "per-cell" => {
            if !has_cells {
                faults.add(
                    Fault::new(at, "no node has a cell")
                        .expected("`cell:` in groups or nodes, or `scope: all`"),
                );
            }
            Some(Scope::PerCell)
        }
        WordOr::Word(word) => {
            faults.add(
                Fault::new(at, format!("unknown scope `{word}`"))
                    .expected(CHOICES)
                    .hint(did_you_mean(word, ["all", "per-cell"])),
            );
            None
        }
        WordOr::List(rules) if rules.is_empty() => {
            faults.add(Fault::new(at, "a scope without any pairs").expected(CHOICES));
            None
        }
        WordOr::List(rules) => {
            let rules = rules.iter().map(|rule| {
                let at = rule.mark(file);
                GroupRule {
                    from: rule_side(at, "from", &rule.value.from, groups, faults),
                    to: rule_side(at, "to", &rule.value.to, groups, faults),
                }
            });
            Some(Scope::Groups(rules.collect()))
        }
    }
}

/// The groups on one side of a rule.
fn rule_side(
    rule: Mark,
    key: &str,
    side: &Field<Words>,
    groups: &BTreeMap<&str, Group<'_>>,
    faults: &mut Faults,
) -> Vec<String> {
    let names = side
        .as_ref()
        .map(|side| words(side.mark(rule.file), &side.value))
        .unwrap_or_default();
    if names.is_empty() {
        let at = side.as_ref().map_or(rule, |side| side.mark(rule.file));
        faults.add(
            Fault::new(at, format!("a rule without groups in `{key}`"))
                .expected("`{from: [group], to: [group]}`"),
        );
    }
    names
        .into_iter()
        .filter_map(|(at, name)| {
            faults
                .keep(known_group(at, name, groups))
                .map(|()| name.to_owned())
        })
        .collect()
}
