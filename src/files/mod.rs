//! The operator's files: read whole, within bounds, with errors that name the path.

mod clouds;
mod inventory;
mod read;

pub use clouds::{load_authorities, load_clouds};
pub use inventory::{LoadError, load_inventory};
pub use read::{FileError, read_text};
