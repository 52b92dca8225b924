//! Which cloud is meant, as whom: from `clouds.yaml` and its companions, or from `OS_*` variables, by the rules of
//! openstacksdk (openstack/config/loader.py) as far as clearway needs them.

mod environment;
mod error;
mod files;
mod find;
mod settings;
#[cfg(test)]
mod tests;

pub use error::CloudError;
pub use files::{CloudFile, CloudFiles};
pub use find::find;
pub use settings::{Cloud, Credentials, Domain, Interface, Named, Scope};
