//! Certificates made by `ssh-keygen -s`, against what `ssh-keygen -L` says of them, and revocation lists against `ssh-keygen -Q`.

use std::collections::BTreeMap;
use std::path::Path;

use clearway::openssh::key::{CertOption, CertRole, Certificate, PublicKey};
use clearway::openssh::revoked::RevokedKeys;

use super::generator::Random;
use super::tools;

struct Made {
    path: String,
    key: PublicKey,
}

fn make(
    directory: &Path,
    random: &mut Random,
    authorities: &[String],
    subject: &str,
    at: usize,
) -> Made {
    let path = directory
        .join(format!("cert{at}"))
        .to_str()
        .unwrap()
        .to_owned();
    std::fs::copy(format!("{subject}.pub"), format!("{path}.pub")).unwrap();
    let serial = random
        .word(&["0", "1", "42", "43", "18446744073709551615"])
        .to_string();
    let mut arguments: Vec<&str> = vec![
        "-q",
        "-s",
        random.pick(authorities).as_str(),
        "-I",
        random.word(&["id", "a long one", "x\u{e9}"]),
        "-z",
        &serial,
    ];
    if random.one_in(2) {
        arguments.push("-h");
    } else {
        for option in [
            "clear",
            "permit-pty",
            "no-x11-forwarding",
            "force-command=/bin/true -x",
            "source-address=10.77.0.0/16,fd00::/64",
        ] {
            if random.one_in(3) {
                arguments.extend(["-O", option]);
            }
        }
    }
    if !random.one_in(5) {
        arguments.extend([
            "-n",
            random.word(&["node2", "node1,node2,10.77.0.3", "nova", "*.lab"]),
        ]);
    }
    match random.below(4) {
        0 => {}
        1 => arguments.extend(["-V", "20200101000000:20210101123456"]),
        2 => arguments.extend(["-V", "always:20400101"]),
        _ => arguments.extend(["-V", "20200101:forever"]),
    }
    let public = format!("{path}.pub");
    arguments.push(&public);
    tools::succeed("ssh-keygen", &arguments);
    let path = format!("{path}-cert.pub");
    let (key, _) = PublicKey::read_file(&std::fs::read(&path).unwrap()).unwrap();
    Made { path, key }
}

/// `ssh-keygen -L` as a map from heading to the words behind and below it.
fn listed(path: &str) -> BTreeMap<String, Vec<String>> {
    let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut heading = String::new();
    for line in tools::succeed("ssh-keygen", &["-L", "-f", path])
        .lines()
        .skip(1)
    {
        let depth = line.len() - line.trim_start().len();
        let text = line.trim();
        if depth == 8 {
            let (name, value) = text.split_once(':').unwrap();
            heading = name.to_owned();
            let values = fields.entry(heading.clone()).or_default();
            values.extend(
                Some(value.trim())
                    .filter(|value| !value.is_empty())
                    .map(str::to_owned),
            );
        } else {
            fields.get_mut(&heading).unwrap().push(text.to_owned());
        }
    }
    fields
}

fn options(options: &[CertOption]) -> Vec<String> {
    if options.is_empty() {
        return vec!["(none)".to_owned()];
    }
    options
        .iter()
        .map(|option| {
            let name = String::from_utf8_lossy(&option.name).into_owned();
            match option.value() {
                Some(value) => format!("{name} {}", String::from_utf8_lossy(value)),
                None => name,
            }
        })
        .collect()
}

fn time(epoch: u64) -> String {
    let at = jiff::Timestamp::from_second(i64::try_from(epoch).unwrap()).unwrap();
    at.strftime("%Y-%m-%dT%H:%M:%S").to_string()
}

fn validity(certificate: &Certificate) -> String {
    match (certificate.valid_after, certificate.valid_before) {
        (0, u64::MAX) => "forever".to_owned(),
        (0, before) => format!("before {}", time(before)),
        (after, u64::MAX) => format!("after {}", time(after)),
        (after, before) => format!("from {} to {}", time(after), time(before)),
    }
}

