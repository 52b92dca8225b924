//! Finding `clouds.yaml` and its companions, where openstacksdk looks for them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::read::{FileError, read_text};
use crate::openstack::cloud::{CloudFile, CloudFiles};

/// Largest file that is read, in bytes.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Reads `clouds.yaml`, `secure.yaml` and `clouds-public.yaml`: the file that a variable names
/// (`OS_CLIENT_CONFIG_FILE`, `OS_CLIENT_SECURE_FILE`, `OS_CLIENT_VENDOR_FILE`), else the first one in the working
/// directory, `~/.config/openstack`, `/etc/openstack` (openstack/config/loader.py `CONFIG_SEARCH_PATH`).
///
/// # Errors
/// A file that is there cannot be read.
pub fn load_clouds(
    variables: &BTreeMap<String, String>,
    home: Option<&Path>,
) -> Result<CloudFiles, FileError> {
    let mut directories = vec![PathBuf::from(".")];
    directories.extend(home.map(|home| home.join(".config/openstack")));
    directories.push(PathBuf::from("/etc/openstack"));
    let find = |variable: &str, name: &str| {
        if let Some(path) = variables.get(variable) {
            return read(Path::new(path)).map(Some);
        }
        for directory in &directories {
            for extension in ["yaml", "yml", "json"] {
                match read(&directory.join(format!("{name}.{extension}"))) {
                    Ok(file) => return Ok(Some(file)),
                    Err(FileError::Read { source, .. }) if is_missing(&source) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(None)
    };
    Ok(CloudFiles {
        clouds: find("OS_CLIENT_CONFIG_FILE", "clouds")?,
        secure: find("OS_CLIENT_SECURE_FILE", "secure")?,
        public: find("OS_CLIENT_VENDOR_FILE", "clouds-public")?,
    })
}

fn read(path: &Path) -> Result<CloudFile, FileError> {
    Ok(CloudFile {
        text: read_text(path, MAX_BYTES)?,
        name: path.display().to_string(),
    })
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// Reads the certificates of a cloud's `cacert`; `~` is the home directory.
///
/// # Errors
/// The file cannot be read.
pub fn load_authorities(path: &str, home: Option<&Path>) -> Result<String, FileError> {
    let path = match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    };
    read_text(&path, MAX_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_file_is_taken_and_a_variable_names_another() {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join(".config/openstack");
        std::fs::create_dir_all(&config).unwrap();
        std::fs::write(config.join("clouds.yml"), "clouds: {a: {}}").unwrap();
        let files = load_clouds(&BTreeMap::new(), Some(directory.path())).unwrap();
        assert_eq!(files.clouds.unwrap().text, "clouds: {a: {}}");
        let other = directory.path().join("other.yaml");
        let variables = BTreeMap::from([(
            "OS_CLIENT_CONFIG_FILE".to_owned(),
            other.display().to_string(),
        )]);
        assert!(
            load_clouds(&variables, None).is_err(),
            "named, and not there"
        );
        std::fs::write(&other, "clouds: {b: {}}").unwrap();
        let files = load_clouds(&variables, None).unwrap();
        assert_eq!(files.clouds.unwrap().text, "clouds: {b: {}}");
    }
}
