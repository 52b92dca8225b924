//! What rsyslog would do in a node: datagrams from /dev/log become lines of files.

/// A line, and the file that it belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogLine {
    pub(crate) file: &'static str,
    pub(crate) line: Vec<u8>,
}

/// Length of `Nov 23 01:04:05`, the time stamp that syslog(3) writes.
const TIME: usize = 15;

/// Turns `<38>Nov 23 01:04:05 sshd[7]: text` into the line that Debian's rsyslog writes for it.
pub(crate) fn line(datagram: &[u8], hostname: &str) -> LogLine {
    let (priority, rest) = split_priority(datagram);
    let rest = rest.trim_ascii_end();
    let mut line = Vec::with_capacity(rest.len() + hostname.len() + 2);
    if rest.len() > TIME && rest[TIME] == b' ' {
        line.extend_from_slice(&rest[..TIME]);
        line.push(b' ');
        line.extend_from_slice(hostname.as_bytes());
        line.extend_from_slice(&rest[TIME..]);
    } else {
        line.extend_from_slice(rest);
    }
    line.push(b'\n');
    // Facilities auth (4) and authpriv (10).
    let file = match priority.map(|priority| priority / 8) {
        Some(4 | 10) => "/var/log/auth.log",
        _ => "/var/log/syslog",
    };
    LogLine { file, line }
}

fn split_priority(datagram: &[u8]) -> (Option<u32>, &[u8]) {
    let split = || {
        let rest = datagram.strip_prefix(b"<")?;
        let end = rest.iter().position(|&byte| byte == b'>')?;
        let priority = std::str::from_utf8(&rest[..end]).ok()?.parse().ok()?;
        Some((Some(priority), &rest[end + 1..]))
    };
    split().unwrap_or((None, datagram))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_auth_message_gets_the_host_after_its_time() {
        let got = line(b"<86>Nov 23 01:04:05 sshd[7]: Invalid user\n", "node2");
        assert_eq!(got.file, "/var/log/auth.log");
        assert_eq!(got.line, b"Nov 23 01:04:05 node2 sshd[7]: Invalid user\n");
    }

    #[test]
    fn other_facilities_go_to_syslog() {
        assert_eq!(line(b"<13>hello", "n").file, "/var/log/syslog");
        assert_eq!(line(b"no priority", "n").line, b"no priority\n");
    }
}
