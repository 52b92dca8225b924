//! Whole repairs that break off: clearway, the connection, the program on the node or the node's sshd is killed in the
//! middle. Going on ends well, and undo gives back what was there.

use std::time::{Duration, Instant};

use clearway_lab::{Lab, Node};

use crate::binary::{Done, clearway, start};
use crate::rotate::working;
use crate::support::{KNOWN_HOSTS, left_beside, picture, sh};
use crate::whole::bare;
use crate::wrapped::{At, arm, disarm, wrap};

/// Commands that only the programs of a repair run, so that a survey or a proof is not meant.
const COMMANDS: &[&str] = &["flock", "ln", "mv", "cp", "sync"];
const REPAIR: &[&str] = &[
    "repair",
    "--yes",
    "--lanes",
    "cold-push",
    "--format",
    "json",
];

/// A lab to repair, and what it was like.
struct Broken {
    lab: Lab,
    before: Vec<String>,
    /// Commands that one whole repair runs on node2.
    length: u32,
}

impl Broken {
    fn new() -> Option<Self> {
        let lab = bare(2)?;
        wrap(lab.node("node2"), COMMANDS);
        let before = lab.nodes().iter().map(picture).collect();
        let mut this = Self {
            lab,
            before,
            length: 0,
        };
        arm(this.node(), 0, At::Hold);
        let whole = clearway(&this.lab, REPAIR);
        assert_eq!(whole.code(), 0, "{}", whole.err);
        this.length = disarm(this.node());
        this.undo("whole");
        println!("{} commands on node2", this.length);
        Some(this)
    }

    fn node(&self) -> &Node {
        self.lab.node("node2")
    }

    /// Numbers of commands, spread evenly over a repair.
    fn points(&self, count: u32) -> impl Iterator<Item = u32> + use<> {
        let length = self.length;
        (0..count).map(move |number| 1 + number * length / count)
    }

    /// Starts a repair and waits until node2 has stopped at a command.
    fn held(&self, at: u32) -> crate::binary::Running {
        arm(self.node(), at, At::Hold);
        let mut running = start(&self.lab, REPAIR);
        let since = Instant::now();
        while !self.node().path("/run/wrapped/held").exists() {
            assert!(!running.has_ended(), "ended before command {at}");
            assert!(since.elapsed() < Duration::from_secs(60), "never at {at}");
            std::thread::sleep(Duration::from_millis(5));
        }
        running
    }

    fn release(&self) {
        std::fs::write(self.node().path("/run/wrapped/go"), "").unwrap();
    }

    fn resumed(&self, when: &str) -> Done {
        let resumed = clearway(&self.lab, &["repair", "resume", "last", "--format", "json"]);
        assert_eq!(resumed.code(), 0, "{when}: {}", resumed.err);
        let report = resumed.report();
        assert!(report.repair.as_ref().unwrap().complete, "{when}");
        assert_eq!(report.summary.legs.broken, 0, "{when}");
        resumed
    }

    fn undo(&self, when: &str) {
        self.undo_run("last", when);
    }

    fn undo_run(&self, run: &str, when: &str) {
        let undone = clearway(&self.lab, &["repair", "undo", run, "--yes"]);
        assert_eq!(undone.code(), 0, "{when}: {}{}", undone.out, undone.err);
        for (node, before) in self.lab.nodes().iter().zip(&self.before) {
            assert_eq!(picture(node), *before, "{when}: {}", node.name());
            assert_eq!(left_beside(node), ["/usr/local/sbin/.wrapped"; 0], "{when}");
        }
    }
}

fn clearway_is_killed(count: u32) {
    let Some(broken) = Broken::new() else { return };
    for at in broken.points(count) {
        let when = format!("clearway killed at command {at}");
        broken.held(at).kill();
        broken.release();
        broken.resumed(&when);
        disarm(broken.node());
        broken.undo(&when);
        // And the other way: not finished, but taken back.
        broken.held(at).kill();
        broken.release();
        broken.undo(&when);
        disarm(broken.node());
    }
}

fn the_node_is_killed(count: u32, how: At) {
    let Some(broken) = Broken::new() else { return };
    for at in broken.points(count) {
        let when = format!("{how:?} killed at command {at}");
        arm(broken.node(), at, how);
        let repaired = clearway(&broken.lab, REPAIR);
        assert_eq!(repaired.code(), 0, "{when}: {}", repaired.err);
        disarm(broken.node());
        broken.undo(&when);
    }
}

