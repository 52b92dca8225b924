//! Private sshd processes, keys, and what a test needs to talk to them.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use clearway::domain::{
    Control, Dial, HostKeyTrust, JumpHost, LaneProfile, LaneUse, Node, NodeName, Profile,
    SshdProfile,
};
use clearway::remote::{Connector, Deadlines, Environment, Limits};
use tempfile::TempDir;

/// 2023-11-14: the clock of every connector here, so that certificates can be expired or not as a test wants.
pub(crate) const NOW: u64 = 1_700_000_000;

const SSHD: &str = "/usr/sbin/sshd";

/// Keys that all tests share, kept between runs in cargo's directory for that: making RSA keys takes time.
pub(crate) struct Keys {
    directory: PathBuf,
}

impl Keys {
    /// The path of a private key: `user_ed25519`, `host_rsa`, …
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// `TYPE BASE64` of a key.
    pub(crate) fn public(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.pub"))).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn fingerprint(&self, name: &str) -> String {
        let shown = run("ssh-keygen", &["-lf", text(&self.path(name))]);
        shown.split(' ').nth(1).unwrap().to_owned()
    }
}

pub(crate) fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let directory = scratch.join("remote-sshd-keys");
        if directory.exists() {
            return Keys { directory };
        }
        let new = tempfile::tempdir_in(scratch).unwrap();
        let keys = Keys {
            directory: new.path().to_path_buf(),
        };
        for (name, kind, bits) in [
            ("host_ed25519", "ed25519", "256"),
            ("host_ecdsa", "ecdsa", "256"),
            ("host_rsa", "rsa", "2048"),
            ("other_ed25519", "ed25519", "256"),
            ("user_ed25519", "ed25519", "256"),
            ("user_rsa", "rsa", "2048"),
            ("user_ecdsa", "ecdsa", "384"),
            ("ca", "ed25519", "256"),
        ] {
            keygen(&keys.path(name), kind, bits, "");
        }
        let pem = keys.path("user_pem");
        fs::copy(keys.path("user_rsa"), &pem).unwrap();
        run(
            "ssh-keygen",
            &["-q", "-p", "-m", "PEM", "-N", "", "-f", text(&pem)],
        );
        // Another run may have been quicker; its keys are as good.
        let _ = fs::rename(new.keep(), &directory);
        Keys { directory }
    })
}

pub(crate) fn keygen(path: &Path, kind: &str, bits: &str, passphrase: &str) {
    run(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            kind,
            "-b",
            bits,
            "-N",
            passphrase,
            "-C",
            "",
            "-f",
            text(path),
        ],
    );
}

/// Signs a public key with the shared CA: `KEY-cert.pub` appears beside it.
pub(crate) fn certify(public: &Path, host: bool, principals: &str, validity: &str) {
    let ca = keys().path("ca");
    let mut arguments = vec![
        "-q",
        "-s",
        text(&ca),
        "-I",
        "test",
        "-n",
        principals,
        "-V",
        validity,
    ];
    if host {
        arguments.push("-h");
    }
    arguments.push(text(public));
    run("ssh-keygen", &arguments);
}

pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn me() -> &'static str {
    static ME: OnceLock<String> = OnceLock::new();
    ME.get_or_init(|| run("id", &["-un"]).trim().to_owned())
}

/// Whether there is an sshd to test against; says so if not.
pub(crate) fn can_run(test: &str) -> bool {
    let found = Path::new(SSHD).exists();
    if !found {
        eprintln!("NOT RUN: {test}: there is no {SSHD}");
    }
    found
}

/// A server of one's own, with the shared host keys and the shared user keys authorised.
pub(crate) struct Sshd {
    pub(crate) directory: TempDir,
    pub(crate) address: &'static str,
    pub(crate) port: u16,
    child: Child,
}

impl Sshd {
    pub(crate) fn start() -> Self {
        Self::with(&["host_rsa", "host_ecdsa", "host_ed25519"], "")
    }

    /// With these host keys and further lines of configuration.
    pub(crate) fn with(host_keys: &[&str], configuration: &str) -> Self {
        let host_keys: Vec<_> = host_keys.iter().map(|name| keys().path(name)).collect();
        Self::with_files(&host_keys, configuration)
    }

