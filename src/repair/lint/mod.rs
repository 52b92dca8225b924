//! A second opinion on a plan. It shares no code with the planner, and trusts nothing that the plan says of itself: what is
//! on a node is what the survey found, and what may change is decided here again.

mod authority;
mod check;
mod commands;
mod complaint;
mod copies;
mod hosts_file;
mod keys_file;
mod known;
mod labels;
mod lines;
mod modes;
mod roles;
#[cfg(test)]
mod root_tests;
mod shape;
#[cfg(test)]
mod tests;

pub use authority::AuthorityRules;
pub use check::{ControlAccount, lint, lint_with};
pub use complaint::{Complaint, Rule};
