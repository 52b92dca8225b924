//! Which cloud is meant, as whom: from `clouds.yaml` and its companions, or from `OS_*` variables, by the rules of
//! openstacksdk (openstack/config/loader.py) as far as clearway needs them.

mod environment;
mod error;
mod files;
mod settings;
#[cfg(test)]
mod tests;

pub use error::CloudError;
pub use files::{CloudFile, CloudFiles};
pub use settings::{Cloud, Credentials, Domain, Interface, Named, Scope};

use std::collections::BTreeMap;

/// Finds the cloud: the named one (`--os-cloud`, else `OS_CLOUD`) in the files; without a name what the `OS_*`
/// variables say; without these the only cloud of the files.
///
/// # Errors
/// Nothing says which cloud, or what is said of it is incomplete or wrong.
pub fn find(
    name: Option<&str>,
    files: &CloudFiles,
    variables: &BTreeMap<String, String>,
) -> Result<Cloud, CloudError> {
    let name = name.or_else(|| variables.get("OS_CLOUD").map(String::as_str));
    if name.is_none()
        && let Some(values) = environment::values(variables)
    {
        return settings::read("the OS_* variables", &values);
    }
    let (name, values) = files.cloud(name)?;
    settings::read(&format!("cloud `{name}`"), &values)
}
