use std::sync::{Arc, LazyLock};

use proptest::prelude::*;

use super::*;
use crate::openssh::fixtures::{CertificateOf, DSA, ecdsa, ed25519, read};
use crate::openssh::key::{CertificateRefusal, KeyError, PublicKey};
use crate::openssh::release::Release;

fn set(files: &[String]) -> KnownHostsSet {
    KnownHostsSet::new(
        files
            .iter()
            .map(|file| Arc::new(KnownHosts::parse(file.as_bytes())))
            .collect(),
    )
}

fn at(file: usize, line: usize) -> Position {
    Position { file, line }
}

fn hashed(name: &str, salt: u8) -> String {
    HashedName::new(name, [salt; 20]).to_string()
}

/// Status of a key for a host in one file.
fn status(file: &str, host: &HostName, key: &PublicKey) -> HostKeyStatus {
    set(&[file.to_owned()])
        .check(host, key, &HostKeyContext::at(150))
        .status
}

fn node2() -> HostName {
    HostName::new("node2", 22)
}

#[test]
fn a_recorded_key_is_known_by_its_first_line() {
    let key = ed25519(1);
    let file = format!(
        "# nodes\nnode1 {}\nnode2,10.77.0.3 {key} first\nNODE2 {key}\n",
        ed25519(2)
    );
    assert_eq!(
        status(&file, &node2(), &key),
        HostKeyStatus::Known { at: at(0, 3) }
    );
    assert_eq!(
        status(&file, &HostName::new("10.77.0.3", 22), &key),
        HostKeyStatus::Known { at: at(0, 3) }
    );
    assert_eq!(
        status(&file, &HostName::new("Node2", 22), &key),
        HostKeyStatus::Known { at: at(0, 3) }
    );
    assert_eq!(
        status(&file, &HostName::new("node", 22), &key),
        HostKeyStatus::Unknown
    );
}

#[test]
fn a_right_line_behind_a_wrong_one_is_enough() {
    let file = format!("node2 {}\nnode2 {}\n", ed25519(2), ed25519(1));
    assert_eq!(
        status(&file, &node2(), &ed25519(1)),
        HostKeyStatus::Known { at: at(0, 2) }
    );
}

#[test]
fn any_other_key_makes_it_changed_also_of_another_type() {
    let file = format!("node2 {}\nnode2 {}\n", ed25519(2), ecdsa(1));
    let changed = HostKeyStatus::Changed {
        offending: at(0, 2),
        lines: vec![at(0, 1), at(0, 2)],
    };
    assert_eq!(status(&file, &node2(), &ed25519(1)), changed);
}

#[test]
fn revoked_key_beats_a_matching_one() {
    let key = ed25519(1);
    let file = format!("node2 {key}\n@revoked * {key}\n");
    assert_eq!(
        status(&file, &node2(), &key),
        HostKeyStatus::Revoked { at: at(0, 2) }
    );
    let file = format!("node2 {key}\n@revoked node3 {key}\n");
    assert_eq!(
        status(&file, &node2(), &key),
        HostKeyStatus::Known { at: at(0, 1) }
    );
    let file = format!("@revoked node2 {}\n", ed25519(2));
    assert_eq!(
        status(&file, &node2(), &key),
        HostKeyStatus::Unknown,
        "a revoked line is no other key"
    );
}

#[test]
fn a_negated_pattern_takes_its_line_away() {
    let file = format!("node*,!node2 {}\n", ed25519(1));
    assert_eq!(status(&file, &node2(), &ed25519(1)), HostKeyStatus::Unknown);
    assert_eq!(
        status(&file, &HostName::new("node3", 22), &ed25519(1)),
        HostKeyStatus::Known { at: at(0, 1) }
    );
}

#[test]
fn hashed_names_are_found_and_broken_hashes_are_bad_lines() {
    let key = ed25519(1);
    let file = format!("{} {key}\n", hashed("node2", 5));
    assert_eq!(
        status(&file, &node2(), &key),
        HostKeyStatus::Known { at: at(0, 1) }
    );
    assert_eq!(
        status(&file, &HostName::new("node3", 22), &key),
        HostKeyStatus::Unknown
    );

    let document = KnownHosts::parse(format!(
        "|1|AAAA|BBBB {key}\n|2|x|y {key}\n|1|nosecond {key}\n"
    ));
    for (_, line) in document.lines() {
        assert_eq!(*line, Line::Bad(BadLine::HashedName));
    }
    let document = KnownHosts::parse(format!("{},node3 {key}\n", hashed("node2", 5)));
    let entry = document.entry(1).expect("a line OpenSSH reads");
    assert!(
        !entry.hosts.matches("node2") && !entry.hosts.matches("node3"),
        "text behind a hash makes it match nothing"
    );
}

