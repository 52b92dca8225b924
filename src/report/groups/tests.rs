use super::*;
use crate::domain::{Reason, Why};
use crate::report::Report;
use crate::report::sample;

const COLD: [Lane; 2] = [Lane::ColdPush, Lane::ColdPull];

/// What a report says is not verified, as lines.
fn folded(report: &Report) -> Vec<String> {
    group_legs(report.legs.iter().filter(|leg| leg.lane != Lane::Live))
        .iter()
        .map(|group| {
            let lanes: Vec<_> = group.lanes.iter().map(|lane| lane.as_str()).collect();
            format!(
                "{} {} {} {}",
                group.count,
                group.code,
                group.route(),
                lanes.join("+")
            )
        })
        .collect()
}

#[test]
fn a_node_that_nobody_reaches_is_one_group() {
    let mut report = sample::healthy(40);
    for leg in report.pick(&COLD, |_, server| server == "cmp017") {
        leg.break_with(Reason::ConnectionTimedOut, "");
    }
    assert_eq!(
        folded(&report),
        ["78 connection-timed-out cmp[001-016,018-040] → cmp017 cold-push+cold-pull"]
    );
}

#[test]
fn a_node_that_reaches_nobody_is_one_group() {
    let mut report = sample::healthy(40);
    for leg in report.pick(&COLD, |client, _| client == "cmp017") {
        leg.break_with(Reason::IdentityMissing, "");
    }
    assert_eq!(
        folded(&report),
        ["78 identity-missing cmp017 → cmp[001-016,018-040] cold-push+cold-pull"]
    );
}

#[test]
fn several_nodes_that_reach_nobody_are_one_group() {
    let mut report = sample::healthy(9);
    for leg in report.pick(&COLD[..1], |client, _| {
        client == "cmp003" || client == "cmp004"
    }) {
        leg.break_with(Reason::IdentityMissing, "");
    }
    assert_eq!(
        folded(&report),
        ["16 identity-missing cmp[003-004] → cmp[001-009] cold-push"]
    );
}

#[test]
fn a_whole_mesh_is_one_group_although_no_node_dials_itself() {
    let mut report = sample::healthy(6);
    for leg in report.pick(&COLD, |_, _| true) {
        leg.leave_unproven(Why::Interrupted);
    }
    assert_eq!(
        folded(&report),
        ["60 interrupted cmp[001-006] → cmp[001-006] cold-push+cold-pull"]
    );
}

#[test]
fn two_halves_that_do_not_trust_each_other_are_two_groups() {
    let mut report = sample::healthy(8);
    let left = |name: &str| name <= "cmp004";
    for leg in report.pick(&COLD, |client, server| left(client) != left(server)) {
        leg.break_with(Reason::KeyNotAuthorized, "");
    }
    assert_eq!(
        folded(&report),
        [
            "32 key-not-authorized cmp[001-004] → cmp[005-008] cold-push+cold-pull",
            "32 key-not-authorized cmp[005-008] → cmp[001-004] cold-push+cold-pull",
        ]
    );
}

#[test]
fn no_leg_is_lost_or_told_twice_however_they_are_scattered() {
    let mut report = sample::healthy(12);
    let mut state = 7_u32;
    let mut broken = BTreeSet::new();
    for leg in &mut report.legs {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if leg.lane != Lane::Live && state >> 30 == 0 {
            leg.break_with(Reason::HostKeyUnknown, "");
            broken.insert((leg.lane, leg.client.clone(), leg.server.clone()));
        }
    }
    let mut told = BTreeSet::new();
    for group in group_legs(report.legs.iter().filter(|leg| leg.lane != Lane::Live)) {
        let mut count = 0;
        for &lane in &group.lanes {
            for client in &group.clients {
                for server in group.servers.iter().filter(|server| *server != client) {
                    count += 1;
                    assert!(
                        told.insert((lane, (*client).to_owned(), (*server).to_owned())),
                        "told twice"
                    );
                }
            }
        }
        assert_eq!(count, group.count);
    }
    assert_eq!(told, broken);
}

#[test]
fn the_remedy_of_a_group_names_all_its_nodes_where_it_is_not_typed() {
    let mut report = sample::healthy(4);
    for leg in report.pick(&COLD[..1], |_, server| server == "cmp002") {
        let remedy = format!("On {}: `ssh-keygen -R {}`.", leg.client, leg.server);
        leg.break_with(Reason::HostKeyChanged, &remedy);
    }
    let groups = group_legs(report.legs.iter().filter(|leg| leg.lane == Lane::ColdPush));
    assert_eq!(
        groups[0].remedies,
        [(
            vec![Lane::ColdPush],
            Remedy::All("On cmp[001,003-004]: `ssh-keygen -R cmp002`.".to_owned())
        )]
    );
}

#[test]
fn a_range_of_nodes_is_never_put_into_a_command() {
    let mut report = sample::healthy(4);
    for leg in report.pick(&COLD[..1], |client, _| client == "cmp001") {
        let remedy = format!("On {}: `ssh-keygen -R {}`.", leg.client, leg.server);
        leg.break_with(Reason::HostKeyChanged, &remedy);
    }
    let groups = group_legs(report.legs.iter().filter(|leg| leg.lane == Lane::ColdPush));
    assert_eq!(
        groups[0].remedies,
        [(
            vec![Lane::ColdPush],
            Remedy::Example("On cmp001: `ssh-keygen -R cmp002`.".to_owned())
        )]
    );
}

#[test]
fn remedies_that_differ_in_more_than_names_stay_an_example() {
    let mut report = sample::healthy(3);
    for leg in report.pick(&COLD[..1], |_, server| server == "cmp002") {
        let remedy = format!("Look at 10.0.0.{}.", &leg.client[5..]);
        leg.break_with(Reason::ConnectionRefused, &remedy);
    }
    let groups = group_legs(report.legs.iter().filter(|leg| leg.lane == Lane::ColdPush));
    assert_eq!(
        groups[0].remedies,
        [(
            vec![Lane::ColdPush],
            Remedy::Example("Look at 10.0.0.1.".to_owned())
        )]
    );
}
