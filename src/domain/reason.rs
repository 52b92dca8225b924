//! Why a leg is broken, why it could not be proven, why it is not needed, and what else is worth knowing.
//!
//! The codes are stable: scripts may match them. `clearway reasons` and docs/reasons.md are made from these tables.
//! Remedies hold placeholders in braces; see [`Placeholders`].

mod broken;
mod catalogue;
mod finding;
mod placeholders;
mod unproven;

pub use broken::Reason;
pub use finding::{FindingCode, Severity};
pub use placeholders::Placeholders;
pub use unproven::{NotNeeded, Why};

/// The meaning of a code of any table; nothing for one that a later version has made.
#[must_use]
pub fn meaning_of(code: &str) -> Option<&'static str> {
    Reason::from_code(code)
        .map(Reason::meaning)
        .or_else(|| Why::from_code(code).map(Why::meaning))
        .or_else(|| NotNeeded::from_code(code).map(NotNeeded::meaning))
        .or_else(|| FindingCode::from_code(code).map(FindingCode::meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_across_all_tables() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        codes.extend(Why::ALL.iter().map(|r| r.code()));
        codes.extend(NotNeeded::ALL.iter().map(|r| r.code()));
        codes.extend(FindingCode::ALL.iter().map(|r| r.code()));
        let all = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all);
    }
}
