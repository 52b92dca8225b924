//! Getting a host to show the key whose fingerprint is pinned.

use russh::AlgorithmKind;
use russh::keys::Algorithm;

use super::error::Failure;
use super::host_key::{HostKeyPolicy, Proposal};
use super::host_key_problem::HostKeyFault;
use crate::openssh::key::KeyKind;

/// With pinned fingerprints the type of the right key is not known. A host with keys of several types is asked for
/// the next type when the one it presented is not pinned, until the pinned one comes or no type is left: at most one
/// connection for each of ed25519, three curves of ECDSA, and RSA.
pub(super) async fn ask_for_each_type<T, F: Future<Output = Result<T, Failure>>>(
    policy: &HostKeyPolicy,
    attempt: &impl Fn(Proposal) -> F,
) -> Result<T, Failure> {
    let mut proposal = policy.proposal();
    let mut outcome = attempt(proposal.clone()).await;
    let mut presented = Vec::new();
    while policy.is_pinned()
        && let Err(failure) = &mut outcome
        && let Some(problem) = &mut failure.host_key
        && let HostKeyFault::NotPinned { also, .. } = &mut problem.fault
    {
        *also = presented.clone();
        presented.push(problem.described_key());
        let is_wrong = |algorithm: &Algorithm| {
            KeyKind::from_algorithm(algorithm.as_str())
                .is_some_and(|(kind, _)| kind == problem.key.kind())
        };
        let before = proposal.plain.len();
        proposal.plain.retain(|algorithm| !is_wrong(algorithm));
        failure.detail = problem.to_string();
        // Nothing to remove: the server does not keep to what was agreed, and would go on so.
        if proposal.plain.is_empty() || proposal.plain.len() == before {
            break;
        }
        let next = attempt(proposal.clone()).await;
        if next.as_ref().is_err_and(has_no_such_key) {
            break;
        }
        outcome = next;
    }
    outcome
}

/// Whether the host has no key of the types that were proposed.
fn has_no_such_key(failure: &Failure) -> bool {
    let cause = failure
        .source
        .as_ref()
        .and_then(|cause| cause.downcast_ref());
    matches!(
        cause,
        Some(russh::Error::NoCommonAlgo {
            kind: AlgorithmKind::Key,
            ..
        })
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::domain::Why;
    use crate::openssh::key::PublicKey;
    use crate::remote::HostKeyProblem;

    const ED25519: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    fn policy() -> HostKeyPolicy {
        HostKeyPolicy::pinned("cmp001", 22, &["SHA256:other"])
    }

    fn presents_ed25519() -> Failure {
        HostKeyProblem {
            host: "cmp001".to_owned(),
            key: PublicKey::read(ED25519.as_bytes()).unwrap().0,
            fault: HostKeyFault::NotPinned {
                pinned: Vec::new(),
                also: Vec::new(),
            },
            certificate: None,
            record_in: "/known".into(),
        }
        .into()
    }

    async fn asked(
        answers: impl Fn(usize) -> Result<(), Failure>,
    ) -> (Result<(), Failure>, Vec<Vec<String>>) {
        let asked = RefCell::new(Vec::new());
        let outcome = ask_for_each_type(&policy(), &async |proposal: Proposal| {
            let names = proposal
                .plain
                .iter()
                .map(|algorithm| algorithm.as_str().to_owned());
            asked.borrow_mut().push(names.collect());
            let number = asked.borrow().len();
            assert!(number < 10, "it never ends");
            answers(number)
        })
        .await;
        (outcome, asked.into_inner())
    }

    #[tokio::test]
    async fn the_type_presented_is_not_asked_for_again() {
        let (outcome, asked) = asked(|number| {
            if number == 1 {
                Err(presents_ed25519())
            } else {
                Ok(())
            }
        })
        .await;
        outcome.unwrap();
        assert_eq!(asked[0][0], "ssh-ed25519");
        assert_eq!(asked[1], asked[0][1..]);
    }

    #[tokio::test]
    async fn a_server_that_always_presents_the_same_key_is_not_asked_for_ever() {
        let (outcome, asked) = asked(|_| Err(presents_ed25519())).await;
        assert_eq!(outcome.unwrap_err().why, Why::ControlHostKey);
        assert_eq!(asked.len(), 2);
    }

    #[tokio::test]
    async fn a_host_without_other_keys_has_given_its_answer() {
        let (outcome, _) = asked(|number| match number {
            1 => Err(presents_ed25519()),
            _ => Err(Failure::new(Why::ControlUnreachable, "").because(
                russh::Error::NoCommonAlgo {
                    kind: AlgorithmKind::Key,
                    ours: Vec::new(),
                    theirs: Vec::new(),
                },
            )),
        })
        .await;
        assert_eq!(outcome.unwrap_err().why, Why::ControlHostKey);
    }

    #[tokio::test]
    async fn a_failure_on_the_way_is_not_a_wrong_key() {
        let (outcome, _) = asked(|number| match number {
            1 => Err(presents_ed25519()),
            _ => Err(Failure::new(Why::ControlDropped, "")),
        })
        .await;
        assert_eq!(outcome.unwrap_err().why, Why::ControlDropped);
    }
}
