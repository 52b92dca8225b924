//! Why the API could not be asked, or what it refused.

use crate::openstack::compute::{ReadError, TooOld};
use crate::openstack::identity::{CatalogError, TokenError};
use crate::openstack::{Fault, Policy};

/// Why a request got no usable answer. No text holds a token or a password.
#[derive(Debug, thiserror::Error)]
pub enum NovaError {
    /// The HTTP client cannot be made.
    #[error("cannot prepare connections to the cloud: {0}")]
    Client(String),
    /// Nobody answered.
    #[error("{call}: no answer from {host}")]
    Unreachable {
        /// The request, without its query.
        call: String,
        /// Where it went: scheme, host and port.
        host: String,
        /// Why.
        source: Unsent,
    },
    /// Somebody answered whose certificate is not trusted: nothing was said to him.
    #[error("the certificate of {host} is not trusted by {authority}: {why}")]
    Untrusted {
        /// Where it is: scheme, host and port.
        host: String,
        /// The CA file, or whatever else says what is trusted.
        authority: String,
        /// Why.
        why: Distrust,
    },
    /// Keystone refuses.
    #[error("Keystone refuses the login: {0}")]
    Login(Fault),
    /// What Keystone answers is no token.
    #[error("Keystone's answer cannot be used")]
    Token(#[from] TokenError),
    /// There is no Compute API.
    #[error("the Compute API cannot be found")]
    Catalog(#[from] CatalogError),
    /// It is too old.
    #[error("{0}")]
    TooOld(TooOld),
    /// The API refuses.
    #[error("{call}: {fault}")]
    Refused {
        /// The request, without its query.
        call: String,
        /// What it says.
        fault: Fault,
    },
    /// The answer cannot be read.
    #[error("{call}: the answer cannot be read")]
    Answer {
        /// The request, without its query.
        call: String,
        /// Why.
        source: ReadError,
    },
    /// The answer is larger than anything that is read.
    #[error("{call}: the answer is larger than {limit} bytes")]
    TooLarge {
        /// The request, without its query.
        call: String,
        /// The bound.
        limit: usize,
    },
    /// A list does not end.
    #[error("{call}: the list does not end after {pages} pages")]
    Endless {
        /// The request, without its query.
        call: String,
        /// Pages read.
        pages: usize,
    },
}

impl NovaError {
    /// The policy rule whose absence this is.
    #[must_use]
    pub fn policy(&self) -> Option<Policy> {
        match self {
            Self::Refused { fault, .. } => fault.policy(),
            _ => None,
        }
    }

    /// Whether Nova itself says that there is no such thing.
    #[must_use]
    pub fn is_item_not_found(&self) -> bool {
        matches!(self, Self::Refused { fault, .. } if fault.is_item_not_found)
    }

    /// Whether asking again later may help: nobody answered, or what answered was in trouble itself.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { fault, .. } | Self::Login(fault) => {
                fault.status >= 500 || fault.status == 429
            }
            _ => false,
        }
    }

    /// Whether nobody is there at all: no answer, or one from whoever stands in front of it (502, 503, 504).
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { .. }) || matches!(self.status(), Some(502..=504))
    }

    /// The HTTP status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { fault, .. } | Self::Login(fault) => Some(fault.status),
            _ => None,
        }
    }
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// It is an authority's: rustls takes none for a server's, whoever vouches for it (RFC 5280, 4.2.1.9). What
    /// `openssl req -x509` makes without further words is one.
    #[error("it is an authority's own (CA:TRUE) and not a server's")]
    OfAnAuthority,
    /// In rustls' words.
    #[error("{0}")]
    Other(String),
}

impl Distrust {
    /// Reads rustls' words for whatever is wrong.
    pub(super) fn read(words: &str) -> Self {
        if words.contains("CaUsedAsEndEntity") {
            Self::OfAnAuthority
        } else {
            Self::Other(words.to_owned())
        }
    }
}

/// Why nobody answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// The certificate is not trusted: nothing was sent.
    #[error("{0}")]
    Untrusted(Distrust),
    /// There was no connection: the request has not been seen by anybody.
    #[error("cannot connect: {0}")]
    NoConnection(String),
    /// The connection broke or nothing came in time: the request may have been carried out.
    #[error("no answer: {0}")]
    NoAnswer(String),
}
