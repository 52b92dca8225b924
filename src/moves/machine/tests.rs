use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::domain::{HostName, MoveKind};
use crate::moves::gate::fixtures::server;
use crate::openstack::compute::{InstanceAction, Migration, MigrationStatus};

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(2_000_000 + second).unwrap()
}

pub(super) fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

/// A move of `a` to `b` that Nova has accepted.
pub(super) fn accepted(kind: MoveKind) -> Tracked {
    let start = Tracked::planned(server(1, "a").id, kind, host("a"), at(0));
    let wanted = (kind != MoveKind::Resize).then(|| host("b"));
    [
        Record::Proving {
            destination: wanted.clone(),
        },
        Record::Passed {
            destination: wanted.clone(),
            proven: Vec::new(),
            until: at(60),
            overridden: None,
        },
        Record::Requesting {
            destination: wanted,
            baseline: 10,
            actions: vec!["req-old".to_owned()],
        },
        Record::Accepted {
            request_id: Some("req-1".to_owned()),
        },
    ]
    .iter()
    .fold(start, |it, record| it.after(record, at(0)).unwrap())
}

/// `status/task@host`, `-` for no task; `gone` for a deleted server.
pub(super) fn seen(server: &str, row: &str) -> Record {
    let server = (server != "gone").then(|| {
        let (state, host) = server.split_once('@').unwrap();
        let (status, task) = state.split_once('/').unwrap_or((state, "-"));
        SeenServer {
            status: status.to_owned(),
            task: (task != "-").then(|| task.to_owned()),
            host: (host != "?").then(|| host.parse().unwrap()),
        }
    });
    let migration = (row != "-").then(|| SeenMigration {
        id: 11,
        status: row.to_owned(),
        destination: Some(host("b")),
    });
    Record::Seen(Seen { server, migration })
}

/// Plays observations `(second, server, row)` and gives the stages that the move goes through.
pub(super) fn play(start: &Tracked, observations: &[(i64, &str, &str)]) -> (Tracked, String) {
    let mut it = start.clone();
    let mut stages = Vec::new();
    for (second, server, row) in observations {
        it = it.after(&seen(server, row), at(*second)).unwrap();
        if it.stage == Stage::Waiting {
            it = it.after(&Record::ConfirmRequesting, at(*second)).unwrap();
            it = it
                .after(&Record::ConfirmAccepted { request_id: None }, at(*second))
                .unwrap();
            stages.push("waiting".to_owned());
        }
        let word = match &it.end {
            Some(end) => end.verdict.to_string(),
            None if it.settling.is_some() => "settling".to_owned(),
            None => it.stage.to_string(),
        };
        if stages.last() != Some(&word) {
            stages.push(word);
        }
        if it.stage == Stage::Ended {
            break;
        }
    }
    (it, stages.join(" "))
}

/// Every sequence of states of nova.md 4, seen with nova 34, and what must become of it.
type Case = (
    &'static str,
    MoveKind,
    &'static [(i64, &'static str, &'static str)],
    &'static str,
);

