//! Every planted fault on real nodes: the verdict, the step and the reason of every leg, and that prediction and
//! proof agree wherever files can tell. One test per file in tests/lab/faults, and one per combination of two. And of every
//! file that files can cure, its repair.

mod cure;
mod expect;
mod run;

use std::process::ExitCode;

use clearway_lab::{Cure, Fault, LabSupport, Lane};
use expect::Twist;
use libtest_mimic::{Arguments, Failed, Trial};

/// Two faults on the same legs: the first is met first, so it is the one to report where both break a leg.
struct Combination {
    first: &'static str,
    second: &'static str,
    twist: Twist,
}

const PULL_TURNED: Twist = Twist {
    turned: &[Lane::ColdPull],
    proof: None,
};

const fn both(first: &'static str, second: &'static str) -> Combination {
    Combination {
        first,
        second,
        twist: Twist {
            turned: &[],
            proof: None,
        },
    }
}

const COMBINATIONS: &[Combination] = &[
    // Each on a rung of its own.
    both("name-unknown", "account-expired"),
    Combination {
        first: "name-of-another-node",
        second: "host-key-stale",
        // The stale key is that of the node that answers instead.
        twist: Twist {
            turned: &[],
            proof: Some((Lane::ColdPull, "wrong-machine")),
        },
    },
    both("client-config-bad-option", "connection-refused"),
    both("shared-address", "key-not-authorized"),
    both("connection-refused", "host-key-stale"),
    both("connection-filtered", "key-of-root-not-authorized"),
    both("not-ssh", "second-factor"),
    both("host-key-stale", "identity-missing"),
    both("host-key-stale", "sftp-subsystem-missing"),
    both("host-key-stale-for-root", "libvirt-socket-missing"),
    both("host-certificate-expired", "key-option-unknown"),
    both("no-common-key-exchange", "identity-passphrase"),
    both("identity-missing", "instances-path-missing"),
    both("authorized-keys-missing", "disk-full"),
    both("key-of-root-not-authorized", "libvirt-helper-missing"),
    both("pam-refused", "account-nologin"),
    Combination {
        first: "key-revoked",
        second: "scp-missing",
        // Without scp nothing is dialled at all.
        twist: PULL_TURNED,
    },
    both("forced-command", "copy-corrupted"),
    both("instances-path-not-writable", "sftp-server-missing"),
    Combination {
        first: "account-nologin",
        second: "sftp-subsystem-missing",
        // All that is asked for is the subsystem, and sshd refuses one that it does not have before it starts any
        // shell (session.c `session_subsystem_req`).
        twist: PULL_TURNED,
    },
    // Both on the same rung.
    both("client-config-bad-option", "name-unknown"),
    both("no-common-key-exchange", "host-key-revoked"),
    both("known-hosts-unreadable", "host-key-stale"),
    both("account-not-in-allow-users", "authorized-keys-missing"),
    both("key-not-authorized", "identity-passphrase"),
    both("key-not-authorized", "account-expired"),
    both("account-not-in-allow-users", "identity-passphrase"),
    both("key-not-authorized", "identity-unreadable"),
    both("account-nologin", "disk-full"),
];

/// Faults of which a repair must see the second behind the first.
const CURED_TOGETHER: &[(&str, &str)] = &[
    ("host-key-stale", "identity-missing"),
    ("host-certificate-expired", "key-option-unknown"),
    ("known-hosts-unreadable", "host-key-stale"),
    ("ssh-directory-unreadable", "known-hosts-without-addresses"),
    ("identity-passphrase", "authorized-keys-missing"),
    ("client-config-world-writable", "known-hosts-missing"),
    ("authorized-keys-of-another-owner", "key-not-authorized"),
    ("home-of-another-owner", "key-expired"),
];

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
    let able = support == LabSupport::Full && run::has_image();
    let mut faults = Fault::load_all().expect("the catalogue is readable");
    if able && !arguments.list {
        let openssh = run::openssh().expect("a node tells its OpenSSH");
        faults = faults.into_iter().map(|fault| fault.on(openssh)).collect();
    }
    let mut trials = Vec::new();
    for fault in &faults {
        let planted = fault.clone();
        let is_cured = matches!(fault.cure, Some(Cure::Files | Cure::Accounts));
        let trial = Trial::test(fault.id.clone(), move || {
            if is_cured {
                return check(&[&planted], Twist::default());
            }
            // A repair looks as a check does, and there it must end.
            let report = cure::leave_alone(&planted).map_err(Failed::from)?;
            same(expect::differences(&[&planted], Twist::default(), &report))
        });
        trials.push(trial.with_ignored_flag(!able));
        if !is_cured {
            continue;
        }
        let planted = fault.clone();
        let trial = Trial::test(format!("repair of {}", fault.id), move || {
            cure::cure(&planted).map_err(Failed::from)
        });
        trials.push(trial.with_ignored_flag(!able));
    }
    for &Combination {
        first,
        second,
        twist,
    } in COMBINATIONS
    {
        let find = |id: &str| faults.iter().find(|fault| fault.id == id).cloned();
        let both = (find(first), find(second));
        let trial = Trial::test(format!("both {first} and {second}"), move || match &both {
            (Some(first), Some(second)) => check(&[first, second], twist),
            _ => Err(Failed::from("the catalogue has no such fault")),
        });
        trials.push(trial.with_ignored_flag(!able));
    }
    for &(first, second) in CURED_TOGETHER {
        let find = |id: &str| faults.iter().find(|fault| fault.id == *id).cloned();
        let both = (find(first), find(second));
        let trial = Trial::test(
            format!("repair of {first} and {second}"),
            move || match &both {
                (Some(first), Some(second)) => {
                    cure::cure_all(&[first, second]).map_err(Failed::from)
                }
                _ => Err(Failed::from("the catalogue has no such fault")),
            },
        );
        trials.push(trial.with_ignored_flag(!able));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn check(faults: &[&Fault], twist: Twist) -> Result<(), Failed> {
    let report = run::check(faults).map_err(Failed::from)?;
    same(expect::differences(faults, twist, &report))
}

fn same(wrong: Vec<String>) -> Result<(), Failed> {
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failed::from(wrong.join("\n")))
    }
}
