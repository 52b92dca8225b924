//! The matrix: a row and a column for each kind of node.

use std::io::{self, Write};

use super::view::View;
use crate::cli::paint::Label;
use crate::domain::fold;
use crate::report::{Cell, Matrix, Report, escape};

/// More kinds of nodes than this are no picture any more.
const MOST: usize = 64;

/// The matrix takes time and memory with the square of this.
const MOST_NODES: usize = 1000;

/// Longer lists of nodes are cut in the matrix; the folded legs below it have them in full.
const LONGEST_LABEL: usize = 48;

/// Writes the matrix, its legend and an empty line; nothing where all pairs are the same, and a word where it does not
/// fit.
pub(super) fn write(out: &mut dyn Write, report: &Report, view: View) -> io::Result<()> {
    if report.nodes.len() > MOST_NODES {
        return left_out(out, view, &format!("more than {MOST_NODES} nodes"));
    }
    let matrix = Matrix::of(report);
    let Some(classes) = matrix.classes(MOST) else {
        return left_out(out, view, &format!("more than {MOST} kinds of nodes"));
    };
    if classes.len() < 2 {
        return Ok(());
    }
    let number_width = classes.len().to_string().len();
    let labels: Vec<String> = classes
        .iter()
        .map(|class| {
            let names = fold(class.iter().map(|&node| matrix.nodes[node]));
            shorten(&escape::line(&names), class.len())
        })
        .collect();
    let label_width = labels
        .iter()
        .map(|label| label.chars().count())
        .max()
        .unwrap_or(0);
    let width = 2 + number_width + 1 + label_width + classes.len() * (number_width + 1);
    if width > view.width {
        let kinds = format!("{} kinds of nodes in {} columns", classes.len(), view.width);
        return left_out(out, view, &kinds);
    }

    write!(
        out,
        "  {:width$}",
        "",
        width = number_width + 1 + label_width
    )?;
    for number in 1..=classes.len() {
        write!(out, " {number:>number_width$}")?;
    }
    writeln!(out)?;
    for (row, (sources, label)) in classes.iter().zip(&labels).enumerate() {
        let mut line = format!("  {:>number_width$} {label:label_width$}", row + 1);
        for destinations in &classes {
            let cell = matrix.cell_of_classes(sources, destinations);
            let glyph = format!("{:>number_width$}", cell.glyph());
            line.push(' ');
            match cell {
                Cell::Empty => line.push_str(&glyph),
                _ => line.push_str(&view.paint.text(label_of(cell), glyph).to_string()),
            }
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    let there = |cell: Cell| {
        classes.iter().any(|row| {
            classes
                .iter()
                .any(|column| matrix.cell_of_classes(row, column) == cell)
        })
    };
    let legend: Vec<String> = Cell::PAIRS
        .into_iter()
        .filter(|&cell| there(cell))
        .map(|cell| {
            let glyph = view.paint.text(label_of(cell), cell.glyph());
            format!("{glyph} {}", cell.meaning())
        })
        .collect();
    writeln!(out, "  a move from row to column: {}\n", legend.join("   "))
}

fn left_out(out: &mut dyn Write, view: View, why: &str) -> io::Result<()> {
    let text = format!("no matrix: {why}; `--format json` has every pair");
    writeln!(out, "  {}\n", view.paint.text(Label::Faint, text))
}

fn shorten(names: &str, count: usize) -> String {
    if names.chars().count() <= LONGEST_LABEL {
        return names.to_owned();
    }
    let end = format!("… ({count} nodes)");
    let room = LONGEST_LABEL - end.chars().count();
    names.chars().take(room).chain(end.chars()).collect()
}

/// The colour of a cell.
pub(super) fn label_of(cell: Cell) -> Label {
    match cell {
        Cell::Empty | Cell::NotNeeded => Label::Faint,
        Cell::Verified => Label::Good,
        Cell::Predicted | Cell::Unproven => Label::Doubtful,
        Cell::Broken => Label::Bad,
    }
}
