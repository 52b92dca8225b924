//! The choice between names, variables and files.

use std::collections::BTreeMap;

use super::{Cloud, CloudError, CloudFiles, environment, settings};

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
