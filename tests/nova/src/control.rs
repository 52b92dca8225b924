//! Telling a running cloud what shall happen.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cloud::Cloud;
use crate::error::{CloudError, During as _, Result};
use crate::fault::{ApiFault, FaultsFile};
use crate::home::{read, replace};
use crate::steer::{Steer, SteeringFile};

impl Cloud {
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

    /// Kills a compute: what it was doing is never heard of again, and Nova calls it down when
    /// [`down_seconds`](crate::Builder::down_seconds) have passed.
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

    /// Lets Glance lose the image of all servers, or have it again.
    ///
    /// # Errors
    /// If the file could not be written.
    pub fn lose_image(&self, is_gone: bool) -> Result<()> {
        let path = self.dir().join("image-gone");
        let done = if is_gone {
            std::fs::write(&path, "")
        } else {
            std::fs::remove_file(&path)
        };
        done.during(|| format!("changing {}", path.display()))
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
        while std::net::TcpStream::connect((self.plan.address.as_str(), self.plan.compute_port))
            .is_ok()
        {
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

    fn change<F: Serialize + DeserializeOwned + Default>(
        &self,
        name: &str,
        change: impl FnOnce(&mut F),
    ) -> Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir().join(name);
        let mut file = read::<F>(&path)?.unwrap_or_default();
        change(&mut file);
        replace(&path, &file)
    }
}
