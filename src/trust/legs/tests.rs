use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::domain::{
    Control, Dial, Fleet, HostKeyTrust, Lane, LaneProfile, LaneUse, LegId, Node, NodeId, NodeName,
    NotNeeded, Predicted, Profile, Reason, Scope, SshdProfile, Transport, Why,
};
use crate::survey::{
    Answer, FileFact, FileState, InstancesFact, NodeFacts, NovaSettings, ServerFacts, Undecided,
};

/// A fleet `cmp0`, `cmp1`, … whose lanes are those of distribution packages.
pub(crate) fn fleet_of(nodes: usize) -> Fleet {
    let lane = |context: &[&str], dial| LaneProfile {
        used: LaneUse::Auto,
        context: context.iter().map(ToString::to_string).collect(),
        dial,
        user: None,
        port: None,
        identity: None,
    };
    let nova = ["runuser", "-u", "nova", "--"];
    let profile = Arc::new(Profile {
        name: "nova".into(),
        repair: Default::default(),
        nova_conf: vec!["/etc/nova/nova.conf".into()],
        nova_context: nova.map(str::to_owned).into(),
        sshd: SshdProfile {
            context: Vec::new(),
            binary: "/usr/sbin/sshd".into(),
            config: "/etc/ssh/sshd_config".into(),
            port: 22,
        },
        cold_push: lane(&nova, Dial::MigrationAddress),
        cold_pull: lane(&nova, Dial::ServiceHost),
        live: lane(&[], Dial::LiveAddress),
    });
    let node = |number| Node {
        name: NodeName::new(&format!("cmp{number}")).expect("a node name"),
        service_host: None,
        migration_address: None,
        live_address: None,
        cell: None,
        groups: Vec::new(),
        control: Control {
            address: format!("cmp{number}"),
            port: 22,
            user: "deploy".into(),
            sudo: true,
            identities: Vec::new(),
            agent: false,
            host_key: HostKeyTrust {
                known_hosts: Vec::new(),
                alias: None,
                pinned: Vec::new(),
            },
            jump: Vec::new(),
        },
        profile: Arc::clone(&profile),
    };
    Fleet {
        nodes: (0..nodes).map(node).collect(),
        groups: Default::default(),
        scope: Scope::All,
    }
}

fn facts_of(number: usize) -> NodeFacts {
    let nothing = || Answer::Failed {
        status: 127,
        stderr: String::new(),
    };
    NodeFacts {
        hostname: format!("cmp{number}"),
        machine_id: Some(format!("machine{number}")),
        os: None,
        clock: 1_700_000_000,
        clock_skew: Some(0),
        addresses: vec![
            IpAddr::from([127, 0, 0, 1]),
            format!("10.0.0.{number}").parse().expect("an address"),
        ],
        listeners: None,
        nova: NovaSettings {
            read: true,
            default_my_ip: Some(format!("10.0.0.{number}")),
            instances_path: "/srv/instances".into(),
            remote_filesystem_transport: "ssh".into(),
            ..NovaSettings::default()
        },
        clients: Vec::new(),
        server: ServerFacts {
            machine_id: Some(format!("sshd's machine{number}")),
            sshd_version: None,
            base_config: nothing(),
            config_files: Vec::new(),
            host_keys: Vec::new(),
            accounts: Vec::new(),
            trust_files: Vec::new(),
            nologin: Vec::new(),
            sftp_server: Some(FileFact {
                path: "/usr/lib/openssh/sftp-server".into(),
                state: FileState::Absent,
            }),
            programs: Vec::new(),
            labels: None,
        },
        instances: InstancesFact {
            path: "/srv/instances".into(),
            meta: None,
            writable: true,
            free_bytes: None,
            free_inodes: None,
            read_only: false,
        },
        gaps: Vec::new(),
    }
}

