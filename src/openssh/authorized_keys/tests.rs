use proptest::prelude::*;

use super::*;
use crate::openssh::fixtures::{CertificateOf, ed25519};
use crate::openssh::key::{CertificateRefusal, KeyError, PublicKey};
use crate::openssh::release::Release;

const LOGIN: LoginContext<'static> = LoginContext {
    account: "nova",
    address: "10.77.0.2",
    host: "node1.lab",
    now: 150,
    utc_offset: 0,
    release: Release::NEWEST,
};

fn judge(file: &str, key: &PublicKey) -> KeyVerdict {
    let file = AuthorizedKeys::parse(file.as_bytes());
    let verdict = file.judge(key, &LOGIN);
    assert_eq!(
        AuthorizedKeysIndex::new(file).judge(key, &LOGIN),
        verdict,
        "the index answers as the file does"
    );
    verdict
}

/// Why a file of one line refuses.
fn refusal(options: &str, key: &PublicKey, listed: &PublicKey) -> LineRefusal {
    match judge(&format!("{options} {listed} comment\n"), key) {
        KeyVerdict::Refused(mut lines) => lines.remove(0).why,
        other => panic!("{options}: {other:?}"),
    }
}

fn authorized_at(verdict: &KeyVerdict) -> Option<usize> {
    match verdict {
        KeyVerdict::Authorized { line, .. } => Some(*line),
        _ => None,
    }
}

#[test]
fn a_listed_key_is_authorized_by_the_first_line_that_accepts() {
    let key = ed25519(1);
    let file = format!(
        "# keys\n\n{}\nfrom=\"10.9.*\" {key}\npty {key} nova@node1\n{key}\n",
        ed25519(2)
    );
    assert_eq!(
        authorized_at(&judge(&file, &key)),
        Some(5),
        "a refused line goes on to the next"
    );
    assert_eq!(judge(&file, &ed25519(3)), KeyVerdict::NotListed);
}

#[test]
fn carriage_returns_do_no_harm() {
    let key = ed25519(1);
    assert_eq!(authorized_at(&judge(&format!("{key}\r\n"), &key)), Some(1));
    assert_eq!(
        authorized_at(&judge(&format!("{key} nova@node1\r\n"), &key)),
        Some(1)
    );
    assert_eq!(
        authorized_at(&judge(&format!("restrict {key}\r\n\r\n"), &key)),
        Some(1)
    );
}

#[test]
fn a_wrapped_key_is_no_key() {
    let key = ed25519(1);
    let file = key.to_string().replace(' ', " \n");
    let document = AuthorizedKeys::parse(file.as_bytes());
    let lines: Vec<&KeyLine> = document.lines().map(|(_, line)| line).collect();
    assert_eq!(lines[0], &KeyLine::Bad(BadKeyLine::Key(KeyError::Missing)));
    assert_eq!(judge(&file, &key), KeyVerdict::NotListed);
}

