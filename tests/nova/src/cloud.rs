//! A running cloud, as its owner sees it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::api::{self, Answer};
use crate::builder::Builder;
use crate::cache::Cache;
use crate::error::{CloudError, During, Result};
use crate::fault::{ApiFault, FaultsFile};
use crate::log::{self, Request};
use crate::plan::{Compute, Plan};
use crate::process::{self, Service};
use crate::steer::{Steer, SteeringFile};

/// The image that every server is made from.
const IMAGE: &str = "155d900f-4e14-4e4c-a73d-069cbf4541e6";
/// Everybody's password.
const PASSWORD: &str = "clearway-nova-lab";
/// Has everything that the lab itself asks of Nova, and is older than Nova 21.
const MICROVERSION: &str = "2.87";
/// How long a server may take to be made.
const PATIENCE: Duration = Duration::from_secs(60);

/// The directory of a cloud.
#[derive(Debug)]
pub(crate) enum Home {
    Temporary(tempfile::TempDir),
    Lasting(PathBuf),
}

impl Home {
    pub(crate) fn temporary() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("clearway-nova.").tempdir();
        Ok(Self::Temporary(
            dir.during(|| "making a temporary directory".into())?,
        ))
    }

    pub(crate) fn lasting(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).during(|| format!("making {}", dir.display()))?;
        let mut inside = fs::read_dir(dir).during(|| format!("reading {}", dir.display()))?;
        if inside.next().is_some() {
            return Err(CloudError::NotRunning {
                dir: dir.to_owned(),
                why: "it is not empty; is a cloud running in it?".into(),
            });
        }
        let dir = fs::canonicalize(dir).during(|| format!("resolving {}", dir.display()))?;
        Ok(Self::Lasting(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Lasting(dir) => dir,
        }
    }
}

/// A running cloud. Dropping it ends it and removes everything, except a cloud that
/// [runs until stopped](Builder::until_stopped_in).
#[derive(Debug)]
pub struct Cloud {
    // Before `home`: the processes must be gone when the directory goes.
    services: Vec<Service>,
    pids: [u32; 2],
    home: Home,
    plan: Plan,
    cache: Cache,
    agent: ureq::Agent,
    tokens: Mutex<HashMap<String, String>>,
    writing: Mutex<()>,
}

impl Cloud {
    /// The plan's file in the cloud's directory.
    pub(crate) const PLAN: &'static str = "plan.json";
    const PIDS: &'static str = "pids.json";

