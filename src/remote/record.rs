//! Adding a host key to the operator's `known_hosts`, after the operator has said so.

use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::{HashedName, Hosts, KnownHosts};

/// Appends `host` with `key` to a `known_hosts` file, in one write; what is there stays as it is.
///
/// The name is hashed if the file has hashed names, as `HashKnownHosts` would have made them. A missing file is made
/// with mode 0600, a missing directory with 0700. `host` is as [`super::HostKeyProblem::host`] has it. Connectors made
/// before do not know of it. Blocks for as long as the file system does.
///
/// # Errors
/// The file cannot be read or written.
pub fn record_host_key(file: &Path, host: &str, key: &PublicKey, salt: [u8; 20]) -> io::Result<()> {
    if let Some(directory) = file
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
    {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
    }
    let mut known = std::fs::OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(file)?;
    let length = known.metadata()?.len();
    let mut before = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    known.read_exact_at(&mut before, 0)?;
    let has_hashes = KnownHosts::parse(before.as_slice())
        .entries()
        .any(|(_, entry)| matches!(entry.hosts, Hosts::Hashed(_)));
    let name = if has_hashes {
        HashedName::new(host, salt).to_string()
    } else {
        host.to_owned()
    };
    let end_of_last = if before.last().is_none_or(|byte| *byte == b'\n') {
        ""
    } else {
        "\n"
    };
    known.write_all(format!("{end_of_last}{name} {}\n", key.to_plain()).as_bytes())?;
    known.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn key() -> PublicKey {
        PublicKey::read(KEY.as_bytes()).unwrap().0
    }

    #[test]
    fn a_new_file_is_private_and_holds_the_line() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".ssh/known_hosts");
        record_host_key(&file, "[10.0.0.1]:2222", &key(), [1; 20]).unwrap();
        assert_eq!(
            std::fs::read_to_string(&file).unwrap(),
            format!("[10.0.0.1]:2222 {KEY}\n")
        );
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_file_that_does_not_end_in_a_newline_is_not_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        std::fs::write(&file, format!("# mine\nold {KEY}")).unwrap();
        record_host_key(&file, "new", &key(), [1; 20]).unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(text, format!("# mine\nold {KEY}\nnew {KEY}\n"));
    }

    #[test]
    fn names_are_hashed_where_names_are_hashed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("known_hosts");
        let old = HashedName::new("old", [7; 20]);
        std::fs::write(&file, format!("{old} {KEY}\n")).unwrap();
        record_host_key(&file, "new", &key(), [1; 20]).unwrap();
        let known = KnownHosts::parse(std::fs::read(&file).unwrap());
        let (_, added) = known.entries().nth(1).unwrap();
        assert!(matches!(added.hosts, Hosts::Hashed(_)));
        assert!(added.hosts.matches("new") && !added.hosts.matches("old"));
    }
}
