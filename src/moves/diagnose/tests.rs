use super::diagnose;
use crate::domain::Lane;

/// (text, lane, dialled, code, cut and completed)
type Told = (
    &'static str,
    Option<Lane>,
    Option<&'static str>,
    Option<&'static str>,
    bool,
);

const TEXTS: &[Told] = &[
    // nova 34, details of compute_resize_instance, cut at 255 bytes.
    (
        "Resize error: not able to execute ssh command: Unexpected error while running command.\nCommand: ssh -o BatchMode=yes 10.77.0.12 mkdir -p /var/lib/nova/instances/0f2b\nExit code: 255\nStdout: ''\nStderr: 'Host key verification ",
        Some(Lane::ColdPush),
        Some("10.77.0.12"),
        Some("host-key-unknown"),
        true,
    ),
    (
        "Resize error: not able to execute ssh command: Unexpected error while running command.\nCommand: ssh -o BatchMode=yes 10.77.0.12 mkdir -p /x\nExit code: 255\nStdout: ''\nStderr: '@@@@@@",
        Some(Lane::ColdPush),
        Some("10.77.0.12"),
        Some("host-key-changed"),
        true,
    ),
    (
        "…\nCommand: ssh -o BatchMode=yes 10.77.0.12 mkdir -p /x\nExit code: 255\nStdout: ''\nStderr: 'nova@10.77.0.12: Permi",
        Some(Lane::ColdPush),
        Some("10.77.0.12"),
        Some("login-refused"),
        true,
    ),
    // Cut before the message: nothing is made up.
    (
        "…\nCommand: ssh -o BatchMode=yes 10.77.0.12 mkdir -p /a/very/long/path\nExit code: 255\nStdout: ''\nStderr: 'Ho",
        Some(Lane::ColdPush),
        Some("10.77.0.12"),
        None,
        false,
    ),
    (
        "…\nCommand: ssh -o BatchMode=yes 10.77.0.12 mkdir -p /a/very/long/path\nExit co",
        Some(Lane::ColdPush),
        Some("10.77.0.12"),
        None,
        false,
    ),
    // Python 2, as in Nova's guide.
    (
        "ProcessExecutionError: Unexpected error while running command.\nCommand: scp -r /var/lib/nova/instances/x_resize/disk 10.0.0.2:/var/lib/nova/instances/x/disk\nExit code: 1\nStdout: u''\nStderr: u'Host key verification failed.\\r\\n'",
        Some(Lane::ColdPush),
        Some("10.0.0.2"),
        Some("host-key-unknown"),
        false,
    ),
    (
        "ProcessExecutionError: Unexpected error while running command. Command: ssh 10.0.0.2 mkdir -p /x Stderr: u Host key verification failed.\\r\\n",
        Some(Lane::ColdPush),
        Some("10.0.0.2"),
        Some("host-key-unknown"),
        false,
    ),
    // One line, as JSON and shells have it.
    (
        "Unexpected error while running command.\\nCommand: scp -C -r cmp001:/var/lib/nova/instances/_base/ab /var/lib/nova/instances/_base/ab\\nExit code: 1\\nStdout: ''\\nStderr: 'ssh: Could not resolve hostname cmp001: Name or service not known\\r\\nscp: Connection closed\\r\\n'",
        Some(Lane::ColdPull),
        Some("cmp001"),
        Some("name-unresolvable"),
        false,
    ),
    (
        "Command: scp -r /a/disk [fd00::2]:/a/disk\nExit code: 255\nStdout: ''\nStderr: 'subsystem request failed on channel 0\\r\\nscp: Connection closed\\r\\n'",
        Some(Lane::ColdPush),
        Some("fd00::2"),
        Some("sftp-missing"),
        false,
    ),
    (
        "Command: ssh -o BatchMode=yes 10.0.0.2 mkdir -p /var/lib/nova/instances/x\nExit code: 1\nStdout: ''\nStderr: \"mkdir: cannot create directory '/var/lib/nova/instances/x': Permission denied\\n\"",
        Some(Lane::ColdPush),
        Some("10.0.0.2"),
        Some("command-failed"),
        false,
    ),
    (
        "Live Migration failure: operation failed: Failed to connect to remote libvirt URI qemu+ssh://nova@cmp002/system: Cannot recv data: Host key verification failed.: Connection reset by peer: libvirt.libvirtError",
        Some(Lane::Live),
        Some("cmp002"),
        Some("host-key-unknown"),
        false,
    ),
    (
        "libvirtError: operation failed: Failed to connect to remote libvirt URI qemu+ssh://stack@cld6b16/system: Cannot recv data: nova@cmp: Permission denied (publickey).: Connection reset by peer",
        Some(Lane::Live),
        Some("cld6b16"),
        Some("login-refused"),
        false,
    ),
    (
        "FileNotFoundError",
        Some(Lane::ColdPush),
        None,
        Some("ssh-missing"),
        false,
    ),
    (
        "Host key verification failed.",
        None,
        None,
        Some("host-key-unknown"),
        false,
    ),
];

#[test]
fn every_text_of_the_field_leads_to_its_leg_and_its_reason() {
    for (text, lane, dialled, code, completed) in TEXTS {
        let it = diagnose(text).unwrap_or_else(|| panic!("not understood: {text}"));
        assert_eq!(
            (it.lane, it.dialled.as_deref(), it.code, it.completed),
            (*lane, *dialled, *code, *completed),
            "{text}\n{it:#?}"
        );
        assert!(!it.remedy.is_empty(), "{text}");
    }
}

#[test]
fn a_missing_right_is_no_matter_of_ssh() {
    let it = diagnose("ERROR (Forbidden): Policy doesn't allow compute_extension:admin_actions:migrate to be performed. (HTTP 403)").unwrap();
    assert_eq!(it.code, None);
    assert_eq!(
        it.what,
        "the right `os_compute_api:os-migrate-server:migrate` is missing: Nova has not begun to move anything"
    );
    let it = diagnose(r#"{"forbidden":{"code":403,"message":"Policy doesn't allow os_compute_api:os-migrate-server:migrate:host to be performed."}}"#).unwrap();
    assert_eq!(
        it.policy.unwrap().rule(),
        "os_compute_api:os-migrate-server:migrate:host"
    );
}

#[test]
fn what_the_failure_has_done_to_the_server_is_said() {
    let said = |text: &str| diagnose(text).unwrap().server.unwrap();
    assert!(
        said("Command: ssh -o BatchMode=yes a mkdir -p /x\nExit code: 255\nStderr: 'x'")
            .contains("stayed where it was")
    );
    assert!(said("Command: scp -r /x a:/x\nExit code: 1\nStderr: 'x'").contains("powered off"));
    assert!(said("ProcessExecutionError").contains("powered off"));
    assert!(said("FileNotFoundError").contains("not powered off"));
    // Anything may be wrong with a file.
    assert!(diagnose("OSError").is_none());
    assert!(
        said("No valid host was found. There are not enough hosts available.")
            .contains("nothing has happened")
    );
}

#[test]
fn what_is_not_understood_is_not_explained() {
    for text in [
        "",
        "Quota exceeded for instances",
        "500 Internal Server Error",
        "\u{1b}[2J",
    ] {
        assert_eq!(diagnose(text), None, "{text}");
    }
}
