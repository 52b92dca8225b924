use proptest::prelude::*;

use super::*;
use crate::openssh::base64;
use crate::openssh::fixtures::{CertificateOf, DSA, RSA_1024, ecdsa, ed25519, read};
use crate::openssh::release::Release;

#[test]
fn keys_have_the_lengths_and_names_that_ssh_keygen_shows() {
    for (key, name, bits) in [
        (read(RSA_1024), "ssh-rsa", 1024),
        (read(DSA), "ssh-dss", 1024),
        (ed25519(1), "ssh-ed25519", 256),
        (ecdsa(1), "ecdsa-sha2-nistp256", 256),
    ] {
        assert_eq!(key.type_name(), name);
        assert_eq!(key.bits(), bits);
        assert_eq!(read(&key.to_string()), key);
    }
    assert_eq!(
        read(RSA_1024).fingerprint().to_string().len(),
        "SHA256:".len() + 43,
        "unpadded base64 of 32 bytes"
    );
}

#[test]
fn what_follows_the_key_is_the_comment_and_carriage_returns_in_the_data_do_not_matter() {
    let line = format!("{}\r\t  nova@node1 # x", ed25519(1));
    let (key, rest) = PublicKey::read(line.as_bytes()).expect("a key");
    assert_eq!(key, ed25519(1));
    assert_eq!(rest, b"nova@node1 # x");
}

#[test]
fn other_spellings_of_the_same_key_are_equal() {
    let rsa = read(RSA_1024);
    let (_, data) = RSA_1024.split_once(' ').expect("two words");
    assert_eq!(
        read(&format!("rsa-sha2-512 {data}")),
        rsa,
        "OpenSSH takes the signature algorithm for the type"
    );

    let mut blob = base64::decode(data.as_bytes()).expect("base64");
    // The exponent's length field follows the type; lengthen the exponent by a needless zero.
    let at = 4 + "ssh-rsa".len() + 3;
    assert_eq!(blob[at], 3);
    blob[at] = 4;
    blob.insert(at + 1, 0);
    assert_eq!(PublicKey::from_wire(&blob).as_ref(), Ok(&rsa));
    assert_eq!(
        PublicKey::from_wire(&blob).expect("a key").plain_blob(),
        rsa.plain_blob()
    );
}

#[test]
fn what_openssh_refuses_is_refused() {
    let good = ed25519(1).to_string();
    let (_, data) = good.split_once(' ').expect("two words");
    let read = |text: &str| PublicKey::read(text.as_bytes()).map(|_| ());
    assert_eq!(read(""), Err(KeyError::Missing));
    assert_eq!(read("ssh-ed25519"), Err(KeyError::Missing));
    assert_eq!(read("ssh-ed25519  "), Err(KeyError::Missing));
    assert_eq!(
        read(&format!("ssh-ed25519 {}", &data[..data.len() - 4])),
        Err(KeyError::Malformed)
    );
    assert_eq!(
        read(&format!("ssh-ed25519 {data}AAAA")),
        Err(KeyError::Malformed)
    );
    assert_eq!(
        read(&format!("ssh-ed25519 {data}!")),
        Err(KeyError::NotBase64)
    );
    assert_eq!(
        read(&format!("ecdsa-sha2-nistp256 {data}")),
        Err(KeyError::TypeMismatch)
    );
    assert_eq!(
        read(&format!("ssh-ed448 {data}")),
        Err(KeyError::UnknownType)
    );
    assert_eq!(
        read(&format!("SSH-ED25519 {data}")),
        Err(KeyError::UnknownType)
    );
    assert_eq!(read(&format!("1024 {data}")), Err(KeyError::UnknownType));
}

#[test]
fn a_point_off_its_curve_is_no_key() {
    let mut blob = ecdsa(1).plain_blob().as_bytes().to_vec();
    *blob.last_mut().expect("not empty") ^= 1;
    assert_eq!(PublicKey::from_wire(&blob), Err(KeyError::NotOnCurve));
}

