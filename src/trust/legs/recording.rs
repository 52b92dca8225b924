//! Whether a client's ssh may write a host key down while it connects.

use crate::survey::{Answer, ClientFacts, FileFact, FileState};

/// Whether the ssh of a client may add a line to known_hosts when it dials: it accepts keys that nobody recorded, or adds
/// the address to a name that is known (`check_host_key` of sshconnect.c). `options` are those of the lane's own command line.
///
/// Says no only where no file can make it yes for any name; for the rest ssh itself is asked, on the node.
pub(super) fn may_record(client: Option<&ClientFacts>, options: &[String]) -> bool {
    let assigns = |option: &String| {
        option
            .split_once('=')
            .is_some_and(|(keyword, value)| records(keyword, value))
    };
    if options.iter().any(assigns) {
        return true;
    }
    let Some(client) = client else { return true };
    let Answer::Output(base) = &client.base_config else {
        return true;
    };
    any_line(&base.bytes) || client.config_files.iter().any(in_file)
}

fn in_file(file: &FileFact) -> bool {
    match &file.state {
        FileState::Present {
            content: Some(content),
            ..
        } => any_line(&content.bytes),
        FileState::Present { readable, .. } => *readable,
        FileState::Unreadable(_) => true,
        FileState::Absent => false,
    }
}

/// Whether any line makes ssh write, for some name at least; the same for what `ssh -G` prints and for files.
fn any_line(text: &[u8]) -> bool {
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let may_matter = |line: &&[u8]| matches!(line.first(), Some(b's' | b'S' | b'c' | b'C'));
    lines.filter(may_matter).any(|line| {
        let line = String::from_utf8_lossy(line);
        let end = line
            .find(|c: char| c.is_ascii_whitespace() || "=\"".contains(c))
            .unwrap_or(line.len());
        let (keyword, value) = line.split_at(end);
        records(keyword, value)
    })
}

fn records(keyword: &str, value: &str) -> bool {
    let harmless: &[&str] = match keyword.to_ascii_lowercase().as_str() {
        "stricthostkeychecking" => &["yes", "true", "ask"],
        "checkhostip" => &["no", "false"],
        _ => return false,
    };
    let value = value.trim_matches(|c: char| c.is_ascii_whitespace() || "=\"".contains(c));
    !harmless.iter().any(|it| value.eq_ignore_ascii_case(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_accepts_or_adds_makes_ssh_write() {
        for (text, expected) in [
            ("stricthostkeychecking true\ncheckhostip no\n", false),
            ("stricthostkeychecking ask\n", false),
            ("stricthostkeychecking accept-new\n", true),
            ("stricthostkeychecking false\n", true),
            ("stricthostkeychecking off\n", true),
            ("checkhostip yes\n", true),
            ("#   StrictHostKeyChecking no\n#   CheckHostIP yes\n", false),
            ("Host *\n\tStrictHostKeyChecking yes\n", false),
            ("Host mig-*\n  stricthostkeychecking=no\n", true),
            (
                "Match exec x\n  StrictHostKeyChecking = \"accept-new\"\n",
                true,
            ),
            ("StrictHostKeyChecking ask # no\n", true),
            ("CheckHostIPs yes\n", false),
        ] {
            assert_eq!(any_line(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_may_record() {
        assert!(may_record(None, &[]));
        let option = |text: &str| [text.to_owned()];
        assert!(may_record(None, &option("StrictHostKeyChecking=no")));
    }
}
