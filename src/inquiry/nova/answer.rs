//! What the program found.

use crate::frame::{FrameError, Limits, Nonce, decode};

/// Lines that are shown of a log.
const SHOWN: usize = 8;

/// nova-compute's log of one request, as far as it was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NovaLog {
    /// Places that were looked at and had nothing, with why.
    places: Vec<(String, String)>,
    /// Where the lines are from: a path, or `journal`.
    source: Option<String>,
    /// What the lines say, without their heads.
    messages: Vec<String>,
}

impl NovaLog {
    /// Reads the answer of [`super::nova_script()`].
    ///
    /// # Errors
    /// It is not a whole answer to the program with this nonce.
    pub fn read(stdout: &[u8], nonce: &Nonce) -> Result<Self, FrameError> {
        let limits = Limits {
            bytes: 256 << 10,
            noise: 64 << 10,
            records: 16,
            fields: 2,
            field: 4 << 10,
        };
        let mut log = Self::default();
        for record in decode(stdout, nonce, limits)? {
            let field = |number: usize| {
                let bytes = record.fields.get(number).map_or(&[][..], Vec::as_slice);
                String::from_utf8_lossy(bytes).into_owned()
            };
            match (record.kind.as_str(), &record.span) {
                ("place", _) => {
                    let why = match field(1).as_str() {
                        "absent" => "is not there",
                        "unreadable" => "cannot be read",
                        "silent" => "has nothing of this request",
                        _ => continue,
                    };
                    log.places.push((field(0), why.to_owned()));
                }
                ("log", Some(text)) if log.source.is_none() => {
                    log.source = Some(field(0));
                    let text = String::from_utf8_lossy(text);
                    log.messages = text
                        .lines()
                        .map(message)
                        .filter(|it| !it.is_empty())
                        .map(str::to_owned)
                        .collect();
                }
                _ => {}
            }
        }
        Ok(log)
    }

    /// Where the request was found: a path, or `journal`.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// This one, or another where this one has nothing; then with the places of both.
    #[must_use]
    pub fn or(mut self, mut other: Self) -> Self {
        if self.source.is_some() {
            return self;
        }
        self.places.append(&mut other.places);
        other.places = self.places;
        other
    }

    /// Why nothing was found, place by place.
    #[must_use]
    pub fn nothing(&self) -> String {
        let places: Vec<String> = self
            .places
            .iter()
            .map(|(place, why)| match place.as_str() {
                "journal" => format!("the journal {why}"),
                path => format!("{path} {why}"),
            })
            .collect();
        places.join(", ")
    }

    /// Everything that it says of errors, as one text.
    #[must_use]
    pub fn text(&self) -> String {
        self.messages.join("\n")
    }

    /// The lines that say what happened: not the frames of a traceback, each text once.
    #[must_use]
    pub fn telling(&self) -> Vec<&str> {
        let mut telling: Vec<&str> = Vec::new();
        for it in &self.messages {
            let is_frame = it.starts_with(' ') || it.starts_with("Traceback (");
            let is_empty = it.starts_with("Stdout: ''") || it.starts_with("Stdout: u''");
            if !is_frame && !is_empty && !telling.contains(&it.as_str()) {
                telling.push(it);
            }
        }
        // The exception itself stands at the end.
        let from = telling.len().saturating_sub(SHOWN);
        telling.split_off(from)
    }
}

/// What a line says, without date, process, level, logger and the context in brackets (oslo_log/_options.py
/// `logging_context_format_string`, `logging_exception_prefix`).
fn message(line: &str) -> &str {
    let line = line.trim_end();
    if let Some((_, rest)) = line.split_once("[instance: ")
        && let Some((_, rest)) = rest.split_once(']')
    {
        return rest.strip_prefix(' ').unwrap_or(rest);
    }
    // `2026-11-26 01:02:03.456 12 ERROR nova.compute.manager [None req-… admin admin - - default default] text`
    if let Some((_, rest)) = line.split_once("req-")
        && let Some((_, rest)) = rest.split_once(']')
    {
        return rest.strip_prefix(' ').unwrap_or(rest);
    }
    // The same without context: what follows of an error.
    if line.as_bytes().first().is_some_and(u8::is_ascii_digit)
        && let Some(rest) = line.splitn(6, ' ').nth(5)
    {
        return rest;
    }
    line
}
