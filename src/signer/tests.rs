//! Against the real ssh-keygen, ssh-agent and, where it is installed, a software token.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::openssh::key::{CertRole, PublicKey};
use crate::openssh::revoked::RevokedKeys;
use crate::repair::certificates::CertificateRequest;
use crate::repair::{Attributes, Target};

const NOW: u64 = 1_790_000_000;

fn keygen(arguments: &[&str], dir: &Path) {
    let mut command = Command::new("ssh-keygen");
    let status = command
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null());
    assert!(status.status().unwrap().success(), "{arguments:?}");
}

fn key(dir: &Path, name: &str, passphrase: &str) -> PathBuf {
    keygen(&["-q", "-t", "ed25519", "-N", passphrase, "-f", name], dir);
    dir.join(name)
}

fn public(path: &Path) -> PublicKey {
    let bytes = std::fs::read(path.with_extension("pub")).unwrap();
    PublicKey::read_file(&bytes).unwrap().0
}

fn request(key: PublicKey, role: CertRole) -> CertificateRequest {
    CertificateRequest {
        node: "node1".into(),
        role,
        target: Target {
            context: Vec::new(),
            path: "/x-cert.pub".into(),
        },
        attributes: Attributes {
            uid: 0,
            gid: 0,
            mode: 0o644,
        },
        key,
        key_id: "clearway:host:node1:1".into(),
        serial: u64::MAX - 5,
        principals: vec![
            "node1.lab".into(),
            "10.77.0.2".into(),
            "fe80::1%eth0".into(),
        ],
        valid_after: NOW - 3600,
        valid_before: NOW + 86_400,
        source_addresses: Vec::new(),
    }
}

fn signer(dir: &Path) -> Signer {
    Signer::new(None, dir.to_owned())
}

fn left_in(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("clearway")).collect()
}

#[tokio::test]
async fn what_was_asked_for_is_what_is_signed() {
    let dir = tempfile::tempdir().unwrap();
    let authority = key(dir.path(), "ca", "");
    let subject = key(dir.path(), "subject", "");
    let signer = signer(dir.path());
    let authority = signer.authority(KeySource::File(authority)).unwrap();
    let mut user = request(public(&subject), CertRole::User);
    user.principals = vec!["nova".into()];
    user.source_addresses = vec!["10.77.0.2".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    let host = request(public(&subject), CertRole::Host);
    let asked = vec![host, user];
    let signed = signer.sign(&authority, asked.clone()).await.unwrap();
    assert_eq!(signed.len(), 2);
    for (signed, asked) in signed.iter().zip(&asked) {
        assert_eq!(signed.request, *asked);
        let (made, _) = PublicKey::read_file(signed.line.as_bytes()).unwrap();
        let made = made.certificate().unwrap();
        assert_eq!(made.valid_before, asked.valid_before);
        assert_eq!(made.serial, asked.serial);
    }
    assert_eq!(left_in(dir.path()), [""; 0]);
}

#[tokio::test]
async fn each_refusal_is_told_apart_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let subject = public(&key(path, "subject", ""));
    let locked = key(path, "locked", "secret");
    let open = key(path, "open", "");
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let lonely = key(path, "lonely", "");
    std::fs::remove_file(&lonely).unwrap();
    let public_half = path.join("locked.pub");
    let token = |library: &str| KeySource::Token {
        public: public_half.clone(),
        library: library.into(),
    };
    for (source, fault) in [
        (KeySource::File(locked), SignerFault::PassphraseNeeded),
        (KeySource::File(open), SignerFault::KeyFileTooOpen),
        (KeySource::File(lonely), SignerFault::NoKeyFile),
        (KeySource::Agent(public_half.clone()), SignerFault::NoAgent),
        (token("/nonexistent.so"), SignerFault::Token),
    ] {
        let signer = signer(path);
        let authority = signer.authority(source.clone()).unwrap();
        let asked = vec![request(subject.clone(), CertRole::Host)];
        let error = signer.sign(&authority, asked).await.unwrap_err();
        let SignerError::Refused {
            fault: told, said, ..
        } = &error
        else {
            panic!("{source:?}: {error}");
        };
        assert_eq!(*told, fault, "{source:?}: {said}");
        assert!(!fault.hint().is_empty());
    }
    assert_eq!(left_in(path), [""; 0]);
}

