use super::*;
use crate::domain::{
    Evidence, KeySeen, Lane, LegId, NodeId, NotNeeded, Placeholders, Predicted, Proof, Proven,
    Reason, Step, Verdict, Why,
};

fn proof(reached: Option<Step>, outcome: Proven) -> Proof {
    Proof {
        reached,
        outcome,
        evidence: Vec::new(),
        millis: 7,
        address: None,
        throttled: false,
    }
}

fn observed(predicted: Predicted, proof: Option<&Proof>) -> Observed<'_> {
    Observed {
        lane: Lane::ColdPush,
        predicted,
        proof,
        not_proven: Why::PredictedOnly,
        inquiry: None,
        astray: None,
        on_disk: &[],
        labels: &[],
    }
}

fn differs(predicted: Option<Reason>, happened: Option<Reason>) -> Option<Difference> {
    Some(Difference {
        predicted,
        happened,
    })
}

#[test]
fn files_alone_never_verify() {
    for (predicted, not_proven, expected) in [
        (
            Predicted::Works,
            Why::PredictedOnly,
            Verdict::Unproven(Why::PredictedOnly),
        ),
        (
            Predicted::Works,
            Why::ControlDenied,
            Verdict::Unproven(Why::ControlDenied),
        ),
        (
            Predicted::Unknown(Why::NotSurveyed),
            Why::PredictedOnly,
            Verdict::Unproven(Why::NotSurveyed),
        ),
        (
            Predicted::Unknown(Why::NotSurveyed),
            Why::ControlUnreachable,
            Verdict::Unproven(Why::ControlUnreachable),
        ),
        (
            Predicted::Breaks(Reason::KeyNotAuthorized),
            Why::PredictedOnly,
            Verdict::Broken(Reason::KeyNotAuthorized),
        ),
        (
            Predicted::NotNeeded(NotNeeded::LiveOverTcp),
            Why::ControlUnreachable,
            Verdict::NotNeeded(NotNeeded::LiveOverTcp),
        ),
    ] {
        let judgement = judge(&Observed {
            not_proven,
            ..observed(predicted, None)
        });
        assert_eq!((judgement.verdict, judgement.difference), (expected, None));
    }
}

#[test]
fn proof_decides_and_a_contradiction_is_told() {
    use Reason::{
        AccountExpired, AccountNologin, CommandFailed, ConnectionTimedOut, HostKeyChanged,
        HostKeyTypeGap, HostKeyUnknown, InstancesPathMissing, KeyFromMismatch, KeyNotAuthorized,
        NameResolvesElsewhere, PamRefused, TooManyKeys, WrongMachine,
    };
    let works = Predicted::Works;
    let breaks = Predicted::Breaks;
    for (predicted, seen, expected, difference) in [
        (
            works,
            HostKeyUnknown,
            HostKeyUnknown,
            differs(None, Some(HostKeyUnknown)),
        ),
        (works, ConnectionTimedOut, ConnectionTimedOut, None),
        (breaks(HostKeyUnknown), HostKeyUnknown, HostKeyUnknown, None),
        (breaks(HostKeyTypeGap), HostKeyChanged, HostKeyTypeGap, None),
        (
            breaks(NameResolvesElsewhere),
            HostKeyChanged,
            NameResolvesElsewhere,
            None,
        ),
        (
            breaks(NameResolvesElsewhere),
            WrongMachine,
            NameResolvesElsewhere,
            None,
        ),
        (breaks(AccountExpired), PamRefused, AccountExpired, None),
        (breaks(AccountNologin), CommandFailed, AccountNologin, None),
        (breaks(TooManyKeys), KeyNotAuthorized, TooManyKeys, None),
        (breaks(TooManyKeys), KeyFromMismatch, TooManyKeys, None),
        (
            breaks(KeyNotAuthorized),
            TooManyKeys,
            KeyNotAuthorized,
            None,
        ),
        (
            breaks(InstancesPathMissing),
            CommandFailed,
            InstancesPathMissing,
            None,
        ),
        // A firewall is met before the missing key, and says nothing about it.
        (
            breaks(KeyNotAuthorized),
            ConnectionTimedOut,
            ConnectionTimedOut,
            None,
        ),
        (
            breaks(KeyNotAuthorized),
            HostKeyUnknown,
            HostKeyUnknown,
            differs(Some(KeyNotAuthorized), Some(HostKeyUnknown)),
        ),
        (
            breaks(HostKeyUnknown),
            CommandFailed,
            CommandFailed,
            differs(Some(HostKeyUnknown), Some(CommandFailed)),
        ),
    ] {
        let proof = proof(None, Proven::Breaks(seen));
        let judgement = judge(&observed(predicted, Some(&proof)));
        assert_eq!(
            judgement.verdict,
            Verdict::Broken(expected),
            "{predicted:?} {seen}"
        );
        assert_eq!(judgement.difference, difference, "{predicted:?} {seen}");
    }
}

