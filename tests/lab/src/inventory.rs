//! The files that clearway's control connection needs to reach a lab's nodes.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::{During, Result};
use crate::keys::KeyPair;
use crate::plan::NodePlan;

/// Where the control connection's files are.
#[derive(Clone, Debug)]
pub(crate) struct ControlFiles {
    pub(crate) key: PathBuf,
    pub(crate) known_hosts: PathBuf,
    pub(crate) inventory: PathBuf,
}

impl ControlFiles {
    pub(crate) fn in_dir(dir: &Path) -> Self {
        Self {
            key: dir.join("control_key"),
            known_hosts: dir.join("control_known_hosts"),
            inventory: dir.join("inventory.yaml"),
        }
    }

    pub(crate) fn write(&self, key: &KeyPair, user: &str, nodes: &[NodePlan]) -> Result<()> {
        write_file(&self.key, 0o600, &key.private)?;
        write_file(
            &self.key.with_extension("pub"),
            0o644,
            &format!("{}\n", key.public),
        )?;
        write_file(&self.known_hosts, 0o644, &known_hosts(nodes))?;
        write_file(&self.inventory, 0o644, &self.inventory_text(user, nodes))
    }

    fn inventory_text(&self, user: &str, nodes: &[NodePlan]) -> String {
        let sudo = user != "root";
        let mut text = format!(
            "clearway: 1\n\
             defaults:\n\
             \x20 profile: nova\n\
             \x20 control:\n\
             \x20   user: {user}\n\
             \x20   sudo: {sudo}\n\
             \x20   identity: {:?}\n\
             \x20   known_hosts: {:?}\n\
             groups:\n\
             \x20 lab:\n\
             \x20   nodes:\n",
            self.key.display().to_string(),
            self.known_hosts.display().to_string(),
        );
        for node in nodes {
            writeln!(
                text,
                "      {}: {{control: {{address: {}}}}}",
                node.name, node.address
            )
            .expect("a String takes everything");
        }
        text
    }
}

fn known_hosts(nodes: &[NodePlan]) -> String {
    let mut text = String::new();
    for node in nodes {
        for key in &node.host_keys {
            writeln!(text, "{} {key}", node.address).expect("a String takes everything");
        }
    }
    text
}

fn write_file(path: &Path, mode: u32, text: &str) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .during(|| format!("writing {}", path.display()))
}
