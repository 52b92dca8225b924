use proptest::prelude::*;

use super::*;
use crate::openssh::config::Difference;

const OUTPUT: &str = "port 22\nport 8022\nlistenaddress 0.0.0.0:22\nusepam yes\nmaxauthtries 6\nmaxsessions 10\nrequiredrsasize 2048\n\
    permitrootlogin without-password\npubkeyauthentication yes\npermituserrc yes\nstrictmodes yes\nusedns no\nforcecommand none\n\
    chrootdirectory none\ntrustedusercakeys /etc/ssh/trusted_ca\nrevokedkeys none\nauthorizedprincipalsfile none\n\
    authorizedkeyscommand none\nkexalgorithms curve25519-sha256\nhostkeyalgorithms ssh-ed25519\npubkeyacceptedalgorithms ssh-ed25519\n\
    ciphers aes128-ctr\nmacs hmac-sha2-256\nloglevel VERBOSE\nauthorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u\n\
    hostkey /etc/ssh/ssh_host_rsa_key\nhostkey /etc/ssh/ssh_host_ed25519_key\nallowusers nova@10.77.0.0/16\nallowusers deploy\n\
    denyusers nova@10.77.9.*\nallowgroups nova\nacceptenv LANG\nauthenticationmethods any\n\
    subsystem sftp /usr/lib/openssh/sftp-server -f AUTH\nmaxstartups 10:30:100\npersourcemaxstartups none\n\
    persourcepenalties crash:90.000000 authfail:5.000000 noauth:1.000000 max:600.000000 min:15.000000 overflow:permissive\n";

fn settings() -> ServerSettings {
    ServerSettings::parse(OUTPUT.as_bytes()).expect("as printed")
}

