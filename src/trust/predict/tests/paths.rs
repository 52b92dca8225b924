use std::net::IpAddr;

use super::*;
use crate::domain::Evidence;
use crate::openssh::fixtures::CertificateOf;

#[test]
fn what_blocks_every_leg_of_a_client() {
    Lab::new()
        .client(|client| client.failed = Some("no such container".into()))
        .breaks(Reason::ContextFailed);
    Lab::new()
        .client(|client| {
            client.programs.clear();
            client.ssh_version = None;
        })
        .breaks(Reason::SshMissing);
    let failed = |status, text: &str| {
        let stderr = text.to_owned();
        Lab::new().client(|client| client.base_config = Answer::Failed { status, stderr })
    };
    failed(
        255,
        "/home/n/.ssh/config: line 2: Bad configuration option: foo",
    )
    .breaks(Reason::ClientConfigInvalid);
    failed(255, "Bad owner or permissions on /home/n/.ssh/config")
        .breaks(Reason::ClientConfigUnsafe);
    failed(124, "").unknown();
}

/// A fleet whose nodes dial each other by a name that is in `/etc/hosts` as given.
fn with_hosts(line: &str) -> Predicted {
    let lab = Lab::new().client(|client| {
        client.hosts.state = file(&format!(
            "127.0.0.1 localhost\n127.0.1.1 cmp00000\n{line}\n"
        ));
    });
    predict(&lab.0, &[PULL])[0]
}

#[test]
fn a_name_in_hosts_leads_to_its_own_node_or_elsewhere() {
    let lab = Lab::new();
    let (own, third) = (lab.address(1), lab.address(2));
    assert_eq!(with_hosts(&format!("{own} cmp00001")), Predicted::Works);
    assert_eq!(with_hosts("10.9.9.9 unrelated"), Predicted::Works);
    assert_eq!(
        with_hosts(&format!("{third} CMP00001.lab cmp00001")),
        Predicted::Breaks(Reason::NameResolvesElsewhere)
    );
    for loopback in ["127.0.1.1", "::1"] {
        assert_eq!(
            with_hosts(&format!("{loopback} cmp00001")),
            Predicted::Breaks(Reason::AddressLoopback)
        );
    }
    // Nobody that was surveyed has it: it may be translated on the way.
    let unknown = Predicted::Unknown(Why::NotPredictable);
    assert_eq!(with_hosts("10.9.9.9 cmp00001"), unknown);
    assert_eq!(
        with_hosts(&format!("{own} cmp00001\n{third} cmp00001")),
        unknown
    );
}

#[test]
fn nothing_listens_or_something_else_does() {
    let listening = |sockets: &[&str]| {
        let sockets = sockets
            .iter()
            .map(|it| it.parse().expect("a socket"))
            .collect();
        Lab::new().node(1, |facts| facts.listeners = Some(sockets))
    };
    listening(&[]).breaks(Reason::ConnectionRefused);
    listening(&["127.0.0.1:22"]).breaks(Reason::ConnectionRefused);
    listening(&["0.0.0.0:22"]).works();
    // `AddressFamily inet6`: a server that clients know by an IPv4 address is not reached.
    listening(&["[::]:22"]).breaks(Reason::ConnectionRefused);
    let own = format!("{}:22", Lab::new().address(1));
    listening(&[&own]).works();
    Lab::new().node(1, |facts| facts.listeners = None).works();

    let on_8022 = |lab: Lab| lab.ssh("port 8022");
    on_8022(Lab::new()).expect(Predicted::Breaks(Reason::ConnectionRefused));
    // Another program listens there, perhaps another sshd with other keys.
    on_8022(listening(&["0.0.0.0:22", "0.0.0.0:8022"])).unknown();
    on_8022(listening(&["0.0.0.0:8022"]).sshd("port 8022")).works();
}

#[test]
fn a_proxy_or_a_canonical_name_hides_what_is_dialled() {
    Lab::new().ssh("proxyjump bastion").unknown();
    Lab::new().ssh("proxycommand nc %h %p").unknown();
    let lab = Lab::new().ssh("canonicalizehostname yes");
    assert_eq!(
        predict(&lab.0, &[PUSH, PULL]),
        [Predicted::Works, Predicted::Unknown(Why::NotPredictable)]
    );
}

