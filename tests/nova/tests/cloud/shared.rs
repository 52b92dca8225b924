//! One cloud for all tests that do not need one of their own, and a way to watch a move.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use clearway_nova_lab::{Cloud, Support};
use serde_json::Value;

/// How long anything may take on a machine that is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);
/// Computes of the shared cloud. Each test has hosts of its own, so that they do not meet.
const COMPUTES: usize = 16;

/// The shared cloud; none where this machine cannot hold one (said on stderr).
pub(crate) fn cloud() -> Option<&'static Cloud> {
    static SHARED: OnceLock<Option<Cloud>> = OnceLock::new();
    let shared = SHARED.get_or_init(|| {
        if Support::skips_test() {
            return None;
        }
        Some(Cloud::builder().computes(COMPUTES).start().unwrap())
    });
    if shared.is_none() {
        // Every test says so, not only the first.
        let _ = Support::skips_test();
    }
    shared.as_ref()
}

/// The service host name of compute `number`.
pub(crate) fn node(number: usize) -> String {
    format!("node{number}.lab")
}

/// What Nova shows of a server and its newest migration at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) status: String,
    pub(crate) task: String,
    pub(crate) host: String,
    pub(crate) migration: String,
}

impl Seen {
    /// `STATUS task @host migration`, with `-` for nothing.
    pub(crate) fn line(&self) -> String {
        format!(
            "{} {} @{} {}",
            self.status, self.task, self.host, self.migration
        )
    }
}

/// The newest migration of a server, as `GET /os-migrations` shows it; null if it has none.
pub(crate) fn migration(cloud: &Cloud, server: &str) -> Value {
    let mut found = cloud
        .get(&format!("/os-migrations?instance_uuid={server}"))
        .unwrap();
    let rows = found["migrations"].as_array_mut().map(std::mem::take);
    // Not the first one: Nova sorts by a time in whole seconds.
    let newest = rows
        .into_iter()
        .flatten()
        .max_by_key(|row| row["id"].as_u64());
    newest.unwrap_or(Value::Null)
}

pub(crate) fn look(cloud: &Cloud, id: &str) -> Seen {
    // The migration first: when both have changed between the two requests, the server is the newer one.
    let migration = migration(cloud, id);
    let server = cloud.server(id).unwrap();
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    Seen {
        status: word(&server["status"]),
        task: word(&server["OS-EXT-STS:task_state"]),
        host: word(&server["OS-EXT-SRV-ATTR:host"]),
        migration: word(&migration["status"]),
    }
}

/// Watches a server until what is seen fits, and returns every different thing that was seen.
pub(crate) fn watch(cloud: &Cloud, id: &str, mut ended: impl FnMut(&Seen) -> bool) -> Vec<Seen> {
    let started = Instant::now();
    let mut seen: Vec<Seen> = Vec::new();
    loop {
        let now = look(cloud, id);
        if seen.last() != Some(&now) {
            seen.push(now.clone());
        }
        if ended(&now) {
            return seen;
        }
        assert!(started.elapsed() < PATIENCE, "{seen:#?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The states of the server alone, in their order.
pub(crate) fn states(seen: &[Seen]) -> Vec<String> {
    changes(
        seen.iter()
            .map(|seen| format!("{} {}", seen.status, seen.task)),
    )
}

/// The states of the migration alone, in their order.
pub(crate) fn migrations(seen: &[Seen]) -> Vec<String> {
    changes(seen.iter().map(|seen| seen.migration.clone()))
}

fn changes(values: impl Iterator<Item = String>) -> Vec<String> {
    let mut result: Vec<String> = values.collect();
    result.dedup();
    result
}

/// Fails unless `seen` is `full` with, at most, short-lived members missing.
pub(crate) fn assert_in_order(seen: &[String], full: &[&str]) {
    let mut rest = full.iter();
    for one in seen {
        assert!(
            rest.any(|expected| expected == one),
            "{one:?} of {seen:#?} is not in {full:#?}, or out of order"
        );
    }
}

/// The newest instance action of this name, with its events.
pub(crate) fn action(cloud: &Cloud, server: &str, name: &str) -> Value {
    let actions = cloud
        .get(&format!("/servers/{server}/os-instance-actions"))
        .unwrap();
    let actions = actions["instanceActions"].as_array().unwrap();
    let newest = actions
        .iter()
        .find(|action| action["action"] == name)
        .unwrap();
    let id = newest["request_id"].as_str().unwrap();
    let mut found = cloud
        .get(&format!("/servers/{server}/os-instance-actions/{id}"))
        .unwrap();
    found["instanceAction"].take()
}

/// The same, once it is known to have failed, which is written a moment after everything else.
pub(crate) fn failed_action(cloud: &Cloud, server: &str, name: &str) -> Value {
    let started = Instant::now();
    loop {
        let action = action(cloud, server, name);
        if action["message"] == "Error" {
            return action;
        }
        assert!(started.elapsed() < PATIENCE, "{action:#}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The event of this name in an action.
pub(crate) fn event<'a>(action: &'a Value, name: &str) -> &'a Value {
    let events = action["events"].as_array().unwrap();
    events
        .iter()
        .find(|event| event["event"] == name)
        .unwrap_or_else(|| panic!("no {name} in {events:#?}"))
}
