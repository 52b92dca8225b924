//! Real `sshd` processes, one for each connection, as inetd starts them.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use super::tools;

pub(crate) const SSHD: &str = "/usr/sbin/sshd";

/// Whether `sshd` can be started here; if not, says so.
pub(crate) fn have(test: &str) -> bool {
    if !tools::have(test, &["ssh", "ssh-keygen", SSHD]) {
        return false;
    }
    // Its service makes this directory when it starts; as root, sshd insists on it.
    let empty = Path::new("/run/sshd");
    if tools::is_root() && !empty.exists() && std::fs::create_dir(empty).is_err() {
        tools::not_run(test, "/run/sshd does not exist and cannot be made");
        return false;
    }
    true
}

/// Takes connections on a port of its own until the test ends, each with an `sshd -i` of this configuration.
pub(crate) fn listen(config: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = config.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = OwnedFd::from(stream.unwrap());
            let mut sshd = Command::new(SSHD)
                .args(["-i", "-f", &config])
                .stdin(stream.try_clone().unwrap())
                .stdout(stream)
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            sshd.wait().unwrap();
        }
    });
    port
}
