use proptest::prelude::*;

use super::*;
use crate::openssh::fixtures::{CertificateOf, RSA_1024, ed25519};
use crate::openssh::key::KeyError;

#[test]
fn a_listed_key_is_revoked_and_so_are_its_certificates() {
    let list = RevokedKeys::parse(format!("# lost\n\n {} nova@node1\n", ed25519(1)).as_bytes());
    assert_eq!(list.contains(&ed25519(1)), Ok(true));
    assert_eq!(list.contains(&ed25519(2)), Ok(false));
    assert_eq!(list.contains(&CertificateOf::user(1, 9).sign()), Ok(true));
    let authority = RevokedKeys::parse(ed25519(9).to_string().as_bytes());
    assert_eq!(
        authority.contains(&CertificateOf::user(1, 9).sign()),
        Ok(true)
    );
    assert_eq!(RevokedKeys::parse(b"").contains(&ed25519(1)), Ok(false));
}

#[test]
fn a_line_that_is_no_key_refuses_every_key_that_was_not_listed_before() {
    let list = RevokedKeys::parse(format!("{}\nrestrict {}\n", ed25519(1), ed25519(2)).as_bytes());
    assert_eq!(list.contains(&ed25519(1)), Ok(true));
    let unreadable = UnreadableList::Line {
        line: 2,
        why: KeyError::UnknownType,
    };
    assert_eq!(list.contains(&ed25519(2)), Err(unreadable.clone()));
    assert_eq!(list.contains(&ed25519(3)), Err(unreadable));
    let known_length = RevokedKeys::parse(RSA_1024.as_bytes());
    assert_eq!(known_length.contains(&ed25519(3)), Ok(false));
}

/// A binary list of one section.
fn krl(kind: u8, section: &[u8]) -> Vec<u8> {
    let mut bytes = b"SSHKRL\n\0".to_vec();
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend([0; 24]);
    bytes.extend(string(b""));
    bytes.extend(string(b"comment"));
    bytes.push(kind);
    bytes.extend(string(section));
    bytes
}

fn string(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len())
        .expect("short")
        .to_be_bytes()
        .to_vec();
    out.extend(bytes);
    out
}

fn certificates(authority: &[u8], kind: u8, part: &[u8]) -> Vec<u8> {
    krl(
        1,
        &[string(authority), string(b""), vec![kind], string(part)].concat(),
    )
}

#[test]
fn binary_lists_revoke_by_key_hash_serial_and_key_id() {
    let revoked = |bytes: &[u8], key| RevokedKeys::parse(bytes).contains(&key);
    let plain = ed25519(1);
    let blob = plain.plain_blob().as_bytes().to_vec();
    let certificate = CertificateOf::user(1, 9).sign();
    let authority = ed25519(9).plain_blob().as_bytes().to_vec();
    let serials = |serials: &[u64]| {
        serials
            .iter()
            .flat_map(|serial| serial.to_be_bytes())
            .collect::<Vec<u8>>()
    };

    assert_eq!(revoked(&krl(2, &string(&blob)), plain.clone()), Ok(true));
    assert_eq!(revoked(&krl(2, &string(&blob)), ed25519(2)), Ok(false));
    assert_eq!(
        revoked(
            &krl(5, &string(plain.fingerprint().as_bytes())),
            plain.clone()
        ),
        Ok(true)
    );
    // Every certificate of the fixtures has the serial number 42 and the key id "the id".
    for (kind, part, expected) in [
        (0x20, serials(&[7, 42]), true),
        (0x20, serials(&[7]), false),
        (0x21, serials(&[40, 42]), true),
        (0x21, serials(&[43, 50]), false),
        (0x22, [serials(&[40]), string(&[0b100])].concat(), true),
        (
            0x22,
            [serials(&[30]), string(&[0b1_0000, 0])].concat(),
            true,
        ),
        (0x22, [serials(&[30]), string(&[0b1000, 0])].concat(), false),
        (0x23, string(b"the id"), true),
        (0x23, string(b"other"), false),
    ] {
        for authority in [authority.as_slice(), b""] {
            assert_eq!(
                revoked(&certificates(authority, kind, &part), certificate.clone()),
                Ok(expected),
                "{kind:#x}"
            );
        }
        let other = certificates(&blob, kind, &part);
        assert_eq!(
            revoked(&other, certificate.clone()),
            Ok(false),
            "another CA's"
        );
    }
}

#[test]
fn a_malformed_binary_list_refuses_every_key() {
    let whole = krl(2, &string(b"key"));
    let critical = krl(
        255,
        &[string(b"new@example.org"), vec![1], string(b"")].concat(),
    );
    let harmless = krl(
        255,
        &[string(b"new@example.org"), vec![0], string(b"")].concat(),
    );
    let contains = |bytes: &[u8]| RevokedKeys::parse(bytes).contains(&ed25519(1));
    assert_eq!(
        contains(&whole[..whole.len() - 1]),
        Err(UnreadableList::Krl)
    );
    assert_eq!(contains(&krl(9, b"")), Err(UnreadableList::Krl));
    assert_eq!(contains(&critical), Err(UnreadableList::Krl));
    assert_eq!(contains(&harmless), Ok(false));
    assert_eq!(
        contains(&certificates(b"", 0x20, &[0; 8])),
        Err(UnreadableList::Krl),
        "serial 0"
    );
}

proptest! {
    #[test]
    fn nothing_crashes_the_reader(kind: u8, section in proptest::collection::vec(any::<u8>(), 0..60), cut in 0usize..120) {
        let bytes = krl(kind, &section);
        let _ = RevokedKeys::parse(&bytes[..cut.min(bytes.len())]).contains(&ed25519(1));
        let _ = RevokedKeys::parse(&section).contains(&ed25519(1));
    }
}

#[test]
fn what_one_list_has_and_another_lacks_is_told_in_lines_of_such_a_list() {
    let own = RevokedKeys::of([&ed25519(1)], [&b"clearway:user:nova@node1:1"[..]]);
    let text = RevokedKeys::parse(ed25519(1).to_string().as_bytes());
    assert!(own.lacks(&text).is_empty(), "either form says the same");
    assert_eq!(
        text.lacks(&own).into_iter().collect::<Vec<_>>(),
        ["id: clearway:user:nova@node1:1"]
    );
    let more = RevokedKeys::parse(format!("{}\n{}\n", ed25519(1), ed25519(2)).as_bytes());
    assert_eq!(
        own.lacks(&more).into_iter().collect::<Vec<_>>(),
        [format!("key: {}", ed25519(2))]
    );
    // By the hash of its key alone.
    let hashed = RevokedKeys::parse(&krl(5, &string(ed25519(2).fingerprint().as_bytes())));
    assert!(more.lacks(&hashed).is_empty());
    assert_eq!(
        own.lacks(&hashed).into_iter().collect::<Vec<_>>(),
        [format!("hash: {}", ed25519(2).fingerprint())]
    );
    let unreadable = RevokedKeys::parse(b"SSHKRL\n\0");
    assert_eq!(own.lacks(&unreadable).len(), 1);
    assert_eq!(unreadable.lacks(&own).len(), 2);
}
