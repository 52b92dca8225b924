//! One request to the Compute API and its answer, as values.

use std::fmt;

use serde_json::Value;

/// A microversion of the Compute API, `2.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Microversion(pub u16);

impl Microversion {
    /// Reads `2.N`; nothing else is a version of this API.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        text.strip_prefix("2.")?.parse().ok().map(Self)
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2.{}", self.0)
    }
}

/// The method of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Reads.
    Get,
    /// Acts.
    Post,
    /// Sets.
    Put,
    /// Removes.
    Delete,
}

impl Method {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// A request: everything but where and as whom.
///
/// Requests that move a server are made in [`crate::moves`] only, from a pass.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path below the endpoint, with its query, ready for the wire.
    pub path: String,
    /// The microversion that body and answer are meant in.
    pub microversion: Microversion,
    /// The body.
    pub body: Option<Value>,
}

impl Call {
    /// A read.
    pub(crate) fn get(path: impl Into<String>, microversion: Microversion) -> Self {
        Self {
            method: Method::Get,
            path: path.into(),
            microversion,
            body: None,
        }
    }

    /// A write with a body.
    pub(crate) fn write(
        method: Method,
        path: impl Into<String>,
        microversion: Microversion,
        body: Value,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            microversion,
            body: Some(body),
        }
    }

    /// Whether it can be repeated without changing anything.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.method == Method::Get
    }
}

impl fmt::Display for Call {
    /// `GET /servers/detail`: without the query, which may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{} {path}", self.method.as_str())
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Nova's id of the request (`x-openstack-request-id`), `req-` and a UUID; `None` when it is missing or no such id.
    pub request_id: Option<String>,
    /// The body, bounded by who read it.
    pub body: Vec<u8>,
}

impl Answer {
    /// Takes an answer; a request id that is none is dropped, since it becomes part of a path.
    #[must_use]
    pub fn new(status: u16, request_id: Option<&str>, body: Vec<u8>) -> Self {
        Self {
            status,
            request_id: request_id.filter(|id| is_request_id(id)).map(str::to_owned),
            body,
        }
    }
}

/// `req-` and a UUID (oslo_context `generate_request_id`).
pub(crate) fn is_request_id(text: &str) -> bool {
    text.strip_prefix("req-").is_some_and(|rest| {
        rest.len() == 36 && rest.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
    })
}

/// Appends `name=value` to a path, encoded.
pub(crate) fn with_query(path: &str, query: &[(&str, &str)]) -> String {
    let mut out = path.to_owned();
    for (index, (name, value)) in query.iter().enumerate() {
        out.push(if index == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        encode(&mut out, value);
    }
    out
}

/// RFC 3986: everything but the unreserved characters.
pub(crate) fn encode(out: &mut String, text: &str) {
    use std::fmt::Write as _;
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_cannot_be_broken_out_of() {
        assert_eq!(
            with_query(
                "/servers/detail",
                &[("host", "a&all_tenants=1 ü#"), ("limit", "3")]
            ),
            "/servers/detail?host=a%26all_tenants%3D1%20%C3%BC%23&limit=3"
        );
    }

    #[test]
    fn a_request_id_that_is_none_is_dropped() {
        let id = "req-a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";
        assert_eq!(
            Answer::new(202, Some(id), Vec::new()).request_id.as_deref(),
            Some(id)
        );
        for wrong in [
            "",
            "req-",
            "req-../../../../os-services/xxxxxxxxxxxxxxxxx",
            "a0eebc99",
        ] {
            assert_eq!(
                Answer::new(202, Some(wrong), Vec::new()).request_id,
                None,
                "{wrong}"
            );
        }
    }

    #[test]
    fn microversions_are_of_this_api() {
        assert_eq!(Microversion::read("2.104"), Some(Microversion(104)));
        for wrong in ["3.1", "2", "2.x", "2.99999999", ""] {
            assert_eq!(Microversion::read(wrong), None, "{wrong}");
        }
        assert!(Microversion(9) < Microversion(96));
    }
}
