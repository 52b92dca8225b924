//! What is measured. Everything runs in a session of its own: with the kernel's autogroup scheduling, tools that call
//! setsid(2) get more of a busy machine than tools that do not, and wall times say nothing.

use std::ffi::OsStr;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clearway_lab::{Kex, Lab, Node};

/// A run that did not do its work is no measurement.
pub(crate) type Outcome = Result<(), String>;

/// One `ssh b true` for each peer, as the shell loops of operators do it.
const MESH: &str = r#"for b do ssh -n -o BatchMode=yes "$b" true || exit; done"#;

/// For each peer what Nova runs in a move there and one from there: ssh, scp, ssh; scp.
const COPIES: &str = r#"
t=$(mktemp -d) && head -c 4096 /dev/urandom >"$t/probe" || exit
d=/var/lib/nova/instances/bare-$(uname -n)
for b do
    ssh -n -o BatchMode=yes "$b" "mkdir -p $d && touch $d/x.tmp && rm $d/x.tmp" &&
    scp -r -o BatchMode=yes "$t/probe" "$b:$d/probe" &&
    ssh -n -o BatchMode=yes "$b" "cat $d/probe; rm -rf $d" >"$t/back" &&
    scp -C -r -o BatchMode=yes "$b:/etc/machine-id" "$t/id" || exit
done
rm -rf "$t"
"#;

/// The clearway to measure and how many nodes of the lab it may look at.
pub(crate) fn clearway(lab: &Lab, program: &Path, nodes: usize, more: &[&str]) -> Outcome {
    let mut command = lab.command("setsid");
    command
        .arg(program)
        .args(["check", "--quiet", "--no-ledger", "--inventory"])
        .arg(lab.inventory())
        .args(["--limit", &format!("node[1-{nodes}]")])
        .args(more);
    run(&mut command).map(drop)
}

/// A repair of the first nodes of a lab that are as they should be. One that writes has not done its work.
pub(crate) fn repair(lab: &Lab, program: &Path, nodes: usize, more: &[&str]) -> Outcome {
    let mut command = lab.command("setsid");
    command
        .arg(program)
        .args(["repair", "--yes", "--inventory"])
        .arg(lab.inventory())
        .arg("--ledger")
        .arg(lab.dir().join("bench.sqlite"))
        .args(["--limit", &format!("node[1-{nodes}]")])
        .args(more);
    let told = run(&mut command)?;
    if told.contains("nothing to repair: 0 files written") {
        return Ok(());
    }
    Err(format!(
        "a repair with nothing to do does something: {told}"
    ))
}

/// Every file that a repair could write, with its inode and the time of its last change of any kind.
pub(crate) fn files(lab: &Lab) -> Result<Vec<String>, String> {
    const FIND: &str =
        "find /var/lib/nova/.ssh /root/.ssh /home /etc/ssh -printf '%p %i %C@\\n' | sort";
    let of_node = |node: &Node| {
        let found = node.sh(FIND).map_err(|error| error.to_string())?;
        Ok(String::from_utf8_lossy(&found.stdout).into_owned())
    };
    lab.nodes().iter().map(of_node).collect()
}

/// `pdsh -R ssh … true` with the same key, known hosts and number of nodes at once.
pub(crate) fn pdsh(lab: &Lab, user: &str, kex: Kex) -> Outcome {
    let mut options = format!(
        "-o BatchMode=yes -o IdentitiesOnly=yes -o IdentityFile={} -o UserKnownHostsFile={} \
         -o GlobalKnownHostsFile=/dev/null",
        lab.control_key().display(),
        lab.control_known_hosts().display(),
    );
    if kex == Kex::Fast {
        options.push_str(" -o KexAlgorithms=curve25519-sha256");
    }
    let mut names = String::new();
    for node in lab.nodes() {
        write!(names, "{},", node.address()).expect("a String takes everything");
    }
    let mut command = lab.command("setsid");
    command
        .args(["pdsh", "-S", "-R", "ssh", "-f", "64", "-l", user, "-w"])
        .args([names.trim_end_matches(','), "true"])
        .env("PDSH_SSH_ARGS_APPEND", options);
    run(&mut command).map(drop)
}

/// Bare ssh between the first `count` nodes, all nodes at once.
pub(crate) fn mesh(lab: &Lab, count: usize) -> Outcome {
    on_nodes(lab, count, MESH)
}

/// Bare ssh and scp between the first `count` nodes, all nodes at once.
pub(crate) fn copies(lab: &Lab, count: usize) -> Outcome {
    on_nodes(lab, count, COPIES)
}

/// `clearway --help`.
pub(crate) fn help(program: &Path) -> Outcome {
    run(Command::new(program).arg("--help")).map(drop)
}

/// Where a program of this machine is.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|it| it.is_file())
}

/// Each node starts with the one after it, so that not all of them ask the same sshd (MaxStartups).
fn on_nodes(lab: &Lab, count: usize, script: &str) -> Outcome {
    let nodes = lab.nodes().get(..count).unwrap_or(lab.nodes());
    let mut children = Vec::new();
    for place in 0..nodes.len() {
        let (before, from) = nodes.split_at(place);
        let peers = from.iter().skip(1).chain(before).map(Node::address);
        let child = from[0]
            .command("setsid")
            .args(["setpriv", "--reuid=nova", "--regid=nova", "--init-groups"])
            .args(["--reset-env", "sh", "-c", script, "sh"])
            .args(peers.map(|it| it.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("starting a shell on {}: {error}", from[0].name()))?;
        children.push((from[0].name(), child));
    }
    let mut outcome = Ok(());
    for (node, mut child) in children {
        match child.wait() {
            Ok(status) if status.success() => {}
            Ok(status) => outcome = Err(format!("the shell loop on {node}: {status}")),
            Err(error) => outcome = Err(format!("waiting for the shell loop on {node}: {error}")),
        }
    }
    outcome
}

/// What it says on stderr.
fn run(command: &mut Command) -> Result<String, String> {
    let words = || {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        words.join(" ")
    };
    let line = words();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{line}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    Err(format!(
        "{line}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    ))
}