/// Three nodes, changed as a case wants it.
fn three(change: impl FnOnce(&mut Fleet, &mut Vec<Option<NodeFacts>>)) -> Legs {
    let mut fleet = fleet_of(3);
    let mut facts = (0..3).map(|number| Some(facts_of(number))).collect();
    change(&mut fleet, &mut facts);
    Legs::new(&fleet, &facts)
}

fn with_nova(node: usize, change: impl FnOnce(&mut NovaSettings)) -> Legs {
    three(|_, facts| change(&mut facts[node].as_mut().expect("surveyed").nova))
}

fn id(lane: Lane, client: u32, server: u32) -> LegId {
    LegId {
        lane,
        client: NodeId(client),
        server: NodeId(server),
    }
}

fn dialled(legs: &Legs, lane: Lane) -> String {
    let leg = legs.leg(id(lane, 0, 1)).expect("a leg");
    leg.name.to_string()
}

#[test]
fn cold_moves_dial_the_migration_address_with_its_defaults() {
    assert_eq!(dialled(&three(|_, _| ()), Lane::ColdPush), "10.0.0.1");
    let my_ip = with_nova(1, |nova| nova.my_ip = Some("cmp1-mig".into()));
    assert_eq!(dialled(&my_ip, Lane::ColdPush), "cmp1-mig");
    let inbound = with_nova(1, |nova| {
        nova.my_ip = Some("cmp1-mig".into());
        nova.migration_inbound_addr = Some("cmp1-in".into());
    });
    assert_eq!(dialled(&inbound, Lane::ColdPush), "cmp1-in");
    let stated = three(|fleet, facts| {
        fleet.nodes[1].migration_address = Some("10.0.0.1".into());
        facts[1].as_mut().expect("surveyed").nova.my_ip = Some("cmp1-mig".into());
    });
    // Nova never reads the inventory.
    assert_eq!(dialled(&stated, Lane::ColdPush), "cmp1-mig");
    assert_eq!(
        stated.overruled(NodeId(1), &Dial::MigrationAddress),
        Some("10.0.0.1")
    );
    let unread = three(|fleet, facts| {
        fleet.nodes[1].migration_address = Some("10.0.0.1".into());
        facts[1].as_mut().expect("surveyed").nova.read = false;
    });
    assert_eq!(dialled(&unread, Lane::ColdPush), "10.0.0.1");
    assert_eq!(unread.overruled(NodeId(1), &Dial::MigrationAddress), None);
}

#[test]
fn what_depends_on_how_nova_compute_was_started_is_not_guessed() {
    let undecided = |node, option| {
        with_nova(node, |nova| {
            nova.undecided.push(Undecided {
                option,
                values: "one or other".to_owned(),
            });
        })
    };
    let (push, pull) = (id(Lane::ColdPush, 0, 1), id(Lane::ColdPull, 0, 1));
    for (option, leg, works) in [
        ("[libvirt]migration_inbound_addr", push, pull),
        ("[DEFAULT]host", pull, push),
    ] {
        let legs = undecided(1, option);
        let expected = Some(Predicted::Unknown(Why::AddressUndecided));
        assert_eq!(legs.obstacle(leg), expected, "{option}");
        assert_eq!(legs.obstacle(works), None, "{option}");
    }
    let unknown = Some(Predicted::Unknown(Why::NotPredictable));
    let by_ssh = |option| {
        let legs = undecided(0, option);
        [legs.obstacle(push), legs.obstacle(id(Lane::Live, 0, 1))]
    };
    let tcp = Some(Predicted::NotNeeded(NotNeeded::LiveOverTcp));
    for option in [
        "[libvirt]remote_filesystem_transport",
        "[DEFAULT]instances_path",
    ] {
        assert_eq!(by_ssh(option), [unknown, tcp], "{option}");
    }
    for option in [
        "[libvirt]live_migration_uri",
        "[libvirt]live_migration_scheme",
    ] {
        assert_eq!(by_ssh(option), [None, unknown], "{option}");
    }
}