#[test]
fn other_ports_have_names_of_their_own_with_the_plain_name_as_fallback() {
    let key = ed25519(1);
    let other = HostName::new("node2", 8022);
    let check = |file: &str| set(&[file.to_owned()]).check(&other, &key, &HostKeyContext::at(150));
    let accepted = |file: &str| check(file).acceptance(StrictHostKeyChecking::Yes, true);

    assert_eq!(
        check(&format!("[node2]:8022 {key}\n")).known_at(),
        Some(at(0, 1))
    );
    let fallback = check(&format!("node2 {key}\n"));
    assert_eq!(fallback.name, "[node2]:8022");
    assert_eq!(fallback.status, HostKeyStatus::Unknown);
    assert_eq!(fallback.known_at(), Some(at(0, 1)));
    assert_eq!(
        fallback.acceptance(StrictHostKeyChecking::Yes, true),
        Acceptance::Verified
    );

    let shadowed = format!("node2 {key}\n[node2]:8022 {}\n", ed25519(2));
    assert_eq!(
        accepted(&shadowed),
        Acceptance::Refused,
        "a line with the port forbids the fallback"
    );
    let file = format!("[node2]:8022 {key}\n");
    assert_eq!(
        status(&file, &node2(), &key),
        HostKeyStatus::Unknown,
        "never the other way round"
    );
    let changed_without = check(&format!("node2 {}\n", ed25519(2)));
    assert_eq!(changed_without.status, HostKeyStatus::Unknown);
    assert_eq!(
        changed_without.acceptance(StrictHostKeyChecking::AcceptNew, true),
        Acceptance::Unverified
    );

    let alias = HostName::new("10.77.0.3", 8022).with_alias(Some("Node2"));
    assert_eq!(
        status(&format!("node2 {key}\n"), &alias, &key),
        HostKeyStatus::Known { at: at(0, 1) }
    );
    assert_eq!(alias.without_port(), None);
}

#[test]
fn files_are_read_in_order_and_positions_tell_them_apart() {
    let files = [
        String::new(),
        format!("node2 {}\n", ed25519(2)),
        format!("\nnode2 {}\n", ed25519(1)),
    ];
    let check = set(&files).check(&node2(), &ed25519(1), &HostKeyContext::at(150));
    assert_eq!(check.status, HostKeyStatus::Known { at: at(2, 2) });
    let other_names = set(&files).other_names(&HostName::new("node9", 22), &ed25519(1));
    assert_eq!(
        other_names,
        [OtherName {
            at: at(2, 2),
            hosts: Some((*b"node2").into())
        }]
    );
}

#[test]
fn a_certificate_is_known_by_its_authority() {
    let key = CertificateOf::host(1, 9).sign();
    let check =
        |file: &str| set(&[file.to_owned()]).check(&node2(), &key, &HostKeyContext::at(150));
    let trusted = check(&format!("@cert-authority *.lab,node* {}\n", ed25519(9)));
    assert_eq!(trusted.status, HostKeyStatus::Known { at: at(0, 1) });
    assert_eq!(trusted.certificate, None);

    let plain_line = check(&format!("node2 {}\n", ed25519(9)));
    assert_eq!(
        plain_line.certificate,
        Some((CertificateRefusal::UntrustedAuthority, None)),
        "no marker, no authority"
    );
    assert!(matches!(plain_line.status, HostKeyStatus::Changed { .. }));

    let ca_as_host_key = status(
        &format!("@cert-authority node2 {}\n", ed25519(1)),
        &node2(),
        &ed25519(1),
    );
    assert_eq!(
        ca_as_host_key,
        HostKeyStatus::Unknown,
        "an authority is no host key"
    );
}

