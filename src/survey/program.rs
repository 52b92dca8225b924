//! The program that is sent to a node, as text for a POSIX shell that reads it from stdin (`sh -s`).
//!
//! It runs as root, or as a plain user who then sees less. It needs `sh`, `awk`, `stat`, `head`, and OpenSSH's own
//! programs; it writes no file, leaves nothing behind and reads nothing from stdin but itself. Its parts each answer
//! in a frame of their own ([`crate::frame`]).

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::frame::{prelude, sh_quote};

use super::BASE_NAME;
use super::answers::Tool;
use super::request::{FILE_MAX, Part, SurveyRequest, TOTAL_MAX};

const ROOT: &str = include_str!("program/root.sh");
const NOVA: &str = include_str!("program/nova.sh");
const PART: &str = include_str!("program/part.sh");
const AWK: &str = include_str!("program/part.awk");

/// The same without what only their readers need; they are sent to every node.
static SENT_ROOT: LazyLock<String> = LazyLock::new(|| stripped(ROOT));
static SENT_BODY: LazyLock<String> = LazyLock::new(|| {
    let awk = sh_quote(&stripped(AWK));
    sh_quote(&format!(
        "cw_awk={awk}\n{}{}",
        stripped(NOVA),
        stripped(PART)
    ))
});

/// The connection for which `sshd -T -C` is asked: one that no `Match` block is made for (RFC 5737, RFC 6761).
const NEUTRAL: &str = "user=clearway-base,host=clearway-base.invalid,addr=192.0.2.255";

/// Programs that enter a context without talking to a daemon, so that they cannot hang.
const DIRECT: [&str; 6] = ["runuser", "setpriv", "sudo", "su", "env", "chroot"];

impl SurveyRequest {
    /// The program's text.
    #[must_use]
    pub fn program(&self) -> String {
        let parts = self.parts();
        // The shell runs nothing before it has read the whole function: a connection that breaks on the way leaves
        // nothing half done.
        let mut text = String::from("root() {\n");
        text.push_str(&prelude(&self.nonce));
        text.push_str("exec 3>&1 2>/dev/null\numask 077\nlearned= my_ip= live= key= limit=\n");
        text.push_str(
            "PATH=${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n",
        );
        text.push_str("command -v timeout >/dev/null && limit='timeout -k 2 60'\n");
        text.push_str(&SENT_ROOT);
        let _ = writeln!(text, "cw_body={}", *SENT_BODY);
        for (i, part) in parts.iter().enumerate() {
            put(&mut text, &format!("cw_part_{i}"), &self.settings(i, part));
            let words = std::iter::once(i.to_string())
                .chain(limit(&part.words).map(str::to_owned))
                .chain(part.words.iter().map(|word| sh_quote(word)));
            let enter = words.collect::<Vec<_>>().join(" ");
            if part.only_live() {
                let _ = writeln!(
                    text,
                    "if [ -n \"$live\" ]; then enter {enter}; else cw skipped {i}; fi"
                );
            } else {
                let _ = writeln!(text, "enter {enter}");
            }
        }
        text.push_str("cw_end\n}\nroot </dev/null\nexit 0\n");
        text
    }

    /// What a part is told before its body.
    fn settings(&self, index: usize, part: &Part) -> String {
        let mut text = prelude(&self.part_nonce(index));
        put(&mut text, "cw_base", BASE_NAME);
        put(&mut text, "cw_neutral", NEUTRAL);
        put(&mut text, "cw_file_max", &FILE_MAX.to_string());
        put(&mut text, "cw_total_max", &TOTAL_MAX.to_string());
        put(&mut text, "cw_sshd", &self.sshd.binary);
        put(&mut text, "cw_sshd_config", &self.sshd.config);
        put(&mut text, "cw_accounts", &self.accounts.join("\n"));
        let files: Vec<_> = self.nova_conf.iter().map(|path| sh_quote(path)).collect();
        put(&mut text, "cw_nova_conf", &files.join(" "));
        put(&mut text, "cw_identities", &part.identities.join("\n"));
        let _ = writeln!(text, "CW_DO={}\nexport CW_DO", part.tasks);
        for (tool, name) in [(Tool::Ssh, "ssh"), (Tool::Sshd, "sshd")] {
            let wanted = match tool {
                Tool::Ssh => part.has('c') || part.has('l'),
                Tool::Sshd => part.has('s'),
            };
            for (number, answer) in self.known_of(tool).filter(|_| wanted) {
                let files = format!("CW_KNOWN_{}_{number}", name.to_uppercase());
                put(&mut text, &format!("cw_known_{name}_{number}"), &answer.key);
                put(&mut text, &files, &answer.files);
                let _ = writeln!(text, "export {files}");
            }
        }
        text
    }

    pub(super) fn part_nonce(&self, index: usize) -> crate::frame::Nonce {
        self.nonce.child(&index.to_string())
    }
}

fn put(text: &mut String, name: &str, value: &str) {
    let _ = writeln!(text, "{name}={}", sh_quote(value));
}

/// The variable with the command that ends a program that does not end by itself, where one may be needed.
fn limit(words: &[String]) -> impl Iterator<Item = &'static str> {
    let direct = words
        .first()
        .is_none_or(|word| DIRECT.iter().any(|d| word.rsplit('/').next() == Some(d)));
    (!direct).then_some("$limit").into_iter()
}

/// A script without its comments and indentation, which a node has no use for.
fn stripped(script: &str) -> String {
    script
        .lines()
        .map(|line| line.trim_start_matches('\t'))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .fold(String::with_capacity(script.len()), |mut text, line| {
            text.push_str(line);
            text.push('\n');
            text
        })
}
