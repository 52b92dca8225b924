//! Moves that are adopted, brought back, or go where Nova chooses.

use super::tests::{accepted, at, host, play, seen};
use super::*;
use crate::domain::MoveKind;
use crate::moves::gate::fixtures::server;

/// A move of `a` to `b` of an earlier run that waits.
fn adopted() -> Tracked {
    let adopted = Record::Adopted {
        migration: 11,
        destination: host("b"),
    };
    Tracked::planned(server(1, "a").id, MoveKind::Cold, host("a"), at(0))
        .after(&adopted, at(0))
        .unwrap()
}

#[test]
fn a_reversal_is_well_when_the_server_is_where_it_was_and_as_it_was() {
    let reverting = adopted().after(&Record::RevertRequesting, at(0)).unwrap();
    let taken = reverting
        .after(&Record::RevertAccepted { request_id: None }, at(0))
        .unwrap();
    let end = |observations: &[(i64, &str, &str)]| {
        let (it, stages) = play(&taken, observations);
        let compared = Record::Compared {
            differences: Vec::new(),
        };
        match it.after(&compared, at(100)) {
            Ok(it) => (stages, it.end.unwrap().verdict),
            Err(_) => (
                stages,
                it.end.map_or(Verdict::NotStarted, |end| end.verdict),
            ),
        }
    };
    assert_eq!(
        end(&[
            (1, "VERIFY_RESIZE/-@b", "finished"),
            (2, "REVERT_RESIZE/resize_reverting@b", "reverting"),
            (3, "REVERT_RESIZE/resize_reverting@a", "reverting"),
            (4, "ACTIVE/-@a", "reverted"),
        ]),
        ("reverting arrived".to_owned(), Verdict::Reverted)
    );
    assert_eq!(
        end(&[
            (2, "REVERT_RESIZE/resize_reverting@b", "reverting"),
            (3, "ERROR/-@a", "error"),
        ])
        .1,
        Verdict::Failed
    );
    assert_eq!(
        end(&[
            (2, "VERIFY_RESIZE/-@b", "confirming"),
            (3, "ACTIVE/-@b", "confirmed"),
        ])
        .1,
        Verdict::Failed,
        "somebody confirmed it instead"
    );
    let refused = Record::RevertRejected {
        why: "409".to_owned(),
    };
    let again = reverting.after(&refused, at(1)).unwrap();
    let again = again
        .after(&seen("VERIFY_RESIZE/-@b", "finished"), at(2))
        .unwrap();
    assert_eq!(again.stage, Stage::Waiting, "it can be asked for again");
}

#[test]
fn a_move_that_nobody_wanted_back_and_that_went_back_has_failed() {
    let confirming = adopted().after(&Record::ConfirmRequesting, at(0)).unwrap();
    let (it, _) = play(&confirming, &[(1, "ACTIVE/-@a", "reverted")]);
    assert_eq!(it.end.unwrap().verdict, Verdict::Failed);
}

#[test]
fn only_a_move_that_was_begun_by_nobody_here_is_adopted_and_only_what_waits_is_reverted() {
    let adopted = Record::Adopted {
        migration: 11,
        destination: host("b"),
    };
    assert!(accepted(MoveKind::Cold).after(&adopted, at(1)).is_err());
    assert!(
        accepted(MoveKind::Cold)
            .after(&Record::RevertRequesting, at(1))
            .is_err()
    );
}

#[test]
fn a_resize_has_all_hosts_proven_before_it_is_requested_and_goes_where_nova_says() {
    let start = Tracked::planned(server(1, "a").id, MoveKind::Resize, host("a"), at(0));
    let proving = start
        .after(&Record::Proving { destination: None }, at(0))
        .unwrap();
    let one = Record::Passed {
        destination: Some(host("b")),
        proven: Vec::new(),
        until: at(60),
        overridden: None,
    };
    assert!(proving.after(&one, at(0)).is_err(), "not to one host alone");
    let all = Record::Passed {
        destination: None,
        proven: vec![host("b"), host("c")],
        until: at(60),
        overridden: None,
    };
    let passed = proving.after(&all, at(0)).unwrap();
    assert_eq!(passed.proven, [host("b"), host("c")]);
    let requesting = Record::Requesting {
        destination: None,
        baseline: 10,
        actions: Vec::new(),
    };
    let requested = passed.after(&requesting, at(0)).unwrap();
    let (it, stages) = play(
        &requested
            .after(&Record::Accepted { request_id: None }, at(0))
            .unwrap(),
        &[
            (1, "RESIZE/resize_prep@a", "migrating"),
            (2, "VERIFY_RESIZE/-@b", "finished"),
            (3, "ACTIVE/-@b", "confirmed"),
        ],
    );
    assert_eq!(stages, "moving waiting confirming arrived");
    assert_eq!(it.destination, Some(host("b")));
}

