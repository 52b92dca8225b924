//! Ranges expand, are refused, and fold back.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{NameRange, expand_list};
use crate::domain::fold;

fn expand(text: &str) -> Vec<String> {
    NameRange::parse(text).expect("a good range").expand()
}

#[test]
fn ranges_expand_in_the_order_written_and_keep_their_zeros() {
    let table: &[(&str, &[&str])] = &[
        ("cmp1", &["cmp1"]),
        ("cmp[1-3]", &["cmp1", "cmp2", "cmp3"]),
        ("cmp[08-10]", &["cmp08", "cmp09", "cmp10"]),
        ("cmp[9-11]", &["cmp9", "cmp10", "cmp11"]),
        ("cmp[0-1]", &["cmp0", "cmp1"]),
        ("cmp[3]", &["cmp3"]),
        (
            "cmp[01-02,07]-az[1-2]",
            &[
                "cmp01-az1",
                "cmp01-az2",
                "cmp02-az1",
                "cmp02-az2",
                "cmp07-az1",
                "cmp07-az2",
            ],
        ),
        ("[1-2]x", &["1x", "2x"]),
        ("a[1][2]", &["a12"]),
        ("cmp[2,1,01]", &["cmp2", "cmp1", "cmp01"]),
        (
            "10.0.0.[254-256]",
            &["10.0.0.254", "10.0.0.255", "10.0.0.256"],
        ),
    ];
    for (text, names) in table {
        assert_eq!(expand(text), *names, "{text}");
        assert_eq!(
            NameRange::parse(text).expect("good").count(),
            names.len(),
            "{text}"
        );
    }
}

#[test]
fn a_bad_range_says_what_is_wrong_and_where() {
    let table = [
        (
            "",
            "column 1: the name is empty, expected a name or a range of names",
        ),
        (
            "cmp[]",
            "column 4: the range is empty, expected numbers such as `[1-8]`",
        ),
        (
            "cmp[ ]",
            "column 4: the range is empty, expected numbers such as `[1-8]`",
        ),
        (
            "cmp[1-3",
            "column 4: unclosed `[`, expected `]` after the numbers",
        ),
        (
            "cmp1-3]",
            "column 7: `]` without a `[` before it, expected `[` first",
        ),
        (
            "cmp[1-[2]]",
            "column 7: `[` inside of `[`, expected `]` first",
        ),
        (
            "cmp[1-]",
            "column 7: a number is missing, expected a number",
        ),
        (
            "cmp[-3]",
            "column 5: a number is missing, expected a number",
        ),
        (
            "cmp[1,,3]",
            "column 7: a number is missing, expected a number",
        ),
        (
            "cmp[1, 2]",
            "column 7: ` 2` is not a number, expected digits",
        ),
        ("cmp[a-c]", "column 5: `a` is not a number, expected digits"),
        (
            "cmp[1:3]",
            "column 5: `1:3` is not a number, expected digits",
        ),
        (
            "cmp[1-2-3]",
            "column 7: `2-3` is not a number, expected digits",
        ),
        (
            "é[9-1]",
            "column 3: the range runs backwards from 9 to 1, expected `1-9`",
        ),
        (
            "cmp[01-5]",
            "column 5: `01` and `5` differ in width, expected both ends with the same number of digits, or neither with leading zeros",
        ),
        (
            "cmp[001-1000]",
            "column 5: `001` and `1000` differ in width, expected both ends with the same number of digits, or neither with leading zeros",
        ),
        (
            "cmp[1-3,2]",
            "column 9: the range names 2 twice, expected each number once",
        ),
        (
            "cmp[10-12,01-10]",
            "column 11: the range names 10 twice, expected each number once",
        ),
        (
            "cmp[1234567890123456789]",
            "column 5: the number is too long, expected at most 18 digits",
        ),
        (
            "cmp[1-100001]",
            "column 1: the range stands for more than 100000 names, expected a smaller range",
        ),
        (
            "cmp[1-1000]-[1-101]",
            "column 1: the range stands for more than 100000 names, expected a smaller range",
        ),
        (
            "[0-999999999999999999][0-999999999999999999]",
            "column 1: the range stands for more than 100000 names, expected a smaller range",
        ),
    ];
    for (text, message) in table {
        let error = NameRange::parse(text).expect_err(text);
        assert_eq!(error.to_string(), message, "{text}");
    }
    let error = expand_list("cmp[1-2],cmp[3-]").expect_err("second word is bad");
    assert_eq!(error.column, 16);
}

#[test]
fn the_largest_range_allowed_is_expanded() {
    assert_eq!(expand("cmp[000001-100000]").len(), super::MAX_NAMES);
}

proptest! {
    /// Names of few shapes with small numbers, so that they fold, repeat and collide often.
    #[test]
    fn folding_and_expanding_gives_the_names_back(
        names in prop::collection::vec("(cmp|r|a-|x\\.)(0{0,2}[0-9]{1,2}|1[01][0-9])(-az[12]|c[0-9]{1,3}|)?", 0..60)
    ) {
        let set: BTreeSet<String> = names.iter().cloned().collect();
        let folded = fold(&names);
        let back = if folded.is_empty() { Vec::new() } else { expand_list(&folded)? };
        prop_assert_eq!(back.len(), set.len(), "{}", folded);
        prop_assert_eq!(back.into_iter().collect::<BTreeSet<_>>(), set, "{}", folded);
    }

    #[test]
    fn folding_does_not_depend_on_order(names in prop::collection::vec("[ab][0-9]{1,3}(-[0-9])?", 0..40)) {
        let mut reversed = names.clone();
        reversed.reverse();
        prop_assert_eq!(fold(&names), fold(&reversed));
    }

    #[test]
    fn any_node_names_survive_folding(names in prop::collection::vec("[a-z0-9._-]{1,24}", 0..30)) {
        let set: BTreeSet<String> = names.iter().cloned().collect();
        let folded = fold(&names);
        let back = if folded.is_empty() { Vec::new() } else { expand_list(&folded)? };
        prop_assert_eq!(back.into_iter().collect::<BTreeSet<_>>(), set, "{}", folded);
    }

    /// The count is known before expanding, and no text makes the parser panic.
    #[test]
    fn the_count_is_the_number_of_names(text in "[a0-9\\[\\],é-]{0,20}") {
        if let Ok(range) = NameRange::parse(&text) {
            let names = range.expand();
            prop_assert_eq!(names.len(), range.count());
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        }
    }

    #[test]
    fn a_range_of_any_width_expands_to_all_of_it(first in 0_u64..1200, more in 0_u64..1200, width in 1_usize..6) {
        let last = first + more;
        let (low, high) = (format!("{first:0width$}"), format!("{last:0width$}"));
        let parsed = NameRange::parse(&format!("n[{low}-{high}]"));
        if low.starts_with('0') && low.len() > 1 && low.len() != high.len() {
            prop_assert!(parsed.is_err());
        } else {
            let wanted: Vec<String> = (first..=last).map(|n| format!("n{n:0width$}")).collect();
            prop_assert_eq!(parsed?.expand(), wanted);
        }
    }
}
