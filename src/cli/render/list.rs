//! Lists with columns.

use std::io::{self, Write};

use comfy_table::{ContentArrangement, Row, Table, presets};

use super::view::View;

/// Writes rows with aligned columns, indented; long cells are wrapped to the width of the view.
pub(in crate::cli) fn write<R: Into<Row>>(
    out: &mut dyn Write,
    indent: usize,
    rows: impl IntoIterator<Item = R>,
    view: View,
) -> io::Result<()> {
    let width = view.width.saturating_sub(indent);
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .add_rows(rows);
    for line in table.lines() {
        // The library pads every cell by one space on the left.
        let line = line.strip_prefix(' ').unwrap_or(&line);
        writeln!(out, "{:indent$}{}", "", line.trim_end())?;
    }
    Ok(())
}