#[test]
fn a_command_is_run_once_and_only_for_a_move_that_is_over() {
    let moving = Tracked::planned(server(1, "a").id, MoveKind::Cold, host("a"), at(0));
    assert!(moving.after(&Record::HookStarting, at(1)).is_err());
    let given_up = Record::GivenUp {
        verdict: Verdict::Refused,
        why: String::new(),
    };
    let over = moving.after(&given_up, at(1)).unwrap();
    let ended = Record::HookEnded {
        failure: Some("it ended with exit status: 1".to_owned()),
    };
    assert!(over.after(&ended, at(2)).is_err(), "without having begun");
    let started = over.after(&Record::HookStarting, at(2)).unwrap();
    assert!(
        started.after(&Record::HookStarting, at(3)).is_err(),
        "not twice"
    );
    let failed = started.after(&ended, at(3)).unwrap();
    assert_eq!(failed.hook_failure(), Some("it ended with exit status: 1"));
    assert_eq!(failed.end, over.end, "the move itself ended as it ended");
    assert!(failed.after(&ended, at(4)).is_err());
    assert!(failed.after(&Record::HookStarting, at(4)).is_err());
}

#[test]
fn a_failure_is_explained_once_and_anew_when_it_is_looked_at_again() {
    let moving = accepted(MoveKind::Cold);
    let explained = Record::explained(vec!["fault: no".to_owned()]);
    assert!(
        moving.after(&explained, at(1)).is_err(),
        "it has not failed"
    );
    let unknown = Record::GivenUp {
        verdict: Verdict::Unknown,
        why: String::new(),
    };
    let over = moving.after(&unknown, at(1)).unwrap();
    let told = over.after(&explained, at(2)).unwrap();
    assert_eq!(told.explained, ["fault: no"]);
    assert_eq!(told.end, over.end);
    assert!(told.after(&explained, at(3)).is_err(), "not twice");
    let hooked = told.after(&Record::HookStarting, at(3));
    assert!(hooked.is_ok(), "the command may come before or after it");
    let open = told.after(&Record::Reopened, at(4)).unwrap();
    assert!(open.explained.is_empty());
}

#[test]
fn what_is_unknown_can_be_looked_at_again_and_nothing_else_that_is_over() {
    let unknown = Record::GivenUp {
        verdict: Verdict::Unknown,
        why: String::new(),
    };
    let over = accepted(MoveKind::Cold).after(&unknown, at(1)).unwrap();
    let open = over.after(&Record::Reopened, at(2)).unwrap();
    assert_eq!((open.stage, &open.end), (Stage::Moving, &None));
    let (it, stages) = play(
        &open,
        &[
            (3, "VERIFY_RESIZE/-@b", "finished"),
            (4, "ACTIVE/-@b", "confirmed"),
        ],
    );
    assert_eq!(stages, "waiting confirming arrived");
    let compared = Record::Compared {
        differences: Vec::new(),
    };
    let done = it.after(&compared, at(5)).unwrap();
    assert!(done.after(&Record::Reopened, at(6)).is_err());

    // A request of which nobody knows whether Nova took it is still one.
    let mut requested = accepted(MoveKind::Cold);
    requested.stage = Stage::Requested;
    requested.request_id = None;
    let over = requested.after(&unknown, at(1)).unwrap();
    let open = over.after(&Record::Reopened, at(2)).unwrap();
    assert_eq!(open.stage, Stage::Requested);
}

#[test]
fn a_host_that_the_scheduler_refuses_is_not_tried_again_and_another_one_is() {
    let refused = Record::Seen(Seen {
        server: Some(SeenServer {
            status: "ACTIVE".to_owned(),
            task: None,
            host: Some(host("a")),
        }),
        migration: Some(SeenMigration {
            id: 11,
            status: "error".to_owned(),
            destination: None,
        }),
    });
    for kind in [MoveKind::Cold, MoveKind::Live] {
        let it = accepted(kind).after(&refused, at(1)).unwrap();
        assert!(it.settling.is_some());
        let it = it.after(&refused, at(11)).unwrap();
        assert_eq!(
            (it.stage, it.tried.as_slice()),
            (Stage::Planned, &[host("b")][..])
        );
        assert_eq!((it.migration, it.request_id), (None, None));
    }
    // Where Nova chooses among all hosts, there is no other one.
    let it = accepted(MoveKind::Resize).after(&refused, at(1)).unwrap();
    let it = it.after(&refused, at(11)).unwrap();
    assert_eq!(it.end.unwrap().verdict, Verdict::Failed);
}

#[test]
fn a_server_that_nova_compute_put_back_when_it_was_restarted_is_no_move_that_goes_on() {
    for (kind, row) in [(MoveKind::Cold, "migrating"), (MoveKind::Live, "running")] {
        let (it, stages) = play(
            &accepted(kind),
            &[
                (1, "RESIZE/x@a", row),
                (60, "ACTIVE/-@a", row),
                (70, "ACTIVE/-@a", row),
            ],
        );
        assert_eq!(stages, "moving settling failed");
        let why = it.end.unwrap().why;
        assert!(why.contains("Nova does not go on with it"), "{why}");
    }
}