#[test]
fn images_are_fetched_from_the_service_host() {
    assert_eq!(dialled(&three(|_, _| ()), Lane::ColdPull), "cmp1");
    let host = with_nova(1, |nova| nova.host = Some("cmp1.lab".into()));
    assert_eq!(dialled(&host, Lane::ColdPull), "cmp1.lab");
    let stated = |read| {
        three(|fleet, facts| {
            fleet.nodes[1].service_host = Some("svc1".into());
            facts[1].as_mut().expect("surveyed").nova.read = read;
        })
    };
    assert_eq!(dialled(&stated(true), Lane::ColdPull), "cmp1");
    assert_eq!(dialled(&stated(false), Lane::ColdPull), "svc1");
}

#[test]
fn what_the_inventory_states_hides_nothing_that_nova_conf_announces() {
    let shared = Some(Predicted::Breaks(Reason::SharedAddress));
    for announced in ["10.0.0.2", "127.0.0.1", "10.0.0.99"] {
        let legs = three(|fleet, facts| {
            for (number, node) in fleet.nodes.iter_mut().enumerate() {
                node.migration_address = Some(format!("10.0.0.{number}"));
            }
            facts[1].as_mut().expect("surveyed").nova.my_ip = Some(announced.into());
        });
        let push = id(Lane::ColdPush, 0, 1);
        assert_eq!(legs.obstacle(push), shared, "{announced}");
        let evidence = format!("{:?}", legs.evidence(push));
        assert!(evidence.contains("10.0.0.1`") && evidence.contains(announced));
        assert_eq!(legs.obstacle(id(Lane::ColdPush, 1, 0)), None);
    }
    // One address, written in two ways.
    let same = three(|fleet, facts| {
        fleet.nodes[1].migration_address = Some("10.0.0.1".into());
        facts[1].as_mut().expect("surveyed").nova.my_ip = Some("::ffff:10.0.0.1".into());
    });
    assert_eq!(same.overruled(NodeId(1), &Dial::MigrationAddress), None);
}

#[test]
fn an_option_that_cannot_be_worked_out_is_named() {
    let problem = "[DEFAULT]my_ip: refers to `$mgmt_ip`, which no file sets (/etc/nova/nova.conf)";
    let legs = with_nova(1, |nova| {
        nova.default_my_ip = None;
        nova.problems = vec![
            problem.to_owned(),
            "[libvirt]migration_inbound_addr: refers to `$mgmt_ip`, which no file sets".to_owned(),
        ];
    });
    let push = id(Lane::ColdPush, 0, 1);
    assert_eq!(
        legs.obstacle(push),
        Some(Predicted::Breaks(Reason::AddressUnknown))
    );
    assert!(format!("{:?}", legs.evidence(push)).contains(problem));
}

#[test]
fn a_leg_has_the_clients_words_and_the_servers_identity() {
    let legs = with_nova(0, |nova| {
        nova.remote_filesystem_transport = "rsync".into();
        nova.instances_path = "/data".into();
    });
    let leg = legs.leg(id(Lane::ColdPush, 0, 1)).expect("a leg");
    assert_eq!(leg.transport, Transport::Rsync);
    assert_eq!(&*leg.directory, "/data");
    assert_eq!(leg.machine_id.as_deref(), Some("sshd's machine1"));
    assert_eq!(leg.context[0], "runuser");
    assert_eq!((leg.user, leg.port), (None, None));
    let back = legs.leg(id(Lane::ColdPush, 1, 0)).expect("a leg");
    assert_eq!(back.transport, Transport::Scp);
}

