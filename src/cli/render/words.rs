//! What the codes of a report mean.

pub(in crate::cli) use crate::domain::meaning_of as meaning;
