//! What check says of a pair is what Nova's moves across it come to.

use std::collections::BTreeMap;
use std::time::Instant;

use clearway::domain::Lane;
use clearway::report::Report;
use clearway_lab::{Cure, Fault};
use serde_json::json;

use crate::ground::{Ground, NODES};
use crate::moving::{Kind, Outcome};

/// Some hit cold moves only, some live ones only, some both; one pair, one source, or one destination.
const FAULTS: &[&str] = &[
    // Cold: from one source to another node or to all, or from all to one.
    "host-key-stale",
    "known-hosts-without-addresses",
    "identity-missing",
    "sftp-subsystem-missing",
    // Live: from one source to another node or to all.
    "host-key-stale-for-root",
    "key-of-root-not-authorized",
    "known-hosts-of-root-missing",
    // Both: from all to one.
    "authorized-keys-missing",
    "account-shell-false",
    // The last one: the control connection knows the new keys from then on.
    "host-key-changed-by-reinstallation",
];

/// An ordered pair of nodes, by number.
type Pair = (usize, usize);

fn pairs() -> impl Iterator<Item = Pair> {
    (1..=NODES)
        .flat_map(|from| (1..=NODES).map(move |to| (from, to)))
        .filter(|(from, to)| from != to)
}

fn host(number: usize) -> String {
    format!("node{number}.lab")
}

pub(crate) fn holds(ground: &Ground) {
    let mut servers = BTreeMap::new();
    let healthy = compare(ground, "healthy", &mut servers);
    assert!(
        healthy.values().all(|outcome| *outcome == Outcome::Arrived),
        "{healthy:?}"
    );
    for id in FAULTS {
        let fault = Fault::find(id).unwrap();
        ground.restore_trust();
        ground.lab().plant(&fault).unwrap();
        let found = compare(ground, id, &mut servers);
        let failed = found.values().filter(|it| **it == Outcome::Failed).count();
        assert!(
            failed > 0 && failed < found.len(),
            "{id}: a fault breaks something, and not all: {found:?}"
        );
        mend(ground, &fault);
    }
}

/// Lets check say what will become of every move, lets Nova make them, and compares.
fn compare(
    ground: &Ground,
    what: &str,
    servers: &mut BTreeMap<Pair, String>,
) -> BTreeMap<(Kind, Pair), Outcome> {
    let started = Instant::now();
    place(ground, servers);
    let checked = ground.clearway(&["check", "--format", "json"]).checked();
    let said: BTreeMap<_, _> = [Kind::Cold, Kind::Live]
        .into_iter()
        .flat_map(|kind| pairs().map(move |pair| (kind, pair)))
        .map(|(kind, pair)| ((kind, pair), verdict(&checked, kind, pair)))
        .collect();

    let mut came = BTreeMap::new();
    for kind in [Kind::Cold, Kind::Live] {
        let destinations: Vec<_> = pairs()
            .map(|pair| (servers[&pair].clone(), host(pair.1)))
            .collect();
        let moves = destinations
            .iter()
            .map(|(id, to)| (id.as_str(), to.as_str()));
        let outcomes = ground.move_all(kind, moves);
        for pair in pairs() {
            came.insert((kind, pair), outcomes[&servers[&pair]]);
        }
        if kind == Kind::Cold {
            bring_back(ground, servers, &outcomes);
        }
    }
    assert_eq!(said, came, "{what}: what check said, and what came of it");
    let arrived = came.values().filter(|it| **it == Outcome::Arrived).count();
    eprintln!(
        "{what}: {arrived} of {} moves have arrived, those of which check had said so ({:.0} s)",
        came.len(),
        started.elapsed().as_secs_f32()
    );
    came
}

/// What a check says of a move. Its image is in Glance, so a cold one needs the push and not the pull.
fn verdict(report: &Report, kind: Kind, pair: Pair) -> Outcome {
    let lane = match kind {
        Kind::Cold => Lane::ColdPush,
        Kind::Live => Lane::Live,
    };
    let (from, to) = (format!("node{}", pair.0), format!("node{}", pair.1));
    let leg = report
        .legs
        .iter()
        .find(|leg| leg.lane == lane && leg.source == from && leg.destination == to)
        .unwrap_or_else(|| panic!("no leg for {lane} from {from} to {to}"));
    match leg.verdict.as_str() {
        "verified" => Outcome::Arrived,
        "broken" => Outcome::Failed,
        other => panic!("{lane} from {from} to {to} is {other}: {leg:?}"),
    }
}

/// Gives each pair a server that runs at its source: one that is there already, or a new one.
fn place(ground: &Ground, servers: &mut BTreeMap<Pair, String>) {
    let mut at_hand: Vec<_> = std::mem::take(servers)
        .into_values()
        .map(|id| (ground.whereabouts(&id), id))
        .collect();
    for pair in pairs() {
        let wanted = ("ACTIVE".to_owned(), host(pair.0));
        let id = match at_hand.iter().position(|(is, _)| *is == wanted) {
            Some(index) => at_hand.swap_remove(index).1,
            None => ground.ask_for_server(&format!("on-node{}", pair.0), &host(pair.0)),
        };
        servers.insert(pair, id);
    }
    for (_, id) in at_hand {
        ground.delete(&id);
    }
    for id in servers.values() {
        ground.wait_for(id, "ACTIVE");
    }
}

/// After the cold moves, lets every server run at its source again.
fn bring_back(
    ground: &Ground,
    servers: &mut BTreeMap<Pair, String>,
    outcomes: &BTreeMap<String, Outcome>,
) {
    let arrived = || {
        servers
            .values()
            .filter(|id| outcomes[*id] == Outcome::Arrived)
    };
    for id in arrived() {
        ground.act(id, &json!({"revertResize": null}));
    }
    for id in arrived() {
        ground.wait_for(id, "ACTIVE");
    }
    // Those that are in ERROR, because the copy has failed, make room for others.
    place(ground, servers);
}

/// Undoes a fault: clearway where it can, else by hand. Afterwards all is well.
fn mend(ground: &Ground, fault: &Fault) {
    let repair = match fault.cure {
        Some(Cure::Files) => &["repair", "--yes"][..],
        Some(Cure::Accounts) => &["repair", "--yes", "--accounts"],
        _ => {
            ground.restore_trust();
            &["check"]
        }
    };
    let mended = ground.clearway(repair);
    assert_eq!(mended.code, 0, "{}: {}", fault.id, mended.all());
}
