//! The writing half, as text for a POSIX shell.

use super::nonce::Nonce;

/// The functions with which a program answers. Only builtins; nothing is written before a flush.
///
/// - `cw KIND FIELD...` adds a record to what is to be written.
/// - `cw_open KIND FIELD...` adds a span and flushes; what the program then lets commands write to stdout is its
///   raw bytes, until `cw_close`.
/// - `cw_flush` writes. A record without a newline in it is then one `write` in every shell, so that several
///   processes may write to one pipe as long as it stays below 4096 bytes (`PIPE_BUF`); bash splits others at
///   their newlines.
///   Its status tells whether that worked: where `SIGPIPE` is ignored, nothing else tells that nobody listens.
/// - `cw_end` adds the end record and flushes.
///
/// `cw_n`, `cw_b`, `cw_c`, `cw_k` and `cw_f` are theirs.
pub const SHELL: &str = r#"cw() {
cw_k=$1
shift
for cw_f do cw_k="$cw_k ${#cw_f}:$cw_f"; done
cw_b="$cw_b$cw_n $cw_k
"
cw_c=$((cw_c+1))
}
cw_open() {
cw "$@"
cw_b="${cw_b%?} <
"
cw_flush
}
cw_close() {
cw_b="$cw_b
$cw_n >
"
}
cw_flush() {
cw_f=$cw_b
cw_b=
printf %s "$cw_f"
}
cw_end() {
cw_b="$cw_b$cw_n end $cw_c
"
cw_flush
}
"#;

/// The first lines of a program: the C locale, in which `${#x}` counts bytes, [`SHELL`], and the begin line, which
/// the first flush writes.
#[must_use]
pub fn prelude(nonce: &Nonce) -> String {
    let nonce = nonce.as_str();
    format!(
        "LC_ALL=C\nexport LC_ALL\nunset IFS\n{SHELL}cw_n={nonce}\ncw_c=0\ncw_b='\nclearway/1 {nonce}\n'\n"
    )
}

/// A word that a POSIX shell reads as exactly this text.
///
/// A NUL, which no argument can hold, becomes U+FFFD.
#[must_use]
pub fn sh_quote(word: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:,@+".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    let word = word.replace('\0', "\u{fffd}").replace('\'', r"'\''");
    format!("'{word}'")
}