#[test]
fn a_refused_certificate_leaves_its_plain_key() {
    let key = CertificateOf {
        valid: (1, 2),
        ..CertificateOf::host(1, 9)
    }
    .sign();
    let check = |file: &str, context: &HostKeyContext<'_>| {
        set(&[file.to_owned()]).check(&node2(), &key, context)
    };
    let context = HostKeyContext::at(150);
    let authority = format!("@cert-authority * {}\n", ed25519(9));
    let expired = check(&authority, &context);
    assert_eq!(
        expired.certificate,
        Some((CertificateRefusal::Expired, Some(at(0, 1))))
    );
    assert_eq!(expired.status, HostKeyStatus::Unknown);

    let with_plain = format!("{authority}node2 {}\n", ed25519(1));
    assert_eq!(
        check(&with_plain, &context).status,
        HostKeyStatus::Known { at: at(0, 2) }
    );
    let only_certificates = HostKeyContext {
        host_key_algorithms: Some("ssh-ed25519-cert-v01@openssh.com"),
        ..context
    };
    let refused = check(&with_plain, &only_certificates);
    assert_eq!(
        refused.acceptance(StrictHostKeyChecking::No, true),
        Acceptance::Refused
    );
    let before = HostKeyContext {
        release: Release::new(9, 2),
        ..only_certificates
    };
    assert_eq!(
        check(&with_plain, &before).acceptance(StrictHostKeyChecking::Yes, true),
        Acceptance::Verified
    );
}

#[test]
fn a_revoked_authority_or_key_refuses_the_certificate_for_good() {
    let key = CertificateOf::host(1, 9).sign();
    for revoked in [ed25519(9), ed25519(1)] {
        let file = format!(
            "@cert-authority * {}\nnode2 {}\n@revoked * {revoked}\n",
            ed25519(9),
            ed25519(1)
        );
        assert_eq!(
            status(&file, &node2(), &key),
            HostKeyStatus::Revoked { at: at(0, 3) }
        );
    }
}

#[test]
fn acceptance_follows_strict_host_key_checking() {
    use Acceptance::{Refused, Unverified, Verified};
    use StrictHostKeyChecking::{AcceptNew, Ask, No, Yes};
    let key = ed25519(1);
    let known = format!("node2 {key}\n");
    let changed = format!("node2 {}\n", ed25519(2));
    let revoked = format!("node2 {key}\n@revoked * {key}\n");
    for (file, expected) in [
        (&known, [Verified, Verified, Verified, Verified]),
        (&String::new(), [Refused, Refused, Unverified, Unverified]),
        (&changed, [Refused, Refused, Refused, Unverified]),
        (&revoked, [Refused, Refused, Refused, Unverified]),
    ] {
        let check = set(std::slice::from_ref(file)).check(&node2(), &key, &HostKeyContext::at(150));
        assert_eq!(
            [Yes, Ask, AcceptNew, No].map(|strict| check.acceptance(strict, true)),
            expected,
            "{file}"
        );
    }
    let check = set(&[]).check(&node2(), &key, &HostKeyContext::at(150));
    assert_eq!(
        check.acceptance(No, false),
        Refused,
        "nowhere to record a new key"
    );
}

#[test]
fn a_wrong_key_for_the_address_refuses_a_right_name() {
    let key = ed25519(1);
    let context = HostKeyContext {
        check_address: Some("10.77.0.3"),
        ..HostKeyContext::at(150)
    };
    let check = |file: String| set(&[file]).check(&node2(), &key, &context);
    let conflict = check(format!("node2 {key}\n10.77.0.3 {}\n", ed25519(2)));
    assert_eq!(
        conflict.acceptance(StrictHostKeyChecking::Ask, true),
        Acceptance::Refused
    );
    assert_eq!(
        conflict.acceptance(StrictHostKeyChecking::No, true),
        Acceptance::Verified
    );
    let unknown = check(format!("node2 {key}\n"));
    assert_eq!(unknown.address, Some(HostKeyStatus::Unknown));
    assert_eq!(
        unknown.acceptance(StrictHostKeyChecking::Yes, true),
        Acceptance::Verified
    );
}

