//! The block of lines that clearway owns in a file.

use super::lines::LineEdits;
use crate::repair::plan::Piece;

const BEGIN: &[u8] = b"# clearway: begin";
const END: &[u8] = b"# clearway: end";

/// The numbers of the lines that begin and end the block; the lines between them are clearway's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) begin: usize,
    pub(crate) end: usize,
}

impl Block {
    /// Whether a line is clearway's own.
    pub(crate) fn owns(&self, number: usize) -> bool {
        self.begin < number && number < self.end
    }
}

fn marker(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// Finds the last whole block. A beginning without an end, or an end without a beginning, is somebody's comment.
pub(crate) fn find_block(file: &LineEdits) -> Option<Block> {
    let mut begin = None;
    let mut found = None;
    for number in 1..=file.len() {
        let line = marker(file.line(number));
        if line == BEGIN {
            begin = Some(number);
        } else if line == END
            && let Some(begin) = begin.take()
        {
            found = Some(Block { begin, end: number });
        }
    }
    found
}

/// Puts lines into the block, or into a new one at the end of the file.
pub(crate) fn add_to_block(file: &mut LineEdits, block: Option<Block>, lines: Vec<Piece>) {
    if lines.is_empty() {
        return;
    }
    match block {
        Some(block) => file.insert_before(block.end, lines),
        None => {
            let marker = |line: &[u8]| Piece::Bytes([line, b"\n"].concat().into());
            let mut all = Vec::with_capacity(lines.len() + 2);
            all.push(marker(BEGIN));
            all.extend(lines);
            all.push(marker(END));
            file.append(all);
        }
    }
}

/// The bytes of a file without a block that has no lines.
pub(crate) fn without_empty_block(bytes: &[u8]) -> Vec<u8> {
    let file = LineEdits::new(bytes.into());
    let Some(block) = find_block(&file).filter(|it| it.begin + 1 == it.end) else {
        return bytes.to_vec();
    };
    let lines = bytes.split_inclusive(|&byte| byte == b'\n').enumerate();
    let kept = lines.filter(|(at, _)| at + 1 != block.begin && at + 1 != block.end);
    kept.flat_map(|(_, line)| line).copied().collect()
}
