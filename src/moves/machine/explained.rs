//! What was found out about a failure, bounded: Nova and the nodes have written it.

use super::record::Record;

/// Most lines that are kept.
const LINES: usize = 200;
/// Most bytes that are kept in all.
const BYTES: usize = 32 << 10;
/// Most bytes of one line.
const LONGEST: usize = 4 << 10;

impl Record {
    /// What was found out about a failure, in the order in which it was looked at. What is too much is counted, not kept.
    #[must_use]
    pub fn explained(lines: Vec<String>) -> Self {
        let (mut kept, mut bytes) = (Vec::new(), 0);
        let all = lines.len();
        for line in lines.into_iter().take(LINES) {
            let line = cut(line);
            bytes += line.len();
            if bytes > BYTES {
                break;
            }
            kept.push(line);
        }
        if kept.len() < all {
            kept.push(format!("… and {} lines more", all - kept.len()));
        }
        Self::Explained { lines: kept }
    }
}

fn cut(mut line: String) -> String {
    if line.len() > LONGEST {
        let mut end = LONGEST;
        while !line.is_char_boundary(end) {
            end -= 1;
        }
        line.truncate(end);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(lines: Vec<String>) -> Vec<String> {
        match Record::explained(lines) {
            Record::Explained { lines } => lines,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_short_is_kept_as_it_is() {
        let lines = vec!["fault: x".to_owned(), "\u{1b}[2J".to_owned()];
        assert_eq!(kept(lines.clone()), lines);
        assert!(kept(Vec::new()).is_empty());
    }

    #[test]
    fn what_is_too_much_is_counted() {
        let many = kept(vec!["x".to_owned(); 1_000]);
        assert_eq!(many.len(), LINES + 1);
        assert_eq!(many.last().unwrap(), "… and 800 lines more");
        let long = kept(vec!["é".repeat(LONGEST); 20]);
        assert!(long.iter().map(String::len).sum::<usize>() < BYTES + LONGEST);
        assert!(long[0].ends_with('…') && long[0].len() < LONGEST + 4);
        assert!(long.last().unwrap().ends_with("lines more"));
    }
}
