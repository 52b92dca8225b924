//! Starting a lab.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};
use crate::image::Image;
use crate::inventory::ControlFiles;
use crate::lab::{Lab, Owner};
use crate::node::Node;
use crate::plan::{Kex, Plan};
use crate::privilege::Privilege;
use crate::process::Process;
use crate::report::{Report, Reports};
use crate::supervisor::{self, Life};
use crate::{base, state};

/// What a lab shall be. Made by [`Lab::builder`].
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: usize,
    image: Image,
    kex: Kex,
    control_user: String,
    pam: bool,
    shared: Vec<PathBuf>,
    dir: Option<PathBuf>,
    life: Life,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            nodes: 3,
            image: Image::default(),
            kex: Kex::default(),
            control_user: "deploy".into(),
            pam: true,
            shared: Vec::new(),
            dir: None,
            life: Life::WithOwner,
        }
    }
}

impl Builder {
    /// How many nodes (3 unless told). They are called `node1`, `node2` and so on.
    #[must_use]
    pub fn nodes(mut self, count: usize) -> Self {
        self.nodes = count;
        self
    }

    /// Which system the nodes run (this machine's unless told).
    #[must_use]
    pub fn image(mut self, image: Image) -> Self {
        self.image = image;
        self
    }

    /// Which key exchange the nodes' clients use (the fast one unless told).
    #[must_use]
    pub fn kex(mut self, kex: Kex) -> Self {
        self.kex = kex;
        self
    }

    /// The account that the inventory names for the control connection: `deploy`, which may use sudo, unless told.
    #[must_use]
    pub fn control_user(mut self, user: &str) -> Self {
        user.clone_into(&mut self.control_user);
        self
    }

    /// Whether the nodes' sshd uses PAM, as the distribution's does (yes unless told).
    #[must_use]
    pub fn pam(mut self, pam: bool) -> Self {
        self.pam = pam;
        self
    }

    /// Lets the nodes see this directory of the machine, under the same name, read-only.
    #[must_use]
    pub fn share(mut self, dir: impl Into<PathBuf>) -> Self {
        self.shared.push(dir.into());
        self
    }

    /// Puts the lab's files into this directory, which must not exist or be empty, instead of a temporary one.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Lets the lab go on when its owner ends, until [`Lab::stop`] or SIGTERM to its guard.
    #[must_use]
    pub fn until_stopped(mut self) -> Self {
        self.life = Life::UntilStopped;
        self
    }

    /// Starts the lab and returns when every node's sshd listens. [`LabSupport::detect`](crate::LabSupport::detect)
    /// says beforehand whether this machine can hold one.
    ///
    /// Makes the image first if it is missing and can be made (about a minute, once).
    ///
    /// # Errors
    /// See [`LabError`]; whatever had been started is gone by then.
    pub fn start(self) -> Result<Lab> {
        let base = base::ensure(self.image, false)?;
        let dir = match &self.dir {
            Some(dir) => state::prepare_dir(dir)?,
            None => std::env::temp_dir().join(format!("clearway-lab.{:016x}", random()?)),
        };
        start_in(&dir, base, &self)
    }
}

fn random() -> Result<u64> {
    getrandom::u64().map_err(|error| LabError::Start {
        why: format!("no random numbers: {error}"),
    })
}

fn start_in(dir: &Path, base: PathBuf, wanted: &Builder) -> Result<Lab> {
    let plan = Plan::new(
        Privilege::require()?.clone(),
        dir.to_owned(),
        base,
        wanted.nodes,
        wanted.kex,
        &wanted.control_user,
        wanted.pam,
    )?
    .on(wanted.image, &wanted.shared);
    let (reports, theirs) = Reports::channel()?;
    let guard = Process::new(supervisor::start(&plan, wanted.life, theirs)?)?;
    let owner = Owner {
        guard: guard.clone(),
        reports: Some(reports),
        dir: dir.to_owned(),
    };
    // From here on an early return stops the lab, by dropping `owner`.
    let (hub, nodes) = wait_until_ready(&owner, &plan)?;
    let mut lab = Lab {
        dir: dir.to_owned(),
        files: ControlFiles::in_dir(dir),
        guard,
        hub,
        nodes,
        owner: Some(owner),
    };
    if wanted.life == Life::UntilStopped {
        state::save(&lab)?;
        if let Some(owner) = lab.owner.take() {
            owner.let_go();
        }
    }
    Ok(lab)
}

fn wait_until_ready(owner: &Owner, plan: &Plan) -> Result<(Process, Vec<Node>)> {
    let reports = owner.reports.as_ref().expect("taken only by drop");
    let patience = Duration::from_secs(20) + Duration::from_millis(200) * plan.nodes.len() as u32;
    let deadline = Instant::now() + patience;
    let mut hub = None;
    let mut nodes: Vec<Option<Node>> = plan.nodes.iter().map(|_| None).collect();
    while hub.is_none() || nodes.iter().any(Option::is_none) {
        match reports.next(deadline)? {
            Report::Hub(pid) => hub = Some(Process::new(pid)?),
            Report::Node(number, pid) => {
                if let (Some(slot), Some(planned)) =
                    (nodes.get_mut(number - 1), plan.nodes.get(number - 1))
                {
                    *slot = Some(Node::new(planned, Process::new(pid)?));
                }
            }
            Report::Failed(why) => return Err(LabError::Start { why }),
            end @ (Report::Ended | Report::Silence) => {
                let log = std::fs::read_to_string(plan.dir.join(supervisor::LOG));
                let missing = nodes.iter().filter(|node| node.is_none()).count();
                return Err(LabError::Start {
                    why: format!(
                        "{} nodes are not ready ({end:?}); {}",
                        missing,
                        log.unwrap_or_default().trim()
                    ),
                });
            }
        }
    }
    let hub = hub.expect("the loop ends with a hub");
    Ok((hub, nodes.into_iter().flatten().collect()))
}
