//! Lines of a log: when, which process, which client.

use std::net::IpAddr;

/// A line that sshd has written, or PAM in its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogLine<'a> {
    /// How many seconds before the program ran; `None` when its time stamp says nothing.
    pub(super) age: Option<i64>,
    /// The process, which is one connection but for the listening one.
    pub(super) pid: Option<u32>,
    /// What it says, without `[preauth]` and the marks of severity.
    pub(super) text: &'a str,
    /// The line as it came.
    pub(super) whole: &'a str,
}

/// When the program ran, on the server's own clock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Moment {
    /// Seconds since the epoch.
    pub(super) epoch: Option<i64>,
    /// `Nov 23 01:04:05`, as syslog(3) writes it.
    pub(super) syslog: String,
}

const WRITERS: [&str; 3] = ["sshd", "sshd-session", "sshd-auth"];

impl<'a> LogLine<'a> {
    /// Reads a line of `journalctl -o short-unix`, of rsyslog in its old or its RFC 3339 form, or of a plain
    /// syslog(3). `None` for other programs' lines.
    pub(super) fn read(whole: &'a str, now: &Moment) -> Option<Self> {
        let line = whole.trim_end();
        let line = match line.strip_prefix('<') {
            Some(rest) => rest.split_once('>').map_or(line, |(_, rest)| rest),
            None => line,
        };
        // The first `: ` ends the writer: time stamps have colons without a blank.
        let (head, text) = line.split_once(": ")?;
        let (stamp, writer) = head.rsplit_once(' ').unwrap_or(("", head));
        let (name, pid) = match writer.split_once('[') {
            Some((name, pid)) => (name, pid.strip_suffix(']')?.parse().ok()),
            None => (writer, None),
        };
        if !WRITERS.contains(&name) {
            return None;
        }
        let mut text = text.strip_suffix(" [preauth]").unwrap_or(text);
        for mark in ["error: ", "fatal: "] {
            text = text.strip_prefix(mark).unwrap_or(text);
        }
        Some(Self {
            age: age(stamp, now),
            pid,
            text,
            whole: line,
        })
    }

    /// The client's address, from the places in which sshd writes it. Names of accounts that do not exist are chosen
    /// by the client and come before it, so the last place counts there.
    pub(super) fn client(&self) -> Option<IpAddr> {
        let text = self.text;
        if let Some(rest) = text.strip_prefix("drop connection #") {
            let (_, rest) = rest.split_once(" from [")?;
            return rest.split_once(']')?.0.parse().ok();
        }
        if text.starts_with("User ")
            && let Some((before, _)) = text.split_once(" not allowed because ")
        {
            return before.rsplit_once(" from ")?.1.parse().ok();
        }
        let (before, port) = text.rsplit_once(" port ")?;
        let number = port.split([' ', ':']).next()?;
        number.parse::<u16>().ok()?;
        let before = match before.split_once(" on ") {
            // `Connection from ADDR port N on ADDR port N`
            Some((client, _)) if text.starts_with("Connection from ") => {
                client.rsplit_once(" port ")?.0
            }
            _ => before,
        };
        before.rsplit(' ').next()?.parse().ok()
    }

    /// Whether a client has gone, or was sent away, before it was let in to an account that exists (packet.c
    /// `sshpkt_vfatal`): all that sshd writes of a key that it does not know.
    pub(super) fn is_left_unsaid(&self) -> bool {
        const ENDS: [&str; 4] = ["closed", "reset", "disconnected", "disconnecting"];
        let text = self.text.to_ascii_lowercase();
        text.contains(" authenticating user ") && ENDS.iter().any(|it| text.contains(it))
    }

    /// Whether the line speaks of an account.
    pub(super) fn names_somebody(&self) -> bool {
        let mut words = self.text.split(' ');
        let is_followed = |word| matches!(word, "user" | "User" | "for");
        words.any(is_followed) && words.next().is_some()
    }

    /// Whether the line speaks of this account.
    pub(super) fn names(&self, user: &str) -> bool {
        self.text
            .split([' ', '\'', '`'])
            .any(|word| word.trim_end_matches([':', ',']) == user)
    }
}

const DAY: i64 = 86_400;

fn age(stamp: &str, now: &Moment) -> Option<i64> {
    let first = stamp.split(' ').next()?;
    // `1700000000.123456 host`
    if let Some(seconds) = first
        .split('.')
        .next()
        .and_then(|it| it.parse::<i64>().ok())
        && seconds > 1_000_000_000
    {
        return Some(now.epoch? - seconds);
    }
    // `2026-11-23T01:04:05.123456+00:00 host`
    if let Ok(at) = first.parse::<jiff::Timestamp>() {
        return Some(now.epoch? - at.as_second());
    }
    // `Nov 23 01:04:05 host`, without year and time zone: only near midnight may the day differ.
    let (day, time) = (stamp.get(..6)?, stamp.get(7..15)?);
    let (today, clock) = (now.syslog.get(..6)?, now.syslog.get(7..15)?);
    let age = seconds_of_day(clock)? - seconds_of_day(time)?;
    if day == today {
        Some(age)
    } else if age < 0 {
        Some(age + DAY)
    } else {
        // A day or more.
        Some(DAY)
    }
}

fn seconds_of_day(clock: &str) -> Option<i64> {
    let mut parts = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * 3600 + minutes * 60 + seconds)
}
