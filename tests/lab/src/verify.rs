//! Whether a planted fault does what its file says, judged by OpenSSH alone: the nodes' own ssh, scp and rsync in
//! Nova's words, without clearway.

use std::fmt;
use std::thread;

use crate::error::Result;
use crate::fault::{ExpectedLeg, Fault, Lane, Verdict};
use crate::lab::Lab;
use crate::node::Node;

/// One leg on which OpenSSH and the fault's file do not agree.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// Which login; None for the control connection.
    pub lane: Option<Lane>,
    /// The node that ran ssh.
    pub from: String,
    /// The node that should have answered.
    pub to: String,
    /// What was expected and did not come.
    pub why: String,
    /// What ssh and the far end said.
    pub said: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} -> {}: {}\n    {}",
            self.lane.map_or("-", Lane::as_str),
            self.from,
            self.to,
            self.why,
            self.said.trim().replace('\n', "\n    ")
        )
    }
}

impl Lab {
    /// Does on every leg what Nova would do, and compares with what the fault's file says. The fault must be planted.
    ///
    /// # Errors
    /// If a command could not be started.
    pub fn verify(&self, fault: &Fault) -> Result<Vec<Mismatch>> {
        let names: Vec<&str> = self.nodes().iter().map(Node::name).collect();
        let openssh = self.nodes().first().map(Node::openssh).transpose()?;
        let expected = match openssh {
            Some(openssh) => fault.clone().on(openssh).expected_legs(&names),
            None => Vec::new(),
        };
        // Each node dials one other at a time; together they use all processors.
        let results = thread::scope(|scope| {
            let workers: Vec<_> = self
                .nodes()
                .iter()
                .enumerate()
                .map(|(first, from)| {
                    let expected = &expected;
                    scope.spawn(move || self.verify_from(first, from, expected, fault))
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().expect("no leg panics"))
                .collect::<Result<Vec<_>>>()
        })?;
        let mut mismatches: Vec<_> = results.into_iter().flatten().collect();
        for node in self.nodes() {
            mismatches.extend(self.verify_control(node, &expected, fault)?);
        }
        Ok(mismatches)
    }

    /// Only faults that say so may cut off the control connection: clearway could tell nothing about the node.
    fn verify_control(
        &self,
        node: &Node,
        expected: &[ExpectedLeg],
        fault: &Fault,
    ) -> Result<Option<Mismatch>> {
        let known_hosts = std::fs::read_to_string(self.control_known_hosts()).unwrap_or_default();
        let user = &fault.lab.control_user;
        let address = node.address();
        let output = self.hub_sh(&format!(
            "cat > /root/.ssh/known_hosts <<'END'\n{known_hosts}\nEND\n\
             ssh -n -o BatchMode=yes -o ConnectTimeout=3 {user}@{address} sudo -n uname -n"
        ))?;
        let works = output.stdout == format!("{}\n", node.name()).as_bytes();
        let cut_off = expected.iter().any(|leg| {
            leg.from == node.name()
                && leg.verdict == Verdict::Unproven
                && !["throttled", "not-surveyed"].contains(&leg.reason.as_str())
        });
        Ok((works == cut_off).then(|| Mismatch {
            from: "control connection".into(),
            to: node.name().into(),
            lane: None,
            why: if works { "works" } else { "does not work" }.into(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        }))
    }

    fn verify_from(
        &self,
        first: usize,
        from: &Node,
        expected: &[ExpectedLeg],
        fault: &Fault,
    ) -> Result<Vec<Mismatch>> {
        let mut mismatches = Vec::new();
        let count = self.nodes().len();
        for to in (1..count).map(|step| &self.nodes()[(first + step) % count]) {
            for lane in Lane::ALL {
                let leg = expected
                    .iter()
                    .find(|leg| leg.lane == lane && leg.from == from.name() && leg.to == to.name());
                let Some(wanted) = wanted(leg) else {
                    continue;
                };
                let seen = climb(lane, from, to)?;
                // The words are the main reason's.
                let words = leg.is_some_and(|leg| fault.is_main_reason(leg));
                if let Some(why) = self.difference(wanted, &seen, words.then_some(fault), to) {
                    mismatches.push(Mismatch {
                        lane: Some(lane),
                        from: from.name().to_owned(),
                        to: to.name().to_owned(),
                        why,
                        said: seen.said,
                    });
                }
            }
        }
        Ok(mismatches)
    }

    fn difference(
        &self,
        works: bool,
        seen: &Seen,
        words_of: Option<&Fault>,
        to: &Node,
    ) -> Option<String> {
        if seen.works != works {
            return Some(if works { "does not work" } else { "works" }.into());
        }
        let fault = words_of.filter(|_| !works)?;
        if let Some(words) = &fault.says
            && !seen.said.contains(words)
        {
            return Some(format!("does not say {words:?}"));
        }
        let log = self.read_log(to.name());
        if let Some(words) = &fault.logs
            && !log.contains(words)
        {
            return Some(format!("the log does not say {words:?}:\n{log}"));
        }
        None
    }
}

/// Whether OpenSSH alone should succeed on this leg; None if it cannot tell.
fn wanted(leg: Option<&ExpectedLeg>) -> Option<bool> {
    let Some(leg) = leg else {
        return Some(true);
    };
    // A shared address is dangerous because everything seems to work.
    if leg.either || leg.verdict == Verdict::NotNeeded || leg.reason == "shared-address" {
        return None;
    }
    // What only clearway's own control connection meets does not concern the nodes among themselves.
    Some(leg.verdict == Verdict::Unproven && leg.reason != "throttled")
}

struct Seen {
    works: bool,
    said: String,
}

/// The settings of a node that others dial it by.
struct Settings {
    address: String,
    host: String,
    instances: String,
    rsync: bool,
    live_user: Option<String>,
    live_key: Option<String>,
}

impl Settings {
    fn of(node: &Node) -> Self {
        let mut text =
            std::fs::read_to_string(node.path("/etc/nova/nova.conf")).unwrap_or_default();
        for entry in std::fs::read_dir(node.path("/etc/nova/nova.conf.d"))
            .into_iter()
            .flatten()
            .flatten()
        {
            text.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
        }
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .filter(|(name, _)| name.trim() == key)
                .map(|(_, value)| value.trim().to_owned())
                .next_back()
        };
        let instances = value("instances_path").unwrap_or_default();
        let uri = value("live_migration_uri").unwrap_or_default();
        Self {
            // Nova's defaults: the address of the default route, and the host name.
            address: value("migration_inbound_addr")
                .or_else(|| value("my_ip"))
                .unwrap_or_else(|| node.address().to_string()),
            host: value("host").unwrap_or_else(|| node.name().to_owned()),
            instances: instances.replace("$state_path", "/var/lib/nova"),
            rsync: value("remote_filesystem_transport").as_deref() == Some("rsync"),
            live_user: uri
                .strip_prefix("qemu+ssh://")
                .and_then(|rest| Some(rest.split_once('@')?.0.to_owned())),
            live_key: uri.split_once("?keyfile=").map(|(_, key)| key.to_owned()),
        }
    }
}

/// Arguments: lane, name dialled, name of the node that should answer, copying program, instances path, options of the
/// live lane.
const CLIMB: &str = r#"
lane=$1 name=$2 expected=$3 copy=$4 instances=$5
shift 5
opts='-o BatchMode=yes -o ConnectTimeout=3 -o ServerAliveInterval=1 -o ServerAliveCountMax=3 -o UpdateHostKeys=no'
[ $lane = live ] && then='&& nc -U /run/libvirt/libvirt-sock </dev/null' || then=
answer=$(ssh -n -T $opts "$@" -- "$name" "uname -n $then") || { echo "$answer"; exit 1; }
[ "$answer" = "$expected" ] || { echo "answered: $answer"; exit 1; }
copy() { case $copy in scp) scp -q -r $opts "$1" "$2" ;; rsync) rsync -r --sparse -e "ssh $opts" "$1" "$2" ;; esac; }
case $lane in
cold-push)
    dir=$instances/$(uname -n).$$
    ssh -n $opts "$name" "mkdir -p $dir && touch $dir/x.tmp && rm $dir/x.tmp" || exit 1
    copy /etc/hosts "$name:$dir/disk"; copied=$?
    back=$(ssh -n $opts "$name" "cat $dir/disk; rm -rf $dir") || exit 1
    [ $copied = 0 ] && [ "$back" = "$(cat /etc/hosts)" ] ;;
