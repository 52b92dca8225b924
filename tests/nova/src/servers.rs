//! Making servers and looking at them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::error::{CloudError, Result};

/// The image that every server is made from.
pub const IMAGE: &str = "155d900f-4e14-4e4c-a73d-069cbf4541e6";
/// How long a server may take to be made, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(240);

impl Cloud {
    pub(crate) fn make_flavors(&self) -> Result<()> {
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
}
