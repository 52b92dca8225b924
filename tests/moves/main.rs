//! Moves on a real Nova, over the lab's real sshd nodes: the nodes' own ssh proves, Nova's own API moves, and its own
//! access log says what it was asked.
//!
//! The hypervisors are made up and do with each pair what a test says. All share one lab and one cloud, so they run one
//! after the other.

#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for the processes that it starts, and asks whether it has to be possible"
)]

mod access;
mod api;
mod bad_request;
mod compared;
mod dead;
mod faults;
mod gate;
mod ground;
mod hook;
mod kept;
mod killed;
mod limits;
mod midrun;
mod outage;
mod services;
mod ways;
mod well;

use std::process::ExitCode;

use ground::Ground;
use libtest_mimic::{Arguments, Conclusion, Failed, Trial};

type Test = fn(&Ground);

const TESTS: &[(&str, Test)] = &[
    ("a_cold_move_is_confirmed_and_compared", well::cold),
    ("a_live_move_arrives", well::live),
    (
        "a_stopped_server_moves_cold_and_stays_stopped",
        well::stopped,
    ),
    ("an_unconfirmed_move_is_left_as_it_is", well::unconfirmed),
    (
        "a_drain_empties_a_host_and_puts_its_service_back",
        well::drain,
    ),
    ("a_plan_moves_nothing", well::dry_run),
    (
        "servers_show_the_destinations_that_a_check_has_proven",
        well::servers,
    ),
    (
        "every_way_to_log_in_works_and_a_missing_right_is_named",
        well::logins,
    ),
    ("every_cold_fault_ends_in_the_right_verdict", faults::cold),
    ("every_live_fault_ends_in_the_right_verdict", faults::live),
    (
        "diagnose_explains_a_move_that_clearway_did_not_start",
        faults::diagnosed,
    ),
    (
        "a_failed_cold_move_is_explained_by_the_log_and_its_leg",
        faults::explained_by_the_log,
    ),
    (
        "a_failed_live_move_is_explained_by_the_log_alone",
        faults::live_explained_by_the_log,
    ),
    (
        "a_server_that_is_left_in_error_is_brought_back",
        faults::recovered,
    ),
    (
        "a_broken_pair_is_never_asked_for_and_another_is_taken",
        gate::another,
    ),
    (
        "moves_that_need_the_same_proof_are_told_of_one",
        gate::shared,
    ),
    ("a_pair_without_an_answer_is_waited_for_once", gate::silent),
    ("a_broken_pair_alone_is_refused", gate::refused),
    (
        "a_host_that_nova_does_not_have_is_an_error_before_anything",
        gate::no_such_host,
    ),
    (
        "an_image_that_is_still_there_needs_no_way_back_to_the_source",
        gate::image,
    ),
    (
        "an_address_that_nova_reports_otherwise_closes_the_gate",
        gate::address,
    ),
    (
        "a_host_that_the_inventory_does_not_have_is_no_destination",
        gate::stranger,
    ),
    (
        "a_node_that_says_it_is_another_host_of_nova_is_not_taken_for_it",
        gate::claimed,
    ),
    (
        "a_pair_that_is_overridden_stands_in_the_ledger",
        gate::overridden,
    ),
    (
        "a_resize_goes_where_nova_chooses_when_every_choice_is_proven",
        ways::resized,
    ),
    (
        "a_resize_is_refused_with_the_hosts_that_are_not_proven",
        ways::resize_refused,
    ),
    ("a_move_can_be_brought_back_at_once", ways::reverted),
    (
        "moves_that_were_left_are_confirmed_or_reverted_later",
        ways::settled_later,
    ),
    ("live_moves_are_ended_from_another_terminal", ways::aborted),
    ("a_live_move_shows_what_it_has_still_to_copy", ways::copying),
    (
        "a_resumed_run_counts_the_servers_that_could_not_move",
        ways::stays_count,
    ),
    (
        "everything_that_an_owner_has_given_a_server_is_there_afterwards",
        compared::same,
    ),
    (
        "a_server_that_somebody_changes_while_it_moves_fails_the_run",
        compared::changed,
    ),
    (
        "nothing_is_begun_after_the_end_of_a_maintenance_window",
        limits::until,
    ),
    (
        "live_moves_at_the_same_time_are_as_many_as_a_source_may_have",
        limits::live_per_source,
    ),
    (
        "moves_at_the_same_time_are_as_many_as_a_destination_may_have",
        limits::per_destination,
    ),
    ("servers_are_moved_in_the_order_that_is_told", limits::order),
    (
        "a_host_that_another_run_drains_is_not_drained_at_the_same_time",
        limits::two_drains,
    ),
    (
        "servers_are_listed_by_file_status_name_zone_and_project",
        limits::filters,
    ),
    (
        "a_service_that_somebody_has_disabled_before_is_not_touched",
        services::disabled_before,
    ),
    (
        "a_service_that_cannot_be_disabled_stops_the_drain",
        services::refused,
    ),
    (
        "a_service_whose_disabling_failed_is_asked_for_once_more",
        services::failed_once,
    ),
    (
        "a_service_that_is_disabled_late_is_waited_for_and_put_back",
        services::late,
    ),
    (
        "a_drained_host_that_cannot_be_looked_at_is_not_called_empty",
        services::unseen,
    ),
    ("reads_are_repeated_while_the_api_is_away", api::away),
    (
        "a_request_that_waits_in_a_queue_is_not_sent_again",
        api::queued,
    ),
    (
        "a_run_that_may_not_ask_any_more_ends_with_the_way_to_go_on",
        api::deaf,
    ),
    (
        "a_service_that_could_not_be_put_back_is_told_and_resumed",
        api::still_disabled,
    ),
    (
        "a_server_that_comes_to_a_drained_host_is_named",
        api::latecomer,
    ),
    (
        "a_request_whose_answer_is_lost_is_not_sent_again",
        api::lost,
    ),
    (
        "a_request_that_nova_never_saw_is_sent_again_after_a_fresh_proof",
        api::unseen,
    ),
    (
        "a_refusal_of_nova_is_a_failure_of_that_move_alone",
        api::refusals,
    ),
    (
        "a_server_that_somebody_else_has_brought_there_is_refused_with_a_400",
        bad_request::already_there,
    ),
    (
        "a_host_of_another_cell_is_refused_with_a_400_and_the_next_one_is_tried",
        bad_request::another_cell,
    ),
    (
        "a_400_for_want_of_a_valid_host_lets_the_next_one_be_tried",
        bad_request::no_valid_host,
    ),
    (
        "an_api_that_is_away_for_a_minute_costs_time_and_nothing_else",
        outage::a_minute,
    ),
    ("a_token_that_ends_is_replaced", api::token),
    (
        "access_through_tls_needs_the_authority_that_is_named",
        access::authority,
    ),
    (
        "access_by_the_environment_alone_takes_the_authority_of_os_cacert",
        access::environment,
    ),
    (
        "a_server_with_the_certificate_of_an_authority_is_told_from_an_unknown_one",
        access::authoritys_own,
    ),
    ("access_is_by_region_interface_and_address", access::regions),
    (
        "access_goes_on_when_keystone_revokes_the_token",
        access::revoked,
    ),
    (
        "a_confirmation_whose_answer_is_lost_is_no_failure",
        api::confirmation,
    ),
    (
        "a_confirmation_of_somebody_else_is_no_failure",
        api::somebody_else,
    ),
    (
        "a_command_is_told_of_each_move_and_of_nothing_else",
        hook::told,
    ),
    (
        "a_command_that_fails_is_a_failure_of_the_run",
        hook::failing,
    ),
    (
        "a_command_that_was_cut_off_is_reported_and_not_run_again",
        hook::killed,
    ),
    ("two_runs_do_not_move_the_same_server", killed::locked),
    (
        "a_move_that_was_to_be_reverted_and_was_confirmed_has_failed",
        killed::not_reverted,
    ),
    (
        "an_interrupted_run_finishes_what_runs_and_can_be_resumed",
        killed::interrupted,
    ),
    (
        "a_host_that_is_disabled_in_mid_run_is_not_gone_to_any_more",
        midrun::disabled,
    ),
    (
        "another_destination_is_tried_when_the_scheduler_has_none_in_mid_run",
        midrun::unfit,
    ),
    (
        "a_destination_that_dies_in_mid_run_holds_up_its_own_moves_only",
        midrun::destination_killed,
    ),
    (
        "a_source_that_dies_in_mid_run_is_named",
        midrun::source_killed,
    ),
    (
        "a_destination_that_nova_itself_calls_down_is_left_out",
        dead::destination,
    ),
    (
        "moves_from_a_source_that_nova_itself_calls_down_are_explained",
        dead::source,
    ),
    (
        "a_phase_that_hangs_in_mid_run_is_unknown_until_it_is_seen_to_end",
        midrun::hanging,
    ),
    (
        "a_run_killed_anywhere_moves_every_server_exactly_once",
        killed::anywhere,
    ),
];

