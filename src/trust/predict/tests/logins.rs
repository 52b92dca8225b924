use super::*;
use crate::openssh::fixtures::CertificateOf;
use crate::survey::{CheckedFile, Content, FileKind, Identity, IdentityState, LockState};

/// Changes the only identity that the client has.
fn identity(change: impl FnOnce(&mut Identity)) -> Lab {
    Lab::new().client(|client| change(client.identities.last_mut().expect("one")))
}

#[test]
fn a_key_must_be_there_and_usable() {
    for (state, reason) in [
        (IdentityState::Missing, Reason::IdentityMissing),
        (IdentityState::Unreadable, Reason::IdentityUnreadable),
        (IdentityState::TooOpen, Reason::IdentityModes),
        (IdentityState::Passphrase, Reason::IdentityPassphrase),
        (IdentityState::Invalid, Reason::IdentityInvalid),
    ] {
        identity(|identity| identity.state = state).breaks(reason);
    }
    Lab::new()
        .ssh("pubkeyauthentication no")
        .breaks(Reason::PublickeyDisabledClient);
    Lab::new()
        .ssh("preferredauthentications password")
        .breaks(Reason::PublickeyDisabledClient);
    Lab::new().ssh("identityfile ~/.ssh/id_rsa").works();
    // A socket that an agent may listen on: who knows what keys it has.
    identity(|identity| identity.state = IdentityState::Missing)
        .ssh("identityagent /run/agent")
        .unknown();
}

#[test]
fn a_key_that_would_be_admitted_if_it_were_usable_is_named() {
    let other = Lab::new().client(|client| {
        let rsa = client
            .identities
            .iter_mut()
            .find(|it| it.path.ends_with("id_rsa"));
        let rsa = rsa.expect("one");
        rsa.state = IdentityState::Usable;
        rsa.public = Some(ed25519(7).to_string());
        client.identities.last_mut().expect("one").state = IdentityState::Passphrase;
    });
    other.breaks(Reason::IdentityPassphrase);
}

#[test]
fn a_stale_public_half_is_offered_and_cannot_sign() {
    let halves = |own: u8, beside: u8| {
        identity(move |identity| {
            let listed = identity.public.take();
            let half = |of: u8| match of {
                0 => listed.clone(),
                other => Some(ed25519(other.into()).to_string()),
            };
            (identity.public, identity.stale) = (half(own), half(beside));
            identity.state = IdentityState::OtherPublic;
        })
    };
    // The far end takes what the .pub says; and it would take the private key, which is not offered.
    halves(7, 0).breaks(Reason::IdentityInvalid);
    halves(0, 7).breaks(Reason::IdentityInvalid);
    // Neither is listed.
    halves(7, 8).breaks(Reason::KeyNotAuthorized);
}

#[test]
fn a_public_half_is_offered_before_anybody_misses_the_private_one() {
    let locked = || identity(|identity| identity.state = IdentityState::Passphrase);
    locked().breaks(Reason::IdentityPassphrase);
    locked()
        .authorized_keys("")
        .breaks(Reason::KeyNotAuthorized);
    locked()
        .sshd("allowusers deploy")
        .breaks(Reason::AccountNotAllowed);
    // Without one, nothing is offered.
    identity(|identity| {
        identity.state = IdentityState::Unreadable;
        identity.public = None;
    })
    .authorized_keys("")
    .breaks(Reason::IdentityUnreadable);
}

#[test]
fn a_line_admits_the_key_or_says_why_not() {
    let key = Lab::new().login_key(0);
    let with = |options: &str| Lab::new().authorized_keys(&format!("{options}{key} nova@0\n"));
    with("").works();
    with("restrict,pty ").works();
    with("from=\"10.0.0.0/8\" ").works();
    with("from=\"10.9.9.9\" ").breaks(Reason::KeyFromMismatch);
    with("from=\"cmp00000\" ").breaks(Reason::KeyFromMismatch);
    with("from=\"cmp00000\" ").sshd("usedns yes").unknown();
    with("expiry-time=\"20200101\" ").breaks(Reason::KeyExpired);
    with("expiry-time=\"20990101\" ").works();
    with("frobnicate=\"x\" ").breaks(Reason::KeyOptionInvalid);
    with("cert-authority ").breaks(Reason::KeyNotAuthorized);
    Lab::new()
        .authorized_keys("# nobody\n")
        .breaks(Reason::KeyNotAuthorized);
    Lab::new()
        .authorized_keys(&format!("{}\n", key.replace(' ', "\n")))
        .breaks(Reason::KeyNotAuthorized);
    Lab::new()
        .authorized_keys("")
        .sshd("authorizedkeyscommand /usr/bin/keys")
        .unknown();
}

