//! This process and its neighbours.

use std::fs;

/// A process such that it cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessId {
    /// Where its number counts: the machine's boot id (`/proc/sys/kernel/random/boot_id`), which changes when it restarts,
    /// and the pid namespace, of which every container has its own (`/proc/self/ns/pid`; pid_namespaces(7)).
    pub space: String,
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot (`/proc/PID/stat`, field 22; proc_pid_stat(5)).
    pub started: u64,
}

impl ProcessId {
    /// This process. `None` where there is no `/proc`.
    #[must_use]
    pub fn current() -> Option<Self> {
        let pid = std::process::id();
        Some(Self {
            space: space()?,
            pid,
            started: start_ticks(pid)?,
        })
    }

    /// Whether it can be seen from here if the process is still there: not on another machine, nor in another container.
    #[must_use]
    pub fn is_near(&self) -> bool {
        space().as_deref() == Some(self.space.as_str())
    }

    /// Whether the process is still there. `false` also where nobody can look ([`Self::is_near`]).
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.is_near() && start_ticks(self.pid) == Some(self.started)
    }
}

/// Ends the process at once, without running destructors. Only for a second interrupt: whoever waits a second time has
/// asked to leave whatever is unfinished as it is.
pub fn leave_now(code: u8) -> ! {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    std::process::exit(i32::from(code))
}

fn space() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), namespace.display()))
}

fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_start_ticks(&stat)
}

fn parse_start_ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_whitespace();
    // One that has ended and that nobody has asked for yet, as where PID 1 of a container reaps none, does nothing any more.
    let state = fields
        .next()
        .filter(|state| !matches!(*state, "Z" | "X" | "x"));
    state.and_then(|_| fields.nth(18)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_one_of_another_time_is_not() {
        let this = ProcessId::current().unwrap();
        assert!(this.is_alive());
        let earlier = ProcessId {
            started: this.started.wrapping_sub(1),
            ..this.clone()
        };
        assert!(!earlier.is_alive());
        let (boot, namespace) = this.space.split_once(' ').unwrap();
        assert!(namespace.starts_with("pid:["), "{namespace}");
        let container = ProcessId {
            space: format!("{boot} pid:[1]"),
            ..this.clone()
        };
        let machine = ProcessId {
            space: format!("another-boot {namespace}"),
            ..this
        };
        for elsewhere in [container, machine] {
            assert!(!elsewhere.is_near() && !elsewhere.is_alive());
        }
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 4711 0 0";
        assert_eq!(parse_start_ticks(stat), Some(4711));
        assert_eq!(parse_start_ticks("7"), None);
    }
}
