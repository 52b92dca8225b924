//! Where the client cannot know why it was refused, the far end's own log says it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::time::Duration;

use tokio::task::JoinSet;

use super::assemble::Answered;
use super::journal::Journal;
use super::request::{Request, Surroundings};
use super::survey::Surveyed;
use crate::domain::{LegId, NodeId, Phase, Predicted, Proof};
use crate::frame::Nonce;
use crate::inquiry::{Question, ServerLog, is_worth_asking, key_was_taken, script};
use crate::remote::Limits;
use crate::system::{self, Stopwatch};
use crate::trust::Prediction;

/// The end of a log is read, not all of it: this is plenty.
const LIMITS: Limits = Limits {
    stdout: 1 << 20,
    stderr: 64 << 10,
    deadline: Duration::from_secs(40),
    idle: Duration::from_secs(40),
    first: Duration::from_secs(40),
};

/// Asks the servers of refused and dropped legs, each once. What they say may settle a proof: a connection that was
/// dropped without any throttling is broken. `since` runs from before the first leg was climbed.
pub(super) async fn inquire(
    request: &Request,
    around: &Surroundings,
    surveyed: &Surveyed,
    prediction: &Prediction<'_>,
    proofs: &mut HashMap<LegId, Proof>,
    since: &Stopwatch,
    journal: &Journal,
) -> HashMap<LegId, Answered> {
    let mut questions: BTreeMap<NodeId, Vec<LegId>> = BTreeMap::new();
    for (&id, proof) in proofs.iter() {
        // What a host logs is of its own sshd: of one in a container it has nothing, or lines of another.
        let server = &request.fleet.node(id.server).profile.sshd;
        if is_worth_asking(proof.outcome) && server.context.is_empty() {
            questions.entry(id.server).or_default().push(id);
        }
    }
    // The log is asked for some more than that: it is read a while after.
    let margin = since.elapsed() + Duration::from_secs(5);
    let mut asked = JoinSet::new();
    for &server in questions.keys() {
        // A server that was not surveyed cannot be asked; the prediction is all there is.
        let Some(connection) = surveyed.connections.get(&server).cloned() else {
            continue;
        };
        asked.spawn(async move {
            let nonce = Nonce::new(system::random_bytes());
            let program = script(&nonce, margin);
            let output = connection.run_program(program.as_bytes(), &LIMITS).await;
            let log = output
                .ok()
                .and_then(|output| ServerLog::read(&output.stdout, &nonce).ok());
            (server, log)
        });
    }
    let addresses: Vec<&[IpAddr]> = surveyed
        .facts
        .iter()
        .map(|facts| facts.as_ref().map_or(&[][..], |it| &it.addresses))
        .collect();
    let own = own_addresses(&addresses);
    // From loopback only the server itself connects.
    let loopback = addresses.iter().copied().flatten();
    let loopback = loopback.filter(|it| it.is_loopback());
    let nodes: HashSet<IpAddr> = own.iter().flatten().chain(loopback).copied().collect();
    let total = asked.len();
    let mut answers = HashMap::new();
    loop {
        journal.progress(Phase::Inquire, total - asked.len(), total, Vec::new());
        let next = tokio::select! {
            next = asked.join_next() => next,
            () = around.cancel.cancelled() => break,
        };
        let Some(next) = next else { break };
        let Ok((server, Some(log))) = next else {
            continue;
        };
        let window = since.elapsed();
        let name = request.fleet.node(server).name.as_str();
        for id in questions.remove(&server).unwrap_or_default() {
            let Some(proof) = proofs.get_mut(&id) else {
                continue;
            };
            let said = log.explain(
                name,
                &Question {
                    client: &own[id.client.index()],
                    nodes: &nodes,
                    user: prediction.login_user(id),
                    predicted: match prediction.verdict(id) {
                        Predicted::Breaks(reason) => Some(reason),
                        _ => None,
                    },
                    key_taken: key_was_taken(proof),
                    logs_drops: prediction.logs_drops(id),
                    window,
                },
            );
            proof.outcome = said.settle(proof);
            answers.insert(
                id,
                Answered {
                    reason: said.reason,
                    evidence: said.evidence,
                },
            );
        }
    }
    answers
}

/// Of the addresses of each node those by which a log can tell it from all others: not loopback, and not those of bridges,
/// which every node has alike.
fn own_addresses(nodes: &[&[IpAddr]]) -> Vec<Vec<IpAddr>> {
    let mut holders: HashMap<IpAddr, usize> = HashMap::new();
    for &address in nodes.iter().copied().flatten() {
        *holders.entry(address).or_default() += 1;
    }
    let is_own = |it: &IpAddr| !it.is_loopback() && holders.get(it) == Some(&1);
    nodes
        .iter()
        .map(|addresses| addresses.iter().copied().filter(is_own).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_every_node_has_tells_nothing_of_the_client() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let one = ["127.0.0.1", "::1", "172.17.0.1", "10.0.0.1"].map(ip);
        let other = ["127.0.0.1", "::1", "172.17.0.1", "10.0.0.2", "fd00::2"].map(ip);
        let alone = ["127.0.0.53"].map(ip);
        assert_eq!(
            own_addresses(&[&one, &other, &alone, &[]]),
            [
                vec![ip("10.0.0.1")],
                vec![ip("10.0.0.2"), ip("fd00::2")],
                vec![],
                vec![]
            ]
        );
    }
}