#[test]
fn options_are_read_as_sshd_does() {
    let parse = |text: &str| KeyOptions::parse(text.as_bytes());
    let options = parse(
        r#"RESTRICT,Pty,command="say \"hi\" \n",no-user-rc,environment="A=1",environment="A=2""#,
    )
    .expect("good options");
    assert!(options.restricted && options.pty && !options.port_forwarding && !options.user_rc);
    assert_eq!(options.command.as_deref(), Some(br#"say "hi" \n"# as &[u8]));
    assert_eq!(
        options.environment,
        [b"A=1".to_vec()],
        "the first of a name counts"
    );
    let options =
        parse(r#"permitopen="node2:22",permitopen="[::1]:*",permitlisten="8080",tunnel="any""#)
            .expect("good");
    assert_eq!(options.permit_open.len(), 2);
    assert_eq!(options.permit_listen, [b"*:8080".to_vec()]);
    assert_eq!(parse(""), Ok(KeyOptions::default()));

    for (text, expected) in [
        ("nopty", BadOption::Unknown("nopty".into())),
        ("ptyx", BadOption::Unknown("x".into())),
        ("no-restrict", BadOption::Unknown("no-restrict".into())),
        ("command=true", BadOption::MissingStartQuote),
        (r#"command="true"#, BadOption::MissingEndQuote),
        ("pty,", BadOption::UnexpectedEnd),
        (r#"from="a",from="b""#, BadOption::Repeated("from")),
        (
            r#"expiry-time="soon""#,
            BadOption::InvalidValue("expiry-time"),
        ),
        (
            r#"environment="A-B=1""#,
            BadOption::InvalidValue("environment"),
        ),
        (r#"environment="A""#, BadOption::InvalidValue("environment")),
        (
            r#"permitopen="node2""#,
            BadOption::InvalidValue("permitopen"),
        ),
        (
            r#"permitopen="node2:0""#,
            BadOption::InvalidValue("permitopen"),
        ),
        (r#"tunnel="-1""#, BadOption::InvalidValue("tunnel")),
    ] {
        assert_eq!(parse(text), Err(expected), "{text}");
    }
}

#[test]
fn refusals_say_why() {
    let key = ed25519(1);
    let refusal = |options: &str| refusal(options, &key, &key);
    let from = |required: &str, invalid| LineRefusal::From {
        required: required.into(),
        invalid,
    };
    assert_eq!(refusal("from=\"10.9.0.0/16\""), from("10.9.0.0/16", false));
    assert_eq!(
        refusal("from=\"10.77.0.0/16,!node1.lab\""),
        from("10.77.0.0/16,!node1.lab", false)
    );
    assert_eq!(refusal("from=\"10.77.0.1/16\""), from("10.77.0.1/16", true));
    assert_eq!(
        refusal("expiry-time=\"19700101000229Z\""),
        LineRefusal::Expired { at: 149 }
    );
    assert_eq!(
        refusal("principals=\"nova\""),
        LineRefusal::PrincipalsWithoutAuthority
    );
    assert_eq!(refusal("cert-authority"), LineRefusal::IsAuthority);
    assert_eq!(
        refusal("no-such-option"),
        LineRefusal::BadOption(BadOption::Unknown("no-such-option".into()))
    );
    let fine = format!("from=\"*.LAB\",expiry-time=\"19700101000230Z\" {key}\n");
    assert_eq!(
        authorized_at(&judge(&fine, &key)),
        Some(1),
        "the last second counts"
    );
}

#[test]
fn expiry_without_zone_is_the_servers_local_time() {
    let key = ed25519(1);
    let file = AuthorizedKeys::parse(format!("expiry-time=\"197001010100\" {key}\n"));
    let at = |utc_offset, now| {
        authorized_at(&file.judge(
            &key,
            &LoginContext {
                utc_offset,
                now,
                ..LOGIN
            },
        ))
    };
    assert_eq!(at(0, 3600), Some(1));
    assert_eq!(at(3600, 1), None);
}

mod certificates {
    use super::*;

    fn judge_with(
        options: &str,
        certificate: &CertificateOf<'_>,
        login: &LoginContext<'_>,
    ) -> KeyVerdict {
        AuthorizedKeys::parse(format!("{options} {}\n", ed25519(9)))
            .judge(&certificate.sign(), login)
    }

    fn refused(options: &str, certificate: &CertificateOf<'_>) -> LineRefusal {
        match judge_with(options, certificate, &LOGIN) {
            KeyVerdict::Refused(mut lines) => lines.remove(0).why,
            other => panic!("{options}: {other:?}"),
        }
    }

    #[test]
    fn an_authority_admits_its_certificates_and_nothing_else() {
        let user = CertificateOf::user(1, 9);
        assert_eq!(
            authorized_at(&judge_with("cert-authority", &user, &LOGIN)),
            Some(1)
        );
        assert_eq!(refused("pty", &user), LineRefusal::IsNoAuthority);
        assert_eq!(
            judge_with("cert-authority", &CertificateOf::user(1, 8), &LOGIN),
            KeyVerdict::NotListed
        );
        let own_key = AuthorizedKeys::parse(ed25519(1).to_string());
        assert_eq!(
            own_key.judge(&user.sign(), &LOGIN),
            KeyVerdict::NotListed,
            "a certificate is not its plain key"
        );
    }

    #[test]
    fn a_certificate_must_be_a_users_alive_and_for_the_account() {
        use CertificateRefusal as Why;
        let user = || CertificateOf::user(1, 9);
        for (certificate, expected) in [
            (CertificateOf::host(1, 9), Why::NotForUsers),
            (
                CertificateOf {
                    valid: (1, 150),
                    ..user()
                },
                Why::Expired,
            ),
            (
                CertificateOf {
                    valid: (151, 152),
                    ..user()
                },
                Why::NotYetValid,
            ),
            (
                CertificateOf {
                    principals: &["root"],
                    ..user()
                },
                Why::NotAPrincipal,
            ),
            (
                CertificateOf {
                    principals: &[],
                    ..user()
                },
                Why::NoPrincipals,
            ),
            (
                CertificateOf {
                    critical: &[("new-option", "x")],
                    ..user()
                },
                Why::CriticalOption,
            ),
            (
                CertificateOf {
                    critical: &[("source-address", "10.9.0.0/16")],
                    ..user()
                },
                Why::SourceAddress,
            ),
        ] {
            assert_eq!(
                refused("cert-authority", &certificate),
                LineRefusal::Certificate(expected)
            );
        }
        let old = LoginContext {
            release: Release::new(9, 2),
            ..LOGIN
        };
        let nobodys = CertificateOf {
            principals: &[],
            ..user()
        };
        assert_eq!(
            authorized_at(&judge_with("cert-authority", &nobodys, &old)),
            Some(1)
        );
    }

    #[test]
    fn listed_principals_replace_the_account() {
        let migration = CertificateOf {
            principals: &["migration"],
            ..CertificateOf::user(1, 9)
        };
        let admits = |list: &str| {
            let options = format!("cert-authority,principals=\"{list}\"");
            authorized_at(&judge_with(&options, &migration, &LOGIN)).is_some()
        };
        assert!(admits("other,migration"));
        assert!(!admits("other"));
        assert!(!admits("other,,migration"), "an empty name ends the list");
    }

    #[test]
    fn forced_commands_must_agree_and_permissions_are_those_of_both() {
        let forced = CertificateOf {
            critical: &[("force-command", "true")],
            extensions: &[("permit-pty", ""), ("permit-user-rc", "")],
            ..CertificateOf::user(1, 9)
        };
        assert_eq!(
            refused("cert-authority,command=\"false\"", &forced),
            LineRefusal::ForcedCommands
        );
        match judge_with("cert-authority,command=\"true\",no-pty", &forced, &LOGIN) {
            KeyVerdict::Authorized { options, .. } => {
                assert_eq!(options.command.as_deref(), Some(b"true" as &[u8]));
                assert!(
                    !options.pty
                        && options.user_rc
                        && !options.port_forwarding
                        && !options.cert_authority
                );
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_trusted_authority_wants_the_account_or_a_listed_principal() {
        let user = CertificateOf::user(1, 9).sign();
        let judge = |trusted: u32, principals: Option<&str>| {
            let file = principals.map(|text| AuthorizedPrincipals::parse(text.as_bytes()));
            judge_trusted_certificate(&user, &[ed25519(trusted)], file.as_ref(), &LOGIN).map(|_| ())
        };
        let refused = |why| {
            Err(TrustRefusal {
                line: None,
                why: LineRefusal::Certificate(why),
            })
        };
        assert_eq!(judge(9, None), Ok(()));
        assert_eq!(
            judge(8, None),
            refused(CertificateRefusal::UntrustedAuthority)
        );
        assert_eq!(
            judge(9, Some("")),
            refused(CertificateRefusal::NotAPrincipal)
        );
        assert_eq!(
            judge(9, Some("# all\n\tother\nno-pty  nova # them\n")),
            Ok(())
        );
        assert_eq!(
            judge(9, Some("no-such-option nova\nroot\n")),
            refused(CertificateRefusal::NotAPrincipal)
        );
        let elsewhere = TrustRefusal {
            line: Some(2),
            why: LineRefusal::From {
                required: "10.9.*".into(),
                invalid: false,
            },
        };
        let list = "root\nfrom=\"10.9.*\" nova\n";
        assert_eq!(judge(9, Some(list)), Err(elsewhere));
        let plain = judge_trusted_certificate(&ed25519(9), &[ed25519(9)], None, &LOGIN);
        assert_eq!(
            plain.map(|_| ()),
            refused(CertificateRefusal::UntrustedAuthority)
        );
    }
}

proptest! {
    #[test]
    fn every_byte_survives_and_nothing_crashes(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b' '), Just(b'"'), Just(b'\\'), Just(b','), Just(b'='), any::<u8>()],
            0..200,
        )
    ) {
        let document = AuthorizedKeys::parse(bytes.clone());
        prop_assert_eq!(document.as_bytes(), &bytes[..]);
        let _ = KeyOptions::parse(&bytes);
        let _ = AuthorizedPrincipals::parse(&bytes);
    }

    #[test]
    fn quoting_is_undone(command in "[ -~]{0,30}") {
        // A backslash right before a quote cannot be written in this syntax.
        prop_assume!(!command.contains("\\\"") && !command.ends_with('\\'));
        let key = ed25519(1);
        let line = format!("command=\"{}\",pty {key}\n", command.replace('"', "\\\""));
        match judge(&line, &key) {
            KeyVerdict::Authorized { options, .. } => {
                prop_assert_eq!(options.command.as_deref(), Some(command.as_bytes()));
            }
            other => prop_assert!(false, "{:?}", other),
        }
    }
}