#[test]
fn short_rsa_keys_are_no_keys() {
    let (_, data) = RSA_1024.split_once(' ').expect("two words");
    let mut blob = base64::decode(data.as_bytes()).expect("base64");
    // Drop the last byte of the modulus and shorten its length field by one.
    blob.pop();
    let at = 4 + 7 + 4 + 3 + 3;
    assert_eq!(blob[at], 129);
    blob[at] = 128;
    assert_eq!(
        PublicKey::from_wire(&blob),
        Err(KeyError::TooShort { bits: 1016 })
    );
}

#[test]
fn a_pub_file_is_its_first_key() {
    let file = format!(
        "# made by hand\n\n{} nova@node1\r\n{}\n",
        ed25519(1),
        ed25519(2)
    );
    assert_eq!(
        PublicKey::read_file(file.as_bytes()),
        Ok((ed25519(1), b"nova@node1".to_vec()))
    );
    assert_eq!(
        PublicKey::read_file(b"-----BEGIN OPENSSH PRIVATE KEY-----\n"),
        Err(KeyError::Missing)
    );
    assert_eq!(PublicKey::read_file(b""), Err(KeyError::Missing));
}

#[test]
fn a_certificate_tells_all_its_fields() {
    let key = CertificateOf {
        principals: &["node2", "10.77.0.3"],
        extensions: &[("permit-pty", "")],
        ..CertificateOf::host(1, 9)
    }
    .sign();
    let certificate = key.certificate().expect("a certificate");
    assert_eq!(key.type_name(), "ssh-ed25519-cert-v01@openssh.com");
    assert_eq!(key.to_plain(), ed25519(1));
    assert_eq!(key.fingerprint(), ed25519(1).fingerprint());
    assert_eq!(certificate.role, CertRole::Host);
    assert_eq!(certificate.serial, 42);
    assert_eq!(certificate.key_id, b"the id");
    assert_eq!(
        certificate.principals,
        [b"node2".to_vec(), b"10.77.0.3".to_vec()]
    );
    assert_eq!(certificate.authority, ed25519(9));
    assert_eq!(certificate.signature_algorithm, "ssh-ed25519");
    assert!(certificate.signature_checked);
    assert!(certificate.extension("permit-pty").is_some());
    assert_eq!(read(&key.to_string()), key);
}

#[test]
fn a_certificate_lives_from_its_first_second_to_before_its_last() {
    let key = CertificateOf::host(1, 9).sign();
    let certificate = key.certificate().expect("a certificate");
    for (now, expected) in [
        (99, Validity::NotYet),
        (100, Validity::Valid),
        (199, Validity::Valid),
        (200, Validity::Expired),
    ] {
        assert_eq!(certificate.validity_at(now), expected);
    }
}

#[test]
fn host_certificates_are_checked_as_the_client_does() {
    use CertificateRefusal as Refusal;
    let old = Release::new(9, 2);
    let new = Release::new(10, 3);
    let host = || CertificateOf::host(1, 9);
    for (certificate, release, expected) in [
        (host(), old, Ok(())),
        (
            CertificateOf {
                principals: &["node*"],
                ..host()
            },
            old,
            Err(Refusal::NotAPrincipal),
        ),
        (
            CertificateOf {
                principals: &["node*"],
                ..host()
            },
            new,
            Ok(()),
        ),
        (
            CertificateOf {
                principals: &[],
                ..host()
            },
            old,
            Ok(()),
        ),
        (
            CertificateOf {
                principals: &[],
                ..host()
            },
            new,
            Err(Refusal::NoPrincipals),
        ),
        (
            CertificateOf {
                principals: &["other"],
                ..host()
            },
            new,
            Err(Refusal::NotAPrincipal),
        ),
        (
            CertificateOf {
                valid: (160, 200),
                ..host()
            },
            new,
            Err(Refusal::NotYetValid),
        ),
        (
            CertificateOf {
                valid: (100, 150),
                ..host()
            },
            new,
            Err(Refusal::Expired),
        ),
        (
            CertificateOf {
                critical: &[("force-command", "x")],
                ..host()
            },
            new,
            Err(Refusal::CriticalOption),
        ),
        (
            CertificateOf {
                principals: &["node2"],
                ..CertificateOf::user(1, 9)
            },
            new,
            Err(Refusal::NotForHosts),
        ),
    ] {
        let key = certificate.sign();
        let checked = key
            .certificate()
            .expect("a certificate")
            .check_host("node2", 150, None, release);
        assert_eq!(checked, expected);
    }
    let key = host().sign();
    let checked =
        key.certificate()
            .expect("a certificate")
            .check_host("node2", 150, Some("rsa-sha2-*"), new);
    assert_eq!(checked, Err(Refusal::SignatureAlgorithm));
}

