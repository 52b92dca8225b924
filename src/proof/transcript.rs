//! What was seen of one leg, as the program tells it.

use crate::frame::Record;

use super::program::SEPARATOR;

/// The connections of a leg, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Transcript {
    /// How long the leg took on the client node.
    pub(super) millis: u64,
    /// Whether a connection was dropped before the banner and tried once more.
    pub(super) retried: bool,
    /// Whether sshd said that it was throttling when it dropped that one.
    pub(super) throttled: bool,
    /// The connections.
    pub(super) connections: Vec<Connection>,
    /// What became of the comparison of what was sent with what came back; `None` when it did not come to that.
    pub(super) same: Option<bool>,
    /// What the first connection wrote to stdout, shortened.
    pub(super) stdout: String,
    /// The first lines of the file that was copied from the far end.
    pub(super) pulled: String,
    /// Whether lines were left out.
    pub(super) cut: bool,
}

/// One run of ssh, scp or rsync.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Connection {
    /// Which of the leg's connections; see `climb.sh`.
    pub(super) number: u32,
    /// Exit status as the client node's shell saw it.
    pub(super) status: i32,
    /// What of its stderr matters, line by line.
    pub(super) stderr: String,
}

/// A field of a record that is not what the program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BadField(pub(super) &'static str);

/// What may stand in a record beside the leg's number.
const MAX_CONNECTIONS: usize = 8;

impl Transcript {
    /// Reads a `leg` record: number, milliseconds, whether retried, statuses, stdout, stderr.
    pub(super) fn read(record: &Record) -> Result<(usize, Self), BadField> {
        let [number, millis, retried, statuses, stdout, text] = record.fields.as_slice() else {
            return Err(BadField("the number of fields"));
        };
        let number: u32 = digits(number).ok_or(BadField("the leg's number"))?;
        let mut transcript = Self {
            millis: digits(millis).ok_or(BadField("the milliseconds"))?,
            retried: match retried.as_slice() {
                b"0" => false,
                b"1" | b"2" => true,
                _ => return Err(BadField("the retry")),
            },
            throttled: retried == b"2",
            stdout: lines(stdout),
            ..Self::default()
        };
        let statuses = std::str::from_utf8(statuses).map_err(|_| BadField("a status"))?;
        for word in statuses.split(' ').filter(|word| !word.is_empty()) {
            let (key, value) = word.split_once('=').ok_or(BadField("a status"))?;
            let status: i32 = digits(value.as_bytes()).ok_or(BadField("a status"))?;
            if key == "c" {
                // cmp(1): 1 means different; more means that it could not compare.
                transcript.same = match status {
                    0 => Some(true),
                    1 => Some(false),
                    _ => None,
                };
                continue;
            }
            if transcript.connections.len() == MAX_CONNECTIONS {
                return Err(BadField("the number of connections"));
            }
            transcript.connections.push(Connection {
                number: digits(key.as_bytes()).ok_or(BadField("a connection"))?,
                status,
                stderr: String::new(),
            });
        }
        if transcript.connections.is_empty() {
            return Err(BadField("the number of connections"));
        }
        transcript.share_out(&lines(text));
        Ok((
            usize::try_from(number).map_err(|_| BadField("the leg's number"))?,
            transcript,
        ))
    }

    /// Gives each connection its lines: `#N` goes before those of connection N, `#9` before the copied file.
    fn share_out(&mut self, text: &str) {
        let mut to = None;
        for line in text.lines() {
            if let Some(number) = line
                .strip_prefix('#')
                .filter(|rest| rest.len() == 1)
                .and_then(|rest| rest.parse::<u32>().ok())
            {
                to = Some(number);
                continue;
            }
            self.cut |= line == "...";
            if to == Some(9) {
                self.pulled.push_str(line);
                self.pulled.push('\n');
            } else if let Some(connection) =
                self.connections.iter_mut().find(|it| Some(it.number) == to)
            {
                connection.stderr.push_str(line);
                connection.stderr.push('\n');
            }
        }
    }
}

/// A decimal number of at most nine digits.
fn digits<T: TryFrom<u64>>(text: &[u8]) -> Option<T> {
    let plain = (1..=9).contains(&text.len()) && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| plain)?;
    T::try_from(text.parse().ok()?).ok()
}

fn lines(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace(SEPARATOR, "\n")
}