#[test]
fn dsa_lines_are_gone_in_release_10() {
    let file = format!("node2 {DSA}\n");
    let check = |release| {
        let context = HostKeyContext {
            release,
            ..HostKeyContext::at(150)
        };
        set(std::slice::from_ref(&file))
            .check(&node2(), &ed25519(1), &context)
            .status
    };
    assert!(matches!(
        check(Release::new(9, 2)),
        HostKeyStatus::Changed { .. }
    ));
    assert_eq!(check(Release::new(10, 0)), HostKeyStatus::Unknown);
    assert_eq!(read(DSA).bits(), 1024);
}

#[test]
fn what_openssh_skips_is_bad_for_a_reason() {
    let key = ed25519(1);
    let document = KnownHosts::parse(format!(
        "  \t\n\t# comment\nnode2\nnode2 # x\n@marker node2 {key}\n@revoked\n@revoked @revoked node2 {key}\n\
         @revoked\tnode2\t{key}\n@revoked\tnode2 {key}\nnode2 ssh-ed25519 AAAA\nnode2 1024 35 123456\n node2\t{key}  c \t\n"
    ));
    let lines: Vec<&Line> = document.lines().map(|(_, line)| line).collect();
    assert_eq!(lines[0], &Line::Blank);
    assert_eq!(lines[1], &Line::Comment);
    for (number, expected) in [
        (2, BadLine::Truncated),
        (3, BadLine::Truncated),
        (4, BadLine::Marker),
        (5, BadLine::Marker),
        (6, BadLine::Marker),
        (7, BadLine::Marker), // the blank before the base64 ends the marker
        (8, BadLine::Marker),
        (9, BadLine::Key(KeyError::Malformed)),
        (10, BadLine::Key(KeyError::UnknownType)),
    ] {
        assert_eq!(lines[number], &Line::Bad(expected), "line {}", number + 1);
    }
    let entry = document.entry(12).expect("a key");
    assert_eq!(*entry.comment, *b"c \t");
    assert_eq!(document.raw_line(3), Some(b"node2" as &[u8]));
}

mod key_order {
    use super::*;

    const CLIENT: &str = "ssh-ed25519-cert-v01@openssh.com,ecdsa-sha2-nistp256-cert-v01@openssh.com,ssh-ed25519,\
                          ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,rsa-sha2-512,rsa-sha2-256";

    fn proposed(file: String, order: KeyTypeOrder) -> Vec<&'static str> {
        set(&[file]).proposed_algorithms(&node2(), CLIENT, order, &HostKeyContext::at(150))
    }

    #[test]
    fn known_types_come_first() {
        let order = proposed(format!("node2 {}\n", ecdsa(1)), KeyTypeOrder::KnownFirst);
        assert_eq!(
            order[..2],
            [
                "ecdsa-sha2-nistp256-cert-v01@openssh.com",
                "ecdsa-sha2-nistp256"
            ]
        );
        assert_eq!(order.len(), 7);
    }

    #[test]
    fn the_order_stays_if_the_best_type_is_known_nothing_is_known_or_the_user_chose_it() {
        let verbatim: Vec<&str> = CLIENT.split(',').collect();
        let both = format!("node2 {}\nnode2 {}\n", ecdsa(1), ed25519(1));
        assert_eq!(proposed(both, KeyTypeOrder::KnownFirst), verbatim);
        assert_eq!(proposed(String::new(), KeyTypeOrder::KnownFirst), verbatim);
        assert_eq!(
            proposed(format!("node2 {}\n", ecdsa(1)), KeyTypeOrder::AsConfigured),
            verbatim
        );
        assert_eq!(KeyTypeOrder::from_setting(None), KeyTypeOrder::KnownFirst);
        assert_eq!(
            KeyTypeOrder::from_setting(Some("+ssh-rsa")),
            KeyTypeOrder::KnownFirst
        );
        assert_eq!(
            KeyTypeOrder::from_setting(Some("^ssh-rsa")),
            KeyTypeOrder::AsConfigured
        );
    }

    #[test]
    fn an_authority_brings_the_certificates_forward_and_a_revoked_key_counts_for_nothing() {
        let order = proposed(
            format!("@cert-authority * {}\n", ed25519(9)),
            KeyTypeOrder::KnownFirst,
        );
        assert!(order[1].contains("-cert-"));
        assert_eq!(order[2], "ssh-ed25519");
        let file = format!("node2 {}\n@revoked * {}\n", ecdsa(1), ecdsa(1));
        assert_eq!(
            proposed(file, KeyTypeOrder::KnownFirst)[0],
            "ssh-ed25519-cert-v01@openssh.com"
        );
    }

    #[test]
    fn before_8_4_known_types_came_first_always() {
        let file = format!("node2 {}\nnode2 {}\n", ecdsa(1), ed25519(1));
        let context = HostKeyContext {
            release: Release::new(8, 0),
            ..HostKeyContext::at(150)
        };
        let algorithms = "rsa-sha2-512,ssh-ed25519,ecdsa-sha2-nistp384";
        let order = set(&[file]).proposed_algorithms(
            &node2(),
            algorithms,
            KeyTypeOrder::KnownFirst,
            &context,
        );
        assert_eq!(
            order,
            ["ssh-ed25519", "ecdsa-sha2-nistp384", "rsa-sha2-512"],
            "curves were not told apart"
        );
    }

    #[test]
    fn the_server_shows_the_first_that_it_has() {
        let server = server_host_key_algorithms(&[ecdsa(1), ed25519(1)], None);
        assert_eq!(server, ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
        let client = proposed(format!("node2 {}\n", ecdsa(1)), KeyTypeOrder::KnownFirst);
        assert_eq!(
            negotiate_host_key_algorithm(&client, &server),
            Some("ecdsa-sha2-nistp256")
        );
        let client = proposed(String::new(), KeyTypeOrder::KnownFirst);
        assert_eq!(
            negotiate_host_key_algorithm(&client, &server),
            Some("ssh-ed25519")
        );
        let filtered = server_host_key_algorithms(&[ecdsa(1), ed25519(1)], Some("ssh-*"));
        assert_eq!(filtered, ["ssh-ed25519"]);
        assert_eq!(
            negotiate_host_key_algorithm(&["rsa-sha2-512"], &filtered),
            None
        );
    }
}

