//! The program.

use std::time::Duration;

use crate::frame::{Nonce, prelude};

/// The journal is asked by identifier: since OpenSSH 9.8 a session has a program of its own (`sshd-session`), since
/// 10.0 the login too (`sshd-auth`). It is asked for an hour more, in which throttling may have begun. Files are read from
/// their end, whatever their size.
const ASK: &str = r#"for f in /etc/nologin /run/nologin /var/run/nologin; do [ ! -e $f ] || cw nologin $f; done
cw now "$(date +%s)" "$(date '+%b %e %H:%M:%S')"
l=
if command -v journalctl >/dev/null 2>&1; then
l=$(limited journalctl -q --no-pager -o short-unix --since "-$((w+3600))s" -n 4000 -t sshd -t sshd-session -t sshd-auth 2>/dev/null </dev/null | cut -c1-600 | tail -c 262144)
f=journal
fi
if [ -z "$l" ]; then
for f in /var/log/auth.log /var/log/secure /var/log/messages; do
[ -r $f ] || continue
l=$(tail -c 2097152 $f | grep -a sshd | cut -c1-600 | tail -c 262144)
[ -z "$l" ] || break
done
fi
[ -z "$l" ] || { cw_open log $f; printf '%s\n' "$l"; cw_close; }
cw_end
"#;

/// The POSIX sh program for a server, to be run there as root. `window` is how far back it looks.
#[must_use]
pub fn script(nonce: &Nonce, window: Duration) -> String {
    let mut text = prelude(nonce);
    text.push_str("limited() {\nif command -v timeout >/dev/null 2>&1; then timeout 20 \"$@\"; else \"$@\"; fi\n}\n");
    text.push_str(&format!("w={}\n", window.as_secs().max(1)));
    text.push_str(ASK);
    text
}