cold-pull)
    file=$instances/$expected.$$
    copy "$name:/etc/hostname" "$file" && [ "$(cat "$file")" = "$expected" ]; copied=$?
    rm -f "$file"
    exit $copied ;;
esac
"#;

fn climb(lane: Lane, from: &Node, to: &Node) -> Result<Seen> {
    let settings = Settings::of(to);
    let name = match lane {
        Lane::ColdPush => &settings.address,
        Lane::ColdPull | Lane::Live => &settings.host,
    };
    let copy = if settings.rsync { "rsync" } else { "scp" };
    let mut command = from.command("/usr/bin/timeout");
    command.args(["-k", "1", "25"]);
    if lane != Lane::Live {
        command.args(["/usr/bin/setpriv", "--reuid=nova", "--regid=nova"]);
        command.args(["--init-groups", "--reset-env"]);
    }
    command.args([
        "/bin/sh",
        "-c",
        CLIMB,
        "sh",
        lane.as_str(),
        name,
        to.name(),
        copy,
        &settings.instances,
    ]);
    if lane == Lane::Live {
        // The live lane's account and key are the source's own setting.
        let own = Settings::of(from);
        command.args(own.live_user.iter().flat_map(|user| ["-l", user.as_str()]));
        command.args(own.live_key.iter().flat_map(|key| ["-i", key.as_str()]));
    }
    let output = from.output(&mut command, "what Nova does")?;
    let mut said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stdout));
    Ok(Seen {
        works: output.status.success(),
        said,
    })
}