/// An ssh-agent that ends with the test.
struct Agent {
    socket: PathBuf,
    child: std::process::Child,
}

impl Agent {
    fn start(dir: &Path) -> Self {
        let socket = dir.join("agent");
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self::ready(socket, child)
    }

    fn ready(socket: PathBuf, child: std::process::Child) -> Self {
        for _ in 0..500 {
            if socket.exists() {
                break;
            }
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Self { socket, child }
    }

    fn add(&self, key: &Path) {
        let mut command = Command::new("ssh-add");
        command
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket);
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_agent_signs_with_the_key_that_it_has_and_with_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let (authority, other) = (key(path, "ca", ""), key(path, "other", ""));
    let subject = public(&key(path, "subject", ""));
    let agent = Agent::start(path);
    let mut signer = signer(path);
    signer.agent_socket = Some(agent.socket.clone());
    let source = KeySource::Agent(path.join("ca.pub"));
    let by_agent = signer.authority(source).unwrap();
    let asked = || vec![request(subject.clone(), CertRole::Host)];
    for key in [None, Some(&other)] {
        if let Some(key) = key {
            agent.add(key);
        }
        let error = signer.sign(&by_agent, asked()).await.unwrap_err();
        let SignerError::Refused { fault, said, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*fault, SignerFault::KeyNotInAgent, "{said}");
    }
    agent.add(&authority);
    // The file is not needed any more.
    std::fs::remove_file(&authority).unwrap();
    assert_eq!(signer.sign(&by_agent, asked()).await.unwrap().len(), 1);
}

/// A software token with the RSA key `ca`, which no other test sees.
fn token(dir: &Path) -> Option<PathBuf> {
    const LIBRARIES: [&str; 3] = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    ];
    let library = LIBRARIES.iter().map(Path::new).find(|it| it.exists())?;
    let store = dir.join("tokens");
    std::fs::create_dir(&store).unwrap();
    let conf = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\n",
        store.display()
    );
    std::fs::write(dir.join("softhsm2.conf"), conf).unwrap();
    keygen(
        &[
            "-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "", "-f", "ca",
        ],
        dir,
    );
    for words in [
        "--init-token --free --label t --pin 1234 --so-pin 1234",
        "--import ca --token t --label ca --id 01 --pin 1234",
    ] {
        let mut command = Command::new("softhsm2-util");
        command.args(words.split(' ')).current_dir(dir);
        command
            .env("SOFTHSM2_CONF", dir.join("softhsm2.conf"))
            .stdout(Stdio::null());
        assert!(command.status().ok()?.success(), "{words}");
    }
    // From here on the key is only on the token.
    std::fs::remove_file(dir.join("ca")).unwrap();
    Some(library.to_owned())
}

