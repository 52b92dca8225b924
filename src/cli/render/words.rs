//! What the codes of a report mean.

use crate::domain::{FindingCode, NotNeeded, Reason, Why};

/// The meaning of a code of any table; nothing for one that a later version has made.
pub(in crate::cli) fn meaning(code: &str) -> Option<&'static str> {
    Reason::from_code(code)
        .map(Reason::meaning)
        .or_else(|| Why::from_code(code).map(Why::meaning))
        .or_else(|| NotNeeded::from_code(code).map(NotNeeded::meaning))
        .or_else(|| FindingCode::from_code(code).map(FindingCode::meaning))
}
