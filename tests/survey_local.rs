//! The survey program in the shells of this machine, about this machine.

use std::io::Write;
use std::process::{Command, Stdio};

use clearway::domain::{Dial, LaneProfile, LaneUse, Profile, SshdProfile};
use clearway::frame::Nonce;
use clearway::survey::{Answer, BASE_NAME, ContentPool, Survey, SurveyRequest, parse};

fn profile(context: &[&str]) -> Profile {
    let words: Vec<String> = context.iter().map(|w| (*w).to_owned()).collect();
    let lane = |context: Vec<String>, used, dial| LaneProfile {
        used,
        context,
        dial,
        user: None,
        port: None,
        identity: None,
    };
    Profile {
        name: "local".to_owned(),
        repair: Default::default(),
        nova_conf: vec![
            "/etc/nova/nova.conf".to_owned(),
            "/etc/nova/nova.conf.d".to_owned(),
        ],
        nova_context: words.clone(),
        sshd: SshdProfile {
            context: Vec::new(),
            binary: "/usr/sbin/sshd".to_owned(),
            config: "/etc/ssh/sshd_config".to_owned(),
            port: 22,
        },
        cold_push: lane(words.clone(), LaneUse::Auto, Dial::MigrationAddress),
        cold_pull: lane(words, LaneUse::Auto, Dial::ServiceHost),
        live: lane(Vec::new(), LaneUse::Auto, Dial::LiveAddress),
    }
}

fn run(shell: &[&str], script: &str) -> Vec<u8> {
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .arg("-s")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("shell starts");
    let mut stdin = child.stdin.take().expect("piped");
    let script = script.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().expect("shell ends");
    writer.join().expect("no panic").expect("script is read");
    output.stdout
}

/// The shells to test: those that a node's `/bin/sh` may be, as far as they are here.
fn shells() -> Vec<Vec<&'static str>> {
    let candidates = [
        vec!["sh"],
        vec!["dash"],
        vec!["bash", "--posix"],
        vec!["busybox", "sh"],
    ];
    let works = |shell: &Vec<&str>| {
        Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", ":"])
            .status()
            .is_ok_and(|status| status.success())
    };
    candidates.into_iter().filter(works).collect()
}

fn request(context: &[&str]) -> SurveyRequest {
    let mut request = SurveyRequest::new(
        &profile(context),
        &["daemon".to_owned(), "clearway-nobody".to_owned()],
        Nonce::new([9; 16]),
    );
    request.nova_conf = vec![data("nova_conf/references.conf"), data("nowhere.conf")];
    request
}

fn data(path: &str) -> String {
    format!("{}/tests/data/{path}", env!("CARGO_MANIFEST_DIR"))
}

fn survey(shell: &[&str], request: &SurveyRequest) -> Survey {
    let bytes = run(shell, &request.program());
    parse(request, &bytes, &ContentPool::new())
        .unwrap_or_else(|e| panic!("{shell:?}: {e}: {}", String::from_utf8_lossy(&bytes)))
}

fn output(answer: &Answer) -> String {
    match answer {
        Answer::Output(content) => String::from_utf8(content.bytes.to_vec()).expect("text"),
        Answer::Failed { status, stderr } => panic!("status {status}: {stderr}"),
    }
}

fn file(path: &str) -> String {
    std::fs::read_to_string(path).expect("readable")
}

#[test]
fn the_host_is_told_as_it_is() {
    let facts = survey(&["sh"], &request(&[])).facts;
    assert_eq!(facts.hostname, file("/proc/sys/kernel/hostname").trim());
    let machine_id = std::fs::read_to_string("/etc/machine-id").ok();
    assert_eq!(
        facts.machine_id.as_deref(),
        machine_id.as_deref().map(str::trim)
    );
    assert!(
        facts
            .addresses
            .contains(&"127.0.0.1".parse().expect("address"))
    );
    let made_now = tempfile::NamedTempFile::new().expect("a file");
    let metadata = made_now.as_file().metadata().expect("its metadata");
    let now = metadata.modified().expect("its time");
    let now = now
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    assert!(facts.clock.abs_diff(i64::try_from(now).expect("fits")) < 30);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let facts = survey(&["sh"], &request(&[])).facts;
    let listeners = facts.listeners.expect("known");
    assert!(listeners.contains(&listener.local_addr().expect("bound")));
}

#[test]
fn nova_conf_is_understood_and_the_missing_file_is_no_problem() {
    let nova = survey(&["sh"], &request(&[])).facts.nova;
    assert!(nova.read);
    assert_eq!(nova.my_ip.as_deref(), Some("10.0.0.1"));
    assert_eq!(nova.migration_inbound_addr.as_deref(), Some("10.9.9.9"));
    assert_eq!(
        nova.live_migration_inbound_addr.as_deref(),
        Some("10.0.0.1")
    );
    assert_eq!(nova.default_my_ip, None, "nobody needs it");
    assert_eq!(nova.problems, Vec::<String>::new());
}