const SEQUENCES: &[Case] = &[
    (
        "cold, all well",
        MoveKind::Cold,
        &[
            (1, "RESIZE/resize_prep@a", "pre-migrating"),
            (2, "RESIZE/resize_migrating@a", "migrating"),
            (3, "RESIZE/resize_migrated@b", "post-migrating"),
            (4, "RESIZE/resize_finish@b", "post-migrating"),
            (5, "VERIFY_RESIZE/-@b", "finished"),
            (6, "VERIFY_RESIZE/-@b", "confirming"),
            (7, "VERIFY_RESIZE/-@b", "confirmed"),
            (8, "ACTIVE/-@b", "confirmed"),
        ],
        "moving waiting confirming arrived",
    ),
    (
        "cold of a stopped server",
        MoveKind::Cold,
        &[
            (1, "RESIZE/resize_prep@a", "migrating"),
            (5, "VERIFY_RESIZE/-@b", "finished"),
            (8, "SHUTOFF/-@b", "confirmed"),
        ],
        "moving waiting confirming arrived",
    ),
    (
        "cold, the ssh of mkdir fails: ACTIVE again",
        MoveKind::Cold,
        &[
            (1, "RESIZE/resize_migrating@a", "migrating"),
            (2, "ACTIVE/-@a", "error"),
            (7, "ACTIVE/-@a", "error"),
            (12, "ACTIVE/-@a", "error"),
        ],
        "moving settling failed",
    ),
    (
        "cold of a stopped server, the ssh fails: SHUTOFF again",
        MoveKind::Cold,
        &[(2, "SHUTOFF/-@a", "error"), (20, "SHUTOFF/-@a", "error")],
        "settling failed",
    ),
    (
        "cold, the copy fails: ERROR on the source",
        MoveKind::Cold,
        &[
            (1, "RESIZE/resize_migrating@a", "migrating"),
            (2, "ERROR/-@a", "migrating"),
            (3, "ERROR/-@a", "error"),
        ],
        "moving settling failed",
    ),
    (
        "cold, finish fails: ERROR on the destination",
        MoveKind::Cold,
        &[
            (1, "RESIZE/resize_finish@b", "post-migrating"),
            (3, "ERROR/-@b", "error"),
        ],
        "moving failed",
    ),
    (
        "cold, error before ERROR",
        MoveKind::Cold,
        &[(1, "ACTIVE/-@a", "error"), (4, "ERROR/-@a", "error")],
        "settling failed",
    ),
    (
        "cold, no valid host",
        MoveKind::Cold,
        &[(1, "ACTIVE/-@a", "error"), (11, "ACTIVE/-@a", "error")],
        "settling failed",
    ),
    (
        "cold, Nova has not begun",
        MoveKind::Cold,
        &[
            (1, "ACTIVE/-@a", "-"),
            (2, "RESIZE/resize_prep@a", "-"),
            (3, "RESIZE/resize_prep@a", "pre-migrating"),
        ],
        "settling moving",
    ),
    (
        "cold, accepted and never heard of again",
        MoveKind::Cold,
        &[
            (1, "ACTIVE/-@a", "-"),
            (59, "ACTIVE/-@a", "-"),
            (61, "ACTIVE/-@a", "-"),
        ],
        "settling unknown",
    ),
    (
        "cold, confirmed by somebody else",
        MoveKind::Cold,
        &[
            (1, "RESIZE/resize_finish@b", "post-migrating"),
            (2, "ACTIVE/-@b", "confirmed"),
        ],
        "moving arrived",
    ),
    (
        "cold, reverted by somebody else",
        MoveKind::Cold,
        &[
            (1, "REVERT_RESIZE/resize_reverting@b", "reverting"),
            (2, "ACTIVE/-@a", "reverted"),
        ],
        "moving failed",
    ),
    (
        "cold, finished on another host than asked for",
        MoveKind::Cold,
        &[
            (1, "VERIFY_RESIZE/-@c", "finished"),
            (62, "VERIFY_RESIZE/-@c", "finished"),
        ],
        "settling unknown",
    ),
    (
        "cold, the confirmation fails",
        MoveKind::Cold,
        &[
            (1, "VERIFY_RESIZE/-@b", "finished"),
            (2, "VERIFY_RESIZE/-@b", "confirming"),
            (3, "ERROR/-@b", "error"),
        ],
        "waiting confirming failed",
    ),
    (
        "cold, finished but the task goes on",
        MoveKind::Cold,
        &[
            (1, "VERIFY_RESIZE/resize_finish@b", "finished"),
            (2, "VERIFY_RESIZE/-@b", "finished"),
        ],
        "moving waiting confirming",
    ),
    (
        "resize, all well",
        MoveKind::Resize,
        &[
            (1, "RESIZE/resize_prep@a", "pre-migrating"),
            (5, "VERIFY_RESIZE/-@b", "finished"),
            (8, "ACTIVE/-@b", "confirmed"),
        ],
        "moving waiting confirming arrived",
    ),
    (
        "live, all well",
        MoveKind::Live,
        &[
            (1, "MIGRATING/migrating@a", "accepted"),
            (2, "MIGRATING/migrating@a", "queued"),
            (3, "MIGRATING/migrating@a", "preparing"),
            (4, "MIGRATING/migrating@a", "running"),
            (5, "MIGRATING/migrating@b", "completed"),
            (6, "ACTIVE/-@b", "completed"),
        ],
        "moving arrived",
    ),
    (
        "live after the switch to post-copy",
        MoveKind::Live,
        &[
            (4, "MIGRATING/migrating@a", "running (post-copy)"),
            (6, "ACTIVE/-@b", "completed"),
        ],
        "moving arrived",
    ),
    (
        "live of a paused server",
        MoveKind::Live,
        &[
            (4, "MIGRATING/migrating@a", "running"),
            (6, "PAUSED/-@b", "completed"),
        ],
        "moving arrived",
    ),
    (
        "live, the ssh fails until 32: ACTIVE again",
        MoveKind::Live,
        &[
            (1, "MIGRATING/migrating@a", "preparing"),
            (2, "ACTIVE/-@a", "failed"),
            (12, "ACTIVE/-@a", "failed"),
        ],
        "moving settling failed",
    ),
    (
        "live, the ssh fails from 33 on: ACTIVE, then ERROR",
        MoveKind::Live,
        &[
            (1, "MIGRATING/migrating@a", "preparing"),
            (2, "ACTIVE/-@a", "failed"),
            (4, "ACTIVE/-@a", "error"),
            (6, "ERROR/-@a", "error"),
        ],
        "moving settling failed",
    ),
    (
        "live, the pre-check fails",
        MoveKind::Live,
        &[(2, "ACTIVE/-@a", "error"), (12, "ACTIVE/-@a", "error")],
        "settling failed",
    ),
    (
        "live, completed and still where it was",
        MoveKind::Live,
        &[
            (2, "ACTIVE/-@a", "completed"),
            (8, "ACTIVE/-@a", "completed"),
            (12, "ACTIVE/-@a", "completed"),
        ],
        "settling failed",
    ),
    (
        "live, completed and there a moment later",
        MoveKind::Live,
        &[
            (2, "ACTIVE/-@a", "completed"),
            (5, "ACTIVE/-@b", "completed"),
        ],
        "settling arrived",
    ),
    (
        "live, aborted",
        MoveKind::Live,
        &[
            (2, "MIGRATING/migrating@a", "running"),
            (3, "ACTIVE/-@a", "cancelled"),
        ],
        "moving failed",
    ),
    (
        "a word of a later Nova is not taken for an end",
        MoveKind::Live,
        &[
            (2, "MIGRATING/migrating@a", "warming-up"),
            (3, "ACTIVE/-@b", "completed"),
        ],
        "moving arrived",
    ),
    (
        "deleted meanwhile",
        MoveKind::Cold,
        &[(2, "gone", "error")],
        "failed",
    ),
];

