//! What Nova's API was asked.

use serde::Deserialize;

/// One request, in the order in which they were answered.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Request {
    /// When it arrived (RFC 3339).
    pub time: String,
    /// How long the answer took.
    pub seconds: f64,
    /// HTTP method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query string.
    pub query: String,
    /// The action of `POST /servers/ID/action`: the first member of its body.
    pub action: Option<String>,
    /// The body, cut at 4096 bytes.
    pub body: String,
    /// Who asked, if that was found out.
    pub user: Option<String>,
    /// The header `OpenStack-API-Version`.
    pub microversion: Option<String>,
    /// The header `User-Agent`.
    pub agent: Option<String>,
    /// The status that was answered.
    pub status: u16,
    /// Nova's request id.
    pub request_id: Option<String>,
    /// The injected fault that had a part in it.
    pub rule: Option<String>,
    /// Whether the connection was closed instead of answering.
    pub dropped: bool,
}

impl Request {
    /// Whether it asked for something to be changed.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != "GET" && self.method != "HEAD"
    }
}

/// Parses the log; an unfinished last line is left out.
pub(crate) fn parse(text: &str) -> serde_json::Result<Vec<Request>> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(serde_json::from_str).collect()
}
