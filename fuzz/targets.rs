//! What is fuzzed: every parser of what nodes, operators and OpenSSH write. Each takes any bytes, must come to an end, and
//! must keep what it promises of them.
//!
//! `cargo fuzz` runs these with its own inputs (`make fuzz`), `tests/fuzzed.rs` with changed samples, in every test run.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clearway::domain::{Depth, Lane, Leg, LegId, NodeId, Transport};
use clearway::frame::{Decoder, Limits, Nonce, decode};
use clearway::inquiry::{NovaLog, Question, ServerLog};
use clearway::inventory::{Context, Inventory, NameRange, Source, expand_list, select};
use clearway::moves::diagnose::diagnose;
use clearway::openssh::authorized_keys::{AuthorizedKeys, AuthorizedPrincipals};
use clearway::openssh::client_config::ClientSettings;
use clearway::openssh::config::{ClientConfig, ClientQuery, ServerConfig, ServerQuery};
use clearway::openssh::key::PublicKey;
use clearway::openssh::known_hosts::KnownHosts;
use clearway::openssh::messages::{Ending, explain, explain_text};
use clearway::openssh::revoked::RevokedKeys;
use clearway::openssh::server_config::ServerSettings;
use clearway::openssh::stages::Trace;
use clearway::proof::{Ended, Settings, programs};
use clearway::survey::{ContentPool, SurveyRequest, parse};

/// A parser, what it is called, and samples of what it reads.
pub(crate) struct Target {
    /// The name of its file in `fuzz_targets/`.
    pub(crate) name: &'static str,
    /// What is done with any bytes.
    pub(crate) run: fn(&[u8]),
    /// Samples that are right, or nearly so.
    pub(crate) samples: &'static [&'static str],
}

/// An ed25519 key in base64, for the samples.
macro_rules! key {
    () => {
        "AAAAC3NzaC1lZDI1NTE5AAAAIGEaPUDsv6a0Ds0ExEIq3H1Nsq6OQyF4Vb5bVLoJz3fv"
    };
}

