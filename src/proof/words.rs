//! The command lines: Nova's and libvirt's own words, and what is added to them.
//!
//! Added is only what does not change whether Nova's ssh would succeed:
//! - `-v`, for the stages; it also lifts `LogLevel QUIET`, which would hide every message;
//! - `BatchMode=yes` where Nova or libvirt leave it out (neither has a terminal, so a prompt fails there as well);
//! - `UpdateHostKeys=no`: a probe must not rewrite known_hosts; where ssh would add to it, `climb.sh` finds out on the node
//!   what keeps it from that (`unrecorded`);
//! - `ControlPersist=no`: a shared connection that the probe opened ends with it;
//! - `ConnectTimeout` and `ServerAlive*`: deadlines. The latter also end a key exchange that stalls.

use crate::domain::{Depth, Lane, Leg};

use super::settings::Settings;

/// What follows `ssh` before the name; behind it come the name and the command.
pub(super) fn ssh(leg: &Leg, settings: &Settings) -> Vec<String> {
    let mut words = Vec::new();
    if leg.id.lane == Lane::Live {
        // libvirt/src/rpc/virnetsocket.c virNetSocketNewConnectSSH
        words.extend(own(leg, "-p"));
        words.extend(["-T", "-e", "none"].map(str::to_owned));
        words.extend(options(leg));
        words.extend(["-o", "BatchMode=yes"].map(str::to_owned));
    } else {
        // nova/utils.py ssh_execute
        words.extend(["-o", "BatchMode=yes"].map(str::to_owned));
        words.extend(own(leg, "-p"));
        words.extend(options(leg));
    }
    words.extend(added(settings));
    if settings.depth == Depth::Connect {
        words.extend(["-o", "PreferredAuthentications=none"].map(str::to_owned));
    }
    if leg.id.lane == Lane::Live {
        words.push("--".to_owned());
    }
    words
}

/// What follows `scp` before the two paths.
pub(super) fn scp(leg: &Leg, settings: &Settings) -> Vec<String> {
    let mut words = Vec::new();
    // remotefs.py SshDriver.copy_file: `-C` unless the image is compressed already (qcow2).
    if leg.id.lane == Lane::ColdPull {
        words.push("-C".to_owned());
    }
    words.push("-r".to_owned());
    words.extend(own(leg, "-P"));
    words.extend(options(leg));
    words.extend(["-o", "BatchMode=yes"].map(str::to_owned));
    words.extend(added(settings));
    words
}

/// What follows `ssh` where `rsync` runs it as its remote shell. Nova gives none, so this is what it would find by itself, and
/// what is added.
pub(super) fn rsync_shell(leg: &Leg, settings: &Settings) -> Vec<String> {
    let mut words = own(leg, "-p");
    words.extend(options(leg));
    words.extend(["-o", "BatchMode=yes"].map(str::to_owned));
    words.extend(added(settings));
    words
}

fn own(leg: &Leg, port_flag: &str) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(port) = leg.port {
        words.extend([port_flag.to_owned(), port.to_string()]);
    }
    if let Some(user) = &leg.user {
        // scp has no `-l` for this.
        words.extend(match port_flag {
            "-P" => ["-o".to_owned(), format!("User={user}")],
            _ => ["-l".to_owned(), user.to_string()],
        });
    }
    if let Some(identity) = &leg.identity {
        words.extend(["-i".to_owned(), identity.to_string()]);
    }
    words
}

fn options(leg: &Leg) -> impl Iterator<Item = String> {
    leg.options
        .iter()
        .flat_map(|option| ["-o".to_owned(), option.clone()])
}

fn added(settings: &Settings) -> Vec<String> {
    let mut words = vec!["-v".to_owned()];
    for option in [
        "UpdateHostKeys=no".to_owned(),
        "ControlPersist=no".to_owned(),
        format!("ConnectTimeout={}", settings.connect_seconds()),
        format!("ServerAliveInterval={}", settings.alive_seconds()),
        "ServerAliveCountMax=3".to_owned(),
    ] {
        words.extend(["-o".to_owned(), option]);
    }
    words
}

/// A name as scp and rsync want it before a colon (nova/utils.py `safe_ip_format`).
pub(super) fn before_colon(name: &str) -> String {
    if name.contains(':') && !name.starts_with('[') {
        format!("[{name}]")
    } else {
        name.to_owned()
    }
}
