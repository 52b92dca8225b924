//! A certificate to be signed, and what came back.

use std::net::IpAddr;

use crate::openssh::key::{CertRole, Certificate, PublicKey};
use crate::repair::plan::{Attributes, Target};

/// A certificate as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    /// Inventory name of the node whose key it certifies.
    pub node: String,
    /// For a host or for a user.
    pub role: CertRole,
    /// Where it goes: beside the key, where ssh and ssh-keygen look for it.
    pub target: Target,
    /// Owner and mode of the file.
    pub attributes: Attributes,
    /// The key.
    pub key: PublicKey,
    /// What logs call it, and what a revocation names.
    pub key_id: String,
    /// Serial number.
    pub serial: u64,
    /// Names of the host, or accounts; never empty, never with a comma.
    pub principals: Vec<String>,
    /// First valid second since the epoch.
    pub valid_after: u64,
    /// First second that is not valid any more.
    pub valid_before: u64,
    /// Addresses that a user may come from; empty for any.
    pub source_addresses: Vec<IpAddr>,
}

/// A certificate that is what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What was asked for.
    pub request: CertificateRequest,
    /// The file: `TYPE BASE64 COMMENT`, one line with its end.
    pub line: String,
}

/// A certificate that is not what was asked for: it is never put on a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate made for {node} is not what was asked for: {what}")]
pub struct MismatchedCertificate {
    /// Inventory name.
    pub node: String,
    /// What differs.
    pub what: &'static str,
}

impl CertificateRequest {
    /// `source-address` as the option writes it: networks of one address, joined by commas.
    #[must_use]
    pub fn source_address(&self) -> Option<String> {
        if self.source_addresses.is_empty() {
            return None;
        }
        let one = |address: &IpAddr| {
            let length = if address.is_ipv4() { 32 } else { 128 };
            format!("{address}/{length}")
        };
        let all: Vec<String> = self.source_addresses.iter().map(one).collect();
        Some(all.join(","))
    }

    /// Whether a certificate says what this one would say, life and serial number aside.
    pub(super) fn agrees_with(&self, certificate: &Certificate) -> Option<&'static str> {
        let principals: Vec<&[u8]> = self.principals.iter().map(String::as_bytes).collect();
        let theirs: Vec<&[u8]> = certificate.principals.iter().map(Vec::as_slice).collect();
        let source = certificate.critical_option("source-address");
        let source = source.map(|option| option.value().unwrap_or_default());
        if certificate.role != self.role {
            Some("it is for the other role")
        } else if principals != theirs {
            Some("its principals are others")
        } else if source != self.source_address().as_deref().map(str::as_bytes) {
            Some("its source-address is another")
        } else if certificate.critical_options.len() != usize::from(source.is_some()) {
            Some("it has other critical options")
        } else if !certificate.extensions.is_empty() {
            Some("it permits more than running commands")
        } else {
            None
        }
    }
}

/// Reads what the signer made and holds it against the request: nothing is taken on trust from a program that was
/// given a key.
///
/// # Errors
/// What differs.
pub fn check_signed(
    request: CertificateRequest,
    authority: &PublicKey,
    made: &[u8],
) -> Result<Signed, MismatchedCertificate> {
    let wrong = |what| MismatchedCertificate {
        node: request.node.clone(),
        what,
    };
    let (key, _) = PublicKey::read_file(made).map_err(|_| wrong("it cannot be read"))?;
    let certificate = key
        .certificate()
        .ok_or_else(|| wrong("it is no certificate"))?;
    if key.plain_blob() != request.key.plain_blob() {
        return Err(wrong("it is for another key"));
    }
    if certificate.authority != *authority {
        return Err(wrong("another authority signed it"));
    }
    if !certificate.signature_checked {
        return Err(wrong("its signature is of a kind that is not checked"));
    }
    if let Some(what) = request.agrees_with(certificate) {
        return Err(wrong(what));
    }
    if certificate.key_id != request.key_id.as_bytes() || certificate.serial != request.serial {
        return Err(wrong("its key id or serial number is another"));
    }
    if (certificate.valid_after, certificate.valid_before)
        != (request.valid_after, request.valid_before)
    {
        return Err(wrong("it is valid for another time"));
    }
    let line = format!("{key} {}\n", request.key_id);
    Ok(Signed { request, line })
}
