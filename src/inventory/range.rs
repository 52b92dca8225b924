//! Names with ranges: `cmp[001-128]`, `cmp[01-04,07]-az[1-2]`.

use std::fmt;

/// More names than this from one expression are refused before any is made.
pub const MAX_NAMES: usize = 100_000;

/// Longer numbers in brackets are refused; they would not fit the arithmetic, and no host is numbered so.
const MAX_DIGITS: usize = 18;

/// A name with any number of `[…]` ranges in it, understood but not yet expanded.
///
/// Inside brackets stand numbers and `first-last` ranges, separated by commas. A number with leading zeros keeps its
/// width (`[08-10]` is 08, 09, 10). Several brackets multiply; the last one runs fastest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameRange {
    parts: Vec<Part>,
    count: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Runs(Vec<Run>),
}

/// Consecutive numbers, written with at least `width` digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
    width: usize,
}

/// What is wrong with a range expression, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeError {
    /// Where in the expression, in characters, the first one is 1.
    pub column: usize,
    /// How many characters are at fault, at least 1.
    pub length: usize,
    /// What is wrong.
    pub message: String,
    /// What would have been right.
    pub expected: String,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            column,
            message,
            expected,
            ..
        } = self;
        write!(f, "column {column}: {message}, expected {expected}")
    }
}

impl std::error::Error for RangeError {}

impl NameRange {
    /// Reads an expression.
    ///
    /// # Errors
    /// An empty expression or bracket, a bracket without its partner or inside another, anything but numbers in
    /// brackets, a range that runs backwards or whose ends differ in width, a number named twice, and more than
    /// [`MAX_NAMES`] names.
    pub fn parse(text: &str) -> Result<Self, RangeError> {
        if text.is_empty() {
            return Err(error(
                0,
                1,
                "the name is empty",
                "a name or a range of names",
            ));
        }
        let mut parts = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if rest.starts_with(']') {
                return Err(at_byte(
                    text,
                    at,
                    1,
                    "`]` without a `[` before it",
                    "`[` first",
                ));
            }
            if rest.starts_with('[') {
                let Some(length) = rest.find(']') else {
                    return Err(at_byte(
                        text,
                        at,
                        1,
                        "unclosed `[`",
                        "`]` after the numbers",
                    ));
                };
                parts.push(Part::Runs(parse_runs(text, at + 1, at + length)?));
                at += length + 1;
            } else {
                let length = rest.find(['[', ']']).unwrap_or(rest.len());
                parts.push(Part::Text(rest[..length].to_owned()));
                at += length;
            }
        }
        let count = parts
            .iter()
            .try_fold(1_usize, |count, part| count.checked_mul(part.count()?));
        match count {
            Some(count) if count <= MAX_NAMES => Ok(Self { parts, count }),
            _ => Err(error(
                0,
                text.chars().count(),
                format!("the range stands for more than {MAX_NAMES} names"),
                "a smaller range",
            )),
        }
    }

    /// How many names it stands for, at least 1 and at most [`MAX_NAMES`].
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// All names, in the order written.
    #[must_use]
    pub fn expand(&self) -> Vec<String> {
        let mut names = vec![String::new()];
        for part in &self.parts {
            match part {
                Part::Text(text) => names.iter_mut().for_each(|name| name.push_str(text)),
                Part::Runs(runs) => {
                    names = names
                        .iter()
                        .flat_map(|name| {
                            runs.iter()
                                .flat_map(Run::numbers)
                                .map(move |(number, width)| format!("{name}{number:0width$}"))
                        })
                        .collect();
                }
            }
        }
        names
    }
}

impl Part {
    fn count(&self) -> Option<usize> {
        match self {
            Self::Text(_) => Some(1),
            Self::Runs(runs) => runs.iter().try_fold(0_usize, |sum, run| {
                sum.checked_add(usize::try_from(run.last - run.first + 1).ok()?)
            }),
        }
    }
}

impl Run {
    /// Every number with the width that it is written in.
    fn numbers(&self) -> impl Iterator<Item = (u64, usize)> + use<> {
        let width = self.width;
        (self.first..=self.last).map(move |number| (number, width))
    }

    /// Whether both stand for one and the same text. The largest shared number decides: the more digits it has,
    /// the less the widths matter.
    fn meets(&self, other: &Self) -> Option<u64> {
        let last = self.last.min(other.last);
        let digits = last.checked_ilog10().unwrap_or(0) as usize + 1;
        let shared = last >= self.first.max(other.first);
        (shared && self.width.max(digits) == other.width.max(digits)).then_some(last)
    }
}