mod index {
    use super::*;

    fn candidate(name: &str, keys: &[PublicKey]) -> Candidate {
        Candidate {
            name: name.to_owned(),
            keys: keys.into(),
            dialled: true,
        }
    }

    /// A line of a small world: five hosts, two key types, some stale keys, every form of hosts field.
    fn line() -> impl Strategy<Value = String> {
        let name = (0..5u32).prop_map(|host| format!("node{host}"));
        let port_name = (0..5u32).prop_map(|host| format!("[node{host}]:8022"));
        let plain = prop_oneof![4 => name.clone(), 1 => port_name.clone()];
        let pattern = prop_oneof![
            Just("*".to_owned()),
            Just("node?".to_owned()),
            Just("n*1,node3".to_owned()),
            Just("!node2,node*".to_owned()),
            Just("[node*".to_owned()),
            Just("!node1".to_owned()),
            Just("NODE4,,".to_owned()),
        ];
        let hosts = prop_oneof![
            3 => plain.clone(),
            2 => pattern,
            4 => (plain, 0..4u8).prop_map(|(name, salt)| hashed(&name, salt)),
        ];
        let key = (0..7u32, any::<bool>())
            .prop_map(|(seed, ec)| if ec { ecdsa(seed) } else { ed25519(seed) });
        let marker =
            prop_oneof![6 => Just(""), 1 => Just("@revoked "), 1 => Just("@cert-authority ")];
        (marker, hosts, key).prop_map(|(marker, hosts, key)| format!("{marker}{hosts} {key}\n"))
    }

    fn same_kind(a: &HostKeyStatus, b: &HostKeyStatus) -> bool {
        match (a, b) {
            (HostKeyStatus::Changed { .. }, HostKeyStatus::Changed { .. }) => true,
            _ => a == b,
        }
    }

