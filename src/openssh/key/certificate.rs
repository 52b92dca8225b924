//! OpenSSH certificates (PROTOCOL.certkeys; `cert_parse` and `sshkey_cert_check_authority` of `sshkey.c`).

use p256::ecdsa::signature::Verifier as _;
use ssh_key::encoding::Decode as _;

use super::blob::KeyBlob;
use super::kind::KeyKind;
use super::public::{KeyError, PublicKey};
use super::wire::WireReader;
use crate::openssh::pattern::{ListMatch, PatternCase, match_pattern, match_pattern_list};
use crate::openssh::release::Release;

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CertRole {
    /// Logging in; its principals are account names.
    User,
    /// Proving to be a host; its principals are host names.
    Host,
}

/// A critical option or an extension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CertOption {
    /// Its name, such as `force-command`.
    pub name: Vec<u8>,
    /// Its data: empty, or a wire string with the value.
    pub data: Vec<u8>,
}

impl CertOption {
    /// The value inside the data: none for flags and for malformed data.
    #[must_use]
    pub fn value(&self) -> Option<&[u8]> {
        let mut reader = WireReader::new(&self.data);
        let value = reader.c_string()?;
        reader.is_empty().then_some(value)
    }
}

/// Where a moment lies in the life of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validity {
    /// Before its first second: often a wrong clock.
    NotYet,
    /// Good.
    Valid,
    /// After its last second.
    Expired,
}

/// Why a certificate is not accepted; the texts are what OpenSSH says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CertificateRefusal {
    /// No CA key is trusted for this name, account or list.
    #[error("no matching CA found")]
    UntrustedAuthority,
    /// A user certificate shown by a host.
    #[error("certificate invalid: not a host certificate")]
    NotForHosts,
    /// A host certificate shown by a user.
    #[error("certificate invalid: not a user certificate")]
    NotForUsers,
    /// See [`Validity::NotYet`].
    #[error("certificate invalid: not yet valid")]
    NotYetValid,
    /// See [`Validity::Expired`].
    #[error("certificate invalid: expired")]
    Expired,
    /// It names no principal, and one is required.
    #[error("certificate lacks principal list")]
    NoPrincipals,
    /// None of its principals is the name or account.
    #[error("certificate invalid: name is not a listed principal")]
    NotAPrincipal,
    /// A host certificate with critical options, or a user certificate with one that is not known or malformed.
    #[error("certificate contains unsupported critical options")]
    CriticalOption,
    /// The CA's signature algorithm is not in `CASignatureAlgorithms`.
    #[error("certificate signed with disallowed algorithm")]
    SignatureAlgorithm,
    /// The client's address is not in its `source-address`.
    #[error("certificate is not for this source address")]
    SourceAddress,
}

/// A certificate whose signature is right; whether anybody trusts the signer is another matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Certificate {
    blob: KeyBlob,
    /// User's or host's.
    pub role: CertRole,
    /// Serial number, 0 if the CA does not count.
    pub serial: u64,
    /// Free text that names the certificate in logs. Any bytes but NUL.
    pub key_id: Vec<u8>,
    /// Account or host names. Any bytes but NUL.
    pub principals: Vec<Vec<u8>>,
    /// First valid second (epoch seconds); 0 for "always".
    pub valid_after: u64,
    /// First second that is not valid any more (epoch seconds); `u64::MAX` for "forever".
    pub valid_before: u64,
    /// Options that must be understood by whoever accepts the certificate.
    pub critical_options: Vec<CertOption>,
    /// Options that may be ignored.
    pub extensions: Vec<CertOption>,
    /// The key that signed it.
    pub authority: PublicKey,
    /// The algorithm of the signature, such as `rsa-sha2-512`.
    pub signature_algorithm: String,
    /// Whether the signature was checked here. It is not where the algorithm is obsolete (`ssh-rsa`, that is SHA-1, and
    /// `ssh-dss`); OpenSSH's default `CASignatureAlgorithms` refuse these.
    pub signature_checked: bool,
}