#[test]
fn a_proof_that_contradicts_the_files_verifies_with_a_finding() {
    let complete = proof(Some(Step::Copy), Proven::Works);
    let judgement = judge(&observed(
        Predicted::Breaks(Reason::KeyNotAuthorized),
        Some(&complete),
    ));
    assert_eq!(judgement.verdict, Verdict::Verified);
    assert_eq!(
        judgement.difference,
        differs(Some(Reason::KeyNotAuthorized), None)
    );
}

#[test]
fn only_the_last_rung_verifies() {
    let login = proof(Some(Step::Login), Proven::Works);
    let judgement = judge(&observed(Predicted::Works, Some(&login)));
    assert_eq!(judgement.verdict, Verdict::Unproven(Why::PredictedOnly));
    let sftp = Predicted::Breaks(Reason::SftpMissing);
    let judgement = judge(&observed(sftp, Some(&login)));
    assert_eq!(judgement.verdict, Verdict::Broken(Reason::SftpMissing));
    assert_eq!(judgement.difference, None);

    let command = proof(Some(Step::Command), Proven::Works);
    let live = Observed {
        lane: Lane::Live,
        ..observed(Predicted::Works, Some(&command))
    };
    assert_eq!(judge(&live).verdict, Verdict::Verified);
}

#[test]
fn a_refused_login_takes_the_logs_reason_then_the_files() {
    use Reason::{AccountNotAllowed, KeyFromMismatch, KeyNotAuthorized, LoginRefused};
    let refused = proof(Some(Step::HostKey), Proven::Refused);
    let from_files = Predicted::Breaks(KeyFromMismatch);
    for (predicted, logged, expected, difference) in [
        (from_files, None, KeyFromMismatch, None),
        (from_files, Some(KeyFromMismatch), KeyFromMismatch, None),
        (
            from_files,
            Some(AccountNotAllowed),
            AccountNotAllowed,
            differs(Some(KeyFromMismatch), Some(AccountNotAllowed)),
        ),
        (
            Predicted::Works,
            None,
            LoginRefused,
            differs(None, Some(LoginRefused)),
        ),
        (
            Predicted::Works,
            Some(KeyNotAuthorized),
            KeyNotAuthorized,
            differs(None, Some(KeyNotAuthorized)),
        ),
        (
            Predicted::Unknown(Why::NotSurveyed),
            None,
            LoginRefused,
            None,
        ),
    ] {
        let line = [Evidence::Log {
            node: "cmp2".into(),
            text: "refused".into(),
        }];
        let inquiry = Inquiry {
            reason: logged,
            evidence: &line,
        };
        let judgement = judge(&Observed {
            inquiry: Some(inquiry),
            ..observed(predicted, Some(&refused))
        });
        assert_eq!(
            judgement.verdict,
            Verdict::Broken(expected),
            "{predicted:?} {logged:?}"
        );
        assert_eq!(judgement.difference, difference, "{predicted:?} {logged:?}");
        assert_eq!(judgement.evidence, line);
    }
}

