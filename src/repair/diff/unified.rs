//! The hunks between two texts.

use similar::{Algorithm, ChangeTag, DiffOp, capture_diff_slices};

use super::model::{Hunk, HunkLine, Tag};

/// Lines around a change.
const CONTEXT: usize = 3;

/// The hunks between two files.
///
/// What both have at their beginning and end is set aside first: files of thousands of lines differ in a block at their
/// end, or in a few lines.
pub(super) fn hunks(before: &[u8], after: &[u8]) -> Vec<Hunk> {
    let split =
        |bytes| -> Vec<&[u8]> { <[u8]>::split_inclusive(bytes, |it| *it == b'\n').collect() };
    let (old, new) = (split(before), split(after));
    let ops = capture_diff_slices(Algorithm::Patience, &old, &new);
    similar::group_diff_ops(ops, CONTEXT)
        .iter()
        .map(|ops| hunk(ops, &old, &new))
        .collect()
}

fn hunk(ops: &[DiffOp], old: &[&[u8]], new: &[&[u8]]) -> Hunk {
    let mut lines = Vec::new();
    for op in ops {
        for change in op.iter_changes(old, new) {
            let bytes: &[u8] = change.value();
            let text = bytes.strip_suffix(b"\n");
            lines.push(HunkLine {
                tag: match change.tag() {
                    ChangeTag::Equal => Tag::Context,
                    ChangeTag::Delete => Tag::Removed,
                    ChangeTag::Insert => Tag::Added,
                },
                text: String::from_utf8_lossy(text.unwrap_or(bytes)).into_owned(),
                without_end: text.is_none(),
            });
        }
    }
    let count = |tag| lines.iter().filter(|line| line.tag == tag).count();
    let (removed, added, context) = (count(Tag::Removed), count(Tag::Added), count(Tag::Context));
    let start = |range: Option<std::ops::Range<usize>>, lines: usize| {
        let at = range.map_or(0, |range| range.start);
        if lines == 0 { at } else { at + 1 }
    };
    Hunk {
        old_start: start(ops.first().map(DiffOp::old_range), removed + context),
        old_lines: removed + context,
        new_start: start(ops.first().map(DiffOp::new_range), added + context),
        new_lines: added + context,
        lines,
    }
}
