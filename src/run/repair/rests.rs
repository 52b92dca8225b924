//! What was done later and rests on an earlier repair, which therefore cannot be put back before it.

use std::collections::{BTreeSet, HashSet};

use super::prove::is_undoable;
use crate::domain::fold;
use crate::ledger::{Ledger, StoredRepair};
use crate::repair::{Edit, End, FileState, KeySource, NodeProgress, Piece, Plan, Progress, Target};
use crate::run::RunError;

/// What of a repair others may rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resting {
    /// What it has done: that would be put back.
    OnDone,
    /// All that it was to do: that would be done now.
    OnPlanned,
}

/// That no later repair which still stands has changed what these runs have changed, or lets in the keys that they made.
///
/// # Errors
/// One has: the newest of them is named. Or the ledger cannot be read.
pub(super) async fn nothing_rests_on(
    ledger: &Ledger,
    steps: &[(String, StoredRepair)],
    resting: Resting,
) -> Result<(), RunError> {
    let of_steps: HashSet<&str> = steps.iter().map(|(run, _)| run.as_str()).collect();
    for (run, stored) in steps {
        let progress = Progress::replay(&stored.plan, &stored.records)?;
        let places = match resting {
            Resting::OnDone => places(&stored.plan, &progress),
            Resting::OnPlanned => planned(&stored.plan),
        };
        let keys: HashSet<&str> = progress
            .nodes()
            .flat_map(|(_, node)| node.keys.values())
            .filter_map(|public| blob(public))
            .collect();
        for later in ledger.repairs_after(run).await? {
            if of_steps.contains(later.as_str()) {
                continue;
            }
            let Some(theirs) = ledger.repair(&later).await? else {
                continue;
            };
            let progress = Progress::replay(&theirs.plan, &theirs.records)?;
            let why = self::places(&theirs.plan, &progress)
                .intersection(&places)
                .next()
                .map(|(_, target)| format!("changed `{}` as well", target.path))
                .or_else(|| {
                    let lets_in = lets_in(&theirs.plan, &progress, &keys);
                    lets_in.map(|nodes| format!("lets keys that it made in on {nodes}"))
                });
            if let Some(why) = why {
                return Err(RunError::NoRepair(format!(
                    "run {later} came after run {run} and {why}: `clearway repair undo {later}` first"
                )));
            }
        }
    }
    Ok(())
}

/// The second word of a public key, by which files know it.
fn blob(public: &str) -> Option<&str> {
    public.split(' ').nth(1)
}

/// What a run was to change, by node.
fn planned(plan: &Plan) -> BTreeSet<(&str, &Target)> {
    let edits = plan.nodes.iter().map(|it| (&it.node, &it.edits));
    let sshd = plan.sshd.iter().map(|it| (&it.node, &it.edits));
    let files = edits.chain(sshd).flat_map(|(node, edits)| {
        let targets = edits.iter().map(|edit| &edit.target);
        targets.map(move |target| (node, target))
    });
    let keys = plan.keys.iter().map(|it| (&it.node, &it.target));
    let copies = plan.copies.iter().map(|it| (&it.node, &it.target));
    let all = files.chain(keys).chain(copies);
    all.map(|(node, target)| (node.as_str(), target)).collect()
}

/// What a run has changed and not put back, by node.
fn places<'p>(plan: &'p Plan, progress: &Progress) -> BTreeSet<(&'p str, &'p Target)> {
    let standing = |node: &str| progress.node(node).filter(|it| stands(it));
    let mut places = BTreeSet::new();
    for (node, edits, state) in written(plan, progress) {
        let edits = edits.iter().enumerate();
        let edits = edits.filter(|(number, _)| is_written(state, *number));
        places.extend(edits.map(|(_, edit)| (node, &edit.target)));
    }
    let sshd = plan.sshd.iter();
    let sshd = sshd.filter(|it| standing(&it.node).is_some_and(|it| it.reloaded));
    places.extend(sshd.flat_map(|it| {
        let edits = it.edits.iter();
        edits.map(|edit| (it.node.as_str(), &edit.target))
    }));
    let renewed = plan.turnover.renewed.iter().filter(|it| it.takes_place);
    let keys = (plan.keys.iter().map(|it| (&it.node, &it.target)))
        .chain(plan.copies.iter().map(|it| (&it.node, &it.target)))
        .chain(renewed.map(|it| (&it.node, &it.target)))
        .filter(|(node, _)| standing(node).is_some());
    places.extend(keys.map(|(node, target)| (node.as_str(), target)));
    places
}

/// The nodes on which a run has changed files that still stand.
fn written<'p, 'r>(
    plan: &'p Plan,
    progress: &'r Progress,
) -> impl Iterator<Item = (&'p str, &'p [Edit], &'r NodeProgress)> {
    plan.nodes.iter().filter_map(|it| {
        let state = progress.node(&it.node).filter(|it| stands(it))?;
        state
            .edited
            .then_some((it.node.as_str(), it.edits.as_slice(), state))
    })
}

/// Whether anything that was done on a node is there still. One that refused has taken it back.
fn stands(node: &NodeProgress) -> bool {
    is_undoable(node) && !matches!(node.end, Some(End::Refused(_)))
}

/// Whether an edit was made, or may have been.
fn is_written(node: &NodeProgress, number: usize) -> bool {
    node.doing.is_some() || node.wrote.contains(&number)
}

/// The nodes, folded, that a later run has let some of these keys in on, or has given one of them to.
fn lets_in(plan: &Plan, progress: &Progress, keys: &HashSet<&str>) -> Option<String> {
    if keys.is_empty() {
        return None;
    }
    let lists = |edit: &Edit| {
        let FileState::File { text, .. } = &edit.after else {
            return false;
        };
        text.0.iter().any(|piece| {
            let Piece::Bytes(bytes) = piece else {
                return false;
            };
            let mut words = bytes.0.split(u8::is_ascii_whitespace);
            words.any(|word| std::str::from_utf8(word).is_ok_and(|word| keys.contains(word)))
        })
    };
    let files = written(plan, progress).filter(|(_, edits, state)| {
        let edits = edits.iter().enumerate();
        edits
            .filter(|(number, _)| is_written(state, *number))
            .any(|(_, edit)| lists(edit))
    });
    let copies = plan.copies.iter().filter(|copy| match &copy.of {
        KeySource::Existing { public, .. } => {
            blob(public).is_some_and(|public| keys.contains(public))
        }
        KeySource::New(_) => false,
    });
    let nodes: BTreeSet<&str> = files
        .map(|(node, ..)| node)
        .chain(copies.map(|it| it.node.as_str()))
        .collect();
    (!nodes.is_empty()).then(|| fold(nodes))
}
