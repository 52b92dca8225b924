//! Every planted fault on real nodes: the verdict, the step and the reason of every leg, and that prediction and
//! proof agree wherever files can tell. One test per file in tests/lab/faults, and one per combination of two.

mod expect;
mod run;

use std::process::ExitCode;

use clearway_lab::{Fault, LabSupport};
use libtest_mimic::{Arguments, Failed, Trial};

/// Pairs of faults on the same leg: the one met first on the ladder is the one to report.
const COMBINATIONS: &[(&str, &str)] = &[
    ("connection-refused", "host-key-stale"),
    ("host-key-stale", "identity-missing"),
    ("host-key-stale", "sftp-subsystem-missing"),
    ("identity-missing", "instances-path-missing"),
    ("account-nologin", "sftp-subsystem-missing"),
    ("name-unresolvable", "account-expired"),
    ("authorized-keys-missing", "disk-full"),
];

/// Faults that are planted right and not yet told right; each is shown as ignored until it is.
///
/// - `pam-refused`: what PAM logs without the client's address is not matched to the leg.
/// - `ssh-directory-unreadable`: an unreadable directory above known_hosts is not predicted, only proven.
/// - `too-many-keys`: the log's reason is outranked by that of a single key.
const KNOWN_GAPS: &[&str] = &["pam-refused", "ssh-directory-unreadable", "too-many-keys"];

#[expect(clippy::print_stdout, reason = "a test says what it could not run")]
fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Labs are cheap, but probes have deadlines: more labs at once than processors would miss them.
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    arguments.test_threads.get_or_insert(processors);

    let support = LabSupport::detect();
    if let LabSupport::None(why) = &support {
        println!("NOT RUN: the planted faults need real nodes: {why}");
    }
    let able = support == LabSupport::Full;
    let faults = Fault::load_all().expect("the catalogue is readable");
    let mut trials = Vec::new();
    for fault in &faults {
        let planted = fault.clone();
        let trial = Trial::test(fault.id.clone(), move || check(&[&planted]));
        let is_gap = KNOWN_GAPS.contains(&fault.id.as_str());
        trials.push(trial.with_ignored_flag(!able || is_gap));
    }
    for (first, second) in COMBINATIONS {
        let find = |id: &str| faults.iter().find(|fault| fault.id == *id).cloned();
        let both = (find(first), find(second));
        let trial = Trial::test(format!("both {first} and {second}"), move || match &both {
            (Some(first), Some(second)) => check(&[first, second]),
            _ => Err(Failed::from("the catalogue has no such fault")),
        });
        trials.push(trial.with_ignored_flag(!able));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn check(faults: &[&Fault]) -> Result<(), Failed> {
    let report = run::check(faults).map_err(Failed::from)?;
    let wrong = expect::differences(faults, &report);
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(wrong.join("\n")))
    }
}
