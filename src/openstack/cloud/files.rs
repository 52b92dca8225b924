//! `clouds.yaml`, `secure.yaml` and `clouds-public.yaml`, merged as openstacksdk merges them.

use serde_json::{Map, Value};

use super::error::CloudError;

/// A file and its text.
#[derive(Debug, Clone)]
pub struct CloudFile {
    /// Its path, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The files that were found. Each one may be missing.
#[derive(Debug, Clone, Default)]
pub struct CloudFiles {
    /// `clouds.yaml`.
    pub clouds: Option<CloudFile>,
    /// `secure.yaml`: what should not stand in the first.
    pub secure: Option<CloudFile>,
    /// `clouds-public.yaml`: what vendors say of their clouds.
    pub public: Option<CloudFile>,
}

impl CloudFiles {
    /// The values of a cloud and its name: the vendor's profile, over it the cloud, over it what is secret.
    pub(super) fn cloud(
        &self,
        name: Option<&str>,
    ) -> Result<(String, Map<String, Value>), CloudError> {
        let Some(file) = &self.clouds else {
            return Err(match name {
                Some(name) => CloudError::NoFile {
                    name: name.to_owned(),
                },
                None => CloudError::NotNamed { known: Vec::new() },
            });
        };
        let clouds = section(file, "clouds")?;
        let known = || clouds.keys().cloned().collect::<Vec<_>>();
        let name = match (name, clouds.len()) {
            (Some(name), _) => name.to_owned(),
            (None, 1) => known().remove(0),
            (None, _) => return Err(CloudError::NotNamed { known: known() }),
        };
        let Some(cloud) = clouds.get(&name) else {
            return Err(CloudError::Unknown {
                name,
                file: file.name.clone(),
                known: known(),
            });
        };
        let Value::Object(cloud) = cloud else {
            return Err(problem(file, format!("`{name}` is no mapping")));
        };
        let mut values = match cloud.get("profile").or_else(|| cloud.get("cloud")) {
            Some(Value::String(profile)) => self.profile(file, profile)?,
            _ => Map::new(),
        };
        merge(&mut values, cloud);
        if let Some(file) = &self.secure
            && let Some(Value::Object(secret)) = section(file, "clouds")?.get(&name)
        {
            merge(&mut values, secret);
        }
        Ok((name, values))
    }

    fn profile(&self, from: &CloudFile, name: &str) -> Result<Map<String, Value>, CloudError> {
        let unknown = || {
            problem(
                from,
                format!(
                    "profile `{name}` is in no clouds-public.yaml, and clearway has none built in"
                ),
            )
        };
        let file = self.public.as_ref().ok_or_else(unknown)?;
        match section(file, "public-clouds")?.remove(name) {
            Some(Value::Object(profile)) => Ok(profile),
            _ => Err(unknown()),
        }
    }
}

/// What stands under a file's one key.
fn section(file: &CloudFile, key: &str) -> Result<Map<String, Value>, CloudError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_nodes: 100_000,
            max_depth: 16,
        },
        with_snippet: false,
    };
    let value: Value = serde_saphyr::from_str_with_options(&file.text, options)
        // A parser's message may quote the line, and the line may be a password.
        .map_err(|error| match error.location() {
            Some(at) => problem(
                file,
                format!("no YAML that can be read, line {}", at.line()),
            ),
            None => problem(file, "no YAML that can be read".to_owned()),
        })?;
    match value {
        Value::Object(mut map) => match map.remove(key) {
            Some(Value::Object(section)) => Ok(section),
            None | Some(Value::Null) => Ok(Map::new()),
            Some(_) => Err(problem(file, format!("`{key}` is no mapping"))),
        },
        Value::Null => Ok(Map::new()),
        _ => Err(problem(file, "is no mapping".to_owned())),
    }
}

fn problem(file: &CloudFile, problem: String) -> CloudError {
    CloudError::File {
        file: file.name.clone(),
        problem,
    }
}

/// Values of `over` win; mappings are merged.
fn merge(values: &mut Map<String, Value>, over: &Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(key), value) {
            (Some(Value::Object(below)), Value::Object(above)) => merge(below, above),
            _ => {
                values.insert(key.clone(), value.clone());
            }
        }
    }
}