#[test]
fn the_transport_needs_common_algorithms() {
    Lab::new()
        .sshd("kexalgorithms diffie-hellman-group1-sha1")
        .breaks(Reason::NoCommonAlgorithm);
    Lab::new()
        .sshd("ciphers 3des-cbc")
        .breaks(Reason::NoCommonAlgorithm);
    Lab::new()
        .sshd("ciphers aes128-ctr\nmacs hmac-md5")
        .breaks(Reason::NoCommonAlgorithm);
    Lab::new().sshd("macs hmac-md5").works();
    Lab::new()
        .ssh("hostkeyalgorithms ecdsa-sha2-nistp256")
        .breaks(Reason::NoCommonAlgorithm);
}

#[test]
fn recorded_keys_decide() {
    let lab = Lab::new();
    let (address, key) = (lab.address(1), lab.host_key(1, 1));
    let line = |names: &str| format!("{names} {key}\n");
    Lab::new().known_hosts(&line(&address)).works();
    Lab::new().known_hosts(&line("10.0.*")).works();
    Lab::new()
        .known_hosts(&line(&format!("[{address}]:22")))
        .breaks(Reason::HostKeyUnknown);
    Lab::new()
        .known_hosts(&line(&lab.name(1)))
        .breaks(Reason::HostKeyUnknown);
    Lab::new().known_hosts("").breaks(Reason::HostKeyUnknown);
    let stale = format!("{address} {}\n", ed25519(7));
    Lab::new()
        .known_hosts(&stale)
        .breaks(Reason::HostKeyChanged);
    Lab::new()
        .known_hosts(&format!("{stale}{}", line(&address)))
        .works();
    let revoked = format!("{}@revoked * {key}\n", line(&address));
    Lab::new()
        .known_hosts(&revoked)
        .server(|server| drop(server.host_keys.remove(0)))
        .breaks(Reason::HostKeyRevoked);
    // ssh prefers the type that it knows, so an RSA line alone will do.
    Lab::new()
        .known_hosts(&format!("{address} {}\n", lab.host_key(1, 0)))
        .works();
    Lab::new()
        .known_hosts(&format!("{address} {}\n", lab.host_key(1, 0)))
        .server(|server| drop(server.host_keys.remove(0)))
        .breaks(Reason::HostKeyTypeGap);
}

#[test]
fn known_hosts_files_may_be_unreadable_absent_or_unseen() {
    let state = |state| Lab::new().client(|client| client.known_hosts[0].state = state);
    let present = |kind, readable, content| FileState::Present {
        meta: meta(kind, 0o600, 0),
        readable,
        content,
    };
    state(FileState::Absent).breaks(Reason::HostKeyUnknown);
    state(present(FileKind::File, false, Some(content("x")))).breaks(Reason::KnownHostsUnreadable);
    state(present(FileKind::Directory, true, None)).breaks(Reason::HostKeyUnknown);
    // Behind a directory that the account cannot search.
    state(FileState::Unreadable("hidden".into())).breaks(Reason::KnownHostsUnreadable);
    // Too large for the survey.
    state(present(FileKind::File, true, None)).unknown();
    Lab::new()
        .ssh("userknownhostsfile /elsewhere/known_hosts")
        .unknown();
    Lab::new()
        .ssh("userknownhostsfile /dev/null")
        .breaks(Reason::HostKeyUnknown);
}

#[test]
fn who_does_not_check_is_not_broken() {
    let changed = format!("{} {}\n", Lab::new().address(1), ed25519(7));
    for (strict, unknown, stale) in [
        ("false", true, true),
        ("accept-new", true, false),
        ("true", false, false),
        ("ask", false, false),
    ] {
        let line = format!("stricthostkeychecking {strict}");
        let lab = Lab::new().ssh(&line).known_hosts("");
        if unknown {
            lab.works()
        } else {
            lab.breaks(Reason::HostKeyUnknown)
        }
        let lab = Lab::new().ssh(&line).known_hosts(&changed);
        if stale {
            lab.works()
        } else {
            lab.breaks(Reason::HostKeyChanged)
        }
    }
    Lab::new()
        .ssh("stricthostkeychecking false\nuserknownhostsfile /dev/null")
        .works();
}

