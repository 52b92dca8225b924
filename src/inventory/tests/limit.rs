//! What selections select.

use super::read;
use crate::domain::{Fleet, fold};
use crate::inventory::select;

fn lab() -> Fleet {
    let inventory = read(
        "clearway: 1
groups:
  az1: {cell: cell1, nodes: {\"cmp[001-040]\": }}
  az2: {cell: cell2, nodes: {\"cmp[041-060]\": , gpu1: {groups: [gpu]}}}
  gpu: {}
nodes:
  gpu2: {groups: [gpu]}
  a-1.example.org:
",
    );
    inventory.unwrap_or_else(|error| panic!("{error}")).fleet
}

fn selected(fleet: &Fleet, limit: &str) -> String {
    let ids = select(fleet, limit).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        ids.is_sorted_by(|a, b| a < b),
        "{limit} is not ascending and unique"
    );
    fold(ids.iter().map(|&id| fleet.node(id).name.as_str()))
}

#[test]
fn terms_select_and_exclusions_hold_wherever_they_stand() {
    let fleet = lab();
    for (limit, nodes) in [
        ("cmp017", "cmp017"),
        ("cmp[001-003,050]", "cmp[001-003,050]"),
        ("cmp05?", "cmp[050-059]"),
        ("cmp0*", "cmp[001-060]"),
        ("*0", "cmp[010,020,030,040,050,060]"),
        ("*", "a-1.example.org,cmp[001-060],gpu[1-2]"),
        ("all", "a-1.example.org,cmp[001-060],gpu[1-2]"),
        ("cmp00[1-2]*", "cmp[001-002]"),
        ("@az1", "cmp[001-040]"),
        ("@gpu", "gpu[1-2]"),
        ("@az[1-2]", "cmp[001-060],gpu1"),
        ("@az*", "cmp[001-060],gpu1"),
        ("@cell:cell2", "cmp[041-060],gpu1"),
        ("@cell:cell*", "cmp[001-060],gpu1"),
        ("cmp[001-040],@az1,!cmp017", "cmp[001-016,018-040]"),
        ("!cmp017,@az1", "cmp[001-016,018-040]"),
        ("@az1, ! cmp[002-040]", "cmp001"),
        ("!@az1,!@az2", "a-1.example.org,gpu2"),
        ("all,!*", ""),
        ("cmp003,cmp001,cmp003", "cmp[001,003]"),
        ("a-1.example.org", "a-1.example.org"),
    ] {
        if nodes.is_empty() {
            assert!(select(&fleet, limit).is_err(), "{limit}");
        } else {
            assert_eq!(selected(&fleet, limit), nodes, "{limit}");
        }
    }
}

#[test]
fn what_selects_nothing_is_an_error_that_says_what_was_meant() {
    let fleet = lab();
    let text: Vec<String> = [
        "",
        "cmp001,",
        "!",
        "!!cmp001",
        "cmp61",
        "cmp0061",
        "!cmp061",
        "cmp[039-062]",
        "compute*",
        "cmp[1-",
        "cmp[9-1]",
        "@az3",
        "@rack",
        "@azz*",
        "@",
        "@cell:cell9",
        "cmp001,!@az1",
        "gpu3",
        "web1",
        "cmp\u{1b}[31m",
    ]
    .iter()
    .map(|limit| {
        let error = select(&fleet, limit).expect_err(limit);
        format!(
            "{limit:30} {error}\n{:30} {}",
            "",
            error.hint.as_deref().unwrap_or("-")
        )
    })
    .collect();
    insta::assert_snapshot!("limit_errors", text.join("\n"));
}

#[test]
fn an_inventory_without_groups_or_cells_says_so() {
    let fleet = read("clearway: 1\nnodes: {cmp1: }\n").expect("good").fleet;
    for (limit, hint) in [
        ("@az1", "the inventory has no groups"),
        ("@cell:*", "the inventory has no cells"),
    ] {
        let error = select(&fleet, limit).expect_err(limit);
        assert_eq!(error.hint.as_deref(), Some(hint));
    }
}
