//! Tells nodes what to do, over the connections of the run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::{Fleet, NodeId};
use crate::frame::Nonce;
use crate::remote::{Connection, Connector, Limits};
use crate::repair::{Answer, Job, Lock, Operation, Said, Secrets, SshdChange};
use crate::run::sshd::{SshdOutcome, change_sshd};
use crate::run::survey::chain;
use crate::system::{self, Stopwatch};

/// A node edits a few files; one that takes longer than this is stuck.
const LONGEST: Duration = Duration::from_secs(120);
/// How often a node that did not answer is told again, and after how long. Telling again does no harm: what was done is
/// found done.
const AGAIN: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// The connections of a run and what programs are told of it.
pub(super) struct Hands {
    pub(super) fleet: Arc<Fleet>,
    connector: Arc<Connector>,
    connections: Mutex<HashMap<NodeId, Arc<Connection>>>,
    run: String,
    who: String,
    patience: Duration,
}

/// How long a node waits for a new login before it takes a change of its sshd back, where nobody says.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What is to be done on a node.
pub(super) struct Task {
    pub(super) id: NodeId,
    pub(super) job: Job,
    pub(super) operation: Operation,
    /// Private halves of keys for [`Operation::Bring`], by their numbers in the job.
    pub(super) secrets: HashMap<usize, Vec<u8>>,
}

impl Hands {
    pub(super) fn new(
        fleet: Arc<Fleet>,
        connector: Arc<Connector>,
        connections: HashMap<NodeId, Arc<Connection>>,
        run: String,
        operator: &str,
    ) -> Self {
        // For another operator who finds a node locked.
        let who = format!("run {run} of {operator}");
        Self {
            fleet,
            connector,
            connections: Mutex::new(connections),
            run,
            who,
            patience: PATIENCE,
        }
    }

    /// With another time that a node waits for a new login.
    pub(super) fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// How every process that works on this run begins to say who it is.
    fn mine(&self) -> String {
        format!("run {} of ", self.run)
    }

    /// The connection to a node, made anew where there is none that works.
    async fn connection(&self, id: NodeId) -> Result<Arc<Connection>, String> {
        if let Some(open) = self.held().get(&id) {
            return Ok(open.clone());
        }
        let made = self.connector.connect(self.fleet.node(id)).await;
        let made =
            Arc::new(made.map_err(|error| format!("{}: {}", error.why.code(), error.detail))?);
        self.held().insert(id, made.clone());
        Ok(made)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, Arc<Connection>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The connections as they are now.
    pub(super) fn connections(&self) -> HashMap<NodeId, Arc<Connection>> {
        self.held().clone()
    }

    /// Runs the program of a task. A node that does not answer is told again a few times, over a new connection.
    ///
    /// # Errors
    /// Nobody knows what became of it; in words.
    pub(super) async fn tell(&self, task: &Task) -> Result<Answer, String> {
        let mut answer = self.tell_once(task).await;
        for pause in AGAIN {
            let again = match &answer {
                Err(_) => true,
                // The program of a connection that broke off is still at work there, or somebody has just begun.
                Ok(answer) => matches!(
                    &answer.locked,
                    Some(Lock::Held(who)) if who.is_empty() || who.starts_with(&self.mine())
                ),
            };
            if !again {
                break;
            }
            tokio::time::sleep(pause).await;
            answer = self.tell_once(task).await;
        }
        answer
    }

    /// Has an sshd changed, which is kept only after a new login. While an earlier change still waits for its end, of a
    /// clearway that was killed for example, that end is waited for; a node that did not answer is told again.
    pub(super) async fn reload(&self, id: NodeId, change: &SshdChange) -> SshdOutcome {
        const PAUSE: Duration = Duration::from_secs(1);
        let since = Stopwatch::start();
        let mut again = AGAIN.into_iter();
        loop {
            let outcome = match self.connection(id).await {
                Ok(connection) => {
                    let node = self.fleet.node(id);
                    change_sshd(&self.connector, node, &connection, change, self.patience).await
                }
                Err(why) => SshdOutcome::Unknown { why },
            };
            let pause = match &outcome {
                SshdOutcome::Busy { .. } if since.elapsed() < self.patience + PAUSE * 10 => PAUSE,
                SshdOutcome::Unknown { .. } => {
                    self.held().remove(&id);
                    match again.next() {
                        Some(pause) => pause,
                        None => return outcome,
                    }
                }
                _ => return outcome,
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn tell_once(&self, task: &Task) -> Result<Answer, String> {
        let connection = self.connection(task.id).await?;
        let mut secrets = Secrets::default();
        for (&key, private) in &task.secrets {
            secrets.insert(key, private.clone());
        }
        let nonce = Nonce::new(system::random_bytes());
        let operation = task.operation.clone();
        let program = task
            .job
            .program_with(operation, &self.run, &self.who, nonce, secrets);
        let limits = Limits {
            deadline: LONGEST,
            idle: LONGEST,
            ..Limits::default()
        };
        let script = program.script();
        let ran = connection.run_program(script.as_bytes(), &limits).await;
        let output = ran.map_err(|error| {
            self.held().remove(&task.id);
            format!("{}: {}", error.why.code(), error.detail)
        })?;
        program.read(&output.stdout).map_err(|error| {
            // A program that was killed leaves a connection that may be good for nothing.
            self.held().remove(&task.id);
            format!("{} ({})", chain(&error), output.exit)
        })
    }
}

/// Why a program did nothing or not all, in words; `None` when it did what it was told.
pub(super) fn refusal(answer: &Answer) -> Option<String> {
    match &answer.locked {
        Some(Lock::Held(who)) => {
            return Some(format!("another clearway is at work there: {who}"));
        }
        Some(Lock::Impossible(what)) => {
            return Some(format!("the node cannot be locked for this run: {what}"));
        }
        None => {}
    }
    let all: Vec<String> = answer.refusals().map(ToString::to_string).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// What was found at a file that has changed since, by the number of its edit.
pub(super) fn contents(answer: &Answer) -> HashMap<usize, &[u8]> {
    let content = |said| match said {
        &Said::Content(edit, ref bytes) => Some((edit, bytes.as_slice())),
        _ => None,
    };
    answer.said.iter().filter_map(content).collect()
}
