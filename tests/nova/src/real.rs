//! A cloud whose servers really run: nova-compute, libvirt and QEMU on the lab's nodes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use clearway_lab::{Image, Lab, LabError, LabSupport, base};
use nix::sched::{CloneFlags, setns};

use crate::builder::Builder;
use crate::cache::{Cache, Support};
use crate::cloud::Cloud;
use crate::error::{CloudError, During, Result};
use crate::machines;
use crate::plan::Compute;

/// A lab whose nodes are the computes of a cloud.
///
/// Nova, Keystone and Placement are [`Cloud`]'s own; they and RabbitMQ are in the lab's network, at the hub. On each
/// node there are sshd, libvirt, QEMU (which emulates the processor: no KVM is needed) and nova-compute. Dropping it ends and
/// removes everything, except one that runs until stopped; so does the kernel when the owner is killed.
#[derive(Debug)]
pub struct RealCloud {
    // Before `lab`: it lives in the lab's network.
    cloud: Cloud,
    lab: Lab,
}

impl RealCloud {
    /// Starts a lab and a cloud of so many nodes, each with everything that the others need to trust it. From here on
    /// the calling thread, and what it starts, is in the lab's network.
    ///
    /// Makes the image (two minutes) and sets Nova up (some minutes) first if that was not done yet, once.
    ///
    /// # Errors
    /// See [`CloudError`]; whatever had been started is gone by then.
    pub fn start(nodes: usize) -> Result<Self> {
        Self::start_in(nodes, None)
    }

    /// The same, with its files in this directory, which must not exist or be empty, until
    /// [`stop_in`](Self::stop_in).
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_until_stopped(nodes: usize, dir: &Path) -> Result<Self> {
        Self::start_in(nodes, Some(dir))
    }

    fn start_in(nodes: usize, dir: Option<&Path>) -> Result<Self> {
        let (cache, image) = requirements()?;
        let venv = virtual_environment(&cache, &image)?;
        let mut lab = Lab::builder()
            .nodes(nodes)
            .image(Image::Compute)
            .share(&venv);
        if let Some(dir) = dir {
            lab = lab.dir(lab_in(dir)).until_stopped();
        }
        let lab = lab.start()?;
        enter_network(&lab)?;
        machines::start_broker(&lab)?;
        machines::wait_for_broker(&lab)?;
        let mut builder = Builder::default()
            .with_computes((1..=nodes).map(Compute::of_lab))
            .for_machines(lab.hub_address().to_string(), machines::broker_url(&lab));
        if let Some(dir) = dir {
            builder = builder.until_stopped_in(cloud_in(dir));
        }
        let started = builder.start_with(|files| {
            let configuration = files.join("nova-compute.conf");
            lab.nodes()
                .iter()
                .try_for_each(|node| machines::start_compute(node, &venv, &configuration))
        });
        match started {
            Ok(cloud) => Ok(Self { cloud, lab }),
            Err(error) => {
                // One that runs until stopped would not end with its handle.
                let _ = lab.stop();
                Err(error)
            }
        }
    }

    /// Finds the one that was started in this directory and runs until stopped; as after a start, the calling thread
    /// is in the lab's network.
    ///
    /// # Errors
    /// If there is none.
    pub fn attach(dir: &Path) -> Result<Self> {
        let dir = &resolved(dir)?;
        let lab = Lab::attach(&lab_in(dir))?;
        enter_network(&lab)?;
        let cloud = Cloud::attach(&cloud_in(dir))?;
        Ok(Self { cloud, lab })
    }

    /// Whether one was started in this directory.
    #[must_use]
    pub fn is_in(dir: &Path) -> bool {
        lab_in(dir).exists()
    }

    /// Ends what was started in this directory, as far as it still runs, and removes it.
    ///
    /// # Errors
    /// If something could not be ended or removed.
    pub fn stop_in(dir: &Path) -> Result<()> {
        let dir = &resolved(dir)?;
        let running = |error: &CloudError| !matches!(error, CloudError::NotRunning { .. });
        match Cloud::attach(&cloud_in(dir)).and_then(Cloud::stop) {
            Err(error) if running(&error) => return Err(error),
            _ => {}
        }
        match Lab::attach(&lab_in(dir)).and_then(Lab::stop) {
            Ok(()) | Err(LabError::NotRunning { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        fs::remove_dir_all(dir).during(|| format!("removing {}", dir.display()))
    }

    /// Nova and its like.
    #[must_use]
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// The nodes.
    #[must_use]
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// The nova-compute.log of a node, by its service host name.
    #[must_use]
    pub fn compute_log(&self, host: &str) -> String {
        let nodes = self.lab.nodes();
        let node = nodes.iter().find(|node| node.host() == host);
        let path = node.map(|node| node.path("/var/log/nova/nova-compute.log"));
        let text = path.and_then(|path| fs::read(path).ok());
        String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
    }
}

impl Support {
    /// Finds out whether this machine can hold a [`RealCloud`], by making what it needs.
    ///
    /// # Panics
    /// If that should have been possible and was not: that is a failure, no reason to skip.
    #[must_use]
    pub fn detect_real() -> Self {
        match requirements().and_then(|(cache, image)| virtual_environment(&cache, &image)) {
            Ok(_) => Self::Full,
            Err(CloudError::Unsupported { why }) => Self::None(why),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nova's installation, and the root of the image.
fn requirements() -> Result<(Cache, PathBuf)> {
    if !nix::unistd::geteuid().is_root() {
        return Err(CloudError::Unsupported {
            why: "it needs root: Nova has to be in the lab's network".into(),
        });
    }
    if let LabSupport::None(why) = LabSupport::detect() {
        return Err(CloudError::Unsupported { why });
    }
    let image = base::ensure(Image::Compute, false).map_err(|error| match error {
        missing @ (LabError::NoBase { .. } | LabError::Base { .. }) => CloudError::Unsupported {
            why: missing.to_string(),
        },
        other => other.into(),
    })?;
    Ok((Cache::ensure()?, image))
}

/// Where Nova is installed, which the nodes see under the same name, if their Python can run it.
fn virtual_environment(cache: &Cache, image: &Path) -> Result<PathBuf> {
    let python = cache.python();
    let real = fs::canonicalize(&python).during(|| format!("resolving {}", python.display()))?;
    if !image.join(real.strip_prefix("/").unwrap_or(&real)).exists() {
        return Err(CloudError::Unsupported {
            why: format!(
                "Nova was installed for {}, which the nodes do not have; type: sudo apt-get install python3 python3-venv, \
                 and leave CLEARWAY_NOVA_PYTHON unset",
                real.display()
            ),
        });
    }
    let venv = python
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/"));
    fs::canonicalize(venv).during(|| format!("resolving {}", venv.display()))
}

fn enter_network(lab: &Lab) -> Result<()> {
    let path = format!("/proc/{}/ns/net", lab.hub_pid());
    let network = File::open(&path).during(|| format!("opening {path}"))?;
    setns(network, CloneFlags::CLONE_NEWNET).during(|| "entering the lab's network".into())
}

fn resolved(dir: &Path) -> Result<PathBuf> {
    fs::canonicalize(dir).during(|| format!("resolving {}", dir.display()))
}

fn lab_in(dir: &Path) -> PathBuf {
    dir.join("lab")
}

fn cloud_in(dir: &Path) -> PathBuf {
    dir.join("cloud")
}