#[test]
fn another_address_of_the_client_may_be_the_one_that_is_allowed() {
    let key = Lab::new().login_key(0);
    let lab = Lab::new()
        .authorized_keys(&format!("from=\"172.16.0.0/12\" {key}\n"))
        .node(0, |facts| {
            facts.addresses.push("172.16.0.9".parse().expect("one"))
        });
    lab.unknown();
    Lab::new()
        .authorized_keys(&format!("from=\"172.16.0.0/12\" {key}\n"))
        .breaks(Reason::KeyFromMismatch);
}

#[test]
fn strict_modes_and_missing_files() {
    let state = |change: fn(&mut ServerFacts)| Lab::new().server(change);
    state(|server| server.accounts[0].authorized_keys[0].file.state = FileState::Absent)
        .breaks(Reason::AuthorizedKeysMissing);
    let open = |server: &mut ServerFacts| {
        server.accounts[0].authorized_keys[0].above[1].1.mode = 0o777;
    };
    state(open).breaks(Reason::AuthorizedKeysModes);
    state(open).sshd("strictmodes no").works();
    state(|server| {
        if let FileState::Present { readable, .. } =
            &mut server.accounts[0].authorized_keys[0].file.state
        {
            *readable = false;
        }
    })
    .breaks(Reason::AuthorizedKeysUnreadable);
    // A file that was not surveyed may have the key.
    state(|server| server.accounts[0].authorized_keys.clear()).unknown();
}

/// A file of any bytes.
fn bytes(bytes: &[u8]) -> FileState {
    use sha2::{Digest as _, Sha256};
    FileState::Present {
        meta: meta(FileKind::File, 0o600, NOVA),
        readable: true,
        content: Some(Content {
            sha256: Sha256::digest(bytes).into(),
            bytes: bytes.into(),
        }),
    }
}

/// A binary list (PROTOCOL.krl) with the SHA-256 of one key, `TYPE BASE64`.
fn revocation_list(key: &str) -> Vec<u8> {
    use base64::Engine as _;
    use sha2::{Digest as _, Sha256};
    let data = key.split(' ').nth(1).unwrap();
    let blob = base64::engine::general_purpose::STANDARD
        .decode(data)
        .unwrap();
    let mut list = Vec::from(&b"SSHKRL\n\0\0\0\0\x01"[..]);
    // Version, date, flags; nothing reserved, no comment.
    list.extend([0; 8 + 8 + 8 + 4 + 4]);
    list.extend([5, 0, 0, 0, 36, 0, 0, 0, 32]);
    list.extend(Sha256::digest(blob));
    list
}

#[test]
fn revoked_keys() {
    let key = Lab::new().login_key(0);
    let with = |state: FileState| {
        Lab::new()
            .sshd("revokedkeys /etc/ssh/revoked")
            .server(|server| {
                server.trust_files.push(FileFact {
                    path: "/etc/ssh/revoked".into(),
                    state,
                });
            })
    };
    with(file(&key)).breaks(Reason::KeyRevoked);
    with(file("")).works();
    with(FileState::Absent).breaks(Reason::RevokedKeysUnreadable);
    // The binary form; cut short, no key gets in any more.
    let (whole, other) = (revocation_list(&key), revocation_list("ssh-ed25519 AAAA"));
    with(file("SSHKRL\n\0rest")).breaks(Reason::RevokedKeysUnreadable);
    with(bytes(&whole)).breaks(Reason::KeyRevoked);
    with(bytes(&other)).works();
    with(bytes(&whole[..whole.len() - 1])).breaks(Reason::RevokedKeysUnreadable);
}

#[test]
fn algorithms_and_lengths() {
    Lab::new()
        .sshd("pubkeyacceptedalgorithms rsa-sha2-512")
        .breaks(Reason::KeyAlgorithmRefused);
    Lab::new()
        .ssh("pubkeyacceptedalgorithms rsa-sha2-512")
        .breaks(Reason::KeyAlgorithmRefused);
    let rsa = Lab::new().host_key(2, 0);
    let with_rsa = || {
        identity(|identity| identity.public = Some(rsa.clone()))
            .authorized_keys(&format!("{rsa}\n"))
    };
    with_rsa().works();
    with_rsa()
        .sshd("requiredrsasize 4096")
        .breaks(Reason::KeyAlgorithmRefused);
}

