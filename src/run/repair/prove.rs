//! The second half of a repair: what was changed is proven, and what made a working leg fail is put back.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::carry::Carrier;
use super::outcome::{carried_out, exit_code};
use super::prepare::finished;
use crate::domain::{Fleet, LegId, NodeId, Verdict};
use crate::ledger::WorkedLegs;
use crate::repair::{self, End, Policy, Progress, Record, Seen, Situation};
use crate::report::Report;
use crate::run::RunError;
use crate::run::examine::{Again, Beginning, Tried, examine};
use crate::run::request::{Request, Surroundings};
use crate::run::survey::{Surveyed, survey_again};

/// What is known of the fleet while a plan is carried out.
pub(super) struct Looked {
    pub(super) request: Request,
    pub(super) around: Surroundings,
    pub(super) beginning: Beginning,
    pub(super) surveyed: Surveyed,
    /// What was tried before; `None` when that is not known any more.
    pub(super) tried: Option<Tried>,
    pub(super) worked: WorkedLegs,
    pub(super) policy: Option<Policy>,
    /// Whether there are certificates to put on nodes once this is done.
    pub(super) certificates_wait: bool,
    /// Whether the last look at the nodes would lead to another plan.
    pub(super) more: bool,
    pub(super) report: Report,
}

/// A leg that was verified and is not any more.
struct LostLeg {
    id: LegId,
    verdict: Option<Verdict>,
}

impl Looked {
    /// Carries out, proves, keeps or puts back, and reports.
    pub(super) async fn carry(mut self, carrier: &Arc<Carrier>) -> Result<Report, RunError> {
        carrier.carry_out().await?;
        if !self.around.cancel.is_cancelled() {
            self.prove_and_keep(carrier).await?;
        }
        let interrupted = self.around.cancel.is_cancelled();
        if !interrupted {
            carrier.journal.close().await?;
        }
        let progress = carrier.journal.progress().await;
        let mut repair = carried_out(&carrier.plan, &self.request.fleet, &progress);
        // Where a node is as it was, the same would be planned again.
        repair.more = self.more && repair.nodes.iter().all(|node| node.outcome == "kept");
        self.report.interrupted |= interrupted;
        if interrupted {
            self.report.summary.exit_code = crate::report::exit::INTERRUPTED;
        }
        self.report.summary.exit_code = exit_code(&self.report.summary, &repair);
        self.report.repair = Some(repair);
        carrier.events.event(&finished(&self.report));
        Ok(self.report)
    }

    async fn prove_and_keep(&mut self, carrier: &Arc<Carrier>) -> Result<(), RunError> {
        let mut changed = carrier.changed().await;
        let worked = legs(&self.worked, &self.request.fleet);
        carrier.journal.record(&Record::Proving).await?;
        let mut put_back: HashSet<NodeId> = HashSet::new();
        loop {
            let mut lost = self.prove(carrier, &changed, &worked).await?;
            // What nobody could tell is tried once more before it counts.
            let doubtful: HashSet<NodeId> = lost
                .iter()
                .filter(|leg| !matches!(leg.verdict, Some(Verdict::Broken(_))))
                .flat_map(|leg| [leg.id.client, leg.id.server])
                .collect();
            if !doubtful.is_empty() && !self.around.cancel.is_cancelled() {
                lost = self.prove(carrier, &doubtful, &worked).await?;
            }
            if self.around.cancel.is_cancelled() {
                return Ok(());
            }
            let progress = carrier.journal.progress().await;
            let fleet = self.request.fleet.clone();
            let is_open = |id: NodeId| {
                let node = progress.node(fleet.node(id).name.as_str());
                let open = node.is_some_and(|node| {
                    node.end.is_none() && (node.edited || !node.done.is_empty())
                });
                open && !put_back.contains(&id)
            };
            let mut guilty: HashMap<NodeId, Option<String>> = HashMap::new();
            for leg in &lost {
                for end in [leg.id.client, leg.id.server] {
                    if is_open(end) {
                        guilty.entry(end).or_insert_with(|| Some(leg.words(&fleet)));
                    }
                }
            }
            if guilty.is_empty() {
                break;
            }
            carrier.put_back(&guilty).await?;
            changed = guilty.into_keys().collect();
            put_back.extend(&changed);
            if self.around.cancel.is_cancelled() {
                return Ok(());
            }
        }
        let progress = carrier.journal.progress().await;
        for (name, node) in progress.nodes() {
            if node.end.is_none() && node.doing.is_none() {
                let node = name.to_owned();
                carrier.journal.record(&Record::Kept { node }).await?;
            }
        }
        Ok(())
    }

    /// Looks at nodes again and proves their legs. The legs that worked before and do not now.
    async fn prove(
        &mut self,
        carrier: &Carrier,
        nodes: &HashSet<NodeId>,
        worked: &HashSet<LegId>,
    ) -> Result<Vec<LostLeg>, RunError> {
        self.surveyed.connections = carrier.hands.connections();
        survey_again(&self.request, &mut self.surveyed, nodes, &carrier.events).await;
        let before = self.tried.take();
        let before = before.map(|tried| (tried, Again::Touching(nodes)));
        let policy = self.policy.as_ref();
        let then = |situation: &Situation<'_>| {
            let plans_more = |policy| {
                let next = repair::plan(situation, policy);
                Progress::new(&next).nodes().next().is_some()
            };
            let more = self.certificates_wait || policy.is_some_and(plans_more);
            (lost(worked, situation.seen), more)
        };
        let examined = examine(
            &self.request,
            &self.around,
            &self.surveyed,
            &carrier.events,
            &self.beginning,
            before,
            then,
        )
        .await?;
        self.tried = Some(examined.tried);
        self.report = examined.report;
        let (lost, more) = examined.made;
        self.more = more;
        Ok(lost)
    }
}

fn lost(worked: &HashSet<LegId>, seen: &HashMap<LegId, Seen>) -> Vec<LostLeg> {
    worked
        .iter()
        .filter_map(|&id| {
            let verdict = seen.get(&id).map(|seen| seen.verdict);
            (verdict != Some(Verdict::Verified)).then_some(LostLeg { id, verdict })
        })
        .collect()
}

impl LostLeg {
    fn words(&self, fleet: &Fleet) -> String {
        let name = |id| fleet.node(id).name.as_str();
        let how = match self.verdict.and_then(Verdict::code) {
            Some(code) => format!(" ({code})"),
            None => String::new(),
        };
        format!(
            "{} from {} to {} worked before and does not any more{how}",
            self.id.lane,
            name(self.id.client),
            name(self.id.server)
        )
    }
}

fn legs(worked: &WorkedLegs, fleet: &Fleet) -> HashSet<LegId> {
    let mut legs = HashSet::new();
    for (lane, client, servers) in worked {
        let Some(client) = fleet.find(client) else {
            continue;
        };
        for server in servers.iter().filter_map(|it| fleet.find(it)) {
            legs.insert(LegId {
                lane: *lane,
                client,
                server,
            });
        }
    }
    legs
}

/// Whether what a node has done can be put back.
pub(super) fn is_undoable(node: &crate::repair::NodeProgress) -> bool {
    let touched = node.edited || !node.done.is_empty() || node.doing.is_some();
    let is_open = matches!(node.end, Some(End::Lost(_) | End::Stuck(_)));
    (touched || is_open) && !matches!(node.end, Some(End::Undone(_) | End::Forgotten))
}
