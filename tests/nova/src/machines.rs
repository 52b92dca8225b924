//! What runs on the machines of a real cloud: the message broker on the hub, nova-compute on the nodes.

use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use clearway_lab::{Lab, Node};

use crate::cloud::PASSWORD;
use crate::error::{CloudError, During, Result};

/// AMQP's.
const BROKER_PORT: u16 = 5672;
/// How long the broker may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(120);
/// Makes the broker's files and starts it.
const START_BROKER: &str = include_str!("../machines/broker");
/// Starts nova-compute.
const START_COMPUTE: &str = include_str!("../machines/compute");

/// The broker's URL, without a virtual host.
pub(crate) fn broker_url(lab: &Lab) -> String {
    format!(
        "rabbit://nova:{PASSWORD}@{}:{BROKER_PORT}",
        lab.hub_address()
    )
}

/// Starts RabbitMQ on the hub; it ends with the lab.
pub(crate) fn start_broker(lab: &Lab) -> Result<()> {
    let script = format!(
        "ADDRESS={} PORT={BROKER_PORT}\n{START_BROKER}",
        lab.hub_address()
    );
    expect_success("rabbitmq", &lab.hub_sh(&script)?)
}

/// Returns when RabbitMQ answers. The calling thread must be in the lab's network.
pub(crate) fn wait_for_broker(lab: &Lab) -> Result<()> {
    let address = SocketAddr::from((lab.hub_address(), BROKER_PORT));
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            let log = lab.hub_sh("tail -n 15 /var/log/rabbitmq/*")?;
            return Err(CloudError::Start {
                service: "rabbitmq",
                why: String::from_utf8_lossy(&log.stdout).into_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Starts nova-compute on a node, from this virtual environment; it ends with the lab.
///
/// It runs as nova, and what needs more goes through sudo and nova-rootwrap, as on any compute.
pub(crate) fn start_compute(node: &Node, venv: &Path, configuration: &Path) -> Result<()> {
    let text = fs::read_to_string(configuration)
        .during(|| format!("reading {}", configuration.display()))?;
    let venv = venv.display();
    let rootwrap = format!(
        "[DEFAULT]\n\
         filters_path = {venv}/etc/nova/rootwrap.d\n\
         exec_dirs = /usr/sbin,/usr/bin,/sbin,/bin,{venv}/bin\n"
    );
    let sudo = "nova ALL = (root) NOPASSWD: /usr/local/bin/nova-rootwrap\n";
    for (path, mode, text) in [
        // Passwords are in it.
        ("/etc/nova/nova-compute.conf", 0o640, text.as_str()),
        ("/etc/nova/rootwrap.conf", 0o644, &rootwrap),
        ("/etc/sudoers.d/nova", 0o440, sudo),
    ] {
        let seen = node.path(path);
        fs::write(&seen, text)
            .and_then(|()| fs::set_permissions(&seen, Permissions::from_mode(mode)))
            .during(|| format!("writing {path} on {}", node.name()))?;
    }
    let group = fs::metadata(node.path("/etc/nova/nova.conf"))
        .map(|found| std::os::unix::fs::MetadataExt::gid(&found));
    group
        .and_then(|group| chown(node.path("/etc/nova/nova-compute.conf"), None, Some(group)))
        .during(|| format!("giving nova-compute.conf to its group on {}", node.name()))?;
    let script = format!("VENV='{venv}'\n{START_COMPUTE}");
    expect_success("nova-compute", &node.sh(&script)?)
}

fn expect_success(service: &'static str, output: &Output) -> Result<()> {
    if output.status.success() {
        return Ok(());
    }
    Err(CloudError::Start {
        service,
        why: format!(
            "{}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    })
}