#[test]
fn the_output_of_sshd_t_is_typed() {
    let settings = settings();
    assert_eq!(settings.ports, [22, 8022]);
    assert_eq!(settings.host_keys.len(), 2);
    assert_eq!(
        settings.permit_root_login,
        PermitRootLogin::ProhibitPassword
    );
    assert_eq!(
        settings.max_startups,
        MaxStartups {
            start: 10,
            rate: 30,
            full: 100
        }
    );
    assert_eq!(settings.per_source_max_startups, None);
    assert_eq!(
        settings.trusted_user_ca_keys.as_deref(),
        Some("/etc/ssh/trusted_ca")
    );
    assert_eq!(
        (settings.force_command.as_deref(), settings.use_pam),
        (None, Some(true))
    );
    assert_eq!(
        settings.subsystems["sftp"],
        "/usr/lib/openssh/sftp-server -f AUTH"
    );
    assert!(settings.revoked_keys.is_empty() && settings.authentication_methods.is_empty());
    assert_eq!(settings.other["acceptenv"], ["LANG"]);
    match settings.per_source_penalties {
        Some(PenaltySettings::On(penalties)) => assert_eq!(penalties["authfail"], "5.000000"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn other_output_is_refused() {
    let replaced = |from: &str, to: &str| {
        ServerSettings::parse(OUTPUT.replace(from, to).as_bytes()).map(|_| ())
    };
    assert_eq!(
        replaced("strictmodes yes\n", ""),
        Err(DumpError::Missing {
            keyword: "strictmodes"
        })
    );
    assert_eq!(
        replaced("strictmodes yes", "strictmodes perhaps").map_err(|_| ()),
        Err(())
    );
    assert_eq!(
        replaced("maxstartups 10:30:100", "maxstartups 10:30").map_err(|_| ()),
        Err(())
    );
    assert_eq!(
        replaced("port 22\nport 8022\n", ""),
        Err(DumpError::Missing { keyword: "port" })
    );
    assert_eq!(replaced("port 8022", "port 80222").map_err(|_| ()), Err(()));
}

#[test]
fn another_connection_has_the_settings_that_differ() {
    let changed = [
        ("allowusers".to_owned(), None),
        (
            "forcecommand".to_owned(),
            Some(vec!["/bin/true".to_owned()]),
        ),
    ];
    let difference = Difference::Settings(changed.into_iter().collect());
    let settings = ServerSettings::parse_changed(OUTPUT.as_bytes(), &difference).expect("settings");
    assert_eq!(settings.force_command.as_deref(), Some("/bin/true"));
    assert!(settings.allow_users.is_empty());
}

#[test]
fn files_of_an_account_are_below_its_home() {
    let settings = ServerSettings {
        authorized_keys_files: ["a", "/k/%u-%U", "%h/b%%", "%x"].map(Into::into).into(),
        ..settings()
    };
    let paths: Vec<_> = settings
        .authorized_keys_paths("nova", 64060, "/var/lib/nova")
        .collect();
    let expected =
        ["/var/lib/nova/a", "/k/nova-64060", "/var/lib/nova/b%"].map(|path| Some(path.to_owned()));
    assert_eq!(paths[..3], expected);
    assert_eq!(paths[3], None);
}

#[test]
fn lists_of_users_and_groups_are_asked_in_sshds_order() {
    let groups = ["nova".to_owned(), "users".to_owned()];
    let nova = Caller {
        account: "nova",
        uid: 64060,
        groups: &groups,
        host: "10.77.0.2",
        address: "10.77.0.2",
    };
    let access = |caller: &Caller<'_>| settings().check_access(caller);
    assert_eq!(access(&nova), Ok(()));
    let denied = AccessRefusal::DenyUsers {
        pattern: "nova@10.77.9.*".into(),
    };
    assert_eq!(
        access(&Caller {
            host: "10.77.9.1",
            address: "10.77.9.1",
            ..nova
        }),
        Err(denied)
    );
    assert_eq!(
        access(&Caller {
            host: "10.78.0.1",
            address: "10.78.0.1",
            ..nova
        }),
        Err(AccessRefusal::AllowUsers)
    );
    assert_eq!(
        access(&Caller {
            groups: &groups[1..],
            ..nova
        }),
        Err(AccessRefusal::AllowGroups)
    );
    assert_eq!(
        access(&Caller {
            groups: &[],
            ..nova
        }),
        Err(AccessRefusal::NoGroup)
    );
    let denying = ServerSettings {
        deny_groups: vec!["use*".into()],
        ..settings()
    };
    assert_eq!(denying.check_access(&nova), Err(AccessRefusal::DenyGroups));
    let invalid = ServerSettings {
        deny_users: vec!["nova@10.77.0.1/16".into()],
        ..settings()
    };
    assert!(matches!(
        invalid.check_access(&nova),
        Err(AccessRefusal::InvalidPattern { .. })
    ));
}

#[test]
fn root_may_be_let_in_for_forced_commands_only() {
    let caller = |uid| Caller {
        account: "root",
        uid,
        groups: &[],
        host: "h",
        address: "10.77.0.2",
    };
    let root = |permit_root_login, forced| {
        ServerSettings {
            permit_root_login,
            ..settings()
        }
        .check_root(&caller(0), forced)
        .is_ok()
    };
    assert!(root(PermitRootLogin::Yes, false) && root(PermitRootLogin::ProhibitPassword, false));
    assert!(
        root(PermitRootLogin::ForcedCommandsOnly, true)
            && !root(PermitRootLogin::ForcedCommandsOnly, false)
    );
    assert!(!root(PermitRootLogin::No, true));
    let nobody = ServerSettings {
        permit_root_login: PermitRootLogin::No,
        ..settings()
    };
    assert_eq!(nobody.check_root(&caller(5), false), Ok(()));
}

proptest! {
    #[test]
    fn nothing_crashes_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[ -~\n]{0,200}") {
        let _ = ServerSettings::parse(&bytes);
        let _ = ServerSettings::parse(text.as_bytes());
    }
}