#[test]
fn live_legs_exist_only_over_ssh() {
    let obstacle =
        |change: fn(&mut NovaSettings)| with_nova(0, change).obstacle(id(Lane::Live, 0, 1));
    let unneeded = |why| Some(Predicted::NotNeeded(why));
    assert_eq!(obstacle(|_| ()), unneeded(NotNeeded::LiveOverTcp));
    assert_eq!(
        obstacle(|nova| nova.live_migration_scheme = Some("tls".into())),
        unneeded(NotNeeded::LiveOverTls)
    );
    assert_eq!(
        obstacle(|nova| nova.live_migration_scheme = Some("ssh".into())),
        None
    );
    assert_eq!(
        obstacle(|nova| nova.live_migration_uri = Some("qemu+libssh2://%s/system".into())),
        Some(Predicted::Unknown(Why::NotPredictable))
    );
    assert_eq!(
        obstacle(|nova| nova.read = false),
        Some(Predicted::Unknown(Why::NotPredictable))
    );

    let uri = "qemu+ssh://nova@%s:2222/system?no_verify=1&keyfile=/k";
    let legs = with_nova(0, |nova| nova.live_migration_uri = Some(uri.into()));
    let leg = legs.leg(id(Lane::Live, 0, 1)).expect("a leg");
    assert_eq!(&*leg.name, "cmp1");
    assert_eq!(leg.user.as_deref(), Some("nova"));
    assert_eq!(leg.port, Some(2222));
    assert_eq!(leg.identity.as_deref(), Some("/k"));
    assert_eq!(*leg.options, ["StrictHostKeyChecking=no"]);
    assert_eq!(leg.transport, Transport::Libvirt);
    // The other nodes still say tcp: the URI of the node that dials decides.
    assert!(legs.leg(id(Lane::Live, 1, 0)).is_none());
}

#[test]
fn live_legs_dial_the_inbound_address_before_the_service_host() {
    let legs = three(|_, facts| {
        for facts in facts.iter_mut().flatten() {
            facts.nova.live_migration_scheme = Some("ssh".into());
        }
        let nova = &mut facts[1].as_mut().expect("surveyed").nova;
        nova.live_migration_inbound_addr = Some("10.1.0.1".into());
    });
    assert_eq!(dialled(&legs, Lane::Live), "10.1.0.1");
    let to_two = legs.leg(id(Lane::Live, 0, 2)).expect("a leg");
    assert_eq!(&*to_two.name, "cmp2");
    let around = with_nova(0, |nova| {
        nova.live_migration_uri = Some("qemu+ssh://%s.mig/system".into());
    });
    assert_eq!(dialled(&around, Lane::Live), "cmp1.mig");
}

#[test]
fn a_transport_that_nova_does_not_know_leaves_cold_lanes_unproven() {
    let legs = with_nova(0, |nova| nova.remote_filesystem_transport = "http".into());
    for lane in [Lane::ColdPush, Lane::ColdPull] {
        let unknown = Predicted::Unknown(Why::NotPredictable);
        assert_eq!(legs.obstacle(id(lane, 0, 1)), Some(unknown));
        assert_eq!(legs.obstacle(id(lane, 1, 0)), None);
    }
}

#[test]
fn the_profile_can_turn_a_lane_off_or_on() {
    let with_use = |used| {
        three(|fleet, _| {
            let mut profile = (*fleet.nodes[0].profile).clone();
            profile.live.used = used;
            profile.live.user = Some("nova".into());
            fleet.nodes[0].profile = Arc::new(profile);
        })
    };
    let live = id(Lane::Live, 0, 1);
    assert_eq!(
        with_use(LaneUse::No).obstacle(live),
        Some(Predicted::NotNeeded(NotNeeded::LaneOff))
    );
    let leg = with_use(LaneUse::Yes).leg(live).expect("a leg");
    assert_eq!(leg.user.as_deref(), Some("nova"));
}

