//! The real thing: nova-compute, libvirt and QEMU on the lab's nodes. What Nova says about a move is what really became of
//! it, and clearway must have said so before.
//!
//! All tests share one cloud, so they run one after the other.

#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for what it has started, and asks whether it has to be possible"
)]

mod agreement;
mod ground;
mod moving;
mod story;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;

use clearway_nova_lab::Support;
use ground::Ground;
use libtest_mimic::{Arguments, Failed, Trial};

type Test = fn(&Ground);

const TESTS: &[(&str, Test)] = &[
    (
        "what_check_says_comes_true_repair_mends_it_and_drain_empties_a_node",
        story::told,
    ),
    (
        "check_and_nova_agree_on_every_pair_and_kind_of_move_healthy_and_with_each_fault",
        agreement::holds,
    ),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One cloud, and one thread in its network.
    arguments.test_threads = Some(1);
    if arguments.list {
        let trials = TESTS.iter().map(|(name, _)| Trial::test(*name, || Ok(())));
        return libtest_mimic::run(&arguments, trials.collect()).exit_code();
    }
    if let Support::None(why) = Support::detect_real() {
        eprintln!("NOT RUN: moves between real hypervisors: {why}");
        // Where it is meant to be possible it has to be.
        let required = std::env::var_os("CLEARWAY_REQUIRE_NOVA").is_some();
        return ExitCode::from(u8::from(required));
    }
    let ground = match Ground::start() {
        Ok(ground) => Arc::new(ground),
        Err(why) => {
            eprintln!("FAILED: the cloud with real hypervisors did not start: {why}");
            return ExitCode::FAILURE;
        }
    };
    let trials = TESTS
        .iter()
        .map(|&(name, test)| {
            let ground = Arc::clone(&ground);
            Trial::test(name, move || {
                let done = catch_unwind(AssertUnwindSafe(|| {
                    ground.restore_trust();
                    test(&ground);
                }));
                ground.delete_servers();
                done.map_err(|panic| {
                    let text = panic
                        .downcast_ref::<String>()
                        .cloned()
                        .or_else(|| panic.downcast_ref::<&str>().map(|it| (*it).to_owned()));
                    Failed::from(text.unwrap_or_default())
                })
            })
        })
        .collect();
    let code = libtest_mimic::run(&arguments, trials).exit_code();
    // The trials are gone, so this is the last one: cloud and lab end here.
    drop(ground);
    code
}
