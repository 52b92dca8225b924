//! Why an answer of the API cannot be read.

use serde::de::DeserializeOwned;

use crate::openstack::Answer;

/// An answer that is not what this API says.
#[derive(Debug, thiserror::Error)]
#[error("the answer has no usable {what}")]
pub struct ReadError {
    /// What was read.
    pub what: &'static str,
    /// What is wrong with it.
    pub source: serde_json::Error,
}

/// The body as a type.
pub(super) fn read<T: DeserializeOwned>(
    what: &'static str,
    answer: &Answer,
) -> Result<T, ReadError> {
    serde_json::from_slice(&answer.body).map_err(|source| ReadError { what, source })
}
