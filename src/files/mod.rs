//! The operator's files: read whole, within bounds, with errors that name the path.

mod clouds;
mod inventory;
mod plan;
mod read;
mod write;

pub use clouds::{load_authorities, load_clouds};
pub use inventory::{LoadError, load_inventory};
pub use plan::{PlanFileError, can_be_new, read_plan, write_new};
pub use read::{FileError, read_text};
pub use write::write_text;
