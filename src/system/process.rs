//! This process and its neighbours.

use std::fs;

/// A process such that it cannot be mistaken for a later one with the same number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessId {
    /// The machine: its boot id (`/proc/sys/kernel/random/boot_id`), which changes when it restarts.
    pub boot: String,
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
            boot: boot_id()?,
            pid,
            started: start_ticks(pid)?,
        })
    }

    /// Whether the process is still there. `false` also when it belongs to another machine, where nobody can look.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        boot_id().as_deref() == Some(self.boot.as_str())
            && start_ticks(self.pid) == Some(self.started)
    }
}

/// Ends the process at once, without running destructors. Only for a second interrupt: whoever waits a second time has
/// asked to leave whatever is unfinished as it is.
pub fn leave_now(code: u8) -> ! {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    std::process::exit(i32::from(code))
}

fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

fn start_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_start_ticks(&stat)
}

fn parse_start_ticks(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses and may hold spaces and parentheses itself.
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19)?.parse().ok()
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
        let elsewhere = ProcessId {
            boot: "another-boot".to_owned(),
            ..this
        };
        assert!(!elsewhere.is_alive());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 1 2 3 4 20 0 1 0 4711 0 0";
        assert_eq!(parse_start_ticks(stat), Some(4711));
        assert_eq!(parse_start_ticks("7"), None);
    }
}
