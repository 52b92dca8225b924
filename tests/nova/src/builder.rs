//! Starting a cloud.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::cache::Cache;
use crate::cloud::Cloud;
use crate::error::{CloudError, During, Result};
use crate::home::Home;
use crate::plan::{Compute, Plan};
use crate::process::Service;

/// How long a service may take to come up on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(240);
/// Ports below those that the kernel gives to clients (ip_local_port_range), so that a port which is closed for a while
/// stays free.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// What a cloud shall be. Made by [`Cloud::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    computes: Vec<Compute>,
    address: String,
    broker: String,
    token_seconds: u32,
    down_seconds: u32,
    live_migrations: u32,
    policy: BTreeMap<String, String>,
    nova_conf: BTreeMap<String, BTreeMap<String, String>>,
    dir: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            computes: (1..=3).map(Compute::of_lab).collect(),
            address: "127.0.0.1".into(),
            broker: String::new(),
            token_seconds: 3600,
            down_seconds: 60,
            live_migrations: 1,
            policy: BTreeMap::new(),
            nova_conf: BTreeMap::new(),
            dir: None,
        }
    }
}

impl Builder {
    /// How many computes (3 unless told), named and numbered like the nodes of the lab of real sshd nodes.
    #[must_use]
    pub fn computes(mut self, count: usize) -> Self {
        self.computes = (1..=count).map(Compute::of_lab).collect();
        self
    }

    /// Exactly these computes.
    #[must_use]
    pub fn with_computes(mut self, computes: impl IntoIterator<Item = Compute>) -> Self {
        self.computes = computes.into_iter().collect();
        self
    }

    /// Puts the second half of the computes into a second cell.
    #[must_use]
    pub fn two_cells(mut self) -> Self {
        let half = self.computes.len().div_ceil(2);
        for compute in &mut self.computes[half..] {
            compute.cell = "cell2".into();
        }
        self
    }

    /// How long a token is good (an hour unless told).
    #[must_use]
    pub fn token_seconds(mut self, seconds: u32) -> Self {
        self.token_seconds = seconds;
        self
    }

    /// How long a compute may be silent before Nova calls it down (60 s unless told).
    #[must_use]
    pub fn down_seconds(mut self, seconds: u32) -> Self {
        self.down_seconds = seconds;
        self
    }

    /// Nova's `max_concurrent_live_migrations` of each source (1 unless told).
    #[must_use]
    pub fn live_migrations(mut self, count: u32) -> Self {
        self.live_migrations = count;
        self
    }

    /// Changes a rule of Nova's policy, for example `os_compute_api:os-migrate-server:migrate:host` to `!`.
    #[must_use]
    pub fn policy(mut self, rule: &str, check: &str) -> Self {
        self.policy.insert(rule.into(), check.into());
        self
    }

    /// Sets an option of nova.conf.
    #[must_use]
    pub fn nova_conf(mut self, section: &str, option: &str, value: &str) -> Self {
        let section = self.nova_conf.entry(section.into()).or_default();
        section.insert(option.into(), value.into());
        self
    }

    /// Puts the cloud's files into this directory, which must not exist or be empty, and lets the cloud go on when its
    /// owner ends, until [`Cloud::stop`].
    #[must_use]
    pub fn until_stopped_in(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Lets computes on machines of their own take part: all answers at this address, and messages go over a broker.
    pub(crate) fn for_machines(mut self, address: String, broker: String) -> Self {
        self.address = address;
        self.broker = broker;
        self
    }

    /// Starts the cloud and returns when servers can be scheduled on every compute.
    ///
    /// Sets Nova up first if that was not done yet (some minutes, once).
    ///
    /// # Errors
    /// See [`CloudError`]; whatever had been started is gone by then.
    pub fn start(self) -> Result<Cloud> {
        self.start_with(|_| Ok(()))
    }

    /// The same; `start_computes` starts those on machines of their own, when there is a conductor for them. It is given
    /// the cloud's directory, where their nova-compute.conf is.
    pub(crate) fn start_with(
        self,
        start_computes: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<Cloud> {
        let cache = Cache::ensure()?;
        let home = match &self.dir {
            None => Home::temporary()?,
            Some(dir) => Home::lasting(dir)?,
        };
        let plan = self.plan(&cache, home.path())?;
        let path = home.path().join(Cloud::PLAN);
        let text = serde_json::to_vec_pretty(&plan).during(|| "writing the plan".into())?;
        fs::write(&path, text).during(|| format!("writing {}", path.display()))?;
        let start = |name, module| Service::start(name, module, &cache, &path, plan.owned);
        let mut keystone = start("keystone", "identity")?;
        let mut nova = start("nova", "control")?;
        keystone.wait_until_ready(PATIENCE)?;
        if !plan.broker.is_empty() {
            nova.wait_for("conductors.ready", PATIENCE)?;
            start_computes(home.path())?;
        }
        nova.wait_until_ready(PATIENCE)?;
        Cloud::started(home, plan, cache, keystone, nova)
    }

    fn plan(&self, cache: &Cache, directory: &Path) -> Result<Plan> {
        let [identity_port, compute_port, inside_port] = free_ports()?;
        Ok(Plan {
            directory: directory.to_owned(),
            template: cache.template(),
            owned: self.dir.is_none(),
            identity_port,
            compute_port,
            inside_port,
            computes: self.computes.clone(),
            address: self.address.clone(),
            broker: self.broker.clone(),
            token_seconds: self.token_seconds,
            down_seconds: self.down_seconds,
            live_migrations: self.live_migrations,
            policy: self.policy.clone(),
            nova_conf: self.nova_conf.clone(),
        })
    }
}

/// Ports that nobody uses, held until all are found.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    // Clouds that are started at the same moment by several tests begin their search at different places.
    let start = now
        .subsec_micros()
        .wrapping_add(std::process::id().wrapping_mul(7919));
    let count = u32::from(PORTS.end - PORTS.start);
    let mut held = Vec::new();
    for step in 0..count {
        let port =
            PORTS.start + u16::try_from(start.wrapping_add(step) % count).unwrap_or_default();
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            held.push((port, listener));
        }
        if held.len() == N {
            return Ok(std::array::from_fn(|index| held[index].0));
        }
    }
    Err(CloudError::Unsupported {
        why: "127.0.0.1 has no free ports".into(),
    })
}
