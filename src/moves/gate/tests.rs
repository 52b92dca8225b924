use std::collections::{BTreeSet, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::fixtures::server;
use super::*;
use crate::domain::{
    Depth, HostName, Lane, MoveKind, NodeId, NotNeeded, Pair, Reason, ServerId, Verdict, Why,
};
use crate::moves::{ImageState, MoveRequest, Needs, RequestError, Storage, needs};
use crate::openstack::Microversion;
use crate::openstack::compute::{ComputeService, Hypervisor};

const MAX_AGE: SignedDuration = SignedDuration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_000_000 + second).unwrap()
}

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

fn pair() -> Pair {
    Pair {
        source: NodeId(0),
        destination: NodeId(1),
    }
}

fn wanted(kind: MoveKind) -> Wanted {
    Wanted {
        server: server(1, "cmp001").id,
        kind,
        source: host("cmp001"),
        destination: host("cmp002"),
        pair: pair(),
    }
}

fn proof(lane: Lane, verdict: Verdict, second: i64) -> LegProof {
    LegProof {
        pair: pair(),
        lane,
        verdict,
        depth: Depth::Copy,
        dialled: Some("10.0.0.2".to_owned()),
        at: at(second),
    }
}

fn cold() -> Needs {
    needs(
        MoveKind::Cold,
        Storage::Host,
        ImageState::Unknown,
        false,
        Microversion(100),
    )
}

fn decide(proofs: &[LegProof], reported: &Reported, now: i64) -> Result<Pass, Vec<Closed>> {
    pass(
        wanted(MoveKind::Cold),
        &cold(),
        proofs,
        reported,
        MAX_AGE,
        at(now),
        None,
    )
}

#[test]
fn a_pass_needs_a_fresh_proof_of_every_leg() {
    let good = |lane| proof(lane, Verdict::Verified, 0);
    let (push, pull) = (good(Lane::ColdPush), good(Lane::ColdPull));
    let none = Reported::default();
    let opened = decide(&[push.clone(), pull.clone()], &none, 60).unwrap();
    assert_eq!(opened.until(), at(60));
    let with = |change: &dyn Fn(&mut LegProof)| {
        let mut other = pull.clone();
        change(&mut other);
        decide(&[push.clone(), other], &none, 10).unwrap_err()
    };
    assert_eq!(
        decide(std::slice::from_ref(&push), &none, 10),
        Err(vec![Closed::NotProven(Lane::ColdPull)])
    );
    for verdict in [
        Verdict::Broken(Reason::HostKeyUnknown),
        Verdict::Unproven(Why::Throttled),
        Verdict::Unproven(Why::PredictedOnly),
    ] {
        assert_eq!(
            with(&|it| it.verdict = verdict),
            [Closed::Leg(Lane::ColdPull, verdict)]
        );
    }
    assert_eq!(
        with(&|it| it.depth = Depth::Login),
        [Closed::TooShallow(Lane::ColdPull)]
    );
    assert_eq!(
        with(&|it| it.at = at(-51)),
        [Closed::TooOld {
            lane: Lane::ColdPull,
            age: 61,
            bound: 60
        }]
    );
    // A clock that was set back does not make a proof younger.
    assert_eq!(
        with(&|it| it.at = at(100)),
        [Closed::TooOld {
            lane: Lane::ColdPull,
            age: -90,
            bound: 60
        }]
    );
    assert_eq!(
        with(&|it| it.pair.destination = NodeId(2)),
        [Closed::OtherPair(Lane::ColdPull)]
    );
    // A lane that this deployment does not use stands in nobody's way.
    let unused = proof(
        Lane::ColdPull,
        Verdict::NotNeeded(NotNeeded::LaneOff),
        -1_000,
    );
    assert!(decide(&[push, unused], &none, 10).is_ok());
}

#[test]
fn the_oldest_leg_says_until_when_a_pass_is_good_and_a_stale_one_requests_nothing() {
    let proofs = [
        proof(Lane::ColdPush, Verdict::Verified, 0),
        proof(Lane::ColdPull, Verdict::Verified, 20),
    ];
    let open = || decide(&proofs, &Reported::default(), 30).unwrap();
    assert_eq!(open().until(), at(60));
    assert!(MoveRequest::new(open(), at(60)).is_ok());
    assert_eq!(
        MoveRequest::new(open(), at(61)).unwrap_err(),
        RequestError::Stale(at(60))
    );
}

#[test]
fn nova_must_report_the_address_that_was_proven() {
    let proofs = [
        proof(Lane::ColdPush, Verdict::Verified, 0),
        proof(Lane::ColdPull, Verdict::Verified, 0),
    ];
    let some = |text: &str| Some(text.to_owned());
    for (dest_host, host_ip, my_ip, open) in [
        (None, None, None, true),
        (some("10.0.0.2"), None, None, true),
        (some("10.0.0.9"), None, None, false),
        (None, some("10.0.0.2"), None, true),
        (None, some("10.0.0.9"), None, false),
        // migration_inbound_addr is another address than my_ip: what was dialled is right.
        (None, some("192.0.2.7"), some("192.0.2.7"), true),
        (None, some("192.0.2.8"), some("192.0.2.7"), false),
        // The row is what Nova really did; it says more than the hypervisor.
        (some("10.0.0.2"), some("192.0.2.8"), None, true),
        (some("10.0.0.9"), some("10.0.0.2"), None, false),
        (some("::ffff:10.0.0.2"), None, None, false),
    ] {
        let reported = Reported {
            dest_host,
            host_ip,
            my_ip,
        };
        assert_eq!(decide(&proofs, &reported, 1).is_ok(), open, "{reported:?}");
    }
}