#[tokio::test]
async fn a_token_signs_through_the_agent_and_by_itself_asks_for_its_pin() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let Some(library) = token(path) else {
        println!("SKIPPED: softhsm2 is not installed");
        return;
    };
    let subject = public(&key(path, "subject", ""));
    let asked = || vec![request(subject.clone(), CertRole::Host)];
    // ssh-keygen loads the library, which finds its token by this variable.
    let wrapper = path.join("keygen");
    let conf = path.join("softhsm2.conf");
    let text = format!(
        "#!/bin/sh\nSOFTHSM2_CONF={} exec ssh-keygen \"$@\"\n",
        conf.display()
    );
    std::fs::write(&wrapper, text).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o755)).unwrap();

    let mut signer = signer(path);
    signer.program = wrapper;
    let by_itself = signer
        .authority(KeySource::Token {
            public: path.join("ca.pub"),
            library: library.clone(),
        })
        .unwrap();
    let error = signer.sign(&by_itself, asked()).await.unwrap_err();
    let SignerError::Refused { fault, said, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(*fault, SignerFault::PassphraseNeeded, "{said}");
    let other = signer
        .authority(KeySource::Token {
            public: path.join("subject.pub"),
            library: library.clone(),
        })
        .unwrap();
    let error = signer.sign(&other, asked()).await.unwrap_err();
    assert!(
        matches!(
            error,
            SignerError::Refused {
                fault: SignerFault::Token,
                ..
            }
        ),
        "{error}"
    );

    // As the hint says: the agent knows the PIN.
    let socket = path.join("token-agent");
    let child = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .env("SOFTHSM2_CONF", &conf)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let agent = Agent::ready(socket, child);
    let ask = path.join("ask");
    std::fs::write(&ask, "#!/bin/sh\necho 1234\n").unwrap();
    std::fs::set_permissions(&ask, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut add = Command::new("ssh-add");
    add.arg("-s")
        .arg(&library)
        .env("SSH_AUTH_SOCK", &agent.socket);
    add.env("SSH_ASKPASS", &ask)
        .env("SSH_ASKPASS_REQUIRE", "force")
        .stdin(Stdio::null());
    assert!(add.status().unwrap().success());
    signer.agent_socket = Some(agent.socket.clone());
    let by_agent = signer
        .authority(KeySource::Agent(path.join("ca.pub")))
        .unwrap();
    let signed = signer.sign(&by_agent, asked()).await.unwrap();
    let (made, _) = PublicKey::read_file(signed[0].line.as_bytes()).unwrap();
    assert_eq!(
        made.certificate().unwrap().signature_algorithm,
        "rsa-sha2-512"
    );
}

#[tokio::test]
async fn a_program_that_hangs_or_signs_something_else_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let authority = key(path, "ca", "");
    let subject = key(path, "subject", "");
    let script = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let program = path.join(name);
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    };
    let mut signer = signer(path);
    let authority = signer.authority(KeySource::File(authority)).unwrap();
    let asked = || vec![request(public(&subject), CertRole::Host)];

    signer.program = script("hangs", "#!/bin/sh\nexec sleep 60\n");
    signer.deadline = Duration::from_millis(300);
    let error = signer.sign(&authority, asked()).await.unwrap_err();
    assert!(matches!(error, SignerError::TooSlow { .. }), "{error}");

    signer.deadline = Duration::from_secs(10);
    // One principal more than was asked for.
    signer.program = script(
        "generous",
        "#!/bin/sh\nfor a do shift; [ \"$before\" != -n ] || a=\"$a,*\"; set -- \"$@\" \"$a\"; before=$a; done\nexec ssh-keygen \"$@\"\n",
    );
    let error = signer.sign(&authority, asked()).await.unwrap_err();
    assert!(matches!(error, SignerError::Mismatched(_)), "{error}");

    signer.program = "/nonexistent".into();
    let error = signer.sign(&authority, asked()).await.unwrap_err();
    assert!(matches!(error, SignerError::Start { .. }), "{error}");
    assert_eq!(left_in(path), [""; 0]);
}

#[tokio::test]
async fn a_revocation_list_names_certificates_of_both_authorities() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path();
    let signer = signer(path);
    let subject = public(&key(path, "subject", ""));
    let mut certificates = Vec::new();
    let mut text = String::new();
    for name in ["hosts", "users"] {
        let authority = signer
            .authority(KeySource::File(key(path, name, "")))
            .unwrap();
        let mut asked = request(subject.clone(), CertRole::Host);
        asked.key_id = format!("clearway:{name}:node1:1");
        let revoked = asked.key_id.clone();
        let mut spared = asked.clone();
        spared.key_id = format!("clearway:{name}:node1:2");
        for signed in signer.sign(&authority, vec![asked, spared]).await.unwrap() {
            let made = PublicKey::read_file(signed.line.as_bytes()).unwrap().0;
            certificates.push((signed.request.key_id == revoked, made));
        }
        text.push_str(&format!("id: {revoked}\n"));
    }
    let list = signer.revocation_list(&text, 7).await.unwrap();
    let list = RevokedKeys::parse(&list);
    assert_eq!(certificates.len(), 4);
    for (revoked, certificate) in certificates {
        assert_eq!(
            list.contains(&certificate).unwrap(),
            revoked,
            "{certificate:?}"
        );
    }
    assert!(!list.contains(&subject).unwrap());
    assert_eq!(left_in(path), [""; 0]);
}
