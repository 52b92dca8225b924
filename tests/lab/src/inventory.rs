//! The files that clearway's control connection needs to reach a lab's nodes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::keys::KeyPair;
use crate::layer::{Entry, ROOT};
use crate::plan::NodePlan;

const KEY: &str = "control_key";
const KNOWN_HOSTS: &str = "control_known_hosts";
const INVENTORY: &str = "inventory.yaml";

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
            key: dir.join(KEY),
            known_hosts: dir.join(KNOWN_HOSTS),
            inventory: dir.join(INVENTORY),
        }
    }

    /// Their contents, relative to the lab's directory.
    pub(crate) fn entries(&self, key: &KeyPair, user: &str, nodes: &[NodePlan]) -> Vec<Entry> {
        vec![
            Entry::file(KEY, ROOT, 0o600, key.private.clone()),
            Entry::file(
                &format!("{KEY}.pub"),
                ROOT,
                0o644,
                format!("{}\n", key.public),
            ),
            Entry::file(KNOWN_HOSTS, ROOT, 0o644, known_hosts(nodes)),
            Entry::file(INVENTORY, ROOT, 0o644, self.inventory_text(user, nodes)),
        ]
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