fn sshd_is_killed(count: u32) {
    let Some(broken) = Broken::new() else { return };
    for at in broken.points(count) {
        let when = format!("sshd killed at command {at}");
        arm(broken.node(), at, At::Sshd);
        let repaired = clearway(&broken.lab, REPAIR);
        disarm(broken.node());
        sh(broken.node(), "/usr/sbin/sshd");
        assert_ne!(repaired.code(), 0, "{when}: {}", repaired.err);
        assert!(
            repaired.err.contains(" repair resume "),
            "{when}: {}",
            repaired.err
        );
        // Either the node gets its part now, or what it had begun is taken back and the next repair gives it all.
        let resumed = clearway(
            &broken.lab,
            &["repair", "resume", "last", "--format", "json"],
        );
        let report = resumed.report();
        let repair = report.repair.as_ref().unwrap();
        assert!(repair.complete, "{when}: {}", resumed.err);
        if report.summary.legs.broken > 0 {
            assert_eq!(resumed.code(), 1, "{when}: {}", resumed.err);
            let outcome = |name: &str| {
                let node = repair.nodes.iter().find(|it| it.name == name);
                node.map(|it| it.outcome.clone())
            };
            assert_ne!(outcome("node2").as_deref(), Some("kept"), "{when}");
            let again = clearway(&broken.lab, REPAIR);
            assert_eq!(again.code(), 0, "{when}: {}", again.err);
            let run = again.report().run;
            let undone = clearway(&broken.lab, &["repair", "undo", &run, "--yes"]);
            assert_eq!(undone.code(), 0, "{when}: {}", undone.err);
        } else {
            assert_eq!(resumed.code(), 0, "{when}: {}", resumed.err);
        }
        broken.undo_run(&report.run, &when);
    }
}

#[test]
fn clearway_killed_in_the_middle_is_resumed_or_undone() {
    clearway_is_killed(8);
}

#[test]
fn a_connection_or_a_program_that_is_killed_does_not_stop_a_repair() {
    the_node_is_killed(8, At::Connection);
    the_node_is_killed(8, At::After);
}

#[test]
fn a_node_whose_sshd_is_killed_is_gone_on_with_later() {
    sshd_is_killed(8);
}

// Two hundred kills, in four tests that may run beside each other; of clearway two at each point.

#[test]
#[ignore = "takes minutes; `make test-fleet` runs it"]
fn clearway_killed_eighty_times_is_resumed_or_undone() {
    clearway_is_killed(40);
}

#[test]
#[ignore = "takes minutes; `make test-fleet` runs it"]
fn forty_connections_that_are_killed_do_not_stop_a_repair() {
    the_node_is_killed(40, At::Connection);
}

#[test]
#[ignore = "takes minutes; `make test-fleet` runs it"]
fn forty_programs_that_are_killed_do_not_stop_a_repair() {
    the_node_is_killed(40, At::Before);
}

#[test]
#[ignore = "takes minutes; `make test-fleet` runs it"]
fn a_node_whose_sshd_is_killed_forty_times_is_gone_on_with_later() {
    sshd_is_killed(40);
}

#[test]
fn interrupted_it_finishes_the_node_at_work_and_says_how_to_go_on() {
    let Some(broken) = Broken::new() else { return };
    let running = broken.held(3);
    running.interrupt();
    std::thread::sleep(Duration::from_millis(300));
    broken.release();
    let interrupted = running.end();
    disarm(broken.node());
    assert_eq!(interrupted.code(), 130, "{}", interrupted.err);
    assert!(
        interrupted.err.contains(" repair resume "),
        "{}",
        interrupted.err
    );
    assert!(interrupted.report().interrupted);
    broken.resumed("interrupted");
    broken.undo("interrupted");
}

#[test]
fn of_two_clearways_one_is_told_who_is_at_work() {
    let Some(broken) = Broken::new() else { return };
    let first = broken.held(3);
    let second = clearway(&broken.lab, &["repair", "--yes"]);
    assert_ne!(second.code(), 0, "{}", second.err);
    assert!(
        second
            .err
            .contains("node2: keys: refused: another clearway is at work there: run 20"),
        "{}",
        second.err
    );
    broken.release();
    let first = first.end();
    disarm(broken.node());
    let third = clearway(&broken.lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(third.code(), 0, "{}", third.err);
    // Whatever each of them has done is taken back, the last one first.
    let second = second.err.split_whitespace().nth(1).unwrap();
    let first = first.report().run;
    let third = third.report();
    for run in [&third.run, second.trim_end_matches(':'), &first] {
        clearway(&broken.lab, &["repair", "undo", run, "--yes"]);
    }
    for (node, before) in broken.lab.nodes().iter().zip(&broken.before) {
        assert_eq!(picture(node), *before, "{}", node.name());
    }
}

#[test]
fn a_node_that_is_killed_while_it_writes_in_place_gets_back_what_was_there_and_a_repair_goes_on() {
    let Some(lab) = working(2) else { return };
    let node = lab.node("node2");
    sh(
        node,
        &format!(
            ": >{KNOWN_HOSTS}; cp -p {KNOWN_HOSTS} /root/mounted && mount --bind /root/mounted {KNOWN_HOSTS}"
        ),
    );
    wrap(node, &["dd"]);
    arm(node, 1, At::Torn);
    let repaired = clearway(&lab, REPAIR);
    disarm(node);
    let known = sh(node, &format!("cat {KNOWN_HOSTS}"));
    if repaired.code() != 0 {
        // It could not go on from what was cut short.
        assert_eq!(known, "", "{}", repaired.err);
        assert!(left_beside(node).iter().all(|it| it.ends_with(".wrapped")));
        let again = clearway(&lab, REPAIR);
        assert_eq!(again.code(), 0, "{}", again.err);
    }
    let known = sh(node, &format!("cat {KNOWN_HOSTS}"));
    assert!(known.contains("ssh-ed25519"), "{known}");
    let undone = clearway(&lab, &["repair", "undo", "last", "--yes"]);
    assert_eq!(undone.code(), 0, "{}", undone.err);
    assert_eq!(sh(node, &format!("cat {KNOWN_HOSTS}")), "");
}
