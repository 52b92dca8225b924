//! The result: figures of both key exchanges, and the bar beside each that has one.

use std::fmt;

/// What a figure must not exceed or fall short of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bar {
    /// A figure to compare others with.
    None,
    AtMost(f64),
    AtLeast(f64),
}

impl Bar {
    /// A figure that could not be measured meets nothing.
    fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::None => None,
            Self::AtMost(limit) => Some(figure <= limit),
            Self::AtLeast(limit) => Some(figure >= limit),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::AtMost(limit) => write!(out, "≤ {limit}"),
            Self::AtLeast(limit) => write!(out, "≥ {limit}"),
        }
    }
}

/// Rows in the order in which they were added; prints as Markdown.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<(String, [f64; 2], Bar)>,
}

impl Table {
    /// `figures`: with curve25519, and with what the distribution ships.
    pub(crate) fn add(&mut self, what: &str, figures: [f64; 2], bar: Bar) {
        self.rows.push((what.to_owned(), figures, bar));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "| what | curve25519 | distribution's | bar | |")?;
        writeln!(out, "|---|---:|---:|---|---|")?;
        for (what, figures, bar) in &self.rows {
            let [fast, distribution] = figures.map(digits);
            let verdicts = figures.map(|figure| bar.is_met(figure));
            let verdict = match verdicts.map(|met| met.map(word)) {
                [Some(a), Some(b)] if a == b => a.to_owned(),
                [Some(a), Some(b)] => format!("{a}; {b}"),
                _ => String::new(),
            };
            writeln!(
                out,
                "| {what} | {fast} | {distribution} | {bar} | {verdict} |"
            )?;
        }
        Ok(())
    }
}

fn word(met: bool) -> &'static str {
    if met { "met" } else { "NOT met" }
}

fn digits(figure: f64) -> String {
    if figure.abs() >= 100.0 {
        format!("{figure:.0}")
    } else if figure.abs() >= 10.0 {
        format!("{figure:.1}")
    } else {
        format!("{figure:.2}")
    }
}