impl Certificate {
    /// Reads what follows the public key in a certificate's blob.
    pub(super) fn read(blob: &[u8], reader: &mut WireReader<'_>) -> Result<Self, KeyError> {
        let malformed = KeyError::MalformedCertificate;
        let serial = reader.u64().ok_or(malformed)?;
        let role = reader.u32().ok_or(malformed)?;
        let key_id = reader.c_string().ok_or(malformed)?;
        let principals = reader.string().ok_or(malformed)?;
        let valid_after = reader.u64().ok_or(malformed)?;
        let valid_before = reader.u64().ok_or(malformed)?;
        let critical = reader.string().ok_or(malformed)?;
        let extensions = reader.string().ok_or(malformed)?;
        reader.string().ok_or(malformed)?; // reserved
        let authority = reader.string().ok_or(malformed)?;
        let signed = &blob[..blob.len() - reader.rest().len()];
        let signature = reader.string().ok_or(malformed)?;
        let role = match role {
            1 => CertRole::User,
            2 => CertRole::Host,
            _ => return Err(KeyError::CertificateRole),
        };
        let principals = read_principals(principals).ok_or(malformed)?;
        let critical_options = read_options(critical).ok_or(malformed)?;
        let extensions = read_options(extensions).ok_or(malformed)?;
        let authority = read_authority(authority)?;
        let signature_algorithm = WireReader::new(signature).c_string().ok_or(malformed)?;
        let signature_algorithm = String::from_utf8_lossy(signature_algorithm).into_owned();
        let signature_checked = verify(&authority, &signature_algorithm, signed, signature)?;
        Ok(Self {
            blob: KeyBlob::new(blob),
            role,
            serial,
            key_id: key_id.to_vec(),
            principals,
            valid_after,
            valid_before,
            critical_options,
            extensions,
            authority,
            signature_algorithm,
            signature_checked,
        })
    }

    /// Blob of the whole certificate.
    #[must_use]
    pub fn blob(&self) -> &KeyBlob {
        &self.blob
    }

    /// Where the moment (epoch seconds) lies in its life.
    #[must_use]
    pub fn validity_at(&self, epoch: u64) -> Validity {
        if epoch < self.valid_after {
            Validity::NotYet
        } else if epoch >= self.valid_before {
            Validity::Expired
        } else {
            Validity::Valid
        }
    }

    /// Whether it has this critical option.
    #[must_use]
    pub fn critical_option(&self, name: &str) -> Option<&CertOption> {
        self.critical_options
            .iter()
            .find(|option| option.name == name.as_bytes())
    }

