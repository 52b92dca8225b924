//! The program.

use std::fmt::Write as _;
use std::time::Duration;

use crate::frame::{Nonce, prelude, sh_quote};

/// Where nova-compute logs when nova.conf does not say it: the command line of distributions' units does.
const USUAL: &str = "/var/log/nova/nova-compute.log";
/// How far the journal is searched back at most.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NovaQuestion<'a> {
    /// Nova's id of the request.
    pub request_id: &'a str,
    /// The server's id.
    pub server: &'a str,
    /// The log file that nova.conf names.
    pub file: Option<&'a str>,
    /// How long ago the request was made.
    pub ago: Duration,
}

/// Errors of the request, and of the server from the request's first line on. What follows of an error has neither id where
/// Nova writes it outside of its own code: it has the head of the error's first line, or none. Of a file its end is read,
/// whatever its size; the last line is our own, and counts the lines of the request.
const ASK: &str = r#"pick() {
awk -v r="$r" -v i="[instance: $i]" '
index($0,r){n++}
n&&(index($0,r)||index($0,i)){p=/ (ERROR|CRITICAL|TRACE) /;h=p?$1" "$2" "$3" "$4" "$5:"";if(p)print substr($0,1,1000);next}
/^[0-9][0-9][0-9][0-9]-/{p=h!=""&&h==$1" "$2" "$3" "$4" "$5&&!index($0," req-")}
p{print substr($0,1,1000)}
END{print "clearway-lines " n+0}' | tail -n 401 | tail -c 131072
}
found() {
n=${l##*clearway-lines }
case $n in ''|0|*[!0-9]*) cw place "$1" silent; return 1;; esac
cw place "$1" read
cw_open log "$1"
printf '%s\n' "${l%clearway-lines *}"
cw_close
d=1
}
see() {
[ -z "$d" ] || return
[ -e "$1" ] || { cw place "$1" absent; return; }
[ -f "$1" ] && [ -r "$1" ] || { cw place "$1" unreadable; return; }
l=$(limited tail -c 33554432 "$1" 2>/dev/null | pick)
found "$1"
}
d=
for f in "$@"; do
see "$f"
[ -n "$d" ] || [ ! -e "$f.1" ] || see "$f.1"
done
if [ -z "$d" ] && [ -n "$w" ]; then
if command -v journalctl >/dev/null 2>&1; then
l=$(limited journalctl -q --no-pager -o cat --since "-${w}s" 2>/dev/null </dev/null | pick)
found journal
else
cw place journal absent
fi
fi
cw_end
"#;

/// The POSIX sh program that looks for a request in nova-compute's log, to be run as root on its node. `context` enters
/// the place where nova-compute's files are, as root; the journal is the host's, and is asked for where `context` is
/// empty.
#[must_use]
pub fn nova_script(nonce: &Nonce, question: &NovaQuestion<'_>, context: &[String]) -> String {
    let mut text = prelude(nonce);
    let mut put = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}={}", sh_quote(value));
    };
    put("r", question.request_id);
    put("i", question.server);
    let window = question.ago.min(LONGEST).as_secs() + 60;
    let window = if context.is_empty() {
        window.to_string()
    } else {
        String::new()
    };
    put("w", &window);
    text.push_str("limited() {\nif command -v timeout >/dev/null 2>&1; then timeout 20 \"$@\"; else \"$@\"; fi\n}\n");
    // An option of `tail` begins with `-`, and what is not absolute is relative to nothing that is known.
    let stated = question.file.filter(|path| path.starts_with('/'));
    let usual = stated.is_none_or(|path| path != USUAL).then_some(USUAL);
    let files: Vec<String> = stated.into_iter().chain(usual).map(sh_quote).collect();
    let _ = writeln!(text, "set -- {}", files.join(" "));
    text.push_str(ASK);
    if context.is_empty() {
        return text;
    }
    let context: Vec<_> = context.iter().map(|word| sh_quote(word)).collect();
    format!(
        "p={}\nprintf %s \"$p\" | {} /bin/sh -c 'eval \"$(cat)\"'\n",
        sh_quote(&text),
        context.join(" ")
    )
}
