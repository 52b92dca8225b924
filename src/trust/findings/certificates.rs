//! Certificates that end soon.

use super::find::{file, on};
use super::fleet::Seen;
use crate::domain::{Finding, FindingCode};
use crate::openssh::key::PublicKey;
use crate::survey::FileFact;

/// How long before its end a certificate is reported.
const DAYS: i64 = 30;
const SECONDS_PER_DAY: i64 = 86_400;

pub(super) fn find(seen: &Seen<'_>, now: i64, found: &mut Vec<Finding>) {
    for (_, name, facts) in &seen.nodes {
        let of_users = facts
            .clients
            .iter()
            .flat_map(|client| &client.identities)
            .filter_map(|identity| identity.certificate.as_ref());
        let of_hosts = facts
            .server
            .host_keys
            .iter()
            .filter_map(|key| key.certificate.as_ref());
        for certificate in of_users.chain(of_hosts) {
            ending(name, certificate, now, found);
        }
    }
}

fn ending(node: &str, certificate: &FileFact, now: i64, found: &mut Vec<Finding>) {
    let Some(content) = certificate.content() else {
        return;
    };
    let Ok((key, _)) = PublicKey::read(&content.bytes) else {
        return;
    };
    let Some(end) = key
        .certificate()
        .and_then(|it| i64::try_from(it.valid_before).ok())
    else {
        return;
    };
    let left = end - now;
    // One that has ended breaks its leg, and is told there.
    if (0..DAYS * SECONDS_PER_DAY).contains(&left) {
        let days = left / SECONDS_PER_DAY;
        let detail = match days {
            0 => format!("{} ends in less than a day", certificate.path),
            1 => format!("{} ends in 1 day", certificate.path),
            _ => format!("{} ends in {days} days", certificate.path),
        };
        found.push(on(
            node,
            FindingCode::CertificateExpiring,
            detail,
            vec![file(
                node,
                &certificate.path,
                None,
                &format!("valid before {end} s since the epoch"),
            )],
        ));
    }
}
