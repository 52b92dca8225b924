//! Ways to the API: TLS, regions, addresses, tokens.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clearway_nova_lab::{ColdPhase, Steer};

use crate::ground::{Ended, Ground, ended};

/// A TLS server in front of an address, with a certificate of its own authority. `openssl` makes it, Python serves it.
struct Tls {
    server: Child,
    port: u16,
    authority: PathBuf,
}

/// Hands bytes on, from TLS to plain text and back.
const FRONT: &str = r#"
import socket, ssl, sys, threading
pem, port = sys.argv[1], int(sys.argv[2])
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem)
def hand(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
    except OSError:
        pass
    for it in (a, b):
        try: it.shutdown(socket.SHUT_RDWR)
        except OSError: pass
def serve(plain):
    try:
        outside = context.wrap_socket(plain, server_side=True)
    except OSError:
        return
    inside = socket.create_connection(("127.0.0.1", port))
    threading.Thread(target=hand, args=(inside, outside), daemon=True).start()
    hand(outside, inside)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

impl Tls {
    fn new(directory: &Path, name: &str, port: &str) -> Self {
        Self::with(certificate(directory, name), port)
    }

    /// With this certificate and key.
    fn with(pem: PathBuf, port: &str) -> Self {
        use std::io::BufRead as _;
        let mut server = Command::new("python3")
            .args(["-c", FRONT])
            .arg(&pem)
            .arg(port)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = server.stdout.take().unwrap();
        std::io::BufReader::new(stdout)
            .read_line(&mut line)
            .unwrap();
        Self {
            server,
            port: line.trim().parse().unwrap(),
            authority: pem,
        }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// `clearway servers`, with a Keystone and a Nova behind TLS and nothing but variables to say so.
fn servers_by_variables(ground: &Ground, keystone: &Tls, nova: &Tls, authority: &Path) -> Ended {
    let mut command = ground.command("operator", &["servers", "--format", "json"]);
    command
        .env_remove("OS_CLOUD")
        .env_remove("OS_CLIENT_CONFIG_FILE");
    let keystone = format!("https://127.0.0.1:{}/v3", keystone.port);
    let nova = format!("https://127.0.0.1:{}/v2.1", nova.port);
    for (name, value) in [
        ("OS_AUTH_URL", keystone.as_str()),
        ("OS_COMPUTE_ENDPOINT_OVERRIDE", &nova),
        ("OS_USERNAME", "operator"),
        ("OS_PASSWORD", "clearway-nova-lab"),
        ("OS_PROJECT_NAME", "demo"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_NAME", "Default"),
    ] {
        command.env(name, value);
    }
    command.env("OS_CACERT", authority);
    ended(&command.output().unwrap())
}

/// A certificate for 127.0.0.1 and its key in one file, and beside it the authority that signed it (`.crt`).
fn certificate(directory: &Path, name: &str) -> PathBuf {
    let script = r#"
        set -e
        key="-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        openssl req -x509 $key -subj "/CN=authority of $0" -keyout "$0.key" -out "$0.crt"
        openssl req -x509 $key -subj "/CN=$0" -CA "$0.crt" -CAkey "$0.key" -keyout "$0.pem" -out "$0.own" \
            -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE
        cat "$0.own" >> "$0.pem"
    "#;
    let done = Command::new("sh")
        .args(["-c", script, name])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    directory.join(format!("{name}.pem"))
}

fn port(url: &str) -> &str {
    let rest = url.rsplit(':').next().unwrap();
    rest.split('/').next().unwrap()
}

/// `clearway servers`, with the operator's entry of clouds.yaml changed.
fn servers(ground: &Ground, change: impl Fn(&str) -> String) -> Ended {
    let text = std::fs::read_to_string(ground.cloud().clouds_yaml()).unwrap();
    let (before, rest) = text.split_once("  operator:\n").unwrap();
    let (entry, after) = rest.split_once("  operator-app:\n").unwrap();
    let path = ground.scratch().join("other-clouds.yaml");
    let text = format!(
        "{before}  operator:\n{}  operator-app:\n{after}",
        change(entry)
    );
    std::fs::write(&path, text).unwrap();
    let mut command = ground.command("operator", &["servers", "--format", "json"]);
    command.env("OS_CLIENT_CONFIG_FILE", &path);
    ended(&command.output().unwrap())
}

pub(crate) fn authority(ground: &Ground) {
    let cloud = ground.cloud();
    cloud.boot_server("behind-tls", "node1.lab").unwrap();
    let scratch = ground.scratch();
    let keystone = Tls::new(scratch, "keystone", port(&cloud.identity_url()));
    let nova = Tls::new(scratch, "nova", port(&cloud.compute_url()));
    let both = scratch.join("authorities.pem");
    let read = |it: &Tls| std::fs::read_to_string(it.authority.with_extension("crt")).unwrap();
    std::fs::write(&both, read(&keystone) + &read(&nova)).unwrap();
    let behind = |entry: &str, authority: &str| {
        let identity = format!("https://127.0.0.1:{}/v3", keystone.port);
        let entry = entry.replace(&cloud.identity_url(), &identity);
        format!(
            "{entry}    compute_endpoint_override: https://127.0.0.1:{}/v2.1\n{authority}",
            nova.port
        )
    };
    let cacert = |path: &Path| format!("    cacert: {}\n", path.display());
    let well = servers(ground, |it| behind(it, &cacert(&both)));
    assert_eq!(well.code, 0, "{}", well.all());
    assert!(
        well.stdout
            .contains(&format!("https://127.0.0.1:{}/v2.1", nova.port))
    );
    // One authority alone is not both.
    let one = keystone.authority.with_extension("crt");
    for (authority, said) in [
        (cacert(&one), one.display().to_string()),
        (String::new(), "the authorities of this machine".to_owned()),
    ] {
        let refused = servers(ground, |it| behind(it, &authority));
        assert_eq!(refused.code, 2, "{}", refused.all());
        assert!(refused.stderr.contains(&said), "{said}: {}", refused.stderr);
        assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    }
    let nowhere = servers(ground, |it| behind(it, "    cacert: /nowhere/ca.pem\n"));
    assert_eq!(nowhere.code, 2, "{}", nowhere.all());
    assert!(
        nowhere.stderr.contains("/nowhere/ca.pem"),
        "{}",
        nowhere.stderr
    );
}

pub(crate) fn environment(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("by-variables", "node1.lab").unwrap();
    let scratch = ground.scratch();
    let keystone = Tls::new(scratch, "keystone", port(&cloud.identity_url()));
    let nova = Tls::new(scratch, "nova", port(&cloud.compute_url()));
    let read = |it: &Tls| std::fs::read_to_string(it.authority.with_extension("crt")).unwrap();
    let both = scratch.join("authorities.pem");
    std::fs::write(&both, read(&keystone) + &read(&nova)).unwrap();
    let well = servers_by_variables(ground, &keystone, &nova, &both);
    assert_eq!(well.code, 0, "{}", well.all());
    assert!(well.stdout.contains(&id), "{}", well.stdout);
    // The login is trusted, Nova is not; then not even the login; then there is no such file.
    for (authority, host) in [(&keystone, nova.port), (&nova, keystone.port)] {
        let file = authority.authority.with_extension("crt");
        let refused = servers_by_variables(ground, &keystone, &nova, &file);
        assert_eq!(refused.code, 2, "{}", refused.all());
        let host = format!("the certificate of https://127.0.0.1:{host} is not trusted by");
        let file = file.display().to_string();
        for said in [host.as_str(), &file, "OS_CACERT"] {
            assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
        }
    }
    let nowhere = servers_by_variables(ground, &keystone, &nova, Path::new("/nowhere/ca.pem"));
    assert_eq!(nowhere.code, 2, "{}", nowhere.all());
    let said = &nowhere.stderr;
    assert!(said.contains("/nowhere/ca.pem"), "{said}");
}

/// What `openssl req -x509` makes by itself, and what is then often named as its own authority.
pub(crate) fn authoritys_own(ground: &Ground) {
    let cloud = ground.cloud();
    let scratch = ground.scratch();
    let script = r#"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=own \
            -addext subjectAltName=IP:127.0.0.1 -keyout own.pem -out own.crt && cat own.crt >> own.pem
    "#;
    let made = Command::new("sh")
        .args(["-c", script])
        .current_dir(scratch)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let serve = |url: &str| Tls::with(scratch.join("own.pem"), port(url));
    let keystone = serve(&cloud.identity_url());
    let nova = serve(&cloud.compute_url());
    let refused = servers_by_variables(ground, &keystone, &nova, &scratch.join("own.crt"));
    assert_eq!(refused.code, 2, "{}", refused.all());
    for said in [
        "it is an authority's own (CA:TRUE) and not a server's",
        "basicConstraints=CA:FALSE",
        "own.crt",
    ] {
        assert!(refused.stderr.contains(said), "{said}: {}", refused.stderr);
    }
}

pub(crate) fn regions(ground: &Ground) {
    let cloud = ground.cloud();
    cloud.boot_server("somewhere", "node1.lab").unwrap();
    let region = |entry: &str, region: &str| {
        let lines = entry.lines().filter(|it| !it.contains("region_name"));
        let kept: String = lines.map(|it| format!("{it}\n")).collect();
        kept + region
    };
    let unknown = servers(ground, |it| region(it, "    region_name: Atlantis\n"));
    assert_eq!(unknown.code, 2, "{}", unknown.all());
    for said in ["in region Atlantis", "RegionOne"] {
        assert!(unknown.stderr.contains(said), "{said}: {}", unknown.stderr);
    }
    let only = servers(ground, |it| region(it, ""));
    assert_eq!(
        only.code,
        0,
        "the only region needs no name: {}",
        only.all()
    );
    let admin = servers(ground, |it| region(it, "    interface: admin\n"));
    assert_eq!(admin.code, 0, "{}", admin.all());
    let wrong = servers(ground, |it| region(it, "    interface: sideways\n"));
    assert_eq!(wrong.code, 2, "{}", wrong.all());
    assert!(
        wrong.stderr.contains("none of public, internal, admin"),
        "{}",
        wrong.stderr
    );
    let elsewhere = format!("{}/somewhere", cloud.compute_url());
    let elsewhere = servers(ground, |it| {
        region(
            it,
            &format!("    compute_endpoint_override: {elsewhere}/else\n"),
        )
    });
    assert_eq!(elsewhere.code, 2, "{}", elsewhere.all());
    assert!(
        elsewhere.stderr.contains("HTTP 404"),
        "{}",
        elsewhere.stderr
    );
}

/// Keystone ends every token of a user whose password is set.
pub(crate) fn revoked(ground: &Ground) {
    let cloud = ground.cloud();
    let id = cloud.boot_server("revoked", "node1.lab").unwrap();
    let steer = Steer::well().cold_seconds(ColdPhase::Copy, 8.0);
    cloud.steer("*", "*", steer).unwrap();
    let running = ground.start_moves(&["migrate", &id, "--to", "node2.lab"]);
    ground.until("the request", 60, || {
        !ground.requests_of("migrate", &id).is_empty()
    });
    let place = cloud.access_log().unwrap().len();
    let words = ["user", "set", "--password", "clearway-nova-lab", "operator"];
    let set = cloud.openstack("operator", &words).unwrap();
    assert!(
        set.status.success(),
        "{}",
        String::from_utf8_lossy(&set.stderr)
    );
    let ended = ended(&running.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.all());
    let log = cloud.access_log().unwrap();
    let ours = log[place..].iter().filter(|it| {
        let agent = it.agent.as_deref();
        agent.is_some_and(|agent| agent.starts_with("clearway/"))
    });
    assert!(
        ours.filter(|it| it.status == 401).count() > 0,
        "its token was refused"
    );
    assert_eq!(ground.requests_of("migrate", &id).len(), 1);
    assert_eq!(
        ground.server(&id),
        ("ACTIVE".to_owned(), "node2.lab".to_owned())
    );
}