/// Takes many minutes: `make test-fleet`.
const LONG: &[(&str, Test)] = &[
    (
        "a_hundred_kills_of_drains_of_20_servers_lose_and_repeat_nothing",
        killed::a_hundred_times,
    ),
    (
        "an_api_that_stays_away_ends_the_run_and_nothing_is_begun",
        outage::stays_away,
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One cloud, and one thread in its network.
    arguments.test_threads = Some(1);
    if arguments.list {
        let trials = TESTS.iter().map(|(name, _)| Trial::test(*name, || Ok(())));
        let long = LONG.iter().map(|(name, _)| Trial::test(*name, || Ok(())));
        let trials = trials.chain(long.map(|it| it.with_ignored_flag(true)));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    let ground: &'static Ground = match Ground::start() {
        Ok(ground) => Box::leak(Box::new(ground)),
        Err(why) => {
            eprintln!("moves on a real Nova could not be tested: {why}");
            // Where it is meant to be possible it has to be.
            return ExitCode::from(u8::from(ground::is_required()));
        }
    };
    let trials = TESTS.iter().map(|&it| trial(ground, it));
    let long = LONG.iter().map(|&it| trial(ground, it));
    let trials = trials.chain(long.map(|it| it.with_ignored_flag(true)));
    let conclusion: Conclusion = libtest_mimic::run(&arguments, trials.collect());
    ground.stop();
    conclusion.exit_code()
}

fn trial(ground: &'static Ground, (name, test): (&str, Test)) -> Trial {
    Trial::test(name, move || {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            ground.reset();
            test(ground);
            ground.every_request_had_a_pass();
        }));
        done.map_err(|panic| {
            let text = panic
                .downcast_ref::<String>()
                .cloned()
                .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
            Failed::from(text.unwrap_or_default())
        })
    })
}