/// All of them.
pub(crate) const ALL: &[Target] = &[
    Target {
        name: "known_hosts",
        run: known_hosts,
        samples: &[
            concat!(
                "node2,10.77.0.3 ssh-ed25519 ",
                key!(),
                " comment\n# a comment\n\n"
            ),
            concat!(
                "@cert-authority *.lab,!bad.lab ssh-ed25519 ",
                key!(),
                "\r\n"
            ),
            concat!(
                "|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ssh-ed25519 ",
                key!(),
                "\n"
            ),
            concat!(
                "@revoked * ssh-ed25519 ",
                key!(),
                "\n[node2]:8022 ssh-ed25519 AAAA\n"
            ),
        ],
    },
    Target {
        name: "authorized_keys",
        run: authorized_keys,
        samples: &[
            concat!(
                "from=\"10.0.0.0/8,!10.1.*\",command=\"echo \\\"x\\\"\" ssh-ed25519 ",
                key!(),
                " nova@node1\n"
            ),
            concat!(
                "restrict,pty,expiry-time=\"20300101Z\",cert-authority,principals=\"a,b\" ssh-ed25519 ",
                key!(),
                "\n"
            ),
            concat!("  frobnicate=\"yes ssh-ed25519 ", key!(), "\n"),
        ],
    },
    Target {
        name: "principals",
        run: principals,
        samples: &["nova\n# x\ncommand=\"id\" root\nfrom=\"10.0.0.1\" nova # c\n"],
    },
    Target {
        name: "public_key",
        run: public_key,
        samples: &[
            concat!("ssh-ed25519 ", key!(), " nova@node1\n"),
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==\n",
            "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29t\n",
        ],
    },
    Target {
        name: "revoked_keys",
        run: revoked_keys,
        samples: &[
            concat!("ssh-ed25519 ", key!(), "\n# x\n"),
            "SSHKRL\n\0\0\0\0\x01",
        ],
    },
    Target {
        name: "ssh_g",
        run: ssh_g,
        samples: &[
            "host node2\nuser nova\nport 22\nstricthostkeychecking ask\nidentityfile ~/.ssh/id_ed25519\nuserknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2\nupdatehostkeys true\n",
        ],
    },
    Target {
        name: "sshd_t",
        run: sshd_t,
        samples: &[
            "port 22\nlistenaddress [::]:22\nmaxstartups 10:30:100\npersourcepenalties authfail:5 noauth:1 min:15 max:600\npermitrootlogin without-password\nsubsystem sftp /usr/lib/openssh/sftp-server\nallowusers nova@10.*\n",
        ],
    },
    Target {
        name: "client_config",
        run: client_config,
        samples: &[
            "Host node* !node3\n  Port 8022\nMatch host *.lab user nova exec \"true\"\n  ProxyJump a,b\nInclude conf.d/*\nHost=\"x y\"\nUser \"a b\" # c\n",
        ],
    },
    Target {
        name: "server_config",
        run: server_config,
        samples: &[
            "AllowUsers nova@10.0.0.0/8\nMatch User nova Address 10.0.0.0/8,!10.1.0.1\n  ForceCommand internal-sftp\nMatch all\nInclude /etc/ssh/x\nMatch Group g LocalPort 22\n",
        ],
    },
    Target {
        name: "messages",
        run: messages,
        samples: &[
            "OpenSSH_9.2p1\ndebug1: Connecting to node2 [10.77.0.3] port 22.\ndebug1: Connection established.\ndebug1: Remote protocol version 2.0, remote software version OpenSSH_9.2\ndebug1: Server host key: ssh-ed25519 SHA256:abc\nHost key verification failed.\n",
            "ssh: connect to host node2 port 22: Connection refused\nlost connection\n",
            "Load key \"/x\": bad permissions\nnova@node2: Permission denied (publickey,password).\nReceived message too long 1416128883\n",
        ],
    },
    Target {
        name: "frame",
        run: frame,
        samples: &[
            " now 2:12 3:a b\n07070707070707070707070707070707 file 1:x <\nbytes\n07070707070707070707070707070707 >\n07070707070707070707070707070707 end 2\n",
        ],
    },
    Target {
        name: "survey",
        run: survey,
        samples: &[
            " part 1:0 <\n\nclearway/1 x\n07070707070707070707070707070707 >\n07070707070707070707070707070707 left 1:0 1:0 0:\n07070707070707070707070707070707 end 2\n",
        ],
    },
    Target {
        name: "proof",
        run: proof,
        samples: &[
            " leg 1:0 3:120 1:0 3:1=0 0: 2:#1\n",
            " missing 3:scp\n",
            " alive 1:0\n",
            " stopped 8:deadline\n",
        ],
    },
    Target {
        name: "server_log",
        run: server_log,
        samples: &[
            " now 10:1795483500 15:Nov 23 01:25:00\n07070707070707070707070707070707 log 1:x <\nNov 23 01:24:50 node2 sshd[7]: Invalid user nova from 10.77.0.2 port 5\nNov 23 01:24:50 node2 sshd[7]: maximum authentication attempts exceeded for nova from 10.77.0.2 port 5 ssh2 [preauth]\n07070707070707070707070707070707 >\n07070707070707070707070707070707 end 2\n",
        ],
    },
    Target {
        name: "nova_log",
        run: nova_log,
        samples: &[
            " place 9:/x/nova-c 6:absent\n07070707070707070707070707070707 log 7:journal <\n2026-11-26 01:02:04.000 12 ERROR nova.compute.manager [None req-1 a] [instance: u] Command: scp -r /i/disk 10.0.0.2:/i/disk\n2026-11-26 01:02:04.000 12 ERROR nova.compute.manager [instance: u] Stderr: 'Host key verification failed.\\r\\n'\n07070707070707070707070707070707 >\n07070707070707070707070707070707 end 2\n",
        ],
    },
    Target {
        name: "inventory",
        run: inventory,
        samples: &[
            "clearway: 1\ndefaults:\n  profile: nova\n  control: {user: ops, sudo: true, jump: [a]}\ngroups:\n  az1:\n    nodes:\n      cmp[001-004,07]-az[1-2]: {migration_address: '10.0.0.[1-10]'}\njump_hosts: {a: {address: b}}\n",
            "clearway: 1\nscope: per-cell\nnodes:\n  a: {cell: x}\n  b: {cell: &c x}\n  c: *c\n",
        ],
    },
    Target {
        name: "limit",
        run: limit,
        samples: &["cmp[001-040],@az1,!cmp017,cmp*-az[1-2]", "!@x,a[1-1000000]"],
    },
];

