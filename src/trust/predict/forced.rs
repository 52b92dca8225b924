//! What a forced command does with the commands that Nova sends (sshd_config(5) `ForceCommand`, `command=`).

/// What becomes of Nova's commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forced {
    /// They are run.
    Passes,
    /// They are not.
    Denies,
    /// It is a program that nobody looked into.
    Unknown,
}

/// How Nova's commands come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Sends {
    /// As commands for the shell.
    Commands,
    /// Only as a request for the sftp subsystem.
    Sftp,
}

/// What a forced command does, by its text.
pub(super) fn judge(command: &str, sends: Sends) -> Forced {
    let command = command.trim();
    let first = command.split_ascii_whitespace().next().unwrap_or_default();
    if first.rsplit('/').next() == Some("internal-sftp")
        || first.rsplit('/').next() == Some("sftp-server")
    {
        return match sends {
            Sends::Commands => Forced::Denies,
            Sends::Sftp => Forced::Passes,
        };
    }
    if command.contains("SSH_ORIGINAL_COMMAND") {
        return if runs_original(command) {
            Forced::Passes
        } else {
            Forced::Unknown
        };
    }
    // The wrapper of the RDO packages is made for these very commands.
    let is_wrapper = |word: &str| {
        let name = word.rsplit('/').next().unwrap_or(word);
        matches!(name, "nova-migration-wrapper" | "nova_migration_wrapper")
    };
    if command.split_ascii_whitespace().any(is_wrapper) {
        return Forced::Passes;
    }
    if never_runs_anything(command) {
        Forced::Denies
    } else {
        Forced::Unknown
    }
}

/// Whether the text does nothing but run what was asked for.
fn runs_original(command: &str) -> bool {
    let mut text = command;
    let shells = [
        "/bin/sh",
        "/bin/bash",
        "/usr/bin/bash",
        "/usr/bin/sh",
        "sh",
        "bash",
    ];
    if let Some((shell, rest)) = text.split_once(' ')
        && shells.contains(&shell)
        && let Some(rest) = rest.trim_start().strip_prefix("-c")
    {
        text = rest.trim();
    }
    let bare = text.trim_matches(['"', '\'', ' ']);
    let bare = bare.strip_prefix("exec ").unwrap_or(bare);
    let bare = bare.strip_prefix("eval ").unwrap_or(bare);
    let bare = bare.trim_matches(['"', '\'', ' ', '\\']);
    bare == "$SSH_ORIGINAL_COMMAND" || bare == "${SSH_ORIGINAL_COMMAND}"
}

/// Whether every command in the text is one that is known to do something else.
fn never_runs_anything(command: &str) -> bool {
    if command.is_empty() || command.contains(['`', '$', '(', '<', '\n']) {
        return false;
    }
    command
        .split([';', '|', '&'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .all(|part| {
            let word = part.split_ascii_whitespace().next().unwrap_or_default();
            let name = word.rsplit('/').next().unwrap_or(word);
            matches!(
                name,
                "echo"
                    | "printf"
                    | "exit"
                    | "false"
                    | "true"
                    | ":"
                    | "nologin"
                    | "sleep"
                    | "logger"
                    | "date"
                    | "hostname"
                    | "uname"
                    | "uptime"
                    | "whoami"
                    | "id"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forced_command_is_read_as_far_as_it_can_be() {
        use Forced::{Denies, Passes, Unknown};
        for (command, expected) in [
            ("internal-sftp", Denies),
            ("/usr/lib/openssh/sftp-server -l INFO", Denies),
            ("/bin/false", Denies),
            ("echo forced; exit 7", Denies),
            ("/bin/nova-migration-wrapper", Passes),
            ("$SSH_ORIGINAL_COMMAND", Passes),
            ("/bin/sh -c \"$SSH_ORIGINAL_COMMAND\"", Passes),
            ("exec $SSH_ORIGINAL_COMMAND", Passes),
            ("case \"$SSH_ORIGINAL_COMMAND\" in scp*) ;; esac", Unknown),
            ("/usr/local/bin/gate", Unknown),
            ("echo $(/usr/local/bin/gate)", Unknown),
            ("", Unknown),
        ] {
            assert_eq!(judge(command, Sends::Commands), expected, "{command}");
        }
        assert_eq!(judge("internal-sftp -R", Sends::Sftp), Passes);
        assert_eq!(judge("/bin/false", Sends::Sftp), Denies);
    }
}
