//! What is wrong with an inventory, shown with the lines at fault.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

/// At most so many problems are kept; the rest is only counted.
const MAX_PROBLEMS: usize = 20;

/// Longer lines are shown in part, so that the caret stays on the screen.
const MAX_EXCERPT: usize = 100;

/// One file of an inventory.
#[derive(Debug, Clone)]
pub struct Source {
    /// What messages call it; a path as the operator gave it.
    pub name: String,
    /// The directory that relative paths inside are relative to.
    pub base: PathBuf,
    /// The text.
    pub text: String,
}

/// An inventory that cannot be used. Displays every problem with the lines at fault, ready to print.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InventoryError {
    /// What is wrong, in the order of the files; never empty.
    pub problems: Vec<Problem>,
    /// How many more there are that are not listed.
    pub more: usize,
}

/// One thing that is wrong with an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What would have been right.
    pub expected: Option<String>,
    /// What to do.
    pub hint: Option<String>,
    /// Other places that have to do with it, and what they are.
    pub also: Vec<(String, Place)>,
}

/// A place in a file of an inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// The name of the file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// How many characters are meant, at least 1.
    pub length: usize,
    /// The text of the line, or the part of it around the column.
    pub excerpt: String,
    /// Where in the excerpt the column is, in characters, from 0.
    pub caret: usize,
}

impl std::error::Error for InventoryError {}

impl fmt::Display for InventoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\n\nand {more} more"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Quoted(&self.place, &self.message))?;
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected {}", printable(expected))?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {}", printable(hint))?;
        }
        for (label, place) in &self.also {
            write!(f, "\n{}", Quoted(place, label))?;
        }
        Ok(())
    }
}

/// A message at a place, with the line and a caret under it.
struct Quoted<'a>(&'a Place, &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(place, message) = self;
        let Place {
            file, line, column, ..
        } = place;
        let (file, message) = (printable(file), printable(message));
        write!(f, "{file}:{line}:{column}: {message}")?;
        if place.excerpt.trim().is_empty() {
            return Ok(());
        }
        let excerpt = printable(&place.excerpt);
        let room = excerpt.chars().count().saturating_sub(place.caret).max(1);
        let carets = "^".repeat(place.length.clamp(1, room));
        let margin = " ".repeat(line.to_string().len());
        let skipped = " ".repeat(place.caret);
        write!(f, "\n  {line} | {excerpt}\n  {margin} | {skipped}{carets}")
    }
}

/// Text from a file, made harmless for a terminal: one visible character for each that would move the cursor, change
/// colours or turn the direction of writing.
pub(super) fn printable(text: &str) -> String {
    let harmless = |character: char| match character {
        '\t' => ' ',
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' => '\u{fffd}',
        _ if character.is_control() => '\u{fffd}',
        _ => character,
    };
    text.chars().map(harmless).collect()
}

/// A place as the parser knows it: cheap to keep for every value, and turned into a [`Place`] only for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Mark {
    /// Index of the file.
    pub(super) file: usize,
    /// From 1; 0 stands for the file as a whole.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
    /// In characters.
    pub(super) length: usize,
}

impl Mark {
    /// The file as a whole.
    pub(super) fn file(file: usize) -> Self {
        Self {
            file,
            line: 1,
            column: 1,
            length: 1,
        }
    }
}

/// A problem in the making.
#[derive(Debug, Clone)]
pub(super) struct Fault(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    mark: Mark,
    message: String,
    expected: Option<String>,
    hint: Option<String>,
    also: Vec<(String, Mark)>,
}

impl Fault {
    pub(super) fn new(mark: Mark, message: impl Into<String>) -> Self {
        Self(Box::new(Details {
            mark,
            message: message.into(),
            expected: None,
            hint: None,
            also: Vec::new(),
        }))
    }

    /// What would have been right, as the rest of a sentence that starts with "expected".
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.0.expected = Some(expected.into());
        self
    }

    /// What to do.
    pub(super) fn hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.0.hint = hint.into();
        self
    }

    /// Another place that has to do with it, and what it is.
    pub(super) fn also(mut self, mark: Mark, label: impl Into<String>) -> Self {
        self.0.also.push((label.into(), mark));
        self
    }
}

/// Collects the problems of all files, each once.
pub(super) struct Faults {
    sources: Arc<[Source]>,
    seen: HashSet<(Mark, String)>,
    faults: Vec<Fault>,
    more: usize,
}

impl Faults {
    pub(super) fn new(sources: Arc<[Source]>) -> Self {
        Self {
            sources,
            seen: HashSet::new(),
            faults: Vec::new(),
            more: 0,
        }
    }

    pub(super) fn add(&mut self, fault: Fault) {
        if !self.seen.insert((fault.0.mark, fault.0.message.clone())) {
            return;
        }
        if self.faults.len() < MAX_PROBLEMS {
            self.faults.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// Keeps the value, or the fault.
    pub(super) fn keep<T>(&mut self, result: Result<T, Fault>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(fault) => {
                self.add(fault);
                None
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// All problems so far as one error.
    pub(super) fn check(&mut self) -> Result<(), InventoryError> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let mut faults = std::mem::take(&mut self.faults);
        faults.sort_by_key(|fault| fault.0.mark);
        let problems = faults
            .into_iter()
            .map(|fault| self.problem(*fault.0))
            .collect();
        Err(InventoryError {
            problems,
            more: self.more,
        })
    }

    /// A part of a plain or quoted scalar: `column` and `length` in its text, in characters, from 1.
    ///
    /// The whole scalar where its text goes on in the next line, as the part may.
    pub(super) fn part(&self, scalar: Mark, column: usize, length: usize) -> Mark {
        let rest = self
            .line(scalar)
            .chars()
            .skip(scalar.column.saturating_sub(1));
        let quote = usize::from(matches!(rest.clone().next(), Some('"' | '\'')));
        let skipped = column - 1 + quote;
        if rest.count() < skipped {
            return scalar;
        }
        Mark {
            column: scalar.column + skipped,
            length,
            ..scalar
        }
    }

    fn line(&self, mark: Mark) -> &str {
        let text = &self.sources[mark.file].text;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let line = text
            .split('\n')
            .nth(mark.line.saturating_sub(1))
            .unwrap_or("");
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn problem(&self, fault: Details) -> Problem {
        let Details {
            mark,
            message,
            expected,
            hint,
            also,
        } = fault;
        Problem {
            place: self.place(mark),
            message,
            expected,
            hint,
            also: also
                .into_iter()
                .map(|(label, mark)| (label, self.place(mark)))
                .collect(),
        }
    }

    fn place(&self, mark: Mark) -> Place {
        let line = self.line(mark);
        let before = mark.column.saturating_sub(1);
        let skipped = if line.chars().count() > MAX_EXCERPT {
            before.saturating_sub(MAX_EXCERPT / 2)
        } else {
            0
        };
        Place {
            file: self.sources[mark.file].name.clone(),
            line: mark.line,
            column: mark.column,
            length: mark.length.max(1),
            excerpt: line.chars().skip(skipped).take(MAX_EXCERPT).collect(),
            caret: before - skipped,
        }
    }
}