fn text(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Reads known_hosts and keeps every byte of it.
pub(crate) fn known_hosts(data: &[u8]) {
    let document = KnownHosts::parse(data);
    assert_eq!(document.as_bytes(), data, "lossless");
    for (_, entry) in document.entries() {
        let _ = entry.hosts.matches("node2");
        let _ = entry.hosts.matches("[node2]:8022");
    }
}

/// Reads authorized_keys and keeps every byte of it.
pub(crate) fn authorized_keys(data: &[u8]) {
    let document = AuthorizedKeys::parse(data);
    assert_eq!(document.as_bytes(), data, "lossless");
    assert!(document.keys().count() <= data.len());
}

/// Reads a file of principals.
pub(crate) fn principals(data: &[u8]) {
    let file = AuthorizedPrincipals::parse(data);
    assert!(file.names().all(|(line, _)| line > 0));
}

/// Reads keys and certificates: from a line, from a file and from the wire. What is written reads back the same.
pub(crate) fn public_key(data: &[u8]) {
    let _ = PublicKey::read_file(data);
    for key in [
        PublicKey::read(data).map(|(key, _)| key),
        PublicKey::from_wire(data),
    ] {
        let Ok(key) = key else { continue };
        let written = key.to_string();
        let (again, _) = PublicKey::read(written.as_bytes()).expect("what was written is read");
        assert_eq!(again, key);
        assert_eq!(again.fingerprint(), key.fingerprint());
        if let Some(certificate) = key.certificate() {
            let _ = certificate.validity_at(1_700_000_000);
        }
    }
}

/// Reads revoked keys in either form.
pub(crate) fn revoked_keys(data: &[u8]) {
    let line = concat!("ssh-ed25519 ", key!());
    let (key, _) = PublicKey::read(line.as_bytes()).expect("a key");
    let _ = RevokedKeys::parse(data).contains(&key);
}

/// Reads the output of `ssh -G`.
pub(crate) fn ssh_g(data: &[u8]) {
    let _ = ClientSettings::parse(data);
}

/// Reads the output of `sshd -T`.
pub(crate) fn sshd_t(data: &[u8]) {
    let _ = ServerSettings::parse(data);
}

/// Reads ssh_config, and says what it means for one name that it does not mean for another.
pub(crate) fn client_config(data: &[u8]) {
    let config = ClientConfig::read([("/etc/ssh/ssh_config", data)], "/var/lib/nova");
    let query = |name| ClientQuery {
        name,
        local_user: "nova",
        user: None,
    };
    let _ = config.difference(&query("node2.lab"), &query("clearway-base.invalid"));
}

/// Reads sshd_config, and says what it means for one client that it does not mean for another.
pub(crate) fn server_config(data: &[u8]) {
    let config = ServerConfig::read([("/etc/ssh/sshd_config", data)], "/etc/ssh/sshd_config");
    let query = |address| ServerQuery {
        user: "nova",
        groups: Some(&[]),
        host: Some(address),
        address: Some(address),
        local_address: None,
        local_port: None,
    };
    let _ = config.difference(&query("10.1.0.1"), &query("192.0.2.255"));
}

/// Says what ssh and scp have said.
pub(crate) fn messages(data: &[u8]) {
    let said = text(data);
    let _ = explain_text(&said);
    let trace = Trace::read(&said);
    for status in [None, Some(0), Some(1), Some(255)] {
        let _ = explain(Ending {
            trace: &trace,
            stdout: &said,
            status,
        });
    }
}

const NONCE: [u8; 16] = [7; 16];

/// The bytes as they are, and behind the beginning of an answer.
fn framed(nonce: &Nonce, data: &[u8]) -> [Vec<u8>; 2] {
    let nonce = nonce.as_str();
    let mut begun = format!("\nclearway/1 {nonce}\n{nonce}").into_bytes();
    begun.extend_from_slice(data);
    [data.to_vec(), begun]
}

/// Takes answers apart, at once or byte by byte: the same records come of both.
pub(crate) fn frame(data: &[u8]) {
    let nonce = Nonce::new(NONCE);
    let limits = Limits {
        bytes: 1 << 16,
        noise: 1 << 12,
        records: 64,
        fields: 8,
        field: 1 << 12,
    };
    for bytes in framed(&nonce, data) {
        let Ok(whole) = decode(&bytes, &nonce, limits) else {
            continue;
        };
        let mut decoder = Decoder::new(&nonce, limits);
        let mut records = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]).expect("it was right as a whole");
            records.extend(std::iter::from_fn(|| decoder.next_record()));
        }
        assert_eq!(records, whole);
    }
}

