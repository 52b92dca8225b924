//! The result: figures of every kind of lab, and the bar beside each that has one.

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
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<String>,
    rows: Vec<(String, Vec<f64>, Bar)>,
}

impl Table {
    pub(crate) fn new(columns: Vec<String>) -> Self {
        Self {
            columns,
            rows: Vec::new(),
        }
    }

    /// One figure for each column.
    pub(crate) fn add(&mut self, what: &str, figures: Vec<f64>, bar: Bar) {
        self.rows.push((what.to_owned(), figures, bar));
    }
}

impl fmt::Display for Table {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "| what | {} | bar | |", self.columns.join(" | "))?;
        writeln!(out, "|---|{}---|---|", "---:|".repeat(self.columns.len()))?;
        for (what, figures, bar) in &self.rows {
            let shown: Vec<_> = figures.iter().map(|&it| digits(it)).collect();
            let met: Option<Vec<_>> = figures.iter().map(|&it| bar.is_met(it)).collect();
            let verdict = match met.as_deref() {
                None | Some([]) => String::new(),
                Some([first, rest @ ..]) if rest.iter().all(|it| it == first) => {
                    word(*first).to_owned()
                }
                Some(all) => all.iter().copied().map(word).collect::<Vec<_>>().join("; "),
            };
            writeln!(
                out,
                "| {what} | {} | {bar} | {verdict} |",
                shown.join(" | ")
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