#[test]
fn certificates_say_what_ssh_keygen_says_of_them() {
    if !tools::have("certificates", &["ssh-keygen"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let key = |name: &str, options: &[&str]| tools::make_key(directory.path(), name, options);
    let authorities = [
        key("ca1", &["-t", "ed25519"]),
        key("ca2", &["-t", "ecdsa"]),
        key("ca3", &["-t", "rsa", "-b", "2048"]),
    ];
    let subjects = [
        key("s1", &["-t", "ed25519"]),
        key("s2", &["-t", "ecdsa", "-b", "521"]),
        key("s3", &["-t", "rsa", "-b", "2048"]),
    ];
    let mut random = Random::new(3);
    let mut made = Vec::new();
    for at in 0..120 {
        let subject = random.pick(&subjects).clone();
        made.push(make(
            directory.path(),
            &mut random,
            &authorities,
            &subject,
            at,
        ));
    }
    for Made { path, key } in &made {
        let certificate = key.certificate().expect("a certificate");
        let theirs = listed(path);
        let role = match certificate.role {
            CertRole::User => "user",
            CertRole::Host => "host",
        };
        assert_eq!(
            theirs["Type"],
            [format!("{} {role} certificate", key.type_name())]
        );
        let short = key.kind().short_name();
        assert_eq!(
            theirs["Public key"],
            [format!("{short}-CERT {}", key.fingerprint())]
        );
        let authority = &certificate.authority;
        let algorithm = &certificate.signature_algorithm;
        let signed = format!(
            "{} {} (using {algorithm})",
            authority.kind().short_name(),
            authority.fingerprint()
        );
        assert_eq!(theirs["Signing CA"], [signed]);
        assert!(certificate.signature_checked);
        assert_eq!(theirs["Serial"], [certificate.serial.to_string()]);
        assert_eq!(theirs["Valid"], [validity(certificate)], "{path}");
        let names: Vec<String> = certificate
            .principals
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        assert_eq!(
            theirs["Principals"],
            if names.is_empty() {
                vec!["(none)".to_owned()]
            } else {
                names
            }
        );
        assert_eq!(
            theirs["Critical Options"],
            options(&certificate.critical_options)
        );
        assert_eq!(theirs["Extensions"], options(&certificate.extensions));
    }
    revoke(directory.path(), &mut random, &authorities, &made);
}

/// Each list revokes some of the certificates in one of the ways there are.
fn revoke(directory: &Path, random: &mut Random, authorities: &[String], made: &[Made]) {
    let (spec, list) = (directory.join("spec"), directory.join("krl"));
    let (mut revoked, mut clear) = (0, 0);
    for _ in 0..12 {
        let other = random.pick(made);
        let serials = random.word(&[
            "serial: 42\n",
            "serial: 1-42\n",
            "serial: 1\nserial: 43\nserial: 45\nserial: 46\n",
            "id: id\n",
        ]);
        let by_hash = format!("sha256: {}\n", other.key.to_plain());
        let by_sha1 = format!("sha1: {}\n", other.key.to_plain());
        let by_key = format!("key: {}\n", other.key.to_plain());
        let text = random.word(&[serials, serials, serials, &by_hash, &by_sha1, &by_key]);
        std::fs::write(&spec, text).unwrap();
        let authority = format!("{}.pub", random.pick(authorities));
        let (spec, list) = (spec.to_str().unwrap(), list.to_str().unwrap());
        tools::succeed(
            "ssh-keygen",
            &["-q", "-k", "-f", list, "-s", &authority, spec],
        );
        let ours = RevokedKeys::parse(&std::fs::read(list).unwrap());
        for Made { path, key } in random.some(made).into_iter().take(12) {
            let theirs = !tools::run("ssh-keygen", &["-Q", "-f", list, path])
                .status
                .success();
            assert_eq!(
                ours.contains(key),
                Ok(theirs),
                "{text} by {authority}: {path}"
            );
            *(if theirs { &mut revoked } else { &mut clear }) += 1;
        }
    }
    assert!(
        revoked > 5 && clear > 5,
        "both outcomes occur: {revoked} {clear}"
    );
}