#[test]
fn every_sequence_of_states_ends_in_the_right_verdict() {
    for (name, kind, observations, stages) in SEQUENCES {
        let (_, seen) = play(&accepted(*kind), observations);
        assert_eq!(seen, *stages, "{name}");
    }
}

/// The two ways to believe that a failed move is done.
#[test]
fn a_server_that_is_active_where_it_was_is_never_done() {
    for kind in [MoveKind::Cold, MoveKind::Live] {
        for row in [
            "-",
            "error",
            "failed",
            "completed",
            "finished",
            "confirmed",
            "done",
            "cancelled",
            "?",
        ] {
            let mut it = accepted(kind);
            for second in 1..200 {
                if it.stage != Stage::Ended {
                    it = it.after(&seen("ACTIVE/-@a", row), at(second)).unwrap();
                }
                assert!(
                    !matches!(
                        it.stage,
                        Stage::Waiting | Stage::Confirming | Stage::Arrived
                    ),
                    "{kind} {row}: {it:?}"
                );
            }
            let end = it.end.expect("it settles");
            assert!(
                matches!(end.verdict, Verdict::Failed | Verdict::Unknown),
                "{kind} {row}: {end:?}"
            );
        }
    }
}

#[test]
fn an_arrived_server_is_done_only_when_it_is_the_same_as_before() {
    let (arrived, _) = play(&accepted(MoveKind::Live), &[(1, "ACTIVE/-@b", "completed")]);
    let same = arrived
        .after(
            &Record::Compared {
                differences: Vec::new(),
            },
            at(2),
        )
        .unwrap();
    assert_eq!(same.end.unwrap().verdict, Verdict::Done);
    let differences = vec!["tag blue was set, is nothing".to_owned()];
    let other = arrived
        .after(&Record::Compared { differences }, at(2))
        .unwrap();
    let end = other.end.unwrap();
    assert_eq!(end.verdict, Verdict::Failed);
    assert_eq!(
        end.why,
        "the server is not as it was: tag blue was set, is nothing"
    );
}

