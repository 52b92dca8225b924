//! The calls of the Compute API that clearway makes, and how their answers are read. Those that move a server are not
//! here: [`crate::moves`] makes them, from a pass.

mod action;
mod error;
mod flavor;
mod hypervisor;
mod image;
mod migration;
mod page;
mod server;
mod service;
mod version;
mod writes;

pub use action::{ActionEvent, InstanceAction, action, actions, read_action, read_actions};
pub use error::ReadError;
pub use flavor::{WantedFlavor, flavors, read_flavors};
pub use hypervisor::{Hypervisor, hypervisors, read_hypervisors};
pub use image::{Image, image, read_image};
pub use migration::{
    LiveProgress, Migration, MigrationStatus, live_migrations, migrations, read_live_migrations,
    read_migrations,
};
pub use page::Page;
pub use server::{
    Address, Flavor, Server, ServerFault, ServerFilter, Status, Volume, read_server, read_servers,
    server, servers,
};
pub use service::{ComputeService, read_service, read_services, service_of, services};
pub use version::{NEEDED, TooOld, VersionRange, read_versions};
pub use writes::{
    abort, confirm, disable_service, enable_service, force_complete, hard_reboot, reset_state,
    restore_service, revert, stop,
};

#[cfg(test)]
mod tests;
