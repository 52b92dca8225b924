//! Prediction, proof and the far end's log, combined.

use crate::domain::{
    Evidence, KeySeen, Lane, Predicted, Proof, Proven, Reason, Step, Verdict, Why,
};

use super::relation::{explains, shows_in_files};

/// Everything that was observed of one leg.
#[derive(Debug, Clone, Copy)]
pub struct Observed<'a> {
    /// Its lane.
    pub lane: Lane,
    /// What the files imply.
    pub predicted: Predicted,
    /// What really happened; `None` when it was not tried.
    pub proof: Option<&'a Proof>,
    /// Why it was not tried, or did not come to an end: [`Why::PredictedOnly`] when it was not meant to be, else what
    /// kept the client from being asked.
    pub not_proven: Why,
    /// What the server's own log and files say about a refused login, when they were asked.
    pub inquiry: Option<Inquiry<'a>>,
    /// Why the address that was dialled is not the server's, and what shows it, where it is known whose it is.
    pub astray: Option<(Reason, &'a Evidence)>,
    /// The host keys on the server's disk ([`Evidence::Key`]); empty when they are not known.
    pub on_disk: &'a [Evidence],
    /// The labels on the way to the account's keys for which SELinux may keep sshd from them
    /// ([`labels_on_the_way`](crate::trust::labels_on_the_way)).
    pub labels: &'a [Evidence],
}

/// The server's answer to why it refused a login.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inquiry<'a> {
    /// The reason, if it says one.
    pub reason: Option<Reason>,
    /// What that rests on.
    pub evidence: &'a [Evidence],
}

/// A verdict and what became of the prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Set when what the files say and what happened are not the same.
    pub difference: Option<Difference>,
    /// What was observed beyond proof and prediction: the log's lines, the keys compared.
    pub evidence: Vec<Evidence>,
}

/// A contradiction between the files and reality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Difference {
    /// What the files implied; `None` when they stood in nothing's way.
    pub predicted: Option<Reason>,
    /// What happened; `None` when it worked.
    pub happened: Option<Reason>,
}

/// The last rung of a lane: only who has climbed it has done what Nova or libvirt will do.
#[must_use]
pub fn final_step(lane: Lane) -> Step {
    match lane {
        Lane::ColdPush | Lane::ColdPull => Step::Copy,
        Lane::Live => Step::Command,
    }
}

/// The verdict on a leg.
///
/// Proof decides whether it works. Files alone may break a leg, for what they say was observed too, but they never verify
/// one. For a refused login the log of the far end counts more than the files, and the files more than nothing.
#[must_use]
pub fn judge(observed: &Observed<'_>) -> Judgement {
    let judgement = |verdict, difference| Judgement {
        verdict,
        difference,
        evidence: Vec::new(),
    };
    match observed.predicted {
        Predicted::NotNeeded(why) => return judgement(Verdict::NotNeeded(why), None),
        // Nova would not dial at all here, so a proof, if there is one, says nothing about the move.
        Predicted::Breaks(reason @ (Reason::SharedAddress | Reason::AddressUnknown)) => {
            return judgement(Verdict::Broken(reason), None);
        }
        _ => {}
    }
    let Some(proof) = observed.proof else {
        return judgement(by_files(observed, observed.not_proven), None);
    };
    match proof.outcome {
        Proven::Works => worked(observed, proof),
        Proven::Unknown(why) => judgement(by_files(observed, why), None),
        Proven::Breaks(reason) => broke(observed, proof, reason),
        Proven::Refused => refused(observed),
    }
}

/// Without a proof that came to an end.
fn by_files(observed: &Observed<'_>, why: Why) -> Verdict {
    match observed.predicted {
        Predicted::Breaks(reason) => Verdict::Broken(reason),
        Predicted::Unknown(unknown) if why == Why::PredictedOnly => Verdict::Unproven(unknown),
        Predicted::NotNeeded(why) => Verdict::NotNeeded(why),
        Predicted::Works | Predicted::Unknown(_) => Verdict::Unproven(why),
    }
}