#[test]
fn no_request_without_a_pass_and_no_second_one() {
    let planned = Tracked::planned(server(1, "a").id, MoveKind::Cold, host("a"), at(0));
    let request = Record::Requesting {
        destination: Some(host("b")),
        baseline: 0,
        actions: Vec::new(),
    };
    assert!(planned.after(&request, at(0)).is_err());
    let proving = planned
        .after(
            &Record::Proving {
                destination: Some(host("b")),
            },
            at(0),
        )
        .unwrap();
    assert!(proving.after(&request, at(0)).is_err());
    let passed = proving
        .after(
            &Record::Passed {
                destination: Some(host("b")),
                proven: Vec::new(),
                until: at(60),
                overridden: None,
            },
            at(0),
        )
        .unwrap();
    // Not to another destination than the one that was proven.
    let elsewhere = Record::Requesting {
        destination: Some(host("c")),
        baseline: 0,
        actions: Vec::new(),
    };
    assert!(passed.after(&elsewhere, at(0)).is_err());
    let requested = passed.after(&request, at(0)).unwrap();
    assert!(requested.after(&request, at(1)).is_err());
    for stage in [requested, accepted(MoveKind::Cold)] {
        assert!(stage.after(&request, at(1)).is_err());
        assert!(
            stage
                .after(
                    &Record::Proving {
                        destination: Some(host("c"))
                    },
                    at(1)
                )
                .is_err()
        );
        // What may be under way is not given up as if it were not.
        let refused = Record::GivenUp {
            verdict: Verdict::NotStarted,
            why: String::new(),
        };
        assert!(stage.after(&refused, at(1)).is_err());
    }
}

#[test]
fn a_destination_that_was_refused_is_not_tried_again() {
    let planned = Tracked::planned(server(1, "a").id, MoveKind::Cold, host("a"), at(0));
    let proving = planned
        .after(
            &Record::Proving {
                destination: Some(host("b")),
            },
            at(0),
        )
        .unwrap();
    let closed = proving
        .after(
            &Record::Closed {
                destination: host("b"),
                why: "broken".to_owned(),
            },
            at(1),
        )
        .unwrap();
    assert_eq!(
        (closed.stage, closed.tried.as_slice()),
        (Stage::Planned, &[host("b")][..])
    );
    assert_eq!(closed.destination, None);
}

#[test]
fn nothing_follows_an_end() {
    let (ended, _) = play(&accepted(MoveKind::Cold), &[(1, "gone", "-")]);
    for record in [
        seen("ACTIVE/-@b", "confirmed"),
        Record::ConfirmRequesting,
        Record::GivenUp {
            verdict: Verdict::Unknown,
            why: String::new(),
        },
    ] {
        assert!(ended.after(&record, at(2)).is_err(), "{record:?}");
    }
}

#[test]
fn records_survive_the_journal() {
    for record in [
        Record::Requesting {
            destination: None,
            baseline: 3,
            actions: vec!["req-1".to_owned()],
        },
        seen("ACTIVE/-@b", "confirmed"),
        seen("gone", "-"),
        Record::ConfirmRequesting,
        Record::GivenUp {
            verdict: Verdict::Unknown,
            why: "x".to_owned(),
        },
    ] {
        let json = serde_json::to_string(&record).unwrap();
        assert_eq!(
            serde_json::from_str::<Record>(&json).unwrap(),
            record,
            "{json}"
        );
    }
    assert!(
        serde_json::from_str::<Record>(
            r#"{"record":"requesting","destination":"a b","baseline":0}"#
        )
        .is_err()
    );
}

fn row(id: u64, kind: MoveKind, destination: &str) -> Migration {
    Migration {
        id,
        uuid: format!("u{id}"),
        server: server(1, "a").id,
        kind: kind.migration_type().to_owned(),
        status: MigrationStatus::Migrating,
        source_compute: Some(host("a")),
        dest_compute: Some(host(destination)),
        dest_host: None,
        created_at: at(0),
        updated_at: None,
    }
}

#[test]
fn a_row_of_somebody_elses_move_is_not_taken_for_ours() {
    let it = accepted(MoveKind::Cold);
    let rows = |rows: &[Migration]| own_row(&it, rows).map(|row| row.id);
    assert_eq!(rows(&[row(10, MoveKind::Cold, "b")]), None, "from before");
    assert_eq!(
        rows(&[row(12, MoveKind::Cold, "c")]),
        None,
        "to another host"
    );
    assert_eq!(
        rows(&[row(12, MoveKind::Live, "b")]),
        None,
        "of another kind"
    );
    assert_eq!(
        rows(&[row(15, MoveKind::Cold, "b"), row(12, MoveKind::Cold, "b")]),
        Some(12)
    );
    let mut unscheduled = row(12, MoveKind::Cold, "b");
    unscheduled.dest_compute = None;
    assert_eq!(rows(&[unscheduled]), Some(12));
}

