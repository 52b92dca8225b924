//! The terminal: arguments, reports, progress, exit codes. The only layer that prints, through injected writers.

mod app;
mod args;
mod commands;
mod console;
mod error;
mod help;
mod jsonl;
mod keys_args;
mod moves_args;
mod observe;
mod paint;
mod progress;
mod render;
mod signals;
mod text;

#[cfg(test)]
mod testing;

pub use app::main;

/// The inventory that is read when none is named.
const DEFAULT_INVENTORY: &str = "clearway.yaml";
