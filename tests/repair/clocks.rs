//! Nodes whose clocks are years off.

use std::process::Command;

use clearway_lab::Node;

use crate::binary::clearway;
use crate::support::{left_beside, sh};
use crate::whole::{bare, pictures};

const YEARS: i64 = 12 * 365 * 24 * 60 * 60;

/// Whatever asks the C library for the time is told another one. A namespace has no clock of its own.
const CLOCK: &str = "
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int failed = syscall(SYS_clock_gettime, id, now);
    if (!failed && id == CLOCK_REALTIME) now->tv_sec += OFF;
    return failed;
}
time_t time(time_t *also) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (also) *also = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    now->tv_usec = 0;
    now->tv_sec = time(0);
    return 0;
}
";

/// Everything that starts on the node from now on, sshd's sessions included, finds its clock off by so many seconds.
fn set_off(node: &Node, seconds: i64) {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("clock.c");
    std::fs::write(&source, CLOCK).unwrap();
    // Where Rust links there is a C compiler.
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-fno-builtin", "-o"])
        .arg(node.path("/usr/local/lib/clock.so"))
        .arg(format!("-DOFF=({seconds}L)"))
        .arg(&source)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    sh(
        node,
        "chmod 755 /usr/local/lib/clock.so; echo /usr/local/lib/clock.so >/etc/ld.so.preload",
    );
    let here: i64 = sh(node, "date +%s").parse().unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let off = here - i64::try_from(now).unwrap();
    assert!((off - seconds).abs() < 60, "{off}");
}

#[test]
fn nodes_whose_clocks_are_years_off_are_repaired_and_their_clocks_are_told() {
    let Some(lab) = bare(3) else { return };
    set_off(lab.node("node2"), YEARS);
    set_off(lab.node("node3"), -YEARS);
    let before = pictures(&lab);

    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    let report = repaired.report();
    assert_eq!(repaired.code(), 0, "{:#?}\n{}", report.repair, repaired.err);
    assert_eq!(report.summary.pairs.verified, 6);
    for (node, side) in [("node2", "ahead"), ("node3", "behind")] {
        let told = report.findings.iter().find(|finding| {
            finding.code == "clock-skew" && finding.nodes == node && finding.detail.contains(side)
        });
        assert!(told.is_some(), "{node}: {:#?}", report.findings);
    }

    let undone = clearway(&lab, &["repair", "undo", &report.run, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    assert_eq!(pictures(&lab), before);
    for node in lab.nodes() {
        assert_eq!(left_beside(node), [""; 0]);
    }
}
