//! Bytes as a format of the shell's `printf`, which every shell has built in.

use std::fmt::Write as _;

/// A quoted word that `printf` prints as exactly these bytes, without arguments.
///
/// A shell's text cannot hold a NUL, and its quoting nothing of what else is escaped here; what is plain stays readable.
pub(super) fn printf_format(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 2);
    text.push('\'');
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'\\' => text.push_str(r"\\"),
            b'%' => text.push_str("%%"),
            b'\'' => text.push_str(r"'\''"),
            // A word that begins with it would be taken for an option.
            b'-' if at == 0 => text.push_str(r"\055"),
            b'\n' | b'\t' | b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn printed(shell: &[&str], bytes: &[u8]) -> Vec<u8> {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).arg("-c");
        let script = format!("printf {}", printf_format(bytes));
        command
            .arg(script)
            .env("LC_ALL", "C")
            .output()
            .unwrap()
            .stdout
    }

    #[test]
    fn every_byte_is_printed_as_it_is() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&all[..], b"", b"-n\n", b"%s \\n 'quoted' \\", b"a\r\n\tb"] {
            assert_eq!(printed(&["sh"], bytes), bytes);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_printed_as_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(printed(&["sh"], &bytes), bytes);
        }
    }
}