#[test]
fn user_certificates_are_checked_as_the_server_does() {
    use CertificateRefusal as Refusal;
    let check = |certificate: CertificateOf<'_>, account, required| {
        certificate
            .sign()
            .certificate()
            .expect("a certificate")
            .check_user(account, 150, required)
    };
    let user = || CertificateOf::user(1, 9);
    assert_eq!(check(user(), Some("nova"), true), Ok(()));
    assert_eq!(
        check(user(), Some("root"), true),
        Err(Refusal::NotAPrincipal)
    );
    assert_eq!(check(user(), None, true), Ok(()));
    assert_eq!(
        check(
            CertificateOf {
                principals: &[],
                ..user()
            },
            Some("nova"),
            true
        ),
        Err(Refusal::NoPrincipals)
    );
    assert_eq!(
        check(
            CertificateOf {
                principals: &[],
                ..user()
            },
            Some("nova"),
            false
        ),
        Ok(())
    );
    assert_eq!(
        check(CertificateOf::host(1, 9), Some("nova"), true),
        Err(Refusal::NotForUsers)
    );
}

#[test]
fn a_forged_certificate_is_no_key_at_all() {
    let key = CertificateOf::host(1, 9).sign();
    let mut blob = key.blob().as_bytes().to_vec();
    let at = blob
        .windows(5)
        .position(|bytes| bytes == b"node2")
        .expect("the principal");
    blob[at + 4] = b'3';
    assert_eq!(PublicKey::from_wire(&blob), Err(KeyError::Signature));
}

#[test]
fn a_certificate_cannot_sign() {
    let inner = CertificateOf::host(1, 9).sign();
    let outer = CertificateOf::host(2, 9).sign();
    let blob = outer.blob().as_bytes();
    let authority = ed25519(9).plain_blob().as_bytes().to_vec();
    let at = blob
        .windows(authority.len())
        .position(|bytes| bytes == authority)
        .expect("the CA's blob");
    let mut nested = blob[..at - 4].to_vec();
    let inner = inner.blob().as_bytes();
    nested.extend(u32::try_from(inner.len()).expect("short").to_be_bytes());
    nested.extend(inner);
    nested.extend(&blob[at + authority.len()..]);
    assert_eq!(PublicKey::from_wire(&nested), Err(KeyError::SigningKey));
}

#[test]
fn an_interner_answers_like_reading_anew() {
    let mut keys = KeyInterner::new();
    let good = format!("{} comment", ed25519(1));
    for text in [
        good.as_str(),
        "ssh-ed25519 AAAA x",
        "",
        "ssh-ed25519",
        good.as_str(),
        "ssh-ed25519 AAAA y",
    ] {
        assert_eq!(
            keys.read(text.as_bytes()),
            PublicKey::read(text.as_bytes()),
            "{text}"
        );
    }
}

#[test]
fn fingerprints_are_read_as_they_are_shown() {
    let fingerprint = ed25519(1).fingerprint();
    assert_eq!(
        Fingerprint::parse(&fingerprint.to_string()),
        Some(fingerprint)
    );
    assert_eq!(
        Fingerprint::parse(&format!("{fingerprint}=")),
        Some(fingerprint)
    );
    assert_eq!(Fingerprint::parse("SHA256:short"), None);
    assert_eq!(Fingerprint::parse("MD5:00:11"), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_crash_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = PublicKey::from_wire(&bytes);
        let _ = PublicKey::read(&bytes);
        let _ = PublicKey::read_file(&bytes);
    }

    #[test]
    fn a_damaged_certificate_is_refused_or_equal(at in 0usize..400, mask in 1u8..) {
        let key = CertificateOf::host(1, 9).sign();
        let mut blob = key.blob().as_bytes().to_vec();
        let at = at % blob.len();
        blob[at] ^= mask;
        prop_assert!(PublicKey::from_wire(&blob).is_err(), "every byte is signed or the signature");
    }
}
