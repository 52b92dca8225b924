//! Messages that Nova has cut: it keeps 255 bytes of an error (nova/compute/utils.py `exception_to_dict`), and the
//! message of ssh stands at their end.

/// The least that must be left of a message for it to be told from others.
const LEAST: usize = 5;

/// Messages that ssh begins with, longest first where one begins like another; what a cut one is completed to.
const MESSAGES: &[&str] = &[
    "Host key verification failed.",
    "Permission denied (publickey).",
    "This account is currently not available.",
    "Bad owner or permissions on /",
    "Connection closed by remote host",
    "kex_exchange_identification: Connection closed by remote host",
    "subsystem request failed on channel 0",
    "ssh: Could not resolve hostname x: Name or service not known",
    "Load key \"x\": error in libcrypto",
    "Warning: Permanently added",
];

/// Completes the last line of a cut message, where only one can be meant. `true` says that something was added.
pub(super) fn complete(stderr: &str) -> (String, bool) {
    let line = stderr.lines().last().unwrap_or_default();
    // sshkey.c, sshconnect.c `warn_changed_key`: a frame of @ around the warning.
    if line.len() >= LEAST && line.bytes().all(|b| b == b'@') {
        let warning = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @";
        return (format!("{warning}\nHost key verification failed."), true);
    }
    // `nova@10.77.0.12: Permi…`
    let (before, rest) = match line.split_once(": ") {
        Some((who, rest)) if who.contains('@') => (format!("{who}: "), rest),
        _ => (String::new(), line),
    };
    if rest.len() < LEAST {
        return (stderr.to_owned(), false);
    }
    let mut fits = MESSAGES.iter().filter(|message| message.starts_with(rest));
    match (fits.next(), fits.next()) {
        (Some(message), None) if *message != rest => {
            let kept = &stderr[..stderr.len() - line.len()];
            (format!("{kept}{before}{message}"), true)
        }
        _ => (stderr.to_owned(), false),
    }
}
