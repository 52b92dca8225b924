//! The operator's inventory: text to fleet, and selections from it.
//!
//! [`Inventory::read`] takes the text of YAML files (reading them is the business of [`crate::files`]) and gives a
//! [`Fleet`](crate::domain::Fleet) or every problem with file, line and column. docs/inventory.md explains the format.

mod chain;
mod deployment;
mod document;
mod embedded;
mod entry;
mod groups;
mod jump;
mod layer;
mod limit;
mod problem;
mod profiles;
mod range;
mod resolve;
mod scope;
mod show;
mod show_text;
mod suggest;
mod syntax;
mod unique;
mod values;
mod yaml;

#[cfg(test)]
mod tests;

pub use layer::Origin;
pub use limit::{LimitError, select};
pub use problem::{InventoryError, Place, Problem, Source};
pub use range::{MAX_NAMES, NameRange, RangeError, expand_list};
pub use resolve::{Inventory, MAX_NODES};
pub use show::{ResolvedNode, Shown, Summary};
pub use suggest::nearest;
pub use values::Context;