#[test]
fn a_port_falls_back_to_the_bare_name_and_an_alias_replaces_it() {
    let lab = Lab::new();
    let (address, key) = (lab.address(1), lab.host_key(1, 1));
    let on_port = |known_hosts: String| {
        Lab::new()
            .ssh("port 8022")
            .sshd("port 8022")
            .node(1, |facts| facts.listeners = None)
            .known_hosts(&known_hosts)
    };
    on_port(format!("{address} {key}\n")).works();
    on_port(format!("[{address}]:8022 {key}\n")).works();
    on_port(format!(
        "[{address}]:8022 {}\n{address} {key}\n",
        ed25519(7)
    ))
    .breaks(Reason::HostKeyChanged);
    let aliased = |known_hosts: String| {
        Lab::new()
            .ssh("hostkeyalias compute")
            .known_hosts(&known_hosts)
    };
    aliased(format!("compute {key}\n")).works();
    aliased(format!("{address} {key}\n")).breaks(Reason::HostKeyUnknown);
}

#[test]
fn blocks_for_some_names_hold_for_these_only() {
    let config = |text: &str| {
        let file = fact("/var/lib/nova/.ssh/config", text);
        Lab::new().client(|client| client.config_files.insert(0, file))
    };
    let address = Lab::new().address(1);
    config(&format!("Host {address}\n Port 8022\n")).breaks(Reason::ConnectionRefused);
    config("Host 10.99.*\n Port 8022\n").works();
    config(&format!(
        "Host {address}\n HostName {}\n",
        Lab::new().address(2)
    ))
    .breaks(Reason::NameResolvesElsewhere);
    config(&format!(
        "Match host {address} exec \"test -f /x\"\n Port 8022\n"
    ))
    .unknown();
    config(&format!("Host {address}\n User other\n")).unknown();
    config(&format!("Host {address}\n IdentityFile ~/.ssh/id_rsa\n"))
        .breaks(Reason::IdentityMissing);
    // Whoever has such a block is Nova's account all the same (Debian 13 ships one, for virtual machines).
    config("Host vsock/*\n CheckHostIP no\n")
        .node(1, |facts| facts.instances.writable = false)
        .breaks(Reason::InstancesPathNotWritable);
}

/// A client that trusts one authority for everything, and a server with a certificate.
fn certified(certificate: &CertificateOf<'_>, authority: u32, clock: i64) -> Lab {
    let text = certificate.sign().to_string();
    let public = ed25519(certificate.subject).to_string();
    let known_hosts = format!("@cert-authority * {}\n", ed25519(authority));
    Lab::new()
        .known_hosts(&known_hosts)
        .node(0, |facts| facts.clock = clock)
        .server(|server| {
            server.host_keys.truncate(1);
            server.host_keys[0].public = public;
            server.host_keys[0].certificate = Some(fact("/etc/ssh/cert.pub", &text));
        })
}

#[test]
fn host_certificates_are_judged_by_the_clients_clock() {
    let address = Lab::new().address(1);
    let names = [address.as_str()];
    let good = || CertificateOf {
        principals: &names,
        ..CertificateOf::host(1, 9)
    };
    certified(&good(), 9, 150).works();
    certified(&good(), 9, 50).breaks(Reason::HostCertificateNotYetValid);
    certified(&good(), 9, 200).breaks(Reason::HostCertificateExpired);
    certified(&good(), 8, 150).breaks(Reason::HostCertificateUnknownAuthority);
    let other = CertificateOf::host(1, 9);
    certified(&other, 9, 150).breaks(Reason::HostCertificateWrongPrincipal);
    let user = CertificateOf {
        principals: &names,
        ..CertificateOf::user(1, 9)
    };
    certified(&user, 9, 150).breaks(Reason::HostCertificateWrongType);
    // Whoever trusts no authority does without the certificate.
    certified(&good(), 9, 150)
        .known_hosts("")
        .breaks(Reason::HostKeyUnknown);
    certified(&good(), 9, 150)
        .known_hosts(&format!("{address} {}\n", ed25519(1)))
        .works();
}

#[test]
fn a_file_of_revoked_host_keys_counts_before_known_hosts() {
    let path = "/etc/ssh/revoked";
    let with = |state: Option<FileState>| {
        Lab::new()
            .ssh(&format!("revokedhostkeys {path}"))
            .client(|client| {
                client.known_hosts.extend(state.map(|state| FileFact {
                    path: path.into(),
                    state,
                }));
            })
    };
    let key = Lab::new().host_key(1, 1);
    with(Some(file(&key))).breaks(Reason::HostKeyRevoked);
    with(Some(file(&ed25519(7).to_string()))).works();
    with(None).unknown();
}