#[test]
fn an_address_that_is_not_the_nodes_alone_is_refused_before_any_probe() {
    let shared = Some(Predicted::Breaks(Reason::SharedAddress));
    let push = |legs: &Legs, server| legs.obstacle(id(Lane::ColdPush, 0, server));

    let twice = with_nova(1, |nova| nova.my_ip = Some("10.0.0.2".into()));
    let sharing = twice.sharing(NodeId(1)).expect("shared");
    assert_eq!(sharing.announced_by, [NodeId(2)]);
    assert!(sharing.not_owned);
    assert_eq!(sharing.on_interface_of, [NodeId(2)]);
    assert_eq!(push(&twice, 1), shared);
    // The far end still can be dialled by its service host name, and the third node is well.
    assert_eq!(twice.obstacle(id(Lane::ColdPull, 0, 1)), None);
    assert_eq!(twice.obstacle(id(Lane::ColdPush, 1, 0)), None);

    for loopback in ["127.0.1.1", "localhost", "::1", "0.0.0.0"] {
        let legs = with_nova(1, |nova| nova.my_ip = Some(loopback.into()));
        assert_eq!(push(&legs, 1), shared, "{loopback}");
        assert!(legs.sharing(NodeId(1)).expect("shared").loopback);
        assert!(legs.leg(id(Lane::ColdPush, 0, 1)).is_none());
        assert!(!legs.evidence(id(Lane::ColdPush, 0, 1)).is_empty());
    }
    let unowned = with_nova(1, |nova| nova.my_ip = Some("10.0.0.77".into()));
    assert_eq!(push(&unowned, 1), shared);
    let unknown = three(|_, facts| {
        let facts = facts[1].as_mut().expect("surveyed");
        facts.nova.my_ip = Some("10.0.0.77".into());
        facts.addresses.clear();
    });
    assert_eq!(push(&unknown, 1), None);
}

#[test]
fn a_node_that_claims_anothers_address_harms_only_itself_where_it_is_certain_whose_it_is() {
    let shared = Some(Predicted::Breaks(Reason::SharedAddress));
    let push = |legs: &Legs, client, server| legs.obstacle(id(Lane::ColdPush, client, server));
    // Nodes 1 and 2 announce 10.0.0.2, which is on an interface of node 2; node 0 has no part in it.
    let all = |legs: &Legs| {
        [(0, 1), (2, 1), (0, 2), (1, 2), (1, 0), (2, 0)].map(|(from, to)| push(legs, from, to))
    };
    let both = [shared, shared, shared, shared, None, None];
    let only_the_claimant = [shared, shared, None, shared, None, None];

    fn claim(facts: &mut [Option<NodeFacts>]) -> &mut NodeFacts {
        let facts = facts[1].as_mut().expect("surveyed");
        facts.nova.my_ip = Some("10.0.0.2".into());
        facts
    }
    let take = |facts: &mut NodeFacts| {
        let address = "10.0.0.2".parse().expect("an address");
        facts.addresses.push(address);
    };
    let on_one_interface = three(|_, facts| {
        claim(facts);
    });
    assert_eq!(all(&on_one_interface), only_the_claimant);
    let sharing = on_one_interface.sharing(NodeId(2)).expect("claimed");
    assert_eq!(sharing.owner, Some(NodeId(2)));
    assert!(
        !on_one_interface
            .evidence(id(Lane::ColdPush, 1, 2))
            .is_empty()
    );

    let on_two_interfaces = three(|_, facts| take(claim(facts)));
    assert_eq!(all(&on_two_interfaces), both);
    // A third node that has it, a virtual address perhaps.
    let on_a_third = three(|_, facts| {
        claim(facts);
        take(facts[0].as_mut().expect("surveyed"));
    });
    assert_eq!(all(&on_a_third), both);
    let interfaces_unknown = three(|_, facts| claim(facts).addresses.clear());
    assert_eq!(all(&interfaces_unknown), both);
    let on_none = three(|_, facts| {
        claim(facts);
        let owner = facts[2].as_mut().expect("surveyed");
        owner.addresses.retain(|it| it.to_string() != "10.0.0.2");
    });
    assert_eq!(all(&on_none), both);

    // The operator's word counts more than what nodes say of themselves, but not against what they lack.
    let stated = |place: usize, more: fn(&mut NodeFacts)| {
        three(|fleet, facts| {
            fleet.nodes[place].migration_address = Some("10.0.0.2".into());
            more(claim(facts));
        })
    };
    let named = stated(2, |facts| {
        facts
            .addresses
            .push("10.0.0.2".parse().expect("an address"));
    });
    assert_eq!(all(&named), only_the_claimant);
    let named_without_having_it = stated(1, |_| {});
    assert_eq!(all(&named_without_having_it), both);
}