/// Reads the answer of a survey.
pub(crate) fn survey(data: &[u8]) {
    let inventory = minimal();
    let profile = &inventory.fleet.nodes[0].profile;
    let nonce = Nonce::new(NONCE);
    for bytes in framed(&nonce, data) {
        let request = SurveyRequest::new(profile, &[], nonce.clone());
        let _ = parse(&request, &bytes, &ContentPool::new());
    }
}

/// Reads the answer of a proof: a leg has one proof, whatever was said of it.
pub(crate) fn proof(data: &[u8]) {
    let leg = |server| Leg {
        id: LegId {
            lane: Lane::ColdPush,
            client: NodeId(0),
            server: NodeId(server),
        },
        name: "10.0.0.1".into(),
        user: None,
        port: None,
        identity: None,
        options: Arc::from([]),
        context: Arc::from([]),
        transport: Transport::Scp,
        directory: "/var/lib/nova/instances".into(),
        may_record: true,
        machine_id: Some("0123456789abcdef0123456789abcdef".into()),
    };
    let settings = Settings::new(Depth::Copy, Duration::from_secs(60));
    let all = programs(vec![leg(1), leg(2)], &settings, &Nonce::new(NONCE));
    let program = all.first().expect("one context");
    let nonce = Nonce::new(NONCE).child("proof 0");
    // Samples name the nonce that all targets share.
    let data = text(data).replace(&hex(), nonce.as_str());
    for bytes in framed(&nonce, data.as_bytes()) {
        let mut reader = program.reader();
        let mut proofs = Vec::new();
        let name = |_| "n".to_owned();
        let _ = reader.push(&bytes, &name, &mut proofs);
        let ended = Ended::Exited {
            status: Some(0),
            stderr: b"",
        };
        proofs.extend(reader.finish(ended, &name));
        assert_eq!(proofs.len(), 2, "one for each leg");
    }
}

fn hex() -> String {
    Nonce::new(NONCE).as_str().to_owned()
}

/// Reads the log of a server.
pub(crate) fn server_log(data: &[u8]) {
    let nonce = Nonce::new(NONCE);
    let client = [IpAddr::from([10, 77, 0, 2])];
    for bytes in framed(&nonce, data) {
        let Ok(log) = ServerLog::read(&bytes, &nonce) else {
            continue;
        };
        let nodes = client.iter().copied().collect();
        for (user, key_taken) in [(None, false), (Some("nova"), true)] {
            let _ = log.explain(
                "n",
                &Question {
                    predicted: None,
                    client: &client,
                    nodes: &nodes,
                    user,
                    key_taken,
                    logs_drops: key_taken,
                    window: Duration::from_secs(60),
                },
            );
        }
    }
}

/// nova-compute's log of a failed move, and what is made of its text.
pub(crate) fn nova_log(data: &[u8]) {
    let nonce = Nonce::new(NONCE);
    for bytes in framed(&nonce, data) {
        let Ok(log) = NovaLog::read(&bytes, &nonce) else {
            continue;
        };
        let _ = (log.source(), log.nothing(), log.telling());
        let _ = diagnose(&log.text());
    }
}

fn read(text: String) -> Option<Inventory> {
    let source = Source {
        name: "inventory.yaml".to_owned(),
        base: "/".into(),
        text,
    };
    let context = Context {
        home: Some("/root".into()),
        user: Some("ops".to_owned()),
    };
    Inventory::read(&[source], &context).ok()
}

fn minimal() -> &'static Inventory {
    static READ: OnceLock<Inventory> = OnceLock::new();
    READ.get_or_init(|| {
        let text = "clearway: 1\ngroups:\n  az1:\n    nodes:\n      cmp[1-12]: {}\n";
        read(text.to_owned()).expect("a good inventory")
    })
}

/// Reads an inventory. A good one has nodes of different names.
pub(crate) fn inventory(data: &[u8]) {
    let Some(inventory) = read(text(data)) else {
        return;
    };
    let mut names: Vec<_> = inventory
        .fleet
        .nodes
        .iter()
        .map(|node| &node.name)
        .collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// Reads selections and ranges of names.
pub(crate) fn limit(data: &[u8]) {
    let text = text(data);
    let _ = NameRange::parse(&text);
    let _ = expand_list(&text);
    let inventory = minimal();
    if let Ok(chosen) = select(&inventory.fleet, &text) {
        assert!(chosen.is_sorted());
        assert!(chosen.len() <= inventory.fleet.nodes.len());
    }
}