#[test]
fn what_the_proof_alone_came_to_is_told_beside_the_cause() {
    let id = LegId {
        lane: Lane::ColdPush,
        client: NodeId(0),
        server: NodeId(1),
    };
    let type_gap = Predicted::Breaks(Reason::HostKeyTypeGap);
    let inquiry = |reason| Inquiry {
        reason,
        evidence: &[],
    };
    for (outcome, logged, expected) in [
        (Proven::Works, None, None),
        (
            Proven::Breaks(Reason::HostKeyChanged),
            None,
            Some("host-key-changed"),
        ),
        (Proven::Refused, None, None),
        (
            Proven::Refused,
            Some(Reason::AccountLocked),
            Some("account-locked"),
        ),
        (
            Proven::Unknown(Why::Throttled),
            Some(Reason::AccountLocked),
            Some("throttled"),
        ),
    ] {
        let proof = proof(None, outcome);
        let observed = Observed {
            inquiry: Some(inquiry(logged)),
            ..observed(type_gap, Some(&proof))
        };
        let nothing = (Vec::new(), Placeholders::default());
        let result = LegResult::new(id, None, &observed, nothing, &Placeholders::default());
        assert_eq!(result.proven_code(), expected, "{outcome:?}");
    }
}

#[test]
fn a_key_that_proof_and_files_both_name_is_told_once() {
    let key = |seen, key_type: &str| Evidence::Key {
        seen,
        node: "cmp1".into(),
        key_type: key_type.into(),
        fingerprint: "SHA256:a".into(),
        path: Some("/var/lib/nova/.ssh/id_ed25519".into()),
    };
    let mut refused = proof(Some(Step::HostKey), Proven::Refused);
    refused.evidence.push(key(KeySeen::Offered, "ED25519"));
    let files = vec![
        key(KeySeen::Offered, "ssh-ed25519"),
        key(KeySeen::Recorded, "ssh-ed25519"),
    ];
    let predicted = Predicted::Breaks(Reason::KeyNotAuthorized);
    let result = LegResult::new(
        LegId {
            lane: Lane::ColdPush,
            client: NodeId(0),
            server: NodeId(1),
        },
        None,
        &observed(predicted, Some(&refused)),
        (files, Placeholders::default()),
        &Placeholders::default(),
    );
    let expected = [
        key(KeySeen::Offered, "ED25519"),
        key(KeySeen::Recorded, "ssh-ed25519"),
    ];
    assert_eq!(result.evidence, expected);
}

#[test]
fn a_served_key_that_is_not_on_disk_is_another_machine() {
    let key = |seen, fingerprint: &str| Evidence::Key {
        seen,
        node: "cmp2".into(),
        key_type: "ssh-ed25519".into(),
        fingerprint: fingerprint.into(),
        path: None,
    };
    let mut changed = proof(Some(Step::Connect), Proven::Breaks(Reason::HostKeyChanged));
    changed.evidence.push(key(KeySeen::Recorded, "SHA256:a"));
    changed.evidence.push(key(KeySeen::Served, "SHA256:b"));
    let verdict = |on_disk: &[Evidence], predicted| {
        let judgement = judge(&Observed {
            on_disk,
            ..observed(predicted, Some(&changed))
        });
        (judgement.verdict, judgement.evidence.len())
    };
    let changed_by_files = Predicted::Breaks(Reason::HostKeyChanged);
    let on_disk = [key(KeySeen::OnDisk, "SHA256:c")];
    let elsewhere = Verdict::Broken(Reason::HostKeyNotOnDisk);
    let stale = Verdict::Broken(Reason::HostKeyChanged);
    assert_eq!(verdict(&on_disk, Predicted::Works), (elsewhere, 1));
    assert_eq!(verdict(&on_disk, changed_by_files), (elsewhere, 1));
    assert_eq!(
        verdict(&[key(KeySeen::OnDisk, "SHA256:b")], changed_by_files),
        (stale, 0)
    );
    assert_eq!(verdict(&[], changed_by_files), (stale, 0));
    let named = Predicted::Breaks(Reason::NameResolvesElsewhere);
    assert_eq!(
        verdict(&on_disk, named).0,
        Verdict::Broken(Reason::NameResolvesElsewhere)
    );
    let shown = Evidence::Fact {
        node: Some("cmp1".into()),
        text: "dialled 127.0.1.1, an address of cmp1".into(),
    };
    let judgement = judge(&Observed {
        on_disk: &on_disk,
        astray: Some((Reason::AddressLoopback, &shown)),
        ..observed(Predicted::Works, Some(&changed))
    });
    assert_eq!(
        judgement.verdict,
        Verdict::Broken(Reason::AddressLoopback),
        "it is known whose address it was"
    );
    assert_eq!(judgement.evidence.first(), Some(&shown));
}