fn worked(observed: &Observed<'_>, proof: &Proof) -> Judgement {
    let is_complete = proof.reached >= Some(final_step(observed.lane));
    let (verdict, difference) = match observed.predicted {
        Predicted::Breaks(reason) if proof.reached >= Some(reason.step()) => {
            let difference = Difference {
                predicted: Some(reason),
                happened: None,
            };
            let verdict = if is_complete {
                Verdict::Verified
            } else {
                Verdict::Unproven(Why::PredictedOnly)
            };
            (verdict, Some(difference))
        }
        _ if is_complete => (Verdict::Verified, None),
        _ => (by_files(observed, Why::PredictedOnly), None),
    };
    Judgement {
        verdict,
        difference,
        evidence: Vec::new(),
    }
}

fn broke(observed: &Observed<'_>, proof: &Proof, seen: Reason) -> Judgement {
    if matches!(seen, Reason::HostKeyChanged | Reason::HostKeyUnknown)
        && !matches!(observed.predicted, Predicted::Breaks(cause) if explains(cause, seen))
        && let Some(mut evidence) = not_on_disk(proof, observed.on_disk)
    {
        let reason = observed.astray.map(|(reason, shown)| {
            evidence.insert(0, shown.clone());
            reason
        });
        return Judgement {
            verdict: Verdict::Broken(reason.unwrap_or(Reason::HostKeyNotOnDisk)),
            difference: None,
            evidence,
        };
    }
    let (reason, difference) = reconcile(observed.predicted, seen);
    Judgement {
        verdict: Verdict::Broken(reason),
        difference,
        evidence: Vec::new(),
    }
}

fn refused(observed: &Observed<'_>) -> Judgement {
    let inquiry = observed.inquiry.unwrap_or_default();
    if !observed.labels.is_empty()
        && !matches!(observed.predicted, Predicted::Breaks(_))
        && inquiry.reason.is_none_or(may_hide_a_label)
    {
        return Judgement {
            verdict: Verdict::Broken(Reason::AuthorizedKeysLabel),
            difference: None,
            evidence: [inquiry.evidence, observed.labels].concat(),
        };
    }
    let (reason, difference) = match (inquiry.reason, observed.predicted) {
        (Some(logged), predicted) => reconcile(predicted, logged),
        (None, predicted) => reconcile(predicted, Reason::LoginRefused),
    };
    Judgement {
        verdict: Verdict::Broken(reason),
        difference,
        evidence: inquiry.evidence.to_vec(),
    }
}

/// What sshd says where SELinux does not let it read the keys: that it may not, or, at the usual `LogLevel` of older releases, only
/// that no key was the right one.
fn may_hide_a_label(logged: Reason) -> bool {
    matches!(
        logged,
        Reason::AuthorizedKeysUnreadable | Reason::KeyNotAuthorized
    )
}

/// The reason to report, from what the files imply and what was seen, and whether these contradict each other.
fn reconcile(predicted: Predicted, seen: Reason) -> (Reason, Option<Difference>) {
    match predicted {
        Predicted::Breaks(cause) if cause == seen || explains(cause, seen) => (cause, None),
        Predicted::Breaks(cause) => {
            // What the files say comes after what was met first, so both may be true.
            let is_later = cause.step() > seen.step() && !shows_in_files(seen);
            let difference = Difference {
                predicted: Some(cause),
                happened: Some(seen),
            };
            (seen, (!is_later).then_some(difference))
        }
        Predicted::Works if shows_in_files(seen) => {
            let difference = Difference {
                predicted: None,
                happened: Some(seen),
            };
            (seen, Some(difference))
        }
        Predicted::Works | Predicted::Unknown(_) | Predicted::NotNeeded(_) => (seen, None),
    }
}

/// The key served, the keys recorded and the keys on disk, if the one served is none of the latter.
fn not_on_disk(proof: &Proof, on_disk: &[Evidence]) -> Option<Vec<Evidence>> {
    let fingerprint = |evidence: &Evidence, wanted| match evidence {
        Evidence::Key {
            seen, fingerprint, ..
        } if *seen == wanted => Some(fingerprint.clone()),
        _ => None,
    };
    let served = proof
        .evidence
        .iter()
        .find_map(|it| fingerprint(it, KeySeen::Served))?;
    let is_there = |it: &Evidence| fingerprint(it, KeySeen::OnDisk).as_deref() == Some(&*served);
    (!on_disk.is_empty() && !on_disk.iter().any(is_there)).then(|| on_disk.to_vec())
}
