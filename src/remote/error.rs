//! Why a control connection or a program on a node failed, in the words of [`Why`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::host_key_problem::HostKeyProblem;
use crate::domain::{NodeName, Why};

/// The cause of a failure, shared by all nodes that fail for the same one.
pub(super) type Cause = Arc<dyn Error + Send + Sync>;

/// A control connection could not be opened or used.
///
/// It makes the legs of its node `unproven`, never `broken`: clearway's own connection says nothing about Nova's.
#[derive(Debug, Clone)]
pub struct ControlError {
    /// The class of the failure.
    pub why: Why,
    /// The node that was meant to be reached.
    pub node: NodeName,
    /// What was dialled: `user@address:port`, then `via` and the jump hosts in the order in which they are dialled.
    pub route: String,
    /// The jump host on the way that failed; `None` when it was the node itself.
    pub hop: Option<String>,
    /// What happened, with the evidence. Text from the node is in it, with control characters already escaped.
    pub detail: String,
    /// What is wrong with the host key, when that is the reason: enough to show it and to accept it.
    pub host_key: Option<Box<HostKeyProblem>>,
    source: Option<Cause>,
}

impl ControlError {
    pub(super) fn new(
        node: &NodeName,
        route: String,
        hop: Option<String>,
        failure: Failure,
    ) -> Self {
        Self {
            why: failure.why,
            node: node.clone(),
            route,
            hop,
            detail: failure.detail,
            host_key: failure.host_key,
            source: failure.source,
        }
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "control connection to {} ({})", self.node, self.route)?;
        if let Some(hop) = &self.hop {
            write!(f, " at jump host {hop}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

impl Error for ControlError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|cause| cause as &(dyn Error + 'static))
    }
}

/// A failure before it is known which node it is reported for.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) why: Why,
    pub(super) detail: String,
    pub(super) host_key: Option<Box<HostKeyProblem>>,
    pub(super) source: Option<Cause>,
}

impl Failure {
    pub(super) fn new(why: Why, detail: impl Into<String>) -> Self {
        Self {
            why,
            detail: detail.into(),
            host_key: None,
            source: None,
        }
    }

    #[must_use]
    pub(super) fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(cause));
        self
    }
}

impl From<HostKeyProblem> for Failure {
    fn from(problem: HostKeyProblem) -> Self {
        Self {
            why: Why::ControlHostKey,
            detail: problem.to_string(),
            host_key: Some(Box::new(problem)),
            source: None,
        }
    }
}

/// Text of a node as one line that can be shown: at most `limit` characters, anything that could move a cursor or
/// reorder text escaped.
pub(super) fn printable(bytes: &[u8], limit: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::new();
    for (at, character) in text.trim().chars().enumerate() {
        if at == limit {
            line.push('…');
            break;
        }
        match character {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() || is_invisible(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line
}

/// Format characters (Unicode category Cf and the line separators) that change how other text is shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_node_cannot_move_the_cursor_or_turn_the_writing_direction() {
        assert_eq!(
            printable(b"  a\x1b[2Jb\r\nc\xff\xe2\x80\xae  ", 80),
            "a\\u{1b}[2Jb  c\u{fffd}\\u{202e}"
        );
        assert_eq!(printable(b"abcdef", 3), "abc…");
    }

    #[test]
    fn the_text_names_the_node_the_route_and_the_jump_host() {
        let error = ControlError::new(
            &NodeName::new("cmp001").unwrap(),
            "root@10.0.0.1:22 via ops@bastion:22".to_owned(),
            Some("ops@bastion:22".to_owned()),
            Failure::new(Why::ControlUnreachable, "no answer within 10 s")
                .because(std::io::Error::from(std::io::ErrorKind::TimedOut)),
        );
        assert_eq!(
            error.to_string(),
            "control connection to cmp001 (root@10.0.0.1:22 via ops@bastion:22) at jump host ops@bastion:22: \
             no answer within 10 s"
        );
        assert_eq!(error.source().unwrap().to_string(), "timed out");
    }
}
