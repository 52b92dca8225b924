//! The cloud, clearway on it, and its servers.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clearway::report::{MovesReport, Report};
use clearway_lab::Lab;
use clearway_nova_lab::{Cloud, CloudError, RealCloud};
use serde_json::{Value, json};

/// How many nodes there are.
pub(crate) const NODES: usize = 3;
/// How long anything may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at Nova, whose answers cost more than the moves.
pub(crate) const PAUSE: Duration = Duration::from_millis(700);
/// The image of every server.
const IMAGE: &str = "155d900f-4e14-4e4c-a73d-069cbf4541e6";

/// Keeps what the nodes trust each other by, as it was installed.
const KEEP_TRUST: &str = "mkdir -m 755 /run/as-installed && cd / && \
    cp -a --parents etc/ssh root/.ssh var/lib/nova/.ssh /run/as-installed";
/// Brings it back.
const RESTORE_TRUST: &str = "cd / && rm -rf etc/ssh root/.ssh var/lib/nova/.ssh && \
    cp -a /run/as-installed/. / && rs";

/// Everything that the tests stand on.
pub(crate) struct Ground {
    real: RealCloud,
    scratch: tempfile::TempDir,
}

/// How a run of clearway ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Everything that was said, for a failure.
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }

    /// The report of a check.
    pub(crate) fn checked(&self) -> Report {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no report ({error}): {}", self.all()))
    }

    /// The report of moves.
    pub(crate) fn moved(&self) -> MovesReport {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no report ({error}): {}", self.all()))
    }
}

impl Ground {
    pub(crate) fn start() -> Result<Self, CloudError> {
        let ground = Self {
            real: RealCloud::start(NODES)?,
            scratch: tempfile::tempdir().expect("a temporary directory can be made"),
        };
        ground.on_every_node(KEEP_TRUST);
        Ok(ground)
    }

    pub(crate) fn cloud(&self) -> &Cloud {
        self.real.cloud()
    }

    pub(crate) fn lab(&self) -> &Lab {
        self.real.lab()
    }

    /// The nova-compute.log of a compute.
    pub(crate) fn compute_log(&self, host: &str) -> String {
        self.real.compute_log(host)
    }

    /// A file of the test.
    pub(crate) fn scratch(&self, name: &str) -> std::path::PathBuf {
        self.scratch.path().join(name)
    }

    /// clearway, as the operator of the cloud.
    pub(crate) fn clearway(&self, words: &[&str]) -> Ended {
        let scratch = self.scratch.path();
        let output = Command::new(env!("CARGO_BIN_EXE_clearway"))
            .args(words)
            .arg("--inventory")
            .arg(self.lab().inventory())
            .arg("--ledger")
            .arg(scratch.join("ledger.sqlite"))
            .current_dir(scratch)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", scratch)
            .env("OS_CLIENT_CONFIG_FILE", self.cloud().clouds_yaml())
            .env("OS_CLOUD", "operator")
            .stdin(Stdio::null())
            .output()
            .expect("it starts");
        Ended {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Lets every node trust the others as it was installed to, so that a fault does the same whatever was repaired
    /// before.
    pub(crate) fn restore_trust(&self) {
        self.on_every_node(RESTORE_TRUST);
    }

    fn on_every_node(&self, line: &str) {
        for node in self.lab().nodes() {
            let done = node.sh(line).unwrap();
            assert!(done.status.success(), "{}: {done:?}", node.name());
        }
    }

    /// Asks for a server with metadata and a tag on this host; it is there when [`wait_for`](Self::wait_for) says so.
    pub(crate) fn ask_for_server(&self, name: &str, host: &str) -> String {
        let server = json!({
            "name": name, "imageRef": IMAGE, "flavorRef": "tiny", "networks": "none", "host": host,
            "metadata": {"of": name}, "tags": ["kept"], "description": format!("{name} on {host}"),
        });
        self.cloud().request_server(&server).unwrap()
    }

    /// Waits until a server has this status and no task.
    pub(crate) fn wait_for(&self, id: &str, status: &str) {
        let started = Instant::now();
        loop {
            let server = self.cloud().server(id).unwrap();
            let now = server["status"].as_str().unwrap_or_default();
            if now == status && server["OS-EXT-STS:task_state"].is_null() {
                return;
            }
            assert!(
                now != "ERROR" && started.elapsed() < PATIENCE,
                "not {status}: {server}"
            );
            std::thread::sleep(PAUSE);
        }
    }

    /// Sends an action, which Nova accepts.
    pub(crate) fn act(&self, id: &str, action: &Value) {
        let body = action.to_string();
        let answer = self.cloud().act("operator", id, &body).unwrap();
        assert_eq!(answer.status, 202, "{body}: {}", answer.body);
    }

    /// Status and host of a server.
    pub(crate) fn whereabouts(&self, id: &str) -> (String, String) {
        let server = self.cloud().server(id).unwrap();
        let word = |key: &str| server[key].as_str().unwrap_or_default().to_owned();
        (word("status"), word("OS-EXT-SRV-ATTR:host"))
    }

    /// What must be the same after a move as before.
    pub(crate) fn identity(&self, id: &str) -> Value {
        let mut server = self.cloud().server(id).unwrap();
        let server = server.as_object_mut().unwrap();
        // What a move changes, and what only says when something happened.
        server.retain(|key, _| {
            ![
                "OS-EXT-SRV-ATTR:host",
                "OS-EXT-SRV-ATTR:hypervisor_hostname",
                "hostId",
                "updated",
                "progress",
                "OS-SRV-USG:launched_at",
            ]
            .contains(&key.as_str())
        });
        Value::Object(server.clone())
    }

    /// The libvirt guests that run on a node.
    pub(crate) fn guests(&self, node: &str) -> Vec<String> {
        let said = self.lab().node(node).sh("virsh -q list --name").unwrap();
        assert!(said.status.success(), "{said:?}");
        let names = String::from_utf8_lossy(&said.stdout);
        names.split_whitespace().map(str::to_owned).collect()
    }

    /// Deletes every server and returns when they are gone.
    pub(crate) fn delete_servers(&self) {
        let cloud = self.cloud();
        let all = "/servers/detail?all_tenants=1";
        let started = Instant::now();
        loop {
            let servers = cloud.get(all).unwrap();
            let servers = servers["servers"].as_array().unwrap();
            if servers.is_empty() {
                return;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "servers that cannot be deleted: {servers:?}"
            );
            for server in servers {
                if server["OS-EXT-STS:task_state"] != "deleting" {
                    self.delete(server["id"].as_str().unwrap());
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Asks for the deletion of a server.
    pub(crate) fn delete(&self, id: &str) {
        let path = format!("/servers/{id}");
        self.cloud()
            .request("operator", "DELETE", &path, None)
            .unwrap();
    }
}
