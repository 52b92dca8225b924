//! All findings of a fleet.

use super::fleet::Seen;
use super::{certificates, former, identity, inventory, keys, known_hosts, labels, settings};
use crate::domain::{Evidence, Finding, FindingCode, Fleet};
use crate::survey::NodeFacts;
use crate::trust::PairScope;
use crate::trust::identity::VerifiedKeys;
use crate::trust::legs::Legs;

/// Finds what is worth knowing of the surveyed nodes of a scope.
///
/// `facts` has an entry for every node of the fleet; `verified` are the host keys of the control connections; `now` is the controller's clock in seconds since the epoch.
#[must_use]
pub fn find(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    legs: &Legs,
    scope: &PairScope,
    verified: &VerifiedKeys,
    now: i64,
) -> Vec<Finding> {
    let seen = Seen::new(fleet, facts, legs, scope);
    let mut found = Vec::new();
    identity::find(&seen, verified, &mut found);
    inventory::find(&seen, &mut found);
    former::find(&seen, &mut found);
    keys::find(&seen, &mut found);
    certificates::find(&seen, now, &mut found);
    known_hosts::find(&seen, &mut found);
    labels::find(&seen, &mut found);
    settings::find(&seen, &mut found);
    found.sort_by(|a, b| (a.code, &a.detail, &a.nodes).cmp(&(b.code, &b.detail, &b.nodes)));
    found
}

/// A finding about one node.
pub(super) fn on(
    node: &str,
    code: FindingCode,
    detail: String,
    evidence: Vec<Evidence>,
) -> Finding {
    Finding {
        code,
        nodes: vec![node.to_owned()],
        detail,
        evidence,
    }
}

/// A file, or a line of it, as evidence.
pub(super) fn file(node: &str, path: &str, line: Option<usize>, note: &str) -> Evidence {
    Evidence::FileLine {
        node: node.to_owned(),
        path: path.to_owned(),
        line: line.and_then(|it| u32::try_from(it).ok()),
        note: note.to_owned(),
    }
}