#[test]
fn the_same_address_in_two_cells_that_never_meet_is_no_fault() {
    let legs = |cells: [&str; 3]| {
        three(|fleet, facts| {
            fleet.scope = Scope::PerCell;
            for (node, cell) in fleet.nodes.iter_mut().zip(cells) {
                node.cell = Some(cell.into());
            }
            let address = "10.0.0.2".parse().expect("an address");
            let facts = facts[1].as_mut().expect("surveyed");
            facts.nova.my_ip = Some("10.0.0.2".into());
            facts.addresses.push(address);
        })
    };
    assert_eq!(legs(["a", "a", "b"]).sharing(NodeId(1)), None);
    assert!(legs(["a", "a", "a"]).sharing(NodeId(1)).is_some());
}

#[test]
fn a_loopback_service_host_dials_oneself() {
    let legs = with_nova(1, |nova| nova.host = Some("localhost".into()));
    assert_eq!(
        legs.obstacle(id(Lane::ColdPull, 0, 1)),
        Some(Predicted::Breaks(Reason::AddressLoopback))
    );
}

#[test]
fn nothing_is_guessed_where_nothing_is_known() {
    let unread = with_nova(1, |nova| nova.read = false);
    let unknown = Some(Predicted::Breaks(Reason::AddressUnknown));
    assert_eq!(unread.obstacle(id(Lane::ColdPush, 0, 1)), unknown);
    assert_eq!(unread.obstacle(id(Lane::ColdPull, 0, 1)), unknown);

    let unsurveyed = three(|_, facts| facts[1] = None);
    let not_surveyed = Some(Predicted::Unknown(Why::NotSurveyed));
    for leg in [
        id(Lane::ColdPush, 0, 1),
        id(Lane::ColdPush, 1, 0),
        id(Lane::Live, 1, 0),
    ] {
        assert_eq!(unsurveyed.obstacle(leg), not_surveyed);
    }
    let stated = three(|fleet, facts| {
        fleet.nodes[1].migration_address = Some("10.0.0.1".into());
        facts[1] = None;
    });
    assert_eq!(stated.obstacle(id(Lane::ColdPush, 0, 1)), None);
}

#[test]
fn a_value_that_ssh_would_take_for_an_option_is_never_dialled() {
    for value in ["-oProxyCommand=evil", "", "a b", "x;y", "ä"] {
        let legs = with_nova(1, |nova| nova.my_ip = Some(value.into()));
        let push = id(Lane::ColdPush, 0, 1);
        assert_eq!(
            legs.obstacle(push),
            Some(Predicted::Breaks(Reason::AddressUnknown))
        );
        assert!(legs.leg(push).is_none());
    }
}

mod digest {
    use super::*;
    use crate::trust::facts_digest;

    #[test]
    fn it_changes_with_what_trust_depends_on_and_not_with_the_clock() {
        let fleet = fleet_of(1);
        let digest = |facts: &NodeFacts| facts_digest(&fleet.nodes[0], facts);
        let facts = facts_of(0);
        let before = digest(&facts);
        assert_eq!(before.len(), 64);

        let mut later = facts.clone();
        later.clock += 60;
        later.clock_skew = Some(3);
        later.os = Some("Debian".into());
        later.addresses.reverse();
        assert_eq!(digest(&later), before);

        let mut moved = facts.clone();
        moved.nova.my_ip = Some("10.0.0.9".into());
        assert_ne!(digest(&moved), before);
        let mut read_only = facts;
        read_only.instances.read_only = true;
        assert_ne!(digest(&read_only), before);
    }
}
