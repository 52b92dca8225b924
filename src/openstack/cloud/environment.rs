//! `OS_*` variables as values of a cloud.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Variables whose key in clouds.yaml is not simply their name without `OS_` in lower case.
const RENAMED: &[(&str, &str)] = &[
    ("OS_ENDPOINT_TYPE", "endpoint_type"),
    ("OS_COMPUTE_ENDPOINT", "compute_endpoint_override"),
];

/// The values; `None` when the variables name no Keystone.
pub(super) fn values(variables: &BTreeMap<String, String>) -> Option<Map<String, Value>> {
    variables.get("OS_AUTH_URL").filter(|url| !url.is_empty())?;
    let mut values = Map::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix("OS_") else {
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let key = RENAMED
            .iter()
            .find(|(renamed, _)| renamed == name)
            .map_or_else(|| rest.to_ascii_lowercase(), |(_, key)| (*key).to_owned());
        values.insert(key, Value::String(value.clone()));
    }
    // keystoneauth: any value but these turns the check off.
    if let Some(Value::String(insecure)) = values.remove("insecure")
        && !matches!(insecure.to_ascii_lowercase().as_str(), "false" | "0" | "no")
    {
        values.insert("verify".to_owned(), Value::Bool(false));
    }
    Some(values)
}