#[test]
fn the_account_must_be_let_in() {
    let account = |change: fn(&mut crate::survey::LoginAccount)| {
        Lab::new().server(|server| change(&mut server.accounts[0]))
    };
    account(|login| login.account = None).breaks(Reason::AccountMissing);
    account(|login| login.shell_usable = false).breaks(Reason::AccountShellMissing);
    account(|login| login.lock = LockState::Locked).works();
    account(|login| login.lock = LockState::Locked)
        .sshd("usepam no")
        .breaks(Reason::AccountLocked);
    account(|login| login.expires_day = Some(0)).breaks(Reason::AccountExpired);
    account(|login| login.password_expired = true).breaks(Reason::PasswordChangeRequired);
    account(|login| login.password_expired = true)
        .sshd("usepam no")
        .works();
    account(|login| {
        login.account.as_mut().expect("one").shell = "/usr/sbin/nologin".into();
    })
    .breaks(Reason::AccountNologin);
    account(|login| login.name = "other".into()).unknown();
    let nologin = |path: &str| {
        let path = path.to_owned();
        Lab::new().server(|server| server.nologin.push(path))
    };
    nologin("/etc/nologin").breaks(Reason::LoginsDisabled);
    nologin("/run/nologin").breaks(Reason::LoginsDisabled);
    nologin("/run/nologin").sshd("usepam no").works();
}

#[test]
fn allow_and_deny_lists() {
    for (lines, expected) in [
        ("allowusers deploy", Some(Reason::AccountNotAllowed)),
        ("allowusers no*", None),
        ("denyusers nova", Some(Reason::AccountNotAllowed)),
        ("allowusers nova@10.9.9.*", Some(Reason::AccountNotAllowed)),
        ("allowusers nova@10.0.*", None),
        ("allowgroups wheel", Some(Reason::AccountNotAllowed)),
        ("allowgroups nova", None),
        ("denygroups nova", Some(Reason::AccountNotAllowed)),
        (
            "pubkeyauthentication no",
            Some(Reason::PublickeyDisabledServer),
        ),
        (
            "authenticationmethods password",
            Some(Reason::PublickeyDisabledServer),
        ),
        (
            "authenticationmethods publickey,password",
            Some(Reason::MoreAuthenticationNeeded),
        ),
        ("permitrootlogin no", None),
        ("maxauthtries 0", Some(Reason::TooManyKeys)),
    ] {
        let lab = Lab::new().sshd(lines);
        match expected {
            Some(reason) => lab.breaks(reason),
            None => lab.works(),
        }
    }
}

#[test]
fn match_blocks_are_applied_for_the_account_and_the_address() {
    let with = |text: String| {
        Lab::new().server(|server| {
            server.config_files = vec![fact("/etc/ssh/sshd_config", &text)];
        })
    };
    let address = Lab::new().address(0);
    with(format!(
        "Match Address {address}\n PubkeyAuthentication no\n"
    ))
    .breaks(Reason::PublickeyDisabledServer);
    with("Match Address 10.99.0.0/16\n PubkeyAuthentication no\n".into()).works();
    with("Match User nova\n DenyUsers nova\n".into()).breaks(Reason::AccountNotAllowed);
    with("Match LocalPort 22\n PubkeyAuthentication no\n".into()).unknown();
}

#[test]
fn root_logs_in_as_far_as_it_is_permitted() {
    let as_root = |lines: &str, options: &str| {
        let key = Lab::new().login_key(0);
        Lab::new().ssh("user root").sshd(lines).server(|server| {
            let mut root = server.accounts[0].clone();
            root.name = "root".into();
            let account = root.account.as_mut().expect("one");
            account.name = "root".into();
            account.uid = 0;
            account.home = "/root".into();
            let file = &mut root.authorized_keys[0];
            file.file = fact("/root/.ssh/authorized_keys", &format!("{options}{key}\n"));
            for (_, meta) in &mut file.above {
                meta.uid = 0;
            }
            if let FileState::Present { meta, .. } = &mut file.file.state {
                meta.uid = 0;
            }
            server.accounts.push(root);
        })
    };
    as_root("permitrootlogin without-password", "").works();
    as_root("permitrootlogin no", "").breaks(Reason::AccountNotAllowed);
    as_root("permitrootlogin forced-commands-only", "").breaks(Reason::AccountNotAllowed);
    as_root(
        "permitrootlogin forced-commands-only",
        "command=\"/bin/nova-migration-wrapper\" ",
    )
    .works();
}

