//! A lab and a cloud whose computes are its nodes, and clearway on them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use clearway::report::{MoveRow, MovesReport};
use clearway_lab::Lab;
use clearway_nova_lab::{Builder, Cloud, ColdPhase, Compute, IMAGE, Request, Steer};
use nix::sched::{CloneFlags, setns};

/// The destination of the question for rights, which no host has.
const NOWHERE: &str = "clearway-asks-for-its-rights.invalid";

/// Computes, and nodes.
pub(crate) const NODES: usize = 4;

/// Everything that the tests stand on.
pub(crate) struct Ground {
    parts: Mutex<Option<Parts>>,
    scratch: PathBuf,
    inventory: PathBuf,
    clouds_yaml: PathBuf,
    second: OnceLock<Box<Ground>>,
    /// How many requests Nova had answered at the last reset.
    began: AtomicUsize,
}

struct Parts {
    lab: &'static Lab,
    cloud: &'static Cloud,
    scratch: tempfile::TempDir,
}

/// How a run of clearway ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The report of moves.
    pub(crate) fn report(&self) -> MovesReport {
        if let Ok(json) = serde_json::from_str(&self.stdout) {
            let schema = include_str!("../../docs/moves.schema.json");
            let schema = serde_json::from_str(schema).unwrap();
            let found = jsonschema::draft202012::new(&schema).unwrap();
            let errors: Vec<String> = found.iter_errors(&json).map(|it| it.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}: {}", self.stdout);
        }
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!(
                "no report ({error}), exit {}: {}{}",
                self.code, self.stdout, self.stderr
            )
        })
    }

    /// The only move of the report.
    pub(crate) fn only(&self) -> MoveRow {
        let mut moves = self.report().moves;
        assert_eq!(moves.len(), 1, "{}", self.stdout);
        moves.remove(0)
    }

    /// Everything that was said, for a failure.
    pub(crate) fn all(&self) -> String {
        format!("exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Whether the tests have to be possible here (`CLEARWAY_REQUIRE_NOVA`).
pub(crate) fn is_required() -> bool {
    std::env::var_os("CLEARWAY_REQUIRE_NOVA").is_some()
}

impl Ground {
    pub(crate) fn start() -> Result<Self, String> {
        if !nix::unistd::Uid::effective().is_root() {
            return Err("it needs root: the cloud has to be in the lab's network".to_owned());
        }
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        let lab = Lab::builder()
            .nodes(NODES)
            .start()
            .map_err(|error| format!("the lab: {error}"))?;
        // From here on this thread, and what it starts, is in the lab's network, where clearway reaches the nodes.
        let network = File::open(format!("/proc/{}/ns/net", lab.hub_pid()))
            .map_err(|error| format!("the lab's network: {error}"))?;
        setns(network, CloneFlags::CLONE_NEWNET)
            .map_err(|error| format!("entering the lab's network: {error}"))?;
        let builder = Cloud::builder()
            .computes(NODES)
            // A busy machine does not make a compute seem dead.
            .down_seconds(60)
            // So that a token which Keystone has revoked is not good for five minutes more (keystonemiddleware).
            .nova_conf("keystone_authtoken", "token_cache_time", "4");
        Self::with(Box::leak(Box::new(lab)), scratch, builder)
    }

    fn with(lab: &'static Lab, scratch: tempfile::TempDir, cloud: Builder) -> Result<Self, String> {
        let cloud = cloud.start();
        let cloud = cloud.map_err(|error| format!("the cloud: {error}"))?;
        Ok(Self {
            scratch: scratch.path().to_owned(),
            inventory: lab.inventory().to_owned(),
            clouds_yaml: cloud.clouds_yaml(),
            second: OnceLock::new(),
            began: AtomicUsize::new(0),
            parts: Mutex::new(Some(Parts {
                lab,
                cloud: Box::leak(Box::new(cloud)),
                scratch,
            })),
        })
    }

    /// The same nodes with another cloud, with nothing on it, started when it is first asked for: Nova calls its computes down
    /// as soon as they have been silent for 10 seconds, and the last one is in a cell of its own.
    pub(crate) fn second(&self) -> &Self {
        let second = self.second.get_or_init(|| {
            let mut computes: Vec<Compute> = (1..=NODES).map(Compute::of_lab).collect();
            computes[NODES - 1].cell = "cell2".to_owned();
            let builder = Cloud::builder().with_computes(computes).down_seconds(10);
            let scratch = tempfile::tempdir().unwrap();
            Box::new(Self::with(self.lab(), scratch, builder).unwrap())
        });
        second.reset();
        second
    }

    /// Ends both and removes their directories.
    pub(crate) fn stop(&self) {
        if let Some(second) = self.second.get() {
            second.stop();
        }
        let Some(parts) = self.parts.lock().unwrap().take() else {
            return;
        };
        // The tests hold them for ever, so they are ended by what they are made of.
        for pid in parts.cloud.pids() {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap()),
                nix::sys::signal::Signal::SIGTERM,
            );
        }
        let _ = std::fs::remove_dir_all(parts.cloud.dir());
        drop(parts.scratch);
        // The lab goes with this process.
    }

    pub(crate) fn cloud(&self) -> &'static Cloud {
        self.parts
            .lock()
            .unwrap()
            .as_ref()
            .expect("not stopped")
            .cloud
    }

    pub(crate) fn lab(&self) -> &'static Lab {
        self.parts
            .lock()
            .unwrap()
            .as_ref()
            .expect("not stopped")
            .lab
    }

    /// Everything as it was at the start: steering, faults, and nothing on the hosts.
    pub(crate) fn reset(&self) {
        let cloud = self.cloud();
        cloud.clear_api_faults().unwrap();
        cloud.steer_all_well().unwrap();
        let servers = cloud.get("/servers?all_tenants=1").unwrap();
        for server in servers["servers"].as_array().unwrap() {
            let path = format!("/servers/{}", server["id"].as_str().unwrap());
            cloud.request("operator", "DELETE", &path, None).unwrap();
        }
        let _ = std::fs::remove_file(self.ledger());
        for side in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{side}", self.ledger().display()));
        }
        let answered = cloud.access_log().unwrap().len();
        self.began.store(answered, Ordering::Relaxed);
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.scratch.join("ledger.sqlite")
    }

    pub(crate) fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// clearway as somebody of the cloud.
    pub(crate) fn command(&self, person: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clearway"));
        command
            .args(words)
            .arg("--inventory")
            .arg(&self.inventory)
            .arg("--ledger")
            .arg(self.ledger())
            .current_dir(&self.scratch)
            .env_clear()
            .env("HOME", &self.scratch)
            .env("OS_CLIENT_CONFIG_FILE", &self.clouds_yaml)
            .env("OS_CLOUD", person)
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, person: &str, words: &[&str]) -> Ended {
        ended(&self.command(person, words).output().expect("it starts"))
    }

    /// `clearway migrate` or `drain` as the operator, in haste, with a JSON report.
    pub(crate) fn moves(&self, words: &[&str]) -> Ended {
        self.run(
            "operator",
            &[words, &["--yes", "--interval", "0.5", "--format", "json"]].concat(),
        )
    }

    /// A server of this flavor on this host. One of flavor `large` makes the host less roomy than any other, whatever Nova
    /// still counts there from before: it looks anew once a minute.
    pub(crate) fn boot(&self, name: &str, flavor: &str, host: &str) -> String {
        let asked = serde_json::json!({
            "name": name, "imageRef": IMAGE, "flavorRef": flavor, "networks": "none", "host": host,
        });
        let id = self.cloud().request_server(&asked).unwrap();
        let patience = Duration::from_secs(240);
        self.cloud()
            .wait_for_status(&id, "ACTIVE", patience)
            .unwrap();
        id
    }

    /// Starts it and lets it run.
    pub(crate) fn start_moves(&self, words: &[&str]) -> Child {
        let words = [words, &["--yes", "--interval", "0.3", "--format", "json"]].concat();
        self.command("operator", &words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    }

    /// A cold drain of node1.lab whose copies take so many seconds, as soon as it has asked Nova to move this server.
    pub(crate) fn drain_under_way(&self, server: &str, seconds: f64) -> Child {
        let slow = Steer::well().cold_seconds(ColdPhase::Copy, seconds);
        self.cloud().steer("*", "*", slow).unwrap();
        let running = self.start_moves(&["drain", "node1.lab", "--cold"]);
        self.until("the request", 60, || {
            !self.requests_of("migrate", server).is_empty()
        });
        running
    }

    /// What Nova was asked to do with servers by clearway, without the questions for rights.
    pub(crate) fn requests(&self, action: &str) -> Vec<Request> {
        self.requests_from(0, action)
    }

    /// Since the last reset.
    pub(crate) fn requests_since_reset(&self, action: &str) -> Vec<Request> {
        self.requests_from(self.began.load(Ordering::Relaxed), action)
    }

    fn requests_from(&self, place: usize, action: &str) -> Vec<Request> {
        self.cloud()
            .access_log()
            .unwrap()
            .split_off(place)
            .into_iter()
            .filter(|it| it.action.as_deref() == Some(action) && !it.body.contains(NOWHERE))
            .filter(|it| {
                it.agent
                    .as_deref()
                    .is_some_and(|agent| agent.starts_with("clearway/"))
            })
            .collect()
    }

    /// Of one server.
    pub(crate) fn requests_of(&self, action: &str, server: &str) -> Vec<Request> {
        let mut found = self.requests(action);
        found.retain(|it| it.path.contains(server));
        found
    }

    /// The destinations that clearway has asked Nova for, for these servers.
    pub(crate) fn asked_for(&self, server: &str) -> BTreeSet<String> {
        ["migrate", "os-migrateLive"]
            .iter()
            .flat_map(|action| self.requests_of(action, server))
            .map(|it| {
                let body: serde_json::Value = serde_json::from_str(&it.body).unwrap();
                let inner = body.as_object().unwrap().values().next().unwrap();
                inner["host"].as_str().unwrap().to_owned()
            })
            .collect()
    }

    /// Status and host of a server.
    pub(crate) fn server(&self, id: &str) -> (String, String) {
        let server = self.cloud().server(id).unwrap();
        (
            server["status"].as_str().unwrap().to_owned(),
            server["OS-EXT-SRV-ATTR:host"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    }

    /// Status and reason of a compute service.
    pub(crate) fn service(&self, host: &str) -> (String, Option<String>) {
        let services = self
            .cloud()
            .get("/os-services?binary=nova-compute")
            .unwrap();
        let service = services["services"]
            .as_array()
            .unwrap()
            .iter()
            .find(|it| it["host"] == host)
            .unwrap()
            .clone();
        (
            service["status"].as_str().unwrap().to_owned(),
            service["disabled_reason"].as_str().map(str::to_owned),
        )
    }

    /// Lets something be true within some time.
    pub(crate) fn until(&self, what: &str, seconds: u64, done: impl Fn() -> bool) {
        let started = Instant::now();
        while !done() {
            assert!(
                started.elapsed() < Duration::from_secs(seconds),
                "not within {seconds} s: {what}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

pub(crate) fn ended(output: &Output) -> Ended {
    Ended {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
