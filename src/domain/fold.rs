//! Many names as few words: `cmp[001-016,018-040]`.

use std::collections::{BTreeMap, BTreeSet};

/// Longer runs of digits are treated as letters: they are serial numbers or hashes, and do not fit a `u64`.
const MAX_DIGITS: usize = 18;

/// Folds names into ranges, the inverse of expanding them (the syntax of ClusterShell's node sets).
///
/// Names that differ only in numbers are folded on the last number that varies, then, where whole ranges agree, on
/// the ones before it: `cmp[01-04]-az[1-2]`. Zero padding is kept. The result depends only on the *set* of names:
/// it is sorted, repeats are dropped, and different shapes are joined by commas. Meant for names that hold no
/// brackets and no commas, as all node names do; no names give an empty text.
#[must_use]
pub fn fold<I>(names: I) -> String
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut shapes: BTreeMap<Vec<String>, BTreeSet<Vec<Number>>> = BTreeMap::new();
    for name in names {
        let (letters, numbers) = split(name.as_ref());
        shapes.entry(letters).or_default().insert(numbers);
    }
    let mut words = Vec::new();
    for (letters, rows) in shapes {
        for row in fold_rows(rows) {
            words.push(join(&letters, &row));
        }
    }
    words.join(",")
}

/// One number of a name, or several that were folded into one. Ordered by the first value, then by its width.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Number {
    first: u64,
    width: usize,
    text: String,
}

impl Number {
    fn is_padded(&self) -> bool {
        self.width > 1 && self.text.starts_with('0')
    }

    /// Whether `next` continues a range that started with `self` and has come to `last`.
    fn continues(&self, last: &Self, next: &Self) -> bool {
        let follows = last.first.checked_add(1) == Some(next.first);
        let same_width = self.width == next.width;
        let both_bare = !self.is_padded() && !next.is_padded();
        follows && (same_width || both_bare)
    }
}

/// Cuts a name into the texts around its numbers (always one more than there are numbers) and the numbers.
fn split(name: &str) -> (Vec<String>, Vec<Number>) {
    let mut letters = vec![String::new()];
    let mut numbers = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let last = letters.len() - 1;
        if (1..=MAX_DIGITS).contains(&digits) {
            let text = &rest[..digits];
            numbers.push(Number {
                first: text.parse().unwrap_or(u64::MAX),
                width: digits,
                text: text.to_owned(),
            });
            letters.push(String::new());
            rest = &rest[digits..];
        } else {
            let length = digits.max(first.len_utf8());
            letters[last].push_str(&rest[..length]);
            rest = &rest[length..];
        }
    }
    (letters, numbers)
}

fn join(letters: &[String], numbers: &[Number]) -> String {
    let mut text = letters[0].clone();
    for (number, after) in numbers.iter().zip(&letters[1..]) {
        text.push_str(&number.text);
        text.push_str(after);
    }
    text
}

/// Folds the rows of one shape, the last number first.
fn fold_rows(mut rows: BTreeSet<Vec<Number>>) -> BTreeSet<Vec<Number>> {
    let places = rows.first().map_or(0, Vec::len);
    for place in (0..places).rev() {
        let mut alike: BTreeMap<Vec<Number>, Vec<Number>> = BTreeMap::new();
        for mut row in rows {
            let number = row.remove(place);
            alike.entry(row).or_default().push(number);
        }
        rows = alike
            .into_iter()
            .map(|(mut row, numbers)| {
                row.insert(place, fold_numbers(numbers));
                row
            })
            .collect();
    }
    rows
}

/// Folds the values of one place into one text: `7`, `[1-3]` or `[1-3,7]`.
fn fold_numbers(mut numbers: Vec<Number>) -> Number {
    numbers.sort();
    let mut runs: Vec<(Number, Number)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((start, last)) if start.continues(last, &number) => *last = number,
            _ => runs.push((number.clone(), number)),
        }
    }
    if let [(start, last)] = runs.as_slice()
        && start == last
    {
        return start.clone();
    }
    let text: Vec<String> = runs
        .iter()
        .map(|(start, last)| {
            if start == last {
                start.text.clone()
            } else {
                format!("{}-{}", start.text, last.text)
            }
        })
        .collect();
    Number {
        first: runs[0].0.first,
        width: runs[0].0.width,
        text: format!("[{}]", text.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn names_fold_into_the_ranges_an_operator_would_write() {
        let table: &[(&[&str], &str)] = &[
            (&[], ""),
            (&["cmp1"], "cmp1"),
            (&["bastion"], "bastion"),
            (&["cmp1", "cmp2", "cmp3"], "cmp[1-3]"),
            (&["cmp3", "cmp1", "cmp1", "cmp2"], "cmp[1-3]"),
            (&["cmp1", "cmp2", "cmp4"], "cmp[1-2,4]"),
            (&["cmp001", "cmp002", "cmp018"], "cmp[001-002,018]"),
            (&["cmp9", "cmp10", "cmp11"], "cmp[9-11]"),
            (&["cmp09", "cmp10", "cmp11"], "cmp[09-11]"),
            (&["cmp99", "cmp100"], "cmp[99-100]"),
            (&["cmp099", "cmp100"], "cmp[099-100]"),
            // A padded range cannot grow in width, so it is cut where it would.
            (&["cmp09", "cmp10", "cmp99", "cmp100"], "cmp[09-10,99-100]"),
            (&["cmp098", "cmp99"], "cmp[098,99]"),
            (&["cmp1", "cmp01"], "cmp[1,01]"),
            (
                &["cmp1-az1", "cmp2-az1", "cmp1-az2", "cmp2-az2"],
                "cmp[1-2]-az[1-2]",
            ),
            (
                &["cmp1-az1", "cmp2-az1", "cmp1-az2"],
                "cmp1-az[1-2],cmp2-az1",
            ),
            (&["r1c1", "r1c2", "r2c1"], "r1c[1-2],r2c1"),
            (
                &["10.0.0.9", "10.0.0.10", "10.0.1.7"],
                "10.0.0.[9-10],10.0.1.7",
            ),
            (&["cmp2", "ctl1", "cmp1", "ctl2"], "cmp[1-2],ctl[1-2]"),
            (&["1", "2"], "[1-2]"),
            (&["a1b", "a2b", "a"], "a,a[1-2]b"),
            (
                &["s1234567890123456789", "s1234567890123456790"],
                "s1234567890123456789,s1234567890123456790",
            ),
        ];
        for (names, folded) in table {
            assert_eq!(&fold(*names), folded, "{names:?}");
        }
    }
}
