//! Lines of a file, and which of them are clearway's.

/// A line with its end, and whether it is in a block of clearway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// With its `\n`, if it has one.
    pub(super) bytes: &'a [u8],
    /// Whether clearway owns it: the markers of the block count as owned.
    pub(super) owned: bool,
}

impl<'a> Line<'a> {
    /// What OpenSSH sees of it.
    pub(super) fn visible(&self) -> &'a [u8] {
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes);
        line.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// Whether the bytes are the same, but for a missing end that was added.
    pub(super) fn is(&self, other: &Self) -> bool {
        let whole = |line: &Self| line.bytes.strip_suffix(b"\n").unwrap_or(line.bytes);
        self.bytes == other.bytes || (!self.bytes.ends_with(b"\n") && whole(self) == whole(other))
    }
}

/// Splits a file.
pub(super) fn lines(bytes: &[u8]) -> Vec<Line<'_>> {
    let mut all: Vec<Line<'_>> = bytes
        .split_inclusive(|byte| *byte == b'\n')
        .map(|bytes| Line {
            bytes,
            owned: false,
        })
        .collect();
    let is = |line: &Line<'_>, text: &str| line.bytes.trim_ascii() == text.as_bytes();
    // The last whole block is the one that counts.
    let Some(end) = all.iter().rposition(|line| is(line, "# clearway: end")) else {
        return all;
    };
    let mut end = end;
    loop {
        let begin = all[..end]
            .iter()
            .rposition(|line| is(line, "# clearway: begin"));
        let between = |begin: usize| {
            all[begin + 1..end]
                .iter()
                .rposition(|line| is(line, "# clearway: end"))
        };
        match begin {
            Some(begin) if between(begin).is_none() => {
                for line in &mut all[begin..=end] {
                    line.owned = true;
                }
                return all;
            }
            _ => match all[..end]
                .iter()
                .rposition(|line| is(line, "# clearway: end"))
            {
                Some(earlier) => end = earlier,
                None => return all,
            },
        }
    }
}

/// The words of a line, at blanks and tabs.
pub(super) fn words(line: &[u8]) -> Vec<&[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn only_a_whole_block_is_owned() {
        let owned = |text: &str| -> Vec<bool> {
            lines(text.as_bytes())
                .iter()
                .map(|line| line.owned)
                .collect()
        };
        assert_eq!(
            owned("a\n# clearway: begin\nb\n# clearway: end\r\nc"),
            [false, true, true, true, false]
        );
        assert_eq!(owned("# clearway: end\n# clearway: begin\nx"), [false; 3]);
        assert_eq!(
            owned("# clearway: begin\na\n# clearway: begin\nb\n# clearway: end\n# clearway: end"),
            [false, false, true, true, true, false]
        );
    }
}
