use proptest::prelude::*;

use super::*;
use crate::openssh::config::Difference;
use crate::openssh::known_hosts::StrictHostKeyChecking;

const OUTPUT: &str = "host node2\nuser nova\nhostname 10.77.0.3\nport 8022\nbatchmode yes\ncanonicalizehostname false\n\
    checkhostip no\ncontrolmaster auto\nidentitiesonly yes\npubkeyauthentication true\nstricthostkeychecking accept-new\n\
    verifyhostkeydns false\nupdatehostkeys true\nrequiredrsasize 2048\nciphers aes128-ctr\nhostkeyalgorithms ssh-ed25519,rsa-sha2-512\n\
    kexalgorithms curve25519-sha256\nloglevel ERROR\nmacs hmac-sha2-256\npubkeyacceptedalgorithms ssh-ed25519\n\
    hostkeyalias compute\nidentityfile ~/.ssh/a\nidentityfile ~/.ssh/b\nglobalknownhostsfile /etc/ssh/ssh_known_hosts\n\
    userknownhostsfile /v/known_hosts /v/known_hosts2\nconnecttimeout none\nproxyjump jump\nnewkeyword some value\nsendenv LANG\nsendenv LC_*\n";

#[test]
fn the_output_of_ssh_g_is_typed() {
    let settings = ClientSettings::parse(OUTPUT.as_bytes()).expect("as printed");
    assert_eq!(
        (
            settings.hostname.as_str(),
            settings.port,
            settings.user.as_str()
        ),
        ("10.77.0.3", 8022, "nova")
    );
    assert_eq!(settings.identity_files, ["~/.ssh/a", "~/.ssh/b"]);
    assert_eq!(
        settings.user_known_hosts,
        ["/v/known_hosts", "/v/known_hosts2"]
    );
    assert_eq!(
        settings.strict_host_key_checking,
        StrictHostKeyChecking::AcceptNew
    );
    assert_eq!(settings.control_master, ControlMaster::Auto);
    assert_eq!(settings.update_host_keys, UpdateHostKeys::Yes);
    assert_eq!(
        (settings.connect_timeout, settings.required_rsa_size),
        (None, 2048)
    );
    assert!(settings.batch_mode && settings.identities_only && !settings.canonicalize_hostname);
    assert_eq!(settings.proxy_jump.as_deref(), Some("jump"));
    assert_eq!(settings.known_hosts_name().first(), "compute");
    assert_eq!(settings.other["newkeyword"], ["some value"]);
    assert_eq!(settings.other["sendenv"], ["LANG", "LC_*"]);
}

#[test]
fn other_output_is_refused() {
    let without = |keyword: &str| {
        let kept = OUTPUT
            .lines()
            .filter(|line| !line.starts_with(&format!("{keyword} ")));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    let parse = |text: &str| ClientSettings::parse(text.as_bytes()).map(|_| ());
    for keyword in ["hostname", "port", "user", "stricthostkeychecking", "macs"] {
        let refused = parse(&without(keyword));
        assert!(
            matches!(refused, Err(DumpError::Missing { .. })),
            "{keyword}: {refused:?}"
        );
    }
    assert_eq!(
        parse(&format!("{OUTPUT}port 22\n")),
        Err(DumpError::Repeated { keyword: "port" })
    );
    let bad_port = format!("{}port many\n", without("port"));
    assert_eq!(
        parse(&bad_port),
        Err(DumpError::Value {
            keyword: "port",
            value: "many".into()
        })
    );
    assert_eq!(parse("\u{1b}[2Jhost x\n"), Err(DumpError::Line { line: 1 }));
    assert_eq!(
        ClientSettings::parse(b"host \xff\n"),
        Err(DumpError::NotText)
    );
    assert_eq!(
        ClientSettings::parse(&vec![b'a'; 2 << 20]),
        Err(DumpError::TooLong)
    );
}

#[test]
fn a_difference_changes_the_settings_of_another_name() {
    let changed = [("port", Some(vec!["22".to_owned()])), ("proxyjump", None)];
    let changed = changed
        .into_iter()
        .map(|(keyword, values)| (keyword.to_owned(), values))
        .collect();
    let settings = ClientSettings::parse_changed(OUTPUT.as_bytes(), &Difference::Settings(changed))
        .expect("settings");
    assert_eq!((settings.port, settings.proxy_jump), (22, None));
}

proptest! {
    #[test]
    fn nothing_crashes_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[ -~\n]{0,200}") {
        let _ = ClientSettings::parse(&bytes);
        let _ = ClientSettings::parse(text.as_bytes());
    }
}
