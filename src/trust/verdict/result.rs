//! The rows of a result: one leg, one pair.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::{
    Evidence, Finding, FindingCode, Fleet, LegId, Pair, Placeholders, Predicted, Proof, Proven,
    Reason, Step, Verdict,
};
use crate::trust::Prediction;
use crate::trust::legs::Legs;

use super::judge::{Difference, Judgement, Observed, judge};

/// One leg with its verdict and what that rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegResult {
    /// Which leg.
    pub id: LegId,
    /// The literal name dialled; `None` when nothing says what it would be.
    pub dialled: Option<Arc<str>>,
    /// The verdict.
    pub verdict: Verdict,
    /// What the files imply.
    pub predicted: Predicted,
    /// What really happened; `None` when it was not tried.
    pub proof: Option<Proof>,
    /// Why the far end refused the login, when its own log and files say it.
    pub answered: Option<Reason>,
    /// Set when what the files imply and what happened contradict each other.
    pub difference: Option<Difference>,
    /// What the verdict rests on: what happened first, then the log, then the files. Empty for verified legs.
    pub evidence: Vec<Evidence>,
    /// What to do about it, ready to be read; `None` for legs that are verified or not needed.
    pub remedy: Option<String>,
}

impl LegResult {
    /// Judges a leg. `explained` is what the prediction rests on and the values it has for the remedy; `common` are
    /// the values that every leg has ([`common_placeholders`]).
    #[must_use]
    pub fn new(
        id: LegId,
        dialled: Option<Arc<str>>,
        observed: &Observed<'_>,
        explained: (Vec<Evidence>, Placeholders),
        common: &Placeholders,
    ) -> Self {
        let Judgement {
            verdict,
            difference,
            evidence: more,
        } = judge(observed);
        let (files, values) = explained;
        let mut evidence = Vec::new();
        if verdict != Verdict::Verified || difference.is_some() {
            evidence.extend(
                observed
                    .proof
                    .into_iter()
                    .flat_map(|it| it.evidence.iter().cloned()),
            );
            for next in more.into_iter().chain(files) {
                if !evidence.iter().any(|known| says_the_same(known, &next)) {
                    evidence.push(next);
                }
            }
        }
        let remedy = match verdict {
            Verdict::Broken(reason) => Some(reason.remedy()),
            Verdict::Unproven(why) => Some(why.remedy()),
            Verdict::Verified | Verdict::NotNeeded(_) => None,
        };
        Self {
            id,
            dialled,
            verdict,
            predicted: observed.predicted,
            proof: observed.proof.cloned(),
            answered: observed.inquiry.and_then(|it| it.reason),
            difference,
            evidence,
            remedy: remedy.map(|template| {
                let values = with_file_proven(values, observed, verdict).or(common);
                with_usual_file(values, verdict).fill(template)
            }),
        }
    }

    /// Code of what the proof alone came to, whatever the files imply; for a refused login what the far end says of it.
    #[must_use]
    pub fn proven_code(&self) -> Option<&'static str> {
        match self.proof.as_ref()?.outcome {
            Proven::Works => None,
            Proven::Breaks(reason) => Some(reason.code()),
            Proven::Refused => self.answered.map(Reason::code),
            Proven::Unknown(why) => Some(why.code()),
        }
    }

    /// What is worth knowing of the leg beside its verdict. `addresses` are on the server's interfaces, none if they are
    /// not known.
    #[must_use]
    pub fn findings(&self, fleet: &Fleet, addresses: &[IpAddr]) -> Vec<Finding> {
        let contradiction = self.contradiction(fleet);
        let detour = self.detour(fleet, addresses);
        contradiction.into_iter().chain(detour).collect()
    }

    /// The right node answered at an address that it does not have.
    fn detour(&self, fleet: &Fleet, addresses: &[IpAddr]) -> Option<Finding> {
        let proof = self
            .proof
            .as_ref()
            .filter(|_| self.verdict == Verdict::Verified)?;
        let address = proof.address?;
        let owns = |it: &IpAddr| it.to_canonical() == address.to_canonical();
        if addresses.is_empty() || addresses.iter().any(owns) {
            return None;
        }
        Some(Finding {
            code: FindingCode::DestAnsweredElsewhere,
            nodes: vec![fleet.node(self.id.server).name.to_string()],
            detail: format!(
                "{}: dialled at {address}, which is on no interface of it",
                self.id.lane
            ),
            evidence: self.evidence.clone(),
        })
    }

    /// Files and reality contradict each other.
    fn contradiction(&self, fleet: &Fleet) -> Option<Finding> {
        let difference = self.difference?;
        let word = |reason: Option<Reason>| match reason {
            None => "works".to_owned(),
            Some(reason) => format!("breaks ({reason})"),
        };
        let mut nodes: Vec<String> = [self.id.client, self.id.server]
            .map(|id| fleet.node(id).name.to_string())
            .into();
        nodes.sort_unstable();
        Some(Finding {
            code: FindingCode::PredictionDiffers,
            nodes,
            detail: format!(
                "{}: by the files it {}, in truth it {}",
                self.id.lane,
                word(difference.predicted),
                word(difference.happened)
            ),
            evidence: self.evidence.clone(),
        })
    }
}

