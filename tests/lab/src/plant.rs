//! Planting faults in a running lab.

use std::process::Output;

use crate::error::{LabError, Result};
use crate::fault::{Fault, Place, Plant};
use crate::lab::Lab;
use crate::node::Node;
use crate::plan::LAB_DIR;

impl Lab {
    /// Plants the fault; when this returns, it is in force.
    ///
    /// # Errors
    /// If a command of the fault fails or takes longer than half a minute.
    pub fn plant(&self, fault: &Fault) -> Result<()> {
        let mut previous = String::new();
        for part in &fault.plant {
            for (on, output) in self.plant_part(part, &previous)? {
                if !output.status.success() {
                    return Err(LabError::Plant {
                        id: fault.id.clone(),
                        on,
                        why: format!(
                            "{}: {}",
                            output.status,
                            String::from_utf8_lossy(&output.stderr).trim()
                        ),
                    });
                }
                previous = String::from_utf8_lossy(&output.stdout)
                    .trim_end()
                    .to_owned();
            }
        }
        if fault.lab.refresh_control {
            self.refresh_control_known_hosts()?;
        }
        Ok(())
    }

    fn plant_part(&self, part: &Plant, previous: &str) -> Result<Vec<(String, Output)>> {
        let script = self.script(&part.run, previous);
        let on_node = |node: &Node| {
            let line = ["-k", "2", "30", "/bin/sh", "-c", &script];
            let output = node.output(node.command("/usr/bin/timeout").args(line), &part.run)?;
            Ok((node.name().to_owned(), output))
        };
        match (&part.on, part.on.node()) {
            (_, Some(name)) => Ok(vec![on_node(self.node(name))?]),
            (Place::Operator, None) => {
                let mut command = self.command("/bin/sh");
                command
                    .args(["-c", &script])
                    .env("INVENTORY", self.inventory());
                let output = command.output().map_err(|error| LabError::Plant {
                    id: "operator".to_owned(),
                    on: part.on.to_string(),
                    why: error.to_string(),
                })?;
                Ok(vec![(part.on.to_string(), output)])
            }
            (Place::Hub, None) => Ok(vec![("hub".into(), self.hub_sh(&script)?)]),
            (_, None) => self.nodes().iter().map(on_node).collect(),
        }
    }

    fn script(&self, run: &str, previous: &str) -> String {
        let mut script =
            format!("set -eu\nNOVA=/var/lib/nova SSH=/var/lib/nova/.ssh LAB=/{LAB_DIR}\n");
        for (variable, node) in ["SOURCE", "TARGET", "NODE3"].iter().zip(self.nodes()) {
            script.push_str(&format!("{variable}={}\n", node.address()));
        }
        let quoted = previous.replace('\'', r"'\''");
        script.push_str(&format!("PREVIOUS='{quoted}'\n"));
        script.push_str(run);
        script
    }
}