    pub(crate) fn with_files(host_keys: &[PathBuf], configuration: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authorized = ["user_ed25519", "user_rsa", "user_ecdsa"]
            .map(|name| keys().public(name) + "\n")
            .concat();
        fs::write(directory.path().join("authorized_keys"), authorized).unwrap();
        let listeners = 1 + configuration.matches("ListenAddress").count();
        // A port may be taken between asking and listening, so more than one is tried.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let mut server = Self::spawn(&directory, port, host_keys, configuration);
            if wait_listening(&mut server, &directory.path().join("log"), listeners) {
                return Self {
                    directory,
                    address: "127.0.0.1",
                    port,
                    child: server,
                };
            }
        }
        panic!(
            "sshd did not start: {}",
            fs::read_to_string(directory.path().join("log")).unwrap()
        );
    }

    fn spawn(directory: &TempDir, port: u16, host_keys: &[PathBuf], configuration: &str) -> Child {
        let at = text(directory.path());
        let host_keys: String = host_keys
            .iter()
            .map(|path| format!("HostKey {}\n", text(path)))
            .collect();
        // The first value of a keyword counts: the test's lines go before the defaults. SHLVL keeps bash from reading
        // this user's .bashrc, which takes what time it likes.
        let all = format!(
            "{configuration}\n{host_keys}Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             AuthorizedKeysFile {at}/authorized_keys\nLogLevel VERBOSE\nUseDNS no\n\
             SetEnv SHLVL=2\n"
        );
        fs::write(directory.path().join("sshd_config"), all).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(directory.path().join("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// How often something stands in the log.
    pub(crate) fn logged(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A node behind this server with its host keys known, logged in to with a key from a file.
    pub(crate) fn node(&self) -> Node {
        node(self.address, self.port)
    }

    pub(crate) fn jump_host(&self) -> JumpHost {
        JumpHost {
            address: self.address.to_owned(),
            port: self.port,
            user: me().to_owned(),
            identities: Vec::new(),
            host_key: pinned("host_ed25519"),
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // It is gone already if it failed to start.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_listening(server: &mut Child, log: &Path, listeners: usize) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if fs::read_to_string(log)
            .unwrap()
            .matches("Server listening on")
            .count()
            == listeners
        {
            return true;
        }
        if server.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = server.kill();
    let _ = server.wait();
    false
}

pub(crate) fn pinned(key: &str) -> HostKeyTrust {
    HostKeyTrust {
        known_hosts: Vec::new(),
        alias: None,
        pinned: vec![keys().fingerprint(key)],
    }
}

pub(crate) fn known_in(file: &Path) -> HostKeyTrust {
    HostKeyTrust {
        known_hosts: vec![file.to_path_buf()],
        alias: None,
        pinned: Vec::new(),
    }
}

/// A node whose ed25519 host key is pinned and where the shared ed25519 key logs in.
pub(crate) fn node(address: &str, port: u16) -> Node {
    Node {
        name: NodeName::new("cmp001").unwrap(),
        service_host: None,
        migration_address: None,
        live_address: None,
        cell: None,
        groups: Vec::new(),
        control: Control {
            address: address.to_owned(),
            port,
            user: me().to_owned(),
            sudo: false,
            identities: vec![keys().path("user_ed25519")],
            agent: false,
            host_key: pinned("host_ed25519"),
            jump: Vec::new(),
        },
        profile: Arc::new(profile()),
    }
}

pub(crate) fn environment(home: &Path, agent_socket: Option<PathBuf>) -> Environment {
    Environment {
        home: home.to_path_buf(),
        agent_socket,
        now: || NOW,
    }
}

/// Short, so that what stalls is over soon; long enough for a busy machine.
pub(crate) fn deadlines() -> Deadlines {
    Deadlines {
        connect: Duration::from_secs(10),
        banner: Duration::from_secs(20),
        key_exchange: Duration::from_secs(20),
        login: Duration::from_secs(20),
        retry_pause: Duration::from_millis(50),
    }
}

pub(crate) fn connector() -> Connector {
    Connector::new(environment(Path::new("/nonexistent"), None), deadlines())
}

pub(crate) fn limits() -> Limits {
    Limits {
        deadline: Duration::from_secs(20),
        ..Limits::default()
    }
}

pub(crate) async fn assert_logs_in(connector: &Connector, node: &Node) {
    let connection = connector.connect(node).await.unwrap();
    let output = connection
        .run_program(b"echo here", &limits())
        .await
        .unwrap();
    assert_eq!(
        (output.stdout.as_slice(), output.exit.is_success()),
        (&b"here\n"[..], true)
    );
    connection.close().await;
}

/// The control connection looks at nothing in it.
fn profile() -> Profile {
    let lane = LaneProfile {
        used: LaneUse::No,
        context: Vec::new(),
        dial: Dial::ServiceHost,
        user: None,
        port: None,
        identity: None,
    };
    Profile {
        name: "none".to_owned(),
        repair: Default::default(),
        nova_conf: Vec::new(),
        nova_context: Vec::new(),
        sshd: SshdProfile {
            context: Vec::new(),
            binary: SSHD.to_owned(),
            config: String::new(),
            port: 22,
        },
        cold_push: lane.clone(),
        cold_pull: lane.clone(),
        live: lane,
    }
}