#[test]
fn a_live_move_goes_to_the_node_that_was_proven() {
    let needs = needs(
        MoveKind::Live,
        Storage::Host,
        ImageState::Present,
        false,
        Microversion(100),
    );
    let some = |text: &str| Some(text.to_owned());
    for (host_ip, my_ip, open) in [
        (None, None, true),
        (some("192.0.2.7"), None, true),
        (None, some("192.0.2.7"), true),
        (some("192.0.2.7"), some("192.0.2.7"), true),
        (some("2001:db8::7"), some("2001:DB8:0::7"), true),
        // Not what is dialled, and no less another node than the one that was proven.
        (some("192.0.2.8"), some("192.0.2.7"), false),
    ] {
        let reported = Reported {
            // Of an earlier cold move: what a live one dials is another address.
            dest_host: some("10.0.0.9"),
            host_ip,
            my_ip,
        };
        let decided = pass(
            wanted(MoveKind::Live),
            &needs,
            &[proof(Lane::Live, Verdict::Verified, 0)],
            &reported,
            MAX_AGE,
            at(1),
            None,
        );
        assert_eq!(decided.is_ok(), open, "{reported:?}");
    }
}

#[test]
fn an_operator_may_override_one_move_with_a_reason_but_never_a_shared_address() {
    assert!(Override::new("  ").is_err());
    let broken = |reason| {
        [
            proof(Lane::ColdPush, Verdict::Broken(reason), 0),
            proof(Lane::ColdPull, Verdict::Verified, 0),
        ]
    };
    let over = |proofs: &[LegProof]| {
        let reason = Override::new("fire in the room").unwrap();
        pass(
            wanted(MoveKind::Cold),
            &cold(),
            proofs,
            &Reported::default(),
            MAX_AGE,
            at(1),
            Some(reason),
        )
    };
    let pass = over(&broken(Reason::HostKeyUnknown)).unwrap();
    assert_eq!(pass.overridden(), Some("fire in the room"));
    assert!(over(&broken(Reason::SharedAddress)).is_err());
    // Nothing was overridden where nothing was closed.
    let fine = [
        proof(Lane::ColdPush, Verdict::Verified, 0),
        proof(Lane::ColdPull, Verdict::Verified, 0),
    ];
    assert_eq!(over(&fine).unwrap().overridden(), None);
}

