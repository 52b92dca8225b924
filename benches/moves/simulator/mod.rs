//! A cloud that is made up: as much of Keystone's and Nova's API as a drain with cold moves asks for, answered from a list of
//! servers whose states are a function of the time. It is for sizes that no real Nova of a lab comes to, and says nothing
//! about what Nova does: the sequences of states, the pages and the refusals are those that the tests see on a real one.
//! The nodes are real, and so is every proof.

mod answers;
mod http;
mod server;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use server::Server;

/// Between the ends of two copies, once they are let go.
const APART: SignedDuration = SignedDuration::from_millis(50);

/// The cloud.
pub(crate) struct Simulator {
    shared: Arc<Shared>,
    clouds_yaml: PathBuf,
}

/// Requests that were counted.
pub(crate) struct Asked {
    pub(crate) reads: f64,
    pub(crate) listings: f64,
    pub(crate) looks: f64,
}

struct Shared {
    address: SocketAddr,
    state: Mutex<State>,
    /// Requests that read.
    reads: AtomicUsize,
    /// Those that list servers or migrations of all moves, page by page.
    listings: AtomicUsize,
    /// Those of them that begin a look at all moves: the first pages of migrations.
    looks: AtomicUsize,
    /// What was asked for and is not simulated.
    strange: Mutex<Vec<String>>,
}

struct State {
    /// Service host names; every server is on the first one in the beginning.
    hosts: Vec<Host>,
    servers: Vec<Server>,
    places: HashMap<String, usize>,
    /// The number of the newest row of os-migrations.
    rows: u64,
    requests: u64,
    /// When copies began to end.
    released: Option<Timestamp>,
}

struct Host {
    name: String,
    address: String,
    disabled: Option<String>,
}

impl Simulator {
    /// So many servers on the first of the lab's nodes. Writes a clouds.yaml with the cloud `simulated` into a directory.
    pub(crate) fn start(servers: usize, nodes: usize, directory: &Path) -> Self {
        let hosts: Vec<Host> = (1..=nodes)
            .map(clearway_nova_lab::Compute::of_lab)
            .map(|it| Host {
                name: it.host,
                address: it.address,
                disabled: None,
            })
            .collect();
        let servers: Vec<Server> = (1..=servers)
            .map(|number| Server::new(number, &hosts[0].name))
            .collect();
        let places = servers.iter().enumerate();
        let places = places.map(|(place, it)| (it.id.clone(), place)).collect();
        let listener = http::listen();
        let shared = Arc::new(Shared {
            address: listener.local_addr().expect("it listens"),
            state: Mutex::new(State {
                hosts,
                servers,
                places,
                rows: 0,
                requests: 0,
                released: None,
            }),
            reads: AtomicUsize::new(0),
            listings: AtomicUsize::new(0),
            looks: AtomicUsize::new(0),
            strange: Mutex::default(),
        });
        let clouds_yaml = directory.join("simulated.yaml");
        let text = format!(
            "clouds:\n  simulated:\n    auth:\n      auth_url: http://{}/v3\n      username: simulated\n      \
             password: none\n      project_name: simulated\n      user_domain_name: Default\n      \
             project_domain_name: Default\n",
            shared.address
        );
        std::fs::write(&clouds_yaml, text).expect("a file");
        http::serve(listener, shared.clone());
        Self {
            shared,
            clouds_yaml,
        }
    }

    pub(crate) fn clouds_yaml(&self) -> &Path {
        &self.clouds_yaml
    }

    /// Servers that are being copied now.
    pub(crate) fn copying(&self) -> usize {
        let (state, now) = (self.shared.state(), Timestamp::now());
        let copied = |it: &&Server| it.at(now, state.released).task == Some("resize_migrating");
        state.servers.iter().filter(copied).count()
    }

    /// Servers that are at rest on another host than the first, their moves confirmed.
    pub(crate) fn moved(&self) -> usize {
        let (state, now) = (self.shared.state(), Timestamp::now());
        let moved = |it: &&Server| {
            let seen = it.at(now, state.released);
            seen.status == "ACTIVE" && seen.row == Some("confirmed")
        };
        state.servers.iter().filter(moved).count()
    }

    /// Lets the copies end, one after the other.
    pub(crate) fn release(&self) {
        self.shared.state().released = Some(Timestamp::now());
    }

    /// What was asked until now.
    pub(crate) fn asked(&self) -> Asked {
        let count = |it: &AtomicUsize| it.load(Ordering::Relaxed) as f64;
        Asked {
            reads: count(&self.shared.reads),
            listings: count(&self.shared.listings),
            looks: count(&self.shared.looks),
        }
    }

    /// What was asked for and is not simulated.
    pub(crate) fn strange(&self) -> Vec<String> {
        let strange = self.shared.strange.lock();
        strange.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