#[test]
fn the_file_of_a_remedy_is_the_one_that_the_proof_names_where_the_prediction_is_another() {
    let mut changed = proof(Some(Step::Connect), Proven::Breaks(Reason::HostKeyChanged));
    changed.evidence.push(Evidence::FileLine {
        node: "cmp1".into(),
        path: "/n/known_hosts".into(),
        line: Some(3),
        note: "another host key recorded for `cmp2`".into(),
    });
    let id = LegId {
        lane: Lane::ColdPush,
        client: NodeId(0),
        server: NodeId(1),
    };
    let remedy = |predicted| {
        let values = Placeholders::default().with("file", "/n/authorized_keys");
        let observed = observed(predicted, Some(&changed));
        let common = Placeholders::default();
        LegResult::new(id, None, &observed, (Vec::new(), values), &common).remedy
    };
    let by_proof = remedy(Predicted::Works).unwrap();
    assert!(by_proof.contains("-f /n/known_hosts`"), "{by_proof}");
    let by_files = remedy(Predicted::Breaks(Reason::HostKeyChanged)).unwrap();
    assert!(by_files.contains("-f /n/authorized_keys`"), "{by_files}");
}

#[test]
fn what_nova_would_not_dial_is_settled_without_a_proof() {
    let complete = proof(Some(Step::Copy), Proven::Works);
    let shared = Predicted::Breaks(Reason::SharedAddress);
    let judgement = judge(&observed(shared, Some(&complete)));
    assert_eq!(judgement.verdict, Verdict::Broken(Reason::SharedAddress));
}

#[test]
fn labels_explain_a_refused_login_that_nothing_else_explains() {
    let note = Evidence::FileLine {
        node: "n".into(),
        path: "/h/.ssh".into(),
        line: None,
        note: "a label".into(),
    };
    let labels = [note];
    let refused = proof(None, Proven::Refused);
    let works = Predicted::Works;
    for (predicted, logged, expected) in [
        (works, None, Reason::AuthorizedKeysLabel),
        (
            works,
            Some(Reason::KeyNotAuthorized),
            Reason::AuthorizedKeysLabel,
        ),
        (
            works,
            Some(Reason::AuthorizedKeysUnreadable),
            Reason::AuthorizedKeysLabel,
        ),
        (
            Predicted::Unknown(Why::NotSurveyed),
            None,
            Reason::AuthorizedKeysLabel,
        ),
        // What the files or the log say for sure counts more.
        (works, Some(Reason::AccountExpired), Reason::AccountExpired),
        (
            Predicted::Breaks(Reason::KeyFromMismatch),
            None,
            Reason::KeyFromMismatch,
        ),
    ] {
        let judgement = judge(&Observed {
            inquiry: Some(Inquiry {
                reason: logged,
                evidence: &[],
            }),
            labels: &labels,
            ..observed(predicted, Some(&refused))
        });
        assert_eq!(judgement.verdict, Verdict::Broken(expected), "{logged:?}");
        if expected == Reason::AuthorizedKeysLabel {
            assert_eq!(judgement.difference, None);
            assert_eq!(judgement.evidence, labels);
        }
    }
    let through = proof(Some(Step::Copy), Proven::Works);
    let judgement = judge(&Observed {
        labels: &labels,
        ..observed(works, Some(&through))
    });
    assert_eq!(judgement.verdict, Verdict::Verified);
}
