//! The programs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::frame::{Nonce, prelude, sh_quote};
use crate::repair::plan::{FileState, SshdChange};

/// Where a change and its guard keep what they need: gone with a restart, and only root's.
const DIRECTORY: &str = "/run/clearway-sshd";
const LIB: &str = include_str!("lib.sh");
const GUARD: &str = include_str!("guard.sh");
const PENDING: &str = include_str!("pending.sh");
const CHANGE: &str = include_str!("change.sh");
const GO: &str = include_str!("go.sh");

/// A change that cannot be carried out as it is planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("change of the sshd of {node}: {path} {what}")]
pub struct Unplanned {
    /// Inventory name.
    pub node: String,
    /// The edit's path.
    pub path: String,
    /// What is wrong with the edit.
    pub what: &'static str,
}

/// Makes a change, to be run as root on the node. `token` names it for [`keep`] and [`take_back`], and is told to nobody
/// else; unless it is kept within `wait`, the node takes it back by itself.
///
/// # Errors
/// [`Unplanned`] for a plan that does not come from a planner: texts that are not known, paths that are none.
pub fn change(
    nonce: &Nonce,
    token: &Nonce,
    change: &SshdChange,
    wait: Duration,
) -> Result<String, Unplanned> {
    let common = common(token, change, wait);
    let mut text = prelude(nonce);
    text.push_str(&common);
    text.push_str(LIB);
    text.push_str(PENDING);
    text.push_str(CHANGE);
    for (number, edit) in change.edits.iter().enumerate() {
        let path = &edit.target.path;
        let fail = |what| Unplanned {
            node: change.node.clone(),
            path: path.clone(),
            what,
        };
        if !edit.target.context.is_empty() {
            return Err(fail("is not on the host itself"));
        }
        let is_plain = path.starts_with('/') && !path.bytes().any(|byte| byte < 0x20);
        if !is_plain || path.ends_with(' ') || path.ends_with('/') {
            return Err(fail("is no path that can be edited"));
        }
        let before = match &edit.before {
            FileState::Absent => "absent".to_owned(),
            state => {
                let bytes = bytes(state).ok_or_else(|| fail("starts from an unknown text"))?;
                // As sha256sum prints it of standard input.
                let digest = Sha256::digest(bytes);
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{digest}  -")
            }
        };
        let (owner, mode, after) = match &edit.after {
            FileState::Absent => ("-".to_owned(), "-".to_owned(), "absent".to_owned()),
            FileState::File { attributes, .. } => {
                let bytes = bytes(&edit.after).ok_or_else(|| fail("leads to an unknown text"))?;
                (
                    format!("{}:{}", attributes.uid, attributes.gid),
                    format!("{:04o}", attributes.mode),
                    STANDARD.encode(bytes),
                )
            }
            FileState::Directory { .. } | FileState::Opaque { .. } => {
                return Err(fail("becomes something else than a file"));
            }
        };
        let number = number.to_string();
        let words = [&number, path, &before, &owner, &mode, &after];
        let words: Vec<String> = words.iter().map(|word| sh_quote(word)).collect();
        text.push_str(&format!("file {}\n", words.join(" ")));
    }
    let guard = format!("{common}{LIB}{GUARD}");
    text.push_str(&format!("guard_text={}\n", sh_quote(&guard)));
    text.push_str(GO);
    Ok(text)
}

/// Keeps a change. Its answer says whether it came in time.
#[must_use]
pub fn keep(nonce: &Nonce, token: &Nonce) -> String {
    let (n, d) = (token.as_str(), DIRECTORY);
    format!(
        "{}n={n}\nd={d}\n{}",
        prelude(nonce),
        r#"if ! [ -e "$d/is.$n" ]; then cw gone
elif mkdir "$d/decided" 2>/dev/null; then
rm -f "$d/is.$n"
rm -rf "$d"
cw kept
else cw late
fi
cw_end
"#
    )
}

/// Has a change taken back now, and waits until that is done.
#[must_use]
pub fn take_back(nonce: &Nonce, token: &Nonce) -> String {
    let (n, d) = (token.as_str(), DIRECTORY);
    format!(
        "{}n={n}\nd={d}\n{}",
        prelude(nonce),
        r#"[ ! -d "$d" ] || : >"$d/back.$n"
tries=0
while [ -e "$d/is.$n" ] && ! [ -s "$d/stuck" ] && [ $tries -lt 60 ]; do
tries=$((tries+1))
sleep 1
done
if ! [ -e "$d/is.$n" ]; then cw gone
elif [ -s "$d/stuck" ]; then cw stuck "$(cat "$d/stuck")"
else cw late
fi
cw_end
"#
    )
}

/// What both the program and the guard must know.
fn common(token: &Nonce, change: &SshdChange, wait: Duration) -> String {
    let ports = change.ports.iter().map(|port| format!("{port:04X} "));
    let ports: String = std::iter::once(" ".to_owned()).chain(ports).collect();
    format!(
        "n={}\nd={DIRECTORY}\nbinary={}\nconfig={}\nports={}\nwait={}\n",
        token.as_str(),
        sh_quote(&change.binary),
        sh_quote(&change.config),
        sh_quote(&ports),
        wait.as_secs().max(1),
    )
}

fn bytes(state: &FileState) -> Option<Vec<u8>> {
    state.text()?.bytes(|_| None)
}