    /// Whether it has this extension, such as `permit-pty`.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&CertOption> {
        self.extensions
            .iter()
            .find(|option| option.name == name.as_bytes())
    }

    fn check_life(&self, now: u64) -> Result<(), CertificateRefusal> {
        match self.validity_at(now) {
            Validity::NotYet => Err(CertificateRefusal::NotYetValid),
            Validity::Expired => Err(CertificateRefusal::Expired),
            Validity::Valid => Ok(()),
        }
    }

    /// Whether a client takes it for this host, once it trusts the signer (`sshkey_cert_check_host`).
    ///
    /// `host` is the name without port, in lower case; `ca_algorithms` is the client's `CASignatureAlgorithms`, if known.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check_host(
        &self,
        host: &str,
        now: u64,
        ca_algorithms: Option<&str>,
        release: Release,
    ) -> Result<(), CertificateRefusal> {
        if self.role != CertRole::Host {
            return Err(CertificateRefusal::NotForHosts);
        }
        self.check_life(now)?;
        let strict = release.requires_principals();
        if self.principals.is_empty() {
            if strict {
                return Err(CertificateRefusal::NoPrincipals);
            }
        } else {
            let matches = |principal: &Vec<u8>| {
                if strict {
                    match_pattern(host.as_bytes(), principal)
                } else {
                    principal == host.as_bytes()
                }
            };
            if !self.principals.iter().any(matches) {
                return Err(CertificateRefusal::NotAPrincipal);
            }
        }
        if !self.critical_options.is_empty() {
            return Err(CertificateRefusal::CriticalOption);
        }
        self.check_signature_algorithm(ca_algorithms)
    }

    /// Whether the signature algorithm is in a `CASignatureAlgorithms` list; without a list it is.
    ///
    /// # Errors
    /// [`CertificateRefusal::SignatureAlgorithm`]
    pub fn check_signature_algorithm(
        &self,
        ca_algorithms: Option<&str>,
    ) -> Result<(), CertificateRefusal> {
        let allowed = |list: &str| {
            match_pattern_list(
                self.signature_algorithm.as_bytes(),
                list.as_bytes(),
                PatternCase::Sensitive,
            ) == ListMatch::Matched
        };
        if ca_algorithms.is_none_or(allowed) {
            Ok(())
        } else {
            Err(CertificateRefusal::SignatureAlgorithm)
        }
    }

    /// Whether a server takes it for a login: role, life and, with `account`, that the account is a principal
    /// (`sshkey_cert_check_authority`).
    ///
    /// `principals_required` is whether a certificate without principals is refused: always through `TrustedUserCAKeys`, since
    /// [`Release::requires_principals`] through `cert-authority` too.
    ///
    /// # Errors
    /// Why it does not.
    pub fn check_user(
        &self,
        account: Option<&str>,
        now: u64,
        principals_required: bool,
    ) -> Result<(), CertificateRefusal> {
        if self.role != CertRole::User {
            return Err(CertificateRefusal::NotForUsers);
        }
        self.check_life(now)?;
        if self.principals.is_empty() {
            return if principals_required {
                Err(CertificateRefusal::NoPrincipals)
            } else {
                Ok(())
            };
        }
        match account {
            Some(account)
                if !self
                    .principals
                    .iter()
                    .any(|principal| principal == account.as_bytes()) =>
            {
                Err(CertificateRefusal::NotAPrincipal)
            }
            _ => Ok(()),
        }
    }
}

/// `SSHKEY_CERT_MAX_PRINCIPALS`
const MOST_PRINCIPALS: usize = 256;

fn read_principals(section: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = WireReader::new(section);
    let mut principals = Vec::new();
    while !reader.is_empty() {
        if principals.len() == MOST_PRINCIPALS {
            return None;
        }
        principals.push(reader.c_string()?.to_vec());
    }
    Some(principals)
}

fn read_options(section: &[u8]) -> Option<Vec<CertOption>> {
    let mut reader = WireReader::new(section);
    let mut options = Vec::new();
    while !reader.is_empty() {
        options.push(CertOption {
            name: reader.string()?.to_vec(),
            data: reader.string()?.to_vec(),
        });
    }
    Some(options)
}

fn read_authority(blob: &[u8]) -> Result<PublicKey, KeyError> {
    match peek_is_certificate(blob) {
        Some(false) => PublicKey::from_wire(blob).map_err(|_| KeyError::SigningKey),
        _ => Err(KeyError::SigningKey),
    }
}

/// Whether the blob's type is a certificate's; a certificate may not sign, and is not even read, so that nesting has no depth.
fn peek_is_certificate(blob: &[u8]) -> Option<bool> {
    let name = WireReader::new(blob).c_string()?;
    KeyKind::from_algorithm(std::str::from_utf8(name).ok()?)
        .map(|(_, is_certificate)| is_certificate)
}

/// Checks the signature where that is possible; the answer is whether it was.
fn verify(
    authority: &PublicKey,
    algorithm: &str,
    signed: &[u8],
    signature: &[u8],
) -> Result<bool, KeyError> {
    match KeyKind::from_algorithm(algorithm) {
        Some((kind, false)) if kind == authority.kind() => {}
        _ => return Err(KeyError::Signature),
    }
    if authority.kind() == KeyKind::Dsa || algorithm == "ssh-rsa" {
        return Ok(false);
    }
    let key = ssh_key::public::KeyData::decode(&mut authority.plain_blob().as_bytes())
        .map_err(|_| KeyError::SigningKey)?;
    let signature = ssh_key::Signature::try_from(signature).map_err(|_| KeyError::Signature)?;
    key.verify(signed, &signature)
        .map_err(|_| KeyError::Signature)?;
    Ok(true)
}
