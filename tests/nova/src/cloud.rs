//! A running cloud, as its owner sees it.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::api::{self, Answer};
use crate::builder::Builder;
use crate::cache::Cache;
use crate::error::{CloudError, During, Result};
use crate::home::{Home, read, replace};
use crate::log::{self, Request};
use crate::plan::{Compute, Plan};
use crate::process::{self, Service};

/// Everybody's password, the message broker's included.
pub(crate) const PASSWORD: &str = "clearway-nova-lab";
/// Has everything that the lab itself asks of Nova, and is older than Nova 21.
const MICROVERSION: &str = "2.87";

/// A running cloud. Dropping it ends it and removes everything, except a cloud that
/// [runs until stopped](Builder::until_stopped_in).
#[derive(Debug)]
pub struct Cloud {
    // Before `home`: the processes must be gone when the directory goes.
    services: Vec<Service>,
    pids: [u32; 2],
    home: Home,
    pub(crate) plan: Plan,
    cache: Cache,
    agent: ureq::Agent,
    tokens: Mutex<HashMap<String, String>>,
    pub(crate) writing: Mutex<()>,
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
        format!(
            "http://{}:{}/v3",
            self.plan.address, self.plan.identity_port
        )
    }

    /// Nova's v2.1 endpoint.
    #[must_use]
    pub fn compute_url(&self) -> String {
        format!(
            "http://{}:{}/v2.1",
            self.plan.address, self.plan.compute_port
        )
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

    /// Sends a request to Nova as this person; `path` begins after `/v2.1`. A token that has expired is renewed once.
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
        let url = format!("{}{path}", self.compute_url());
        let send = |token: &str| {
            let sent = api::send(&self.agent, method, &url, Some(token), MICROVERSION, body);
            sent.map(|(answer, _)| answer)
        };
        let known = self
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(person)
            .cloned();
        if let Some(token) = known {
            let answer = send(&token)?;
            if answer.status != 401 {
                return Ok(answer);
            }
        }
        let token = api::log_in(&self.agent, &self.identity_url(), person, PASSWORD)?;
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.insert(person.into(), token.clone());
        drop(tokens);
        send(&token)
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
}