#[test]
fn a_wrong_key_for_the_address_breaks_only_where_addresses_are_checked() {
    let lab = Lab::new();
    let (name, address, key) = (lab.name(1), lab.address(1), lab.host_key(1, 1));
    let with = |check: &str| {
        let lab = Lab::new()
            .ssh(&format!("checkhostip {check}"))
            .known_hosts(&format!("{name} {key}\n{address} {}\n", ed25519(7)))
            .client(|client| client.hosts.state = file(&format!("{address} {name}\n")));
        predict(&lab.0, &[PULL])[0]
    };
    assert_eq!(with("no"), Predicted::Works);
    assert_eq!(with("yes"), Predicted::Breaks(Reason::HostKeyChanged));
}

#[test]
fn nodes_that_differ_in_their_own_hosts_line_only_are_alike() {
    let world = Simulation::of(40).world();
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    let prediction = Prediction::new(&world.fleet, &world.facts, &legs, &scope);
    assert_eq!(
        prediction.classes(),
        (2, 1),
        "one kind of client in each cold lane"
    );
}

#[test]
fn a_shared_address_is_refused_before_anything_else() {
    let address: IpAddr = Lab::new().address(2).parse().expect("an address");
    let lab = Lab::new()
        .node(1, |facts| facts.nova.my_ip = Some(address.to_string()))
        .known_hosts("");
    lab.breaks(Reason::SharedAddress);
}

/// What a prediction of a fleet says.
fn asked<T>(lab: &Lab, ask: impl FnOnce(&Prediction<'_>) -> T) -> T {
    let Lab(world) = lab;
    let legs = Legs::new(&world.fleet, &world.facts);
    let scope = PairScope::all(&world.fleet);
    ask(&Prediction::new(&world.fleet, &world.facts, &legs, &scope))
}

#[test]
fn the_keys_of_the_surveyed_sshd_say_nothing_of_another_one_on_the_same_host() {
    let keys = |lab: &Lab| asked(lab, |it| it.keys_behind(PUSH).len());
    assert_eq!(keys(&Lab::new()), 2);
    let on_8022 = Lab::new().ssh("port 8022");
    assert_eq!(keys(&on_8022), 0);
    let told = asked(&on_8022.node(1, |it| it.listeners = None), |it| {
        it.explain(PUSH).evidence
    });
    let says_so = |it: &Evidence| matches!(it, Evidence::Fact { text, .. } if text == "port 8022 is not one of the surveyed sshd");
    assert!(told.iter().any(says_so), "{told:?}");
    // One that has both ports is the same one.
    assert_eq!(keys(&Lab::new().ssh("port 8022").sshd("port 8022")), 2);
}

#[test]
fn a_log_whose_silence_means_that_nothing_was_dropped() {
    let logs = |lab: Lab| asked(&lab, |it| it.logs_drops(PUSH));
    let release = |text: &str| {
        let text = text.to_owned();
        Lab::new().server(|it| it.sshd_version = Some(text))
    };
    assert!(logs(Lab::new()));
    assert!(logs(Lab::new().sshd("persourcemaxstartups none")));
    assert!(!logs(Lab::new().sshd("persourcemaxstartups 4")));
    assert!(logs(release("OpenSSH_8.4, OpenSSL 1.1.1")));
    assert!(!logs(release("OpenSSH_8.0, OpenSSL 1.1.1")));
    assert!(!logs(Lab::new().server(|it| it.sshd_version = None)));
    let configured = |text: &str| {
        let text = text.to_owned();
        Lab::new().server(|it| {
            it.config_files
                .push(fact("/etc/ssh/sshd_config.d/1.conf", &text))
        })
    };
    assert!(logs(configured("#LogLevel QUIET\nLogLevel VERBOSE\n")));
    for silent in [
        "LogLevel QUIET",
        "loglevel=error",
        "Match User x\n\tLogLevel \"FATAL\"",
    ] {
        assert!(!logs(configured(silent)), "{silent}");
    }
    // Whoever else listens there may log anywhere.
    assert!(!logs(Lab::new().ssh("port 8022")));
    let in_a_container = Lab::new().fleet(|fleet| {
        for node in &mut fleet.nodes {
            let mut profile = (*node.profile).clone();
            profile.sshd.context = vec!["docker".to_owned(), "exec".to_owned()];
            node.profile = std::sync::Arc::new(profile);
        }
    });
    assert!(!logs(in_a_container));
}