    fn same(a: &HostKeyCheck, b: &HostKeyCheck) -> bool {
        same_kind(&a.status, &b.status)
            && a.certificate == b.certificate
            && match (&a.without_port, &b.without_port) {
                (Some(a), Some(b)) => same(a, b),
                (None, None) => true,
                _ => false,
            }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        /// Node i has the keys ed25519(i) and, if even, ecdsa(i); node 4 is no candidate.
        #[test]
        fn the_index_answers_as_the_files_do(
            first in proptest::collection::vec(line(), 0..12),
            second in proptest::collection::vec(line(), 0..6),
            shared in any::<bool>(),
            silent in any::<bool>(),
        ) {
            static CERTIFICATES: LazyLock<Vec<PublicKey>> =
                LazyLock::new(|| (0..5).map(|host| CertificateOf::host(host, 6).sign()).collect());
            let certificates = &*CERTIFICATES;
            let files = set(&[first.concat(), second.concat()]);
            let keys = |host: u32| {
                let seed = if shared { 0 } else { host };
                let mut keys = vec![ed25519(seed)];
                if host.is_multiple_of(2) {
                    keys.push(ecdsa(seed));
                }
                keys
            };
            let hosts = |port| (0..5u32).map(move |host| (host, HostName::new(&format!("node{host}"), port)));
            let all = || hosts(22).chain(hosts(8022));
            let candidates = all()
                .filter(|(host, _)| *host != 4)
                .flat_map(|(host, name)| {
                    let announce = |name: String| Candidate {
                        dialled: !(silent && host == 3),
                        ..candidate(&name, &keys(host))
                    };
                    name.names().map(announce).collect::<Vec<_>>()
                });
            let index = KnownHostsIndex::build(files.clone(), candidates);
            let context = HostKeyContext::at(150);
            for (host, name) in all() {
                let certificate = certificates[host as usize].clone();
                let offers = (0..7).map(ed25519).chain((0..7).map(ecdsa)).chain([certificate]);
                for key in offers {
                    let (fast, slow) = (index.check(&name, &key, &context), files.check(&name, &key, &context));
                    prop_assert!(same(&fast, &slow), "{name:?} {key:?}: {fast:?} {slow:?}");
                }
                let algorithms = "ecdsa-sha2-nistp256,ssh-ed25519";
                let order = |proposed: Vec<&'static str>| {
                    let served = server_host_key_algorithms(&keys(host), None);
                    negotiate_host_key_algorithm(&proposed, &served)
                };
                let known_first = KeyTypeOrder::KnownFirst;
                let fast = order(index.proposed_algorithms(&name, algorithms, known_first, &context));
                let slow = order(files.proposed_algorithms(&name, algorithms, known_first, &context));
                let accepted = |algorithm: Option<&str>| {
                    let key = keys(host).into_iter().find(|key| Some(key.type_name()) == algorithm);
                    key.map(|key| files.check(&name, &key, &context).acceptance(StrictHostKeyChecking::Yes, true))
                };
                prop_assert_eq!(accepted(fast), accepted(slow), "{:?} {:?} {:?}", name, fast, slow);
            }
        }
    }

    #[test]
    fn shuffled_hashed_lines_of_a_fleet_are_all_found() {
        let fleet: Vec<(String, PublicKey)> = (0..60)
            .map(|node| (format!("cmp{node:03}"), ed25519(node)))
            .collect();
        // 37 is coprime to 60, so this visits every node once, in another order.
        let file: String = (0..60)
            .map(|at| &fleet[at * 37 % 60])
            .map(|(name, key)| format!("{} {key}\n", HashedName::new(name, [name.len() as u8; 20])))
            .collect();
        let candidates = fleet
            .iter()
            .map(|(name, key)| candidate(name, std::slice::from_ref(key)));
        let index = KnownHostsIndex::build(set(&[file]), candidates);
        let context = HostKeyContext::at(150);
        for (name, key) in &fleet {
            let host = HostName::new(name, 22);
            assert!(
                index.check(&host, key, &context).known_at().is_some(),
                "{name}"
            );
            let foreign = index.check(&host, &ed25519(999), &context).status;
            assert!(matches!(foreign, HostKeyStatus::Changed { .. }), "{name}");
        }
    }
}

proptest! {
    #[test]
    fn every_byte_survives_and_nothing_crashes(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b' '), Just(b'@'), Just(b'|'), Just(b','), Just(b'#'), any::<u8>()],
            0..300,
        )
    ) {
        let document = KnownHosts::parse(bytes.clone());
        prop_assert_eq!(document.as_bytes(), &bytes[..]);
        let files = KnownHostsSet::new(vec![Arc::new(document)]);
        let check = files.check(&node2(), &ed25519(1), &HostKeyContext::at(150));
        prop_assert_eq!(check.status, HostKeyStatus::Unknown, "no line of noise holds a key");
    }
}