    /// A cloud of three computes, to be changed before it is started.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn started(
        home: Home,
        plan: Plan,
        cache: Cache,
        keystone: Service,
        nova: Service,
    ) -> Result<Self> {
        let pids = [keystone.pid(), nova.pid()];
        let mut cloud = Self::new(home, plan, cache, pids);
        cloud.services = vec![keystone, nova];
        cloud.make_flavors()?;
        if !cloud.plan.owned {
            replace(&cloud.home.path().join(Self::PIDS), &pids)?;
            for service in std::mem::take(&mut cloud.services) {
                service.let_go();
            }
        }
        Ok(cloud)
    }

    fn new(home: Home, plan: Plan, cache: Cache, pids: [u32; 2]) -> Self {
        Self {
            services: Vec::new(),
            pids,
            home,
            plan,
            cache,
            agent: api::agent(),
            tokens: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    /// Finds the cloud that was started in this directory and runs until stopped.
    ///
    /// # Errors
    /// [`CloudError::NotRunning`] if there is none.
    pub fn attach(dir: &Path) -> Result<Self> {
        let absent = |why: &str| CloudError::NotRunning {
            dir: dir.to_owned(),
            why: why.into(),
        };
        let plan: Plan =
            read(&dir.join(Self::PLAN))?.ok_or_else(|| absent("no cloud was started there"))?;
        let pids: [u32; 2] =
            read(&dir.join(Self::PIDS))?.ok_or_else(|| absent("the cloud is not up"))?;
        if !pids.iter().all(|pid| process::is_service_of(*pid, dir)) {
            return Err(absent("the cloud has ended; remove the directory"));
        }
        Ok(Self::new(
            Home::Lasting(dir.to_owned()),
            plan,
            Cache::ensure()?,
            pids,
        ))
    }

    /// Ends the cloud and removes its directory.
    ///
    /// # Errors
    /// If the directory could not be removed.
    pub fn stop(self) -> Result<()> {
        let dir = self.home.path().to_owned();
        for pid in self.pids {
            process::end(pid);
        }
        drop(self);
        match fs::remove_dir_all(&dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).during(|| format!("removing {}", dir.display()))
            }
            _ => Ok(()),
        }
    }

    /// The cloud's private directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.home.path()
    }

    /// A clouds.yaml with everybody: `operator` (admin), `manager`, `member` and `reader` by password, and the same
    /// with `-app` at the end by application credential.
    #[must_use]
    pub fn clouds_yaml(&self) -> PathBuf {
        self.dir().join("clouds.yaml")
    }

    /// Keystone's v3 endpoint.
    #[must_use]
    pub fn identity_url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.plan.identity_port)
    }

    /// Nova's v2.1 endpoint.
    #[must_use]
    pub fn compute_url(&self) -> String {
        format!("http://127.0.0.1:{}/v2.1", self.plan.compute_port)
    }

    /// The computes.
    #[must_use]
    pub fn computes(&self) -> &[Compute] {
        &self.plan.computes
    }

    /// The numbers of Keystone's and Nova's processes.
    #[must_use]
    pub fn pids(&self) -> [u32; 2] {
        self.pids
    }

    /// Runs the unmodified `openstack` client as this entry of clouds.yaml.
    ///
    /// # Errors
    /// If it could not be started; its own failure is in the output.
    pub fn openstack(&self, cloud: &str, arguments: &[&str]) -> Result<Output> {
        let client = self.cache.openstack();
        Command::new(&client)
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.dir())
            .env("LC_ALL", "C.UTF-8")
            .env("OS_CLIENT_CONFIG_FILE", self.clouds_yaml())
            .env("OS_CLOUD", cloud)
            .env("OS_COMPUTE_API_VERSION", MICROVERSION)
            .output()
            .during(|| format!("running {}", client.display()))
    }

    /// Sends a request to Nova as this person; `path` begins after `/v2.1`.
    ///
    /// # Errors
    /// If there was no answer. An answer of any status is one.
    pub fn request(
        &self,
        person: &str,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<Answer> {
        let token = {
            let mut tokens = self
                .tokens
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            match tokens.get(person) {
                Some(token) => token.clone(),
                None => {
                    let token = api::log_in(&self.agent, &self.identity_url(), person, PASSWORD)?;
                    tokens.insert(person.into(), token.clone());
                    token
                }
            }
        };
        let url = format!("{}{path}", self.compute_url());
        let (answer, _) = api::send(&self.agent, method, &url, Some(&token), MICROVERSION, body)?;
        if answer.status == 401 {
            // The next request logs in again.
            let mut tokens = self
                .tokens
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            tokens.remove(person);
        }
        Ok(answer)
    }

    /// The body of a successful GET as `operator`.
    ///
    /// # Errors
    /// If it was not successful.
    pub fn get(&self, path: &str) -> Result<Value> {
        let answer = self.request("operator", "GET", path, None)?;
        Ok(answer.expect_success(path)?.body)
    }

    /// `POST /servers/ID/action` as this person.
    ///
    /// # Errors
    /// If there was no answer. An answer of any status is one.
    pub fn act(&self, person: &str, server: &str, body: &str) -> Result<Answer> {
        self.request(
            person,
            "POST",
            &format!("/servers/{server}/action"),
            Some(body),
        )
    }

    fn make_flavors(&self) -> Result<()> {
        for (name, ram, vcpus) in [("tiny", 64, 1), ("small", 128, 1), ("large", 4096, 8)] {
            let flavor = json!({"flavor": {"id": name, "name": name, "ram": ram, "disk": 1, "vcpus": vcpus}});
            let answer = self.request("operator", "POST", "/flavors", Some(&flavor.to_string()))?;
            answer.expect_success(&format!("making flavor {name}"))?;
        }
        Ok(())
    }

    /// Boots a `tiny` server without a network on this host, in project `demo`, and returns its id when it is ACTIVE.
    ///
    /// # Errors
    /// If Nova refuses, or the server goes to ERROR.
    pub fn boot_server(&self, name: &str, host: &str) -> Result<String> {
        let id = self.request_server(&json!({
            "name": name, "imageRef": IMAGE, "flavorRef": "tiny", "networks": "none", "host": host,
        }))?;
        self.wait_for_status(&id, "ACTIVE", PATIENCE)?;
        Ok(id)
    }

    /// Boots servers `PREFIX-1` to `PREFIX-N` on one host, all at the same time, and returns their ids in that order.
    ///
    /// # Errors
    /// As [`boot_server`](Self::boot_server).
    pub fn boot_servers(&self, prefix: &str, count: usize, host: &str) -> Result<Vec<String>> {
        let ids: Vec<String> = (1..=count)
            .map(|number| {
                self.request_server(&json!({
                    "name": format!("{prefix}-{number}"), "imageRef": IMAGE, "flavorRef": "tiny",
                    "networks": "none", "host": host,
                }))
            })
            .collect::<Result<_>>()?;
        for id in &ids {
            self.wait_for_status(id, "ACTIVE", PATIENCE + Duration::from_secs(count as u64))?;
        }
        Ok(ids)
    }

    /// Asks for a server (the members of `server` in `POST /servers`) and returns its id at once.
    ///
    /// # Errors
    /// If Nova refuses.
    pub fn request_server(&self, server: &Value) -> Result<String> {
        let body = json!({ "server": server }).to_string();
        let answer = self.request("operator", "POST", "/servers", Some(&body))?;
        let answer = answer.expect_success("booting a server")?;
        Ok(answer.body["server"]["id"]
            .as_str()
            .unwrap_or_default()
            .to_owned())
    }

    /// The server as `GET /servers/ID` shows it to `operator`.
    ///
    /// # Errors
    /// If there is none.
    pub fn server(&self, id: &str) -> Result<Value> {
        Ok(self.get(&format!("/servers/{id}"))?["server"].take())
    }

    /// Waits until a server has this status, and returns it.
    ///
    /// # Errors
    /// If it goes to ERROR meanwhile (and that was not waited for), or takes too long.
    pub fn wait_for_status(&self, id: &str, status: &str, patience: Duration) -> Result<Value> {
        let started = Instant::now();
        loop {
            let server = self.server(id)?;
            let now = server["status"].as_str().unwrap_or_default();
            if now == status && server["OS-EXT-STS:task_state"].is_null() {
                return Ok(server);
            }
            if now == "ERROR" || started.elapsed() > patience {
                return Err(CloudError::Late {
                    what: format!("server {id} is not {status}"),
                    seconds: started.elapsed().as_secs(),
                    last: server.to_string(),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Says what shall become of moves from source to destination (service host names, or `*` for any). Counts for
    /// moves under way, too, from their next phase on.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn steer(&self, source: &str, destination: &str, steer: Steer) -> Result<()> {
        self.change("steer.json", |file: &mut SteeringFile| {
            file.steer(source, destination, steer)
        })
    }

    /// Lets every move succeed at once from now on.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn steer_all_well(&self) -> Result<()> {
        self.change("steer.json", |file: &mut SteeringFile| file.moves.clear())
    }

    /// Kills a compute: what it was doing is never heard of again, and Nova calls it down some seconds later.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn kill_compute(&self, host: &str) -> Result<()> {
        self.change("steer.json", |file: &mut SteeringFile| {
            file.computes.entry(host.into()).or_default().down = true;
        })
    }

    /// Starts a killed compute again.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn revive_compute(&self, host: &str) -> Result<()> {
        self.change("steer.json", |file: &mut SteeringFile| {
            file.computes.entry(host.into()).or_default().down = false;
        })
    }

    /// Changes the address that a compute writes into the migrations that come to it (`dest_host`).
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn set_migration_address(&self, host: &str, address: &str) -> Result<()> {
        self.change("steer.json", |file: &mut SteeringFile| {
            let demand = file.computes.entry(host.into()).or_default();
            demand.migration_address = Some(address.into());
        })
    }

    /// Lets something happen to requests, and returns the id by which the [log](Self::access_log) names it.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn set_api_fault(&self, fault: ApiFault) -> Result<String> {
        let mut id = String::new();
        self.change("faults.json", |file: &mut FaultsFile| id = file.add(fault))?;
        Ok(id)
    }

    /// Closes Nova's port for so long, beginning before this returns.
    ///
    /// # Errors
    /// If the file could not be written, or the port stays open.
    pub fn refuse_connections(&self, time: Duration) -> Result<()> {
        self.change("faults.json", |file: &mut FaultsFile| file.refuse_for(time))?;
        let started = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", self.plan.compute_port)).is_ok() {
            if started.elapsed() > Duration::from_secs(10) {
                return Err(CloudError::Late {
                    what: "Nova's port is not closed".into(),
                    seconds: 10,
                    last: self.compute_url(),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Ends all faults in front of the API.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn clear_api_faults(&self) -> Result<()> {
        self.change("faults.json", |file: &mut FaultsFile| {
            *file = FaultsFile::default()
        })
    }

    /// Every request that Nova's API has answered, or that was answered in its place, so far. The lab's own (of
    /// [`boot_server`](Self::boot_server) and the like) are among them, with `ureq` as the agent.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub fn access_log(&self) -> Result<Vec<Request>> {
        let path = self.dir().join("access.log");
        let text = fs::read_to_string(&path).during(|| format!("reading {}", path.display()))?;
        log::parse(&text).during(|| format!("parsing {}", path.display()))
    }

    /// The nova-compute.log of a compute.
    #[must_use]
    pub fn compute_log(&self, host: &str) -> String {
        let path = self.dir().join("logs").join(host).join("nova-compute.log");
        fs::read_to_string(path).unwrap_or_default()
    }

    fn change<F: Serialize + DeserializeOwned + Default>(
        &self,
        name: &str,
        change: impl FnOnce(&mut F),
    ) -> Result<()> {
        let _writing = self
            .writing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = self.dir().join(name);
        let mut file = read::<F>(&path)?.unwrap_or_default();
        change(&mut file);
        replace(&path, &file)
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .during(|| format!("parsing {}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).during(|| format!("reading {}", path.display())),
    }
}

/// Replaces the file as a whole: the cloud may read it at any moment.
fn replace(path: &Path, content: &impl Serialize) -> Result<()> {
    let new = path.with_extension("new");
    let bytes =
        serde_json::to_vec_pretty(content).during(|| format!("writing {}", path.display()))?;
    fs::write(&new, bytes)
        .and_then(|()| fs::rename(&new, path))
        .during(|| format!("writing {}", path.display()))
}
