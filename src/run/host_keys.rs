//! Host keys of control connections that nobody has recorded yet.

use std::io;
use std::sync::Arc;

use super::request::Request;
use crate::remote::{
    Connector, Environment, HostKeyFault, HostKeyProblem, record_host_key, run_on_all,
};
use crate::system;

/// Connects to every node of a request and returns the host keys that are unknown to the operator, also those of jump
/// hosts. Every other failure is left to the survey, which will meet it again and report it.
pub async fn unknown_host_keys(
    request: &Request,
    environment: &Environment,
) -> Vec<HostKeyProblem> {
    let connector = Arc::new(Connector::new(environment.clone(), request.deadlines));
    let mut connected = run_on_all(
        connector,
        request.fleet.clone(),
        request.selected.clone(),
        request.concurrency,
        async |_, connection| {
            connection.close().await;
            Ok(())
        },
    );
    let mut unknown = Vec::new();
    while let Some((_, result)) = connected.next().await {
        let problem = result.err().and_then(|error| error.host_key);
        unknown.extend(
            problem
                .filter(|problem| matches!(problem.fault, HostKeyFault::Unknown { .. }))
                .map(|problem| *problem),
        );
    }
    unknown
}

/// Adds host keys to the operator's known_hosts files, as each problem names them.
///
/// # Errors
/// A file cannot be read or written; the keys before it are recorded.
pub fn record_host_keys(problems: &[HostKeyProblem]) -> io::Result<()> {
    for problem in problems {
        let salt = system::host_name_salt();
        record_host_key(&problem.record_in, &problem.host, &problem.key, salt)?;
    }
    Ok(())
}