#[test]
fn forced_commands() {
    let key = Lab::new().login_key(0);
    let with =
        |command: &str| Lab::new().authorized_keys(&format!("command=\"{command}\" {key}\n"));
    with("/bin/false").breaks(Reason::ForcedCommandDenied);
    with("/usr/local/bin/gate").unknown();
    with("/bin/nova-migration-wrapper").works();
    Lab::new()
        .sshd("forcecommand internal-sftp")
        .breaks(Reason::ForcedCommandDenied);
    // A pull is one copy over sftp, which such an account allows.
    let lab = Lab::new().sshd("forcecommand internal-sftp");
    assert_eq!(
        predict(&lab.0, &[PUSH, PULL, PUSH]),
        [
            Predicted::Breaks(Reason::ForcedCommandDenied),
            Predicted::Works,
            Predicted::Breaks(Reason::ForcedCommandDenied),
        ]
    );
}

/// A client with a certificate for its key, and a server that trusts an authority.
fn certified(certificate: &CertificateOf<'_>, sshd: &str, files: &[(&str, &str)]) -> Lab {
    let text = certificate.sign().to_string();
    let public = ed25519(certificate.subject).to_string();
    Lab::new()
        .authorized_keys("")
        .sshd(sshd)
        .client(|client| {
            let identity = client.identities.last_mut().expect("one");
            identity.public = Some(public);
            identity.certificate = Some(fact("/var/lib/nova/.ssh/id_ed25519-cert.pub", &text));
        })
        .server(|server| {
            for (path, text) in files {
                let file = fact(path, text);
                if !path.contains("principals") {
                    server.trust_files.push(file);
                    continue;
                }
                let above = ["/etc/ssh/principals", "/etc/ssh", "/etc", "/"];
                let above = above.map(|it| (it.to_owned(), meta(FileKind::Directory, 0o755, 0)));
                server.accounts[0].principals.push(CheckedFile {
                    file,
                    above: above.into(),
                    private_group: vec![false; 5],
                    closed: None,
                });
            }
        })
        .node(1, |facts| facts.clock = 150)
}

#[test]
fn user_certificates() {
    let ca = format!("{} ca\n", ed25519(9));
    let files = [("/etc/ssh/ca.pub", ca.as_str())];
    let trusts = "trustedusercakeys /etc/ssh/ca.pub";
    let good = || CertificateOf::user(1, 9);
    certified(&good(), trusts, &files).works();
    certified(&good(), trusts, &files)
        .node(1, |facts| facts.clock = 50)
        .breaks(Reason::UserCertificateNotYetValid);
    certified(&good(), trusts, &files)
        .node(1, |facts| facts.clock = 250)
        .breaks(Reason::UserCertificateExpired);
    let with = |certificate: CertificateOf<'_>| certified(&certificate, trusts, &files);
    with(CertificateOf {
        principals: &["someone"],
        ..good()
    })
    .breaks(Reason::UserCertificateWrongPrincipal);
    with(CertificateOf {
        principals: &[],
        ..good()
    })
    .breaks(Reason::UserCertificateNoPrincipal);
    with(CertificateOf {
        authority: 8,
        ..good()
    })
    .breaks(Reason::UserCertificateUnknownAuthority);
    with(CertificateOf {
        critical: &[("source-address", "10.9.9.9/32")],
        ..good()
    })
    .breaks(Reason::UserCertificateSourceAddress);
    with(CertificateOf {
        critical: &[("force-command", "/bin/false")],
        ..good()
    })
    .breaks(Reason::ForcedCommandDenied);
    certified(&good(), trusts, &[]).unknown();
    certified(&good(), "", &[]).breaks(Reason::KeyNotAuthorized);

    let by_file = format!("{trusts}\nauthorizedprincipalsfile /etc/ssh/principals/%u");
    let listed = [files[0], ("/etc/ssh/principals/nova", "computes\n")];
    certified(
        &CertificateOf {
            principals: &["computes"],
            ..good()
        },
        &by_file,
        &listed,
    )
    .works();
    certified(&good(), &by_file, &listed).breaks(Reason::UserCertificateWrongPrincipal);

    let allowed = [files[0], ("/etc/ssh/principals/nova", "nova\n")];
    let list = |change: fn(&mut CheckedFile)| {
        certified(&good(), &by_file, &allowed)
            .server(move |server| change(&mut server.accounts[0].principals[0]))
    };
    list(|_| {}).works();
    list(|it| it.file.state = FileState::Absent).breaks(Reason::UserCertificateWrongPrincipal);
    list(|it| it.above[0].1.mode = 0o777).breaks(Reason::AuthorizedKeysModes);
    list(|it| it.above[0].1.mode = 0o777)
        .sshd(&format!("{by_file}\nstrictmodes no"))
        .works();
    list(|it| {
        if let FileState::Present { readable, .. } = &mut it.file.state {
            *readable = false;
        }
    })
    .breaks(Reason::AuthorizedKeysUnreadable);
    let elsewhere = [
        files[0],
        ("/etc/ssh/principals/nova", "from=\"10.9.0.0/16\" nova\n"),
    ];
    certified(&good(), &by_file, &elsewhere).breaks(Reason::KeyFromMismatch);
}

