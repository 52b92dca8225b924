//! Changes of an sshd's configuration: kept only after a new login.

use std::time::Duration;

use super::survey::chain;
use crate::domain::Node;
use crate::frame::Nonce;
use crate::remote::{Connection, Connector, ControlError, Limits};
use crate::repair::SshdChange;
use crate::repair::reload::{
    Changed, Settled, change, keep, read_changed, read_settled, take_back,
};
use crate::system::{self, Stopwatch};

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SshdOutcome {
    /// It is in force: a new login came.
    Kept {
        /// How sshd was told.
        how: String,
    },
    /// Another change waits for its own end there: nothing was done.
    Busy {
        /// Which, as the node says: escape before showing.
        why: String,
    },
    /// It was not made, or taken back at once; everything is as it was.
    NotMade {
        /// Why, in words that a node had a part in: escape before showing.
        why: String,
    },
    /// It was made, no new login came, and the node has taken it back.
    TakenBack {
        /// Why the login did not come.
        why: String,
    },
    /// It was not made, or no new login came. The configuration is as it was, but sshd is not: it is gone, or goes on with what
    /// it read meanwhile.
    Stuck {
        /// Why, and what became of sshd, in words that a node had a part in: escape before showing.
        why: String,
    },
    /// Nobody knows: the connection broke. The node takes it back by itself unless it was kept.
    Unknown {
        /// What broke.
        why: String,
    },
}

const LIMITS: Limits = Limits {
    stdout: 128 << 10,
    stderr: 64 << 10,
    deadline: Duration::from_secs(150),
    idle: Duration::from_secs(150),
    first: Duration::from_secs(150),
};

/// Makes a change over `connection`, logs in anew while that is still open, and keeps the change if the login comes.
/// Whatever ends this in between, the node takes the change back `patience` after it was made.
pub(super) async fn change_sshd(
    connector: &Connector,
    node: &Node,
    connection: &Connection,
    planned: &SshdChange,
    patience: Duration,
) -> SshdOutcome {
    let token = Nonce::new(system::random_bytes());
    let nonce = Nonce::new(system::random_bytes());
    let program = match change(&nonce, &token, planned, patience) {
        Ok(program) => program,
        Err(error) => {
            return SshdOutcome::NotMade {
                why: error.to_string(),
            };
        }
    };
    let since = Stopwatch::start();
    let output = match connection.run_program(program.as_bytes(), &LIMITS).await {
        Ok(output) => output,
        Err(error) => return SshdOutcome::Unknown { why: chain(&error) },
    };
    let how = match read_changed(&output.stdout, &nonce) {
        Ok(Changed::Reloaded { how }) => how,
        Ok(Changed::Busy(why)) => return SshdOutcome::Busy { why },
        Ok(Changed::Differs { path, what }) => {
            return SshdOutcome::NotMade {
                why: format!("{path} {what}"),
            };
        }
        Ok(Changed::Refused { step, said }) => {
            return SshdOutcome::NotMade {
                why: format!("{step}: {said}"),
            };
        }
        Ok(Changed::Stuck { step, said, stuck }) => {
            return SshdOutcome::Stuck {
                why: format!("{step}: {said}; {stuck}"),
            };
        }
        Err(error) => {
            return SshdOutcome::Unknown {
                why: format!("{} ({})", chain(&error), output.exit),
            };
        }
    };
    let why = match login(connector, node, since, patience).await {
        Ok(new) => {
            let settled = settle(&new, keep, &token).await;
            new.close().await;
            match settled {
                Ok(Settled::Kept) => return SshdOutcome::Kept { how },
                Ok(_) => format!("the new login came later than {} s", patience.as_secs()),
                Err(why) => return SshdOutcome::Unknown { why },
            }
        }
        Err(error) => chain(&error),
    };
    match settle(connection, take_back, &token).await {
        Ok(Settled::Gone) => SshdOutcome::TakenBack { why },
        Ok(Settled::Stuck(stuck)) => SshdOutcome::Stuck {
            why: format!("no new login came: {why}; {stuck}"),
        },
        Ok(Settled::Kept | Settled::Late) => SshdOutcome::Unknown {
            why: format!("{why}; then: it is still being taken back"),
        },
        Err(lost) => SshdOutcome::Unknown {
            why: format!("{why}; then: {lost}"),
        },
    }
}

/// A new login: tried again while there is time, as a new sshd may throttle the first.
async fn login(
    connector: &Connector,
    node: &Node,
    since: Stopwatch,
    patience: Duration,
) -> Result<Connection, ControlError> {
    const PAUSE: Duration = Duration::from_secs(1);
    loop {
        match connector.connect(node).await {
            Ok(connection) => return Ok(connection),
            Err(error) if since.elapsed() + PAUSE * 3 > patience => return Err(error),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Tells the node to keep the change, or to take it back now.
async fn settle(
    connection: &Connection,
    program: impl Fn(&Nonce, &Nonce) -> String,
    token: &Nonce,
) -> Result<Settled, String> {
    let nonce = Nonce::new(system::random_bytes());
    let program = program(&nonce, token);
    let output = connection.run_program(program.as_bytes(), &LIMITS).await;
    let output = output.map_err(|error| chain(&error))?;
    read_settled(&output.stdout, &nonce)
        .map_err(|error| format!("{} ({})", chain(&error), output.exit))
}