/// One pair with its legs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairResult {
    /// Which pair.
    pub pair: Pair,
    /// The verdict: that of the worst leg.
    pub verdict: Verdict,
    /// Its legs, in the order of the lanes.
    pub legs: Vec<LegResult>,
}

impl PairResult {
    /// Puts the legs of a pair together; `None` without any.
    #[must_use]
    pub fn new(pair: Pair, legs: Vec<LegResult>) -> Option<Self> {
        let verdict = Verdict::of_pair(legs.iter().map(|leg| leg.verdict))?;
        Some(Self {
            pair,
            verdict,
            legs,
        })
    }
}

/// The values for a remedy that every leg has: the names of its nodes, what is dialled, the context.
#[must_use]
pub fn common_placeholders(
    fleet: &Fleet,
    legs: &Legs,
    prediction: &Prediction<'_>,
    id: LegId,
) -> Placeholders {
    let name = |node| fleet.node(node).name.as_str();
    let pair = id.pair();
    let mut values = Placeholders::default()
        .with("client", name(id.client))
        .with("server", name(id.server))
        .with("source", name(pair.source))
        .with("destination", name(pair.destination));
    if let Some(dialled) = legs.dialled(id) {
        values = values.with("name", &*dialled);
    }
    if let Some(leg) = legs.leg(id) {
        values = values
            .with("context", leg.context.join(" "))
            .with("instances_path", &*leg.directory);
        if let Some(port) = leg.port {
            values = values.with("port", port.to_string());
        }
        if let Some(user) = leg.user {
            values = values.with("server_user", &*user);
        }
    }
    // What ssh's configuration says of it.
    if let Some(user) = prediction.login_user(id) {
        values = values.with("server_user", user);
    }
    values
}

/// Where files do not say that it breaks in this way, their file is another one: that of a host key's is where ssh found it.
fn with_file_proven(
    values: Placeholders,
    observed: &Observed<'_>,
    verdict: Verdict,
) -> Placeholders {
    let Verdict::Broken(reason) = verdict else {
        return values;
    };
    if observed.predicted == Predicted::Breaks(reason) {
        return values;
    }
    let values = values.without("file");
    let line = |it: &Evidence| match it {
        Evidence::FileLine { path, .. } => Some(path.clone()),
        _ => None,
    };
    let lines = observed.proof.iter().flat_map(|proof| &proof.evidence);
    match lines.filter_map(line).next_back() {
        Some(path) if reason.step() == Step::HostKey => values.with("file", path),
        _ => values,
    }
}

/// Where no file is known, for example because a program lists the keys, it is called what the configuration calls it.
#[must_use]
pub fn with_usual_file(values: Placeholders, verdict: Verdict) -> Placeholders {
    let (option, whose) = match verdict {
        Verdict::Broken(Reason::HostKeyUnknown | Reason::HostKeyTypeGap) => {
            ("UserKnownHostsFile", "client_user")
        }
        Verdict::Broken(
            Reason::KeyNotAuthorized
            | Reason::AuthorizedKeysMissing
            | Reason::KeyFromMismatch
            | Reason::KeyExpired
            | Reason::KeyOptionInvalid,
        ) => ("AuthorizedKeysFile", "server_user"),
        _ => return values,
    };
    match values.get(whose).map(str::to_owned) {
        Some(user) => values.with("file", format!("the {option} of {user}")),
        None => values,
    }
}

/// Whether one of them is enough. ssh writes the type of a key that it offers in another way than files do.
fn says_the_same(one: &Evidence, other: &Evidence) -> bool {
    let key = |it: &Evidence| match it {
        Evidence::Key {
            seen,
            node,
            fingerprint,
            path,
            ..
        } => Some((*seen, node.clone(), fingerprint.clone(), path.clone())),
        _ => None,
    };
    one == other || key(one).is_some() && key(one) == key(other)
}