#[test]
fn novas_directory_and_the_programs_that_copy() {
    let instances = |change: fn(&mut crate::survey::InstancesFact)| {
        Lab::new().node(1, |facts| change(&mut facts.instances))
    };
    instances(|it| it.meta = None).breaks(Reason::InstancesPathMissing);
    instances(|it| it.writable = false).breaks(Reason::InstancesPathNotWritable);
    instances(|it| it.read_only = true).breaks(Reason::ReadOnlyFilesystem);
    instances(|it| it.free_bytes = Some(0)).breaks(Reason::DiskFull);
    instances(|it| it.free_inodes = Some(1)).breaks(Reason::DiskFull);
    instances(|it| it.path = "/elsewhere".into()).unknown();
    // A pull reads one file and writes nothing over there.
    let lab = instances(|it| it.meta = None);
    assert_eq!(predict(&lab.0, &[PULL]), [Predicted::Works]);

    let without_sftp = || {
        Lab::new().server(|server| {
            let Answer::Output(old) = &server.base_config else {
                panic!("no output");
            };
            let text = String::from_utf8_lossy(&old.bytes).replace("subsystem", "#subsystem");
            server.base_config = Answer::Output(content(&text));
        })
    };
    without_sftp().breaks(Reason::SftpMissing);
    // A pull asks for nothing but the subsystem, so there the shell comes after it, and sshd's own one needs none.
    let nologin = |server: &mut crate::survey::ServerFacts| {
        let account = server.accounts[0].account.as_mut();
        account.expect("one").shell = "/usr/sbin/nologin".into();
    };
    let pull = |lab: Lab| predict(&lab.0, &[PULL]);
    let breaks = |reason| [Predicted::Breaks(reason)];
    let shell_less = without_sftp().server(nologin);
    assert_eq!(pull(shell_less), breaks(Reason::SftpMissing));
    assert_eq!(
        pull(Lab::new().server(nologin)),
        breaks(Reason::AccountNologin)
    );
    let internal = || {
        without_sftp()
            .sshd("subsystem sftp internal-sftp -l INFO")
            .server(nologin)
    };
    assert_eq!(pull(internal()), [Predicted::Works]);
    internal().breaks(Reason::AccountNologin);
    let old = |lab: Lab| lab.client(|client| client.ssh_version = Some("OpenSSH_8.4p1".into()));
    old(without_sftp()).works();
    old(Lab::new().server(|server| server.programs = vec!["nc".into()]))
        .breaks(Reason::CopyToolMissing);
    Lab::new()
        .server(|server| {
            server.sftp_server.as_mut().expect("one").state = FileState::Absent;
        })
        .breaks(Reason::SftpMissing);
    let without_scp = || Lab::new().client(|client| client.programs = vec!["ssh".into()]);
    without_scp().breaks(Reason::CopyToolMissing);
    // A pull starts nothing else, so nothing else is met before.
    without_scp().known_hosts("").breaks(Reason::HostKeyUnknown);
    assert_eq!(
        pull(without_scp().known_hosts("")),
        breaks(Reason::CopyToolMissing)
    );
    let rsync = || {
        Lab::new().node(0, |facts| {
            facts.nova.remote_filesystem_transport = "rsync".into()
        })
    };
    rsync().works();
    rsync()
        .server(|server| server.programs = vec!["scp".into()])
        .breaks(Reason::CopyToolMissing);
}
