//! What this process may use.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// More files than this are never needed; programs that are started inherit the limit, and some close every file below it.
const ENOUGH: u64 = 65_536;

/// Lets this process have as many files open as it may: there is one connection to each node, and the usual limit of 1,024
/// is less than a large fleet. Where that is refused, what runs out of files says so itself.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let wanted = hard.min(ENOUGH);
        if soft < wanted {
            let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted, hard);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_as_allowed_may_be_open_and_the_hard_limit_stays() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        raise_open_files();
        let (soft, still) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(still, hard);
        assert!(soft >= hard.min(ENOUGH), "{soft} of {hard}");
    }
}