/// Reads what stands between two brackets: `text[start..end]`.
fn parse_runs(text: &str, start: usize, end: usize) -> Result<Vec<Run>, RangeError> {
    if text[start..end].trim().is_empty() {
        return Err(at_byte(
            text,
            start - 1,
            end + 2 - start,
            "the range is empty",
            "numbers such as `[1-8]`",
        ));
    }
    let mut runs = Vec::new();
    let mut places = Vec::new();
    let mut at = start;
    for item in text[start..end].split(',') {
        runs.push(parse_run(text, at, item)?);
        places.push((at, item.len()));
        at += item.len() + 1;
    }
    if let Some((index, number)) = find_repeat(&runs) {
        let (at, length) = places[index];
        return Err(at_byte(
            text,
            at,
            length,
            format!("the range names {number} twice"),
            "each number once",
        ));
    }
    Ok(runs)
}

fn parse_run(text: &str, at: usize, item: &str) -> Result<Run, RangeError> {
    let (first, last) = item.split_once('-').unwrap_or((item, item));
    let last_at = at + item.len() - last.len();
    let low = parse_number(text, at, first)?;
    let high = parse_number(text, last_at, last)?;
    let padded = |digits: &str| digits.len() > 1 && digits.starts_with('0');
    if first.len() != last.len() && (padded(first) || padded(last)) {
        return Err(at_byte(
            text,
            at,
            item.len(),
            format!("`{first}` and `{last}` differ in width"),
            "both ends with the same number of digits, or neither with leading zeros",
        ));
    }
    if high < low {
        return Err(at_byte(
            text,
            at,
            item.len(),
            format!("the range runs backwards from {first} to {last}"),
            format!("`{last}-{first}`"),
        ));
    }
    Ok(Run {
        first: low,
        last: high,
        width: if padded(first) { first.len() } else { 1 },
    })
}

fn parse_number(text: &str, at: usize, digits: &str) -> Result<u64, RangeError> {
    let length = digits.chars().count().max(1);
    if digits.starts_with('[') || digits.contains('[') {
        return Err(at_byte(text, at, length, "`[` inside of `[`", "`]` first"));
    }
    if digits.is_empty() {
        return Err(at_byte(text, at, length, "a number is missing", "a number"));
    }
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(at_byte(
            text,
            at,
            length,
            format!("`{digits}` is not a number"),
            "digits",
        ));
    }
    match digits.parse() {
        Ok(number) if digits.len() <= MAX_DIGITS => Ok(number),
        _ => Err(at_byte(
            text,
            at,
            length,
            "the number is too long",
            format!("at most {MAX_DIGITS} digits"),
        )),
    }
}

/// The index of a run that says again what an earlier one says, and the number.
fn find_repeat(runs: &[Run]) -> Option<(usize, u64)> {
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by_key(|&index| runs[index].first);
    // Runs of one width that overlap are a repeat, so at most one run of each width is open at a time.
    let mut open: Vec<usize> = Vec::new();
    for index in order {
        open.retain(|&other| runs[other].last >= runs[index].first);
        for &other in &open {
            if let Some(number) = runs[other].meets(&runs[index]) {
                return Some((index.max(other), number));
            }
        }
        open.push(index);
    }
    None
}

/// Expands several expressions separated by commas, in the order written: the inverse of
/// [`fold`](crate::domain::fold).
///
/// # Errors
/// See [`NameRange::parse`]; the column counts from the start of the whole text.
pub fn expand_list(text: &str) -> Result<Vec<String>, RangeError> {
    let mut names = Vec::new();
    for (at, word) in split_list(text) {
        let range = NameRange::parse(word).map_err(|error| RangeError {
            column: error.column + text[..at].chars().count(),
            ..error
        })?;
        names.extend(range.expand());
    }
    Ok(names)
}

/// Cuts a text at the commas outside of brackets: byte offset and text of each word.
pub(super) fn split_list(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut inside = false;
    for (at, character) in text.char_indices() {
        match character {
            '[' => inside = true,
            ']' => inside = false,
            ',' if !inside => {
                words.push((start, &text[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    words.push((start, &text[start..]));
    words
}

fn at_byte(
    text: &str,
    at: usize,
    length: usize,
    message: impl Into<String>,
    expected: impl Into<String>,
) -> RangeError {
    error(text[..at].chars().count(), length, message, expected)
}

fn error(
    skipped: usize,
    length: usize,
    message: impl Into<String>,
    expected: impl Into<String>,
) -> RangeError {
    RangeError {
        column: skipped + 1,
        length,
        message: message.into(),
        expected: expected.into(),
    }
}

#[cfg(test)]
mod tests;