#[test]
fn an_uncertain_request_is_sent_again_only_when_it_was_certainly_not_carried_out() {
    let mut it = accepted(MoveKind::Cold);
    it.stage = Stage::Requested;
    let action = |name: &str, request_id: &str| InstanceAction {
        action: name.to_owned(),
        request_id: request_id.to_owned(),
        start_time: at(0),
        message: None,
        events: Vec::new(),
    };
    let idle = server(1, "a");
    let busy = {
        let mut it = server(1, "a");
        it.status.task = Some("resize_prep".to_owned());
        it
    };
    let moved = server(1, "c");
    let old = [action("migrate", "req-old")];
    let new = [action("migrate", "req-new"), action("migrate", "req-old")];
    let ours = [row(11, MoveKind::Cold, "b")];
    let foreign = [row(11, MoveKind::Live, "c")];
    let ask_after = |over, server, rows: &[Migration], actions: &[InstanceAction], after: i64| {
        let lookup = Lookup {
            server,
            rows,
            actions,
        };
        let since = at(0);
        was_sent(&it, &lookup, Doubt { since, over }, at(after))
    };
    assert_eq!(
        ask_after(false, Some(&idle), &[], &old, 299),
        Sent::NotYetKnown,
        "nobody has answered: a queue may still hold it"
    );
    assert!(matches!(
        ask_after(false, Some(&idle), &[], &old, 300),
        Sent::No(_)
    ));
    let ask = |server, rows: &[Migration], actions: &[InstanceAction], after| {
        ask_after(true, server, rows, actions, after)
    };
    assert_eq!(ask(Some(&idle), &ours, &old, 1), Sent::Yes);
    assert_eq!(
        ask(Some(&idle), &[], &old, 29),
        Sent::NotYetKnown,
        "what Nova has done of it may not show yet"
    );
    assert!(matches!(ask(Some(&idle), &[], &old, 31), Sent::No(_)));
    assert_eq!(
        ask(Some(&idle), &[], &new, 600),
        Sent::NotYetKnown,
        "Nova has the action"
    );
    assert_eq!(
        ask(Some(&busy), &[], &old, 600),
        Sent::NotYetKnown,
        "something is being done"
    );
    assert!(matches!(ask(Some(&moved), &[], &old, 600), Sent::Other(_)));
    assert!(matches!(
        ask(Some(&idle), &foreign, &old, 600),
        Sent::Other(_)
    ));
    assert_eq!(
        ask(None, &[], &[], 600),
        Sent::Yes,
        "what became of it is seen next"
    );
}

#[test]
fn an_uncertain_request_without_a_row_says_nothing() {
    let mut it = accepted(MoveKind::Cold);
    it.stage = Stage::Requested;
    assert!(it.after(&seen("ACTIVE/-@a", "-"), at(1)).is_err());
    assert_eq!(
        it.after(&seen("RESIZE/resize_prep@a", "migrating"), at(1))
            .unwrap()
            .stage,
        Stage::Moving
    );
    let sent = Record::NotSent {
        why: "no action".to_owned(),
    };
    let again = it.after(&sent, at(40)).unwrap();
    assert_eq!((again.stage, again.tried.len()), (Stage::Planned, 0));
}

#[test]
fn a_request_in_doubt_is_in_time_from_the_moment_of_the_doubt() {
    let mut it = accepted(MoveKind::Cold);
    it.stage = Stage::Requested;
    let lost = Record::Uncertain {
        why: "deadline passed".to_owned(),
        over: false,
    };
    let it = it.after(&lost, at(200)).unwrap();
    let longest = SignedDuration::from_mins(120);
    assert_eq!(overdue(&it, longest, at(499)), None);
    assert!(overdue(&it, longest, at(501)).is_some());
}

#[test]
fn a_resize_is_followed_to_the_host_that_its_row_names_last() {
    let mut it = accepted(MoveKind::Resize);
    it.destination = None;
    let row = |status: &str, destination: &str, server: &str| {
        let Record::Seen(mut seen) = seen(server, status) else {
            unreachable!("it is one")
        };
        if let Some(row) = &mut seen.migration {
            row.destination = Some(host(destination));
        }
        Record::Seen(seen)
    };
    let it = it
        .after(&row("migrating", "b", "RESIZE/resize_prep@a"), at(1))
        .unwrap();
    let it = it
        .after(&row("finished", "c", "VERIFY_RESIZE/-@c"), at(9))
        .unwrap();
    assert_eq!(it.stage, Stage::Waiting);
    assert_eq!(it.destination, Some(host("c")));
}
