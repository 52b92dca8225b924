//! Whether a file admits a key (`auth_check_authkeys_file` and what it calls, `auth2-pubkeyfile.c`).

use super::document::{AuthorizedKey, AuthorizedKeys};
use super::options::{BadOption, KeyOptions};
use crate::openssh::address::{match_cidr_list, match_host_and_address};
use crate::openssh::key::{CertificateRefusal, PublicKey};
use crate::openssh::release::Release;

/// A login as the server sees it.
#[derive(Clone, Copy, Debug)]
pub struct LoginContext<'a> {
    /// The account at the server.
    pub account: &'a str,
    /// The client's address.
    pub address: &'a str,
    /// The client's name as `sshd` found it; with `UseDNS no`, the default, the address again.
    pub host: &'a str,
    /// The server's clock (epoch seconds).
    pub now: u64,
    /// How many seconds the server's local time is ahead of UTC.
    pub utc_offset: i32,
    /// The server's release.
    pub release: Release,
}

/// Why a line with the key, or with the CA of the certificate, does not admit it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineRefusal {
    /// Its options are bad.
    #[error("bad key options")]
    BadOption(#[source] BadOption),
    /// `expiry-time` is past.
    #[error("entry expired")]
    Expired {
        /// Since when (epoch seconds).
        at: i64,
    },
    /// The client is not in `from=`.
    #[error("client not in from= list {required:?}")]
    From {
        /// The list, lossily as text.
        required: String,
        /// Whether the list itself is invalid, so that it refuses everybody.
        invalid: bool,
    },
    /// `principals=` without `cert-authority`.
    #[error("principals on non-CA key")]
    PrincipalsWithoutAuthority,
    /// The line has the key itself, but says `cert-authority`.
    #[error("key is marked cert-authority")]
    IsAuthority,
    /// The line has the certificate's CA, but does not say `cert-authority`.
    #[error("CA key is not marked cert-authority")]
    IsNoAuthority,
    /// The certificate is refused.
    #[error("certificate refused")]
    Certificate(#[source] CertificateRefusal),
    /// Line and certificate force different commands.
    #[error("forced command options do not match")]
    ForcedCommands,
}

/// A line that has the key and still does not admit it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// Number of the line, from 1.
    pub line: usize,
    /// Why.
    pub why: LineRefusal,
}

/// What a file says about a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// It is admitted, by the first line that does.
    Authorized {
        /// Number of the line, from 1.
        line: usize,
        /// What it may do; for a certificate, line and certificate together.
        options: Box<KeyOptions>,
    },
    /// Lines have it, but none admits it; never empty.
    Refused(Vec<RefusedLine>),
    /// No line has it.
    NotListed,
}

impl AuthorizedKeys {
    /// What the file says about this key, or certificate, at this login.
    #[must_use]
    pub fn judge(&self, offered: &PublicKey, login: &LoginContext<'_>) -> KeyVerdict {
        judge_lines(self.keys(), offered, login)
    }
}

/// Judges the lines of a file in order, with their numbers.
pub(super) fn judge_lines<'a>(
    lines: impl Iterator<Item = (usize, &'a AuthorizedKey)>,
    offered: &PublicKey,
    login: &LoginContext<'_>,
) -> KeyVerdict {
    let mut refused = Vec::new();
    for (line, entry) in lines {
        match judge_line(entry, offered, login) {
            None => {}
            Some(Ok(options)) => {
                return KeyVerdict::Authorized {
                    line,
                    options: Box::new(options),
                };
            }
            Some(Err(why)) => refused.push(RefusedLine { line, why }),
        }
    }
    if refused.is_empty() {
        KeyVerdict::NotListed
    } else {
        KeyVerdict::Refused(refused)
    }
}

/// `auth_check_authkey_line`; `None` if the line is about another key.
fn judge_line(
    entry: &AuthorizedKey,
    offered: &PublicKey,
    login: &LoginContext<'_>,
) -> Option<Result<KeyOptions, LineRefusal>> {
    let wanted = offered
        .certificate()
        .map_or(offered, |certificate| &certificate.authority);
    if entry.key != *wanted {
        return None;
    }
    let options = match &entry.options {
        Ok(options) => options,
        Err(why) => return Some(Err(LineRefusal::BadOption(why.clone()))),
    };
    Some(match (offered.certificate(), options.cert_authority) {
        (None, true) => Err(LineRefusal::IsAuthority),
        (Some(_), false) => Err(LineRefusal::IsNoAuthority),
        (None, false) => authorise(options, true, login).map(|()| options.clone()),
        (Some(_), true) => judge_certificate(options, offered, login),
    })
}

fn judge_certificate(
    options: &KeyOptions,
    offered: &PublicKey,
    login: &LoginContext<'_>,
) -> Result<KeyOptions, LineRefusal> {
    let refuse = LineRefusal::Certificate;
    let Some(certificate) = offered.certificate() else {
        return Err(refuse(CertificateRefusal::UntrustedAuthority));
    };
    authorise(options, true, login)?;
    // OpenSSH finds the role first, because only a user's certificate has options to it.
    let own = match certificate.check_user(None, login.now, false) {
        Err(CertificateRefusal::NotForUsers) => {
            return Err(refuse(CertificateRefusal::NotForUsers));
        }
        _ => KeyOptions::from_certificate(certificate).map_err(refuse)?,
    };
    authorise(&own, false, login)?;
    let merged = options.merge(&own).ok_or(LineRefusal::ForcedCommands)?;
    if let Some(list) = &options.principals
        && !lists_principal(list, &certificate.principals)
    {
        return Err(refuse(CertificateRefusal::NotAPrincipal));
    }
    let account = options.principals.is_none().then_some(login.account);
    certificate
        .check_user(account, login.now, login.release.requires_principals())
        .map_err(refuse)?;
    Ok(merged)
}

/// `match_principals_option`: an empty name ends the list.
fn lists_principal(list: &[u8], principals: &[Vec<u8>]) -> bool {
    list.split(|byte| *byte == b',')
        .take_while(|name| !name.is_empty())
        .any(|name| principals.iter().any(|principal| principal == name))
}

/// `auth_authorise_keyopts`
pub(super) fn authorise(
    options: &KeyOptions,
    allow_authority: bool,
    login: &LoginContext<'_>,
) -> Result<(), LineRefusal> {
    let now = i64::try_from(login.now).unwrap_or(i64::MAX);
    if let Some(at) = options.expires(login.utc_offset)
        && at < now
    {
        return Err(LineRefusal::Expired { at });
    }
    if options.principals.is_some() && !options.cert_authority {
        return Err(LineRefusal::PrincipalsWithoutAuthority);
    }
    if options.cert_authority && !allow_authority {
        return Err(LineRefusal::IsAuthority);
    }
    if let Some(list) = &options.from {
        let required = String::from_utf8_lossy(list).into_owned();
        match match_host_and_address(login.host, login.address, &required) {
            Ok(true) => {}
            Ok(false) => {
                return Err(LineRefusal::From {
                    required,
                    invalid: false,
                });
            }
            Err(_) => {
                return Err(LineRefusal::From {
                    required,
                    invalid: true,
                });
            }
        }
    }
    if let Some(networks) = &options.source_address
        && match_cidr_list(login.address, networks) != Ok(true)
    {
        return Err(LineRefusal::Certificate(CertificateRefusal::SourceAddress));
    }
    Ok(())
}
