//! The terminal: arguments, reports, progress, exit codes. The only layer that prints, through injected writers.

mod paint;
mod render;
mod text;

/// The inventory that is read when none is named.
const DEFAULT_INVENTORY: &str = "clearway.yaml";