#[test]
fn a_request_names_its_destination_in_novas_words() {
    let body = |kind, lanes: &[Lane]| {
        let proofs: Vec<_> = lanes
            .iter()
            .map(|&lane| proof(lane, Verdict::Verified, 0))
            .collect();
        let needs = needs(
            kind,
            Storage::Host,
            ImageState::Present,
            false,
            Microversion(100),
        );
        let pass = pass(
            wanted(kind),
            &needs,
            &proofs,
            &Reported::default(),
            MAX_AGE,
            at(1),
            None,
        )
        .unwrap();
        let call = MoveRequest::new(pass, at(2)).unwrap().into_call();
        (call.path, call.body.unwrap().to_string())
    };
    let path = format!("/servers/{}/action", server(1, "x").id);
    assert_eq!(
        body(MoveKind::Cold, &[Lane::ColdPush]),
        (path.clone(), r#"{"migrate":{"host":"cmp002"}}"#.to_owned())
    );
    assert_eq!(
        body(MoveKind::Live, &[Lane::Live]),
        (
            path,
            r#"{"os-migrateLive":{"block_migration":"auto","host":"cmp002"}}"#.to_owned()
        )
    );
}

#[test]
fn a_resize_needs_a_pass_for_every_host_that_nova_could_choose() {
    let id: ServerId = server(1, "x").id;
    let pass_to = |name: &str| {
        let mut wanted = wanted(MoveKind::Resize);
        wanted.destination = host(name);
        let proofs = [
            proof(Lane::ColdPush, Verdict::Verified, 0),
            proof(Lane::ColdPull, Verdict::Verified, 0),
        ];
        pass(
            wanted,
            &cold(),
            &proofs,
            &Reported::default(),
            MAX_AGE,
            at(1),
            None,
        )
        .unwrap()
    };
    let eligible: BTreeSet<HostName> = ["cmp002", "cmp003"].map(host).into();
    let refused = MoveRequest::resize(&id, "f2", &eligible, vec![pass_to("cmp002")], at(2));
    assert_eq!(
        refused.unwrap_err(),
        RequestError::Unproven(vec![host("cmp003")])
    );
    assert!(MoveRequest::resize(&id, "f2", &BTreeSet::new(), Vec::new(), at(2)).is_err());
    let passes = vec![pass_to("cmp002"), pass_to("cmp003")];
    let request = MoveRequest::resize(&id, "f2", &eligible, passes, at(2)).unwrap();
    assert_eq!(
        request.into_call().body.unwrap().to_string(),
        r#"{"resize":{"flavorRef":"f2"}}"#
    );
}

#[test]
fn destinations_are_sorted_by_room_and_every_other_host_says_why_not() {
    let service = |name: &str, change: fn(&mut ComputeService)| {
        let mut service = ComputeService {
            id: String::new(),
            host: host(name),
            zone: "nova".to_owned(),
            enabled: true,
            disabled_reason: None,
            up: true,
            forced_down: false,
        };
        change(&mut service);
        service
    };
    let hypervisor = |name: &str, free| Hypervisor {
        id: String::new(),
        host: host(name),
        name: name.to_owned(),
        host_ip: None,
        free_ram_mib: free,
        servers: 2,
    };
    let names = [
        "src", "small", "big", "off", "down", "forced", "zone", "drained", "tried", "full",
        "scope", "over",
    ];
    let mut nodes: HashMap<HostName, NodeId> = HashMap::new();
    for (id, name) in (0..).zip(names) {
        nodes.insert(host(name), NodeId(id));
    }
    let cloud = Cloud {
        services: vec![
            service("src", |_| {}),
            service("small", |_| {}),
            service("big", |_| {}),
            service("stranger", |_| {}),
            service("claimed", |_| {}),
            service("off", |it| it.enabled = false),
            service("down", |it| it.up = false),
            service("forced", |it| it.forced_down = true),
            service("zone", |it| it.zone = "other".to_owned()),
            service("drained", |_| {}),
            service("tried", |_| {}),
            service("full", |_| {}),
            service("scope", |_| {}),
            service("over", |_| {}),
        ],
        hypervisors: vec![
            hypervisor("small", 100),
            hypervisor("big", 1_000),
            hypervisor("full", 100),
            hypervisor("over", -500),
        ],
        claims: Vec::new(),
        matched: Matched {
            nodes,
            doubtful: HashMap::from([(host("claimed"), "a and b".to_owned())]),
        },
        draining: [host("drained"), host("src")].into(),
        out_of_scope: [(host("src"), host("scope"))].into(),
    };
    let mut it = server(1, "src");
    it.pinned_zone = Some("nova".to_owned());
    let coming = HashMap::from([(host("full"), 64)]);
    let (open, excluded) = candidates(&cloud, &it, &BTreeSet::new(), &[host("tried")], &coming);
    let open: Vec<String> = open.iter().map(ToString::to_string).collect();
    assert_eq!(
        open,
        [
            "big (1000 MiB free, 2 servers)",
            "small (100 MiB free, 2 servers)",
            "over (-500 MiB free, 2 servers)"
        ]
    );
    let excluded: HashMap<&str, Excluded> = excluded
        .iter()
        .map(|(host, why)| (host.as_str(), why.clone()))
        .collect();
    for (name, why) in [
        ("src", Excluded::Source),
        ("stranger", Excluded::NotInInventory),
        ("claimed", Excluded::Doubtful("a and b".to_owned())),
        ("off", Excluded::Disabled),
        ("down", Excluded::Down),
        ("forced", Excluded::Down),
        ("zone", Excluded::OtherZone),
        ("drained", Excluded::Draining),
        ("tried", Excluded::Tried),
        ("full", Excluded::NoRoom),
        ("scope", Excluded::OutOfScope),
    ] {
        assert_eq!(excluded.get(name), Some(&why), "{name}");
    }
    let only: BTreeSet<HostName> = [host("small"), host("stranger")].into();
    let (open, _) = candidates(&cloud, &it, &only, &[], &HashMap::new());
    assert_eq!(open.len(), 1);
}

#[test]
fn nova_could_choose_every_host_that_is_up_enabled_and_in_the_zone_known_or_not() {
    let service = |name: &str, zone: &str, enabled, up| ComputeService {
        id: name.to_owned(),
        host: host(name),
        zone: zone.to_owned(),
        enabled,
        up,
        forced_down: false,
        disabled_reason: None,
    };
    let cloud = Cloud {
        services: vec![
            service("cmp001", "nova", true, true),
            service("cmp002", "nova", true, true),
            service("stranger", "nova", true, true),
            service("disabled", "nova", false, true),
            service("down", "nova", true, false),
            service("elsewhere", "az2", true, true),
        ],
        matched: Matched {
            nodes: HashMap::from([(host("cmp001"), NodeId(0)), (host("cmp002"), NodeId(1))]),
            doubtful: HashMap::new(),
        },
        ..Cloud::default()
    };
    let names = |server: &crate::openstack::compute::Server| {
        let hosts = eligible(&cloud, server);
        hosts.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut it = server(1, "cmp001");
    it.pinned_zone = None;
    assert_eq!(names(&it), ["cmp002", "elsewhere", "stranger"]);
    it.pinned_zone = Some("nova".to_owned());
    assert_eq!(names(&it), ["cmp002", "stranger"]);
}
