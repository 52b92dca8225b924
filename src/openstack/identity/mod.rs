//! Keystone v3: asking for a token, reading what it says, finding the Compute API in its catalog.

mod catalog;
mod request;
mod token;

pub use catalog::{CatalogError, compute_endpoint};
pub use request::{token_request, token_url};
pub use token::{CatalogService, Token, TokenError, read_token};