#[test]
fn ssh_and_sshd_say_what_they_make_of_their_configuration() {
    let facts = survey(&["sh"], &request(&[])).facts;
    let [client] = facts.clients.as_slice() else {
        panic!("live needs no context of its own here");
    };
    assert_eq!(client.failed, None);
    assert!(
        client
            .ssh_version
            .as_ref()
            .expect("known")
            .starts_with("OpenSSH_")
    );
    let base = output(&client.base_config);
    assert!(
        base.contains(&format!("\nhostname {BASE_NAME}\n")),
        "{base}"
    );
    assert!(!base.contains("loglevel"));
    assert!(client.programs.contains(&"ssh".to_owned()));
    let hosts = client.hosts.content().expect("read");
    assert_eq!(hosts.bytes.as_ref(), file("/etc/hosts").as_bytes());
    let config = client
        .config_files
        .iter()
        .find(|f| f.path == "/etc/ssh/ssh_config");
    let config = config.expect("looked at").content().expect("read");
    assert_eq!(
        config.bytes.as_ref(),
        file("/etc/ssh/ssh_config").as_bytes()
    );
    let sshd = facts.server.config_files.first().expect("looked at");
    let sshd = sshd.content().expect("read");
    assert_eq!(sshd.bytes.as_ref(), file("/etc/ssh/sshd_config").as_bytes());
}

#[test]
fn accounts_are_told_without_their_passwords() {
    let request = request(&[]);
    let facts = survey(&["sh"], &request).facts;
    let account = |name: &str| {
        let accounts = &facts.server.accounts;
        accounts.iter().find(|a| a.name == name).expect("asked for")
    };
    let daemon = account("daemon").account.as_ref().expect("there");
    assert_eq!((daemon.uid, daemon.groups[0].as_str()), (1, "daemon"));
    assert_eq!(account("clearway-nobody").account, None);
    let root = account("root");
    assert_eq!(root.account.as_ref().expect("there").home, "/root");
    assert!(root.shell_usable);
    let keys: Vec<&str> = root
        .authorized_keys
        .iter()
        .map(|k| k.file.path.as_str())
        .collect();
    assert!(keys.contains(&"/root/.ssh/authorized_keys"));
    let above: Vec<&str> = root.authorized_keys[0]
        .above
        .iter()
        .map(|(p, _)| p.as_str())
        .collect();
    assert_eq!(above.last(), Some(&"/root"));
    let Ok(shadow) = std::fs::read_to_string("/etc/shadow") else {
        return;
    };
    let answered = run(&["sh"], &request.program());
    let answered = String::from_utf8_lossy(&answered);
    for line in shadow.lines() {
        let hash = line.split(':').nth(1).expect("second field");
        assert!(hash.len() < 4 || !answered.contains(hash));
    }
}

/// What may differ between two surveys of the same node while other tests run on it.
fn forget_the_moment(survey: &mut Survey) {
    survey.facts.clock = 0;
    survey.facts.listeners = None;
}

#[test]
fn every_shell_tells_the_same() {
    let request = request(&[]);
    let mut first: Option<Survey> = None;
    for shell in shells() {
        let mut found = survey(&shell, &request);
        forget_the_moment(&mut found);
        if let Some(first) = &first {
            assert!(*first == found, "{shell:?}");
        }
        first.get_or_insert(found);
    }
}

#[test]
fn a_context_of_words_is_entered_through_them() {
    let plain = survey(&["sh"], &request(&[])).facts;
    let mut entered = survey(
        &["sh"],
        &request(&[
            "env",
            "LC_ALL=C.UTF-8",
            "A=it's",
            "sh",
            "-c",
            "exec \"$@\"",
            "x",
        ]),
    )
    .facts;
    assert_eq!(entered.clients[0].failed, None);
    entered.clients[0].context.clear();
    assert_eq!(plain.clients[0], entered.clients[0]);
    assert_eq!(plain.nova, entered.nova);
}

#[test]
fn a_context_that_cannot_be_entered_says_why_and_spoils_nothing_else() {
    let request = request(&["sh", "-c", "echo no such container >&2; exit 3", "x"]);
    let facts = survey(&["sh"], &request).facts;
    assert_eq!(
        facts.clients.len(),
        2,
        "live may use SSH: nova.conf was not read"
    );
    assert_eq!(
        facts.clients[0].failed.as_deref(),
        Some("exit status 3: no such container")
    );
    assert!(!facts.clients[0].unfinished);
    assert_eq!(facts.clients[1].failed, None);
    assert!(!facts.nova.read);
    assert!(!facts.server.host_keys.is_empty() || !facts.gaps.is_empty());
}

#[test]
fn a_context_that_answers_for_others_is_not_believed() {
    // It knows the part's own text, and with that a nonce: that of this part, not the program's.
    let lie = "sed 's/hostname/x/' | sh -s; echo; sed -n p";
    let facts = survey(&["sh"], &request(&["sh", "-c", lie, "x"])).facts;
    assert_eq!(facts.hostname, file("/proc/sys/kernel/hostname").trim());
    let noise = "cat /dev/urandom | head -c 100000; exec \"$@\"";
    let facts = survey(&["sh"], &request(&["sh", "-c", noise, "x"])).facts;
    assert!(
        facts.clients[0]
            .failed
            .as_ref()
            .expect("too much noise")
            .contains("limit")
    );
}

#[test]
fn what_another_node_answered_is_not_asked_again() {
    let mut request = request(&[]);
    let mut first = survey(&["sh"], &request);
    forget_the_moment(&mut first);
    assert_eq!(first.learnt.len(), 2);
    request.known.clone_from(&first.learnt);
    for shell in shells() {
        let mut again = survey(&shell, &request);
        assert!(again.learnt.is_empty(), "{shell:?}");
        forget_the_moment(&mut again);
        assert!(again.facts == first.facts, "{shell:?}");
    }
    // Another program file, another answer.
    for known in &mut request.known {
        known.key.push('x');
    }
    assert!(survey(&["sh"], &request).learnt == first.learnt);
}
