//! Whether an sshd finds a key authorised for an account, and where (`user_key_allowed` of auth2-pubkey.c).

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::Reason;
use crate::openssh::Lines;
use crate::openssh::authorized_keys::{
    AuthorizedKeysIndex, AuthorizedPrincipals, KeyOptions, KeyVerdict, LineRefusal, LoginContext,
    judge_trusted_certificate,
};
use crate::openssh::key::{CertificateRefusal, PublicKey};
use crate::survey::{Account, CheckedFile, FileFact, FileState};

use super::door::{Gate, gate};
use super::expand::{self, Tokens};
use super::keys_files::KeysFile;
use super::policy::Policy;
use super::revoked::{self, Revocation};

/// Parsed authorized_keys files by their contents.
pub(super) type Library = HashMap<[u8; 32], Arc<AuthorizedKeysIndex>>;

/// Everything about a server that decides about one key.
pub(super) struct Lists<'a> {
    pub(super) policy: &'a Policy,
    pub(super) account: &'a Account,
    /// The account's `AuthorizedPrincipalsFile`s.
    pub(super) principals: &'a [CheckedFile],
    pub(super) trust_files: &'a [FileFact],
    pub(super) library: &'a Library,
    pub(super) context: LoginContext<'a>,
}

/// What the server makes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is let in, with these options.
    Admitted {
        options: Box<KeyOptions>,
        /// The line that admits it; `None` for a certificate of a trusted authority.
        at: Option<(String, usize)>,
    },
    /// It is not; how close it came, and why.
    Refused(Refusal),
    /// What would decide was not surveyed.
    Open(String),
}

/// Why a key is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Higher ones tell more: what somebody meant to authorise and failed at says more than what nobody mentions.
    pub(super) rank: u8,
    pub(super) reason: Reason,
    pub(super) path: Option<String>,
    pub(super) line: Option<usize>,
    pub(super) note: String,
    /// Whether another source address might be let in.
    pub(super) by_source: bool,
}

/// No zone is farther from UTC than this, in seconds.
pub(super) const FARTHEST_ZONE: i64 = 14 * 3600;

const UNLISTED: u8 = 1;
const UNTRUSTED: u8 = 2;
const REFUSED: u8 = 3;

/// What `StrictModes` has against a file.
pub(super) const UNSAFE: &str = "StrictModes: others than root and the account could write to it";
/// What keeps sshd from a file that it reads as the account.
pub(super) const UNREADABLE: &str = "the account cannot read it";
/// What keeps sshd from looking into a directory on the way to it.
pub(super) const UNSEARCHABLE: &str = "the account cannot search this directory";

impl Lists<'_> {
    /// What the server makes of a key, or of a certificate.
    pub(super) fn judge(&self, files: &[KeysFile], key: &PublicKey) -> Admission {
        if let Some(refused) = self.revoked(key) {
            return refused;
        }
        let mut best = self.unlisted();
        let mut open = None;
        if let Some(certificate) = key.certificate() {
            let algorithms = self.policy.ca_algorithms.as_deref();
            if let Err(why) = certificate.check_signature_algorithm(algorithms) {
                return Admission::Refused(self.by_certificate(&why, None));
            }
            match self.by_authority(key) {
                ByAuthority::Admitted(options) => {
                    return Admission::Admitted { options, at: None };
                }
                ByAuthority::Refused(refusal) => best = better(best, refusal),
                ByAuthority::Open(what) => open = Some(what),
                ByAuthority::NotAsked => {}
            }
        }
        for file in files {
            let index = match &file.gate {
                Gate::Open(content) => self.library.get(content),
                Gate::Unseen => {
                    open = open.or_else(|| Some(file.path.clone()));
                    None
                }
                Gate::Missing | Gate::Unreadable(_) | Gate::Unsafe(_) => None,
            };
            let Some(index) = index else {
                continue;
            };
            match index.judge(key, &self.context) {
                KeyVerdict::Authorized { line, options } => {
                    return Admission::Admitted {
                        options,
                        at: Some((file.path.clone(), line)),
                    };
                }
                KeyVerdict::Refused(lines) => {
                    for refused in lines {
                        let refusal = self.by_line(&refused.why, &file.path, refused.line);
                        match refusal {
                            Ok(refusal) => best = better(best, refusal),
                            Err(what) => open = open.or(Some(what)),
                        }
                    }
                }
                KeyVerdict::NotListed => {}
            }
        }
        if open.is_none() && self.policy.keys_command.is_some() {
            open = Some("AuthorizedKeysCommand".to_owned());
        }
        match open {
            Some(what) => Admission::Open(what),
            None => Admission::Refused(best),
        }
    }

    fn unlisted(&self) -> Refusal {
        Refusal {
            rank: UNLISTED,
            reason: Reason::KeyNotAuthorized,
            path: None,
            line: None,
            note: String::new(),
            by_source: false,
        }
    }

    fn revoked(&self, key: &PublicKey) -> Option<Admission> {
        let path = self.policy.revoked.as_ref()?;
        let file = self.trust_files.iter().find(|file| file.path == *path);
        let (reason, note) =
            match file.map_or(Revocation::Unknown, |file| revoked::check(file, key)) {
                Revocation::Clear => return None,
                Revocation::Unknown => return Some(Admission::Open(path.clone())),
                Revocation::Revoked => (Reason::KeyRevoked, "has the key, as RevokedKeys"),
                Revocation::Unreadable => (
                    Reason::RevokedKeysUnreadable,
                    "is what RevokedKeys names, and cannot be read",
                ),
            };
        Some(Admission::Refused(Refusal {
            rank: REFUSED,
            reason,
            path: Some(path.clone()),
            line: None,
            note: note.to_owned(),
            by_source: false,
        }))
    }

    fn by_authority(&self, key: &PublicKey) -> ByAuthority {
        let Some(path) = &self.policy.trusted_authorities else {
            return ByAuthority::NotAsked;
        };
        let trusted = match self.trust_file(path) {
            Contents::Bytes(bytes) => Lines::new(bytes)
                .visible()
                .filter_map(|line| PublicKey::read(line.trim_ascii_start()).ok())
                .map(|(key, _)| key)
                .collect(),
            // sshd then trusts nobody, and goes on.
            Contents::Absent => Vec::new(),
            Contents::Unknown => return ByAuthority::Open(path.clone()),
        };
        let (principals, list) = match self.policy.principals_file.as_deref() {
            None => (None, None),
            Some(text) => {
                let Some(list) = expand::server(text, self.tokens()) else {
                    return ByAuthority::Open(text.to_owned());
                };
                match self.principals(&list) {
                    Ok(principals) => (Some(principals), Some(list)),
                    Err(instead) if self.policy.principals_command.is_none() => return instead,
                    Err(_) => (Some(AuthorizedPrincipals::default()), Some(list)),
                }
            }
        };
        let refused =
            match judge_trusted_certificate(key, &trusted, principals.as_ref(), &self.context) {
                Ok(options) => return ByAuthority::Admitted(Box::new(options)),
                Err(refused) => refused,
            };
        // What a line of the list says is the list's doing, as is what it does not have.
        let is_not_listed =
            refused.why == LineRefusal::Certificate(CertificateRefusal::NotAPrincipal);
        let path = match &list {
            Some(list) if refused.line.is_some() || is_not_listed => list,
            _ => path,
        };
        if is_not_listed && self.policy.principals_command.is_some() {
            return ByAuthority::Open("AuthorizedPrincipalsCommand".to_owned());
        }
        match self.by_line(&refused.why, path, refused.line.unwrap_or(0)) {
            Ok(refusal) => ByAuthority::Refused(refusal),
            Err(what) => ByAuthority::Open(what),
        }
    }

    /// What sshd reads in the account's list of principals, or what becomes of the certificate because it reads none
    /// (`auth_openprincipals` of auth2-pubkeyfile.c: a list is opened as keys are, and one that is not there is empty).
    fn principals(&self, path: &str) -> Result<AuthorizedPrincipals, ByAuthority> {
        let checked = self.principals.iter().find(|it| it.file.path == path);
        let Some(checked) = checked else {
            return Err(ByAuthority::Open(path.to_owned()));
        };
        let refused = |reason, path: &str, note: &str| {
            Err(ByAuthority::Refused(Refusal {
                rank: REFUSED,
                reason,
                path: Some(path.to_owned()),
                line: None,
                note: note.to_owned(),
                by_source: false,
            }))
        };
        match gate(checked, Some(self.account), self.policy.strict_modes) {
            Gate::Missing => Ok(AuthorizedPrincipals::default()),
            Gate::Unsafe(path) => refused(Reason::AuthorizedKeysModes, &path, UNSAFE),
            Gate::Unreadable(closed) => {
                let is_file = closed == path;
                let note = if is_file { UNREADABLE } else { UNSEARCHABLE };
                refused(Reason::AuthorizedKeysUnreadable, &closed, note)
            }
            Gate::Open(_) | Gate::Unseen => match checked.file.content() {
                Some(content) => Ok(AuthorizedPrincipals::parse(&content.bytes)),
                None => Err(ByAuthority::Open(path.to_owned())),
            },
        }
    }

    fn trust_file(&self, path: &str) -> Contents<'_> {
        match self.trust_files.iter().find(|file| file.path == path) {
            None => Contents::Unknown,
            Some(file) => match (&file.state, file.content()) {
                (FileState::Absent, _) => Contents::Absent,
                (_, Some(content)) => Contents::Bytes(&content.bytes),
                _ => Contents::Unknown,
            },
        }
    }

    fn tokens(&self) -> Tokens<'_> {
        Tokens {
            home: &self.account.home,
            user: &self.account.name,
            uid: self.account.uid,
            ..Tokens::default()
        }
    }

    fn by_certificate(&self, why: &CertificateRefusal, path: Option<&str>) -> Refusal {
        use CertificateRefusal as C;
        let reason = match why {
            C::NotYetValid => Reason::UserCertificateNotYetValid,
            C::Expired => Reason::UserCertificateExpired,
            C::NoPrincipals => Reason::UserCertificateNoPrincipal,
            C::NotAPrincipal => Reason::UserCertificateWrongPrincipal,
            C::SourceAddress => Reason::UserCertificateSourceAddress,
            C::UntrustedAuthority | C::NotForHosts | C::NotForUsers | C::CriticalOption => {
                Reason::UserCertificateUnknownAuthority
            }
            C::SignatureAlgorithm => Reason::UserCertificateSignature,
        };
        Refusal {
            rank: if *why == C::UntrustedAuthority {
                UNTRUSTED
            } else {
                REFUSED
            },
            reason,
            path: path.map(str::to_owned),
            line: None,
            note: why.to_string(),
            by_source: *why == C::SourceAddress,
        }
    }

    /// The refusal of a line, or what would have to be known to tell.
    fn by_line(&self, why: &LineRefusal, path: &str, line: usize) -> Result<Refusal, String> {
        let refusal = |reason, by_source| Refusal {
            rank: REFUSED,
            reason,
            path: Some(path.to_owned()),
            line: Some(line).filter(|line| *line > 0),
            note: why.to_string(),
            by_source,
        };
        Ok(match why {
            LineRefusal::BadOption(bad) => Refusal {
                note: format!("{why}: {bad}"),
                ..refusal(Reason::KeyOptionInvalid, false)
            },
            LineRefusal::PrincipalsWithoutAuthority | LineRefusal::ForcedCommands => {
                refusal(Reason::KeyOptionInvalid, false)
            }
            LineRefusal::Expired { at } => {
                // A time without a zone is the server's local time, and its zone is not known.
                let now = i64::try_from(self.context.now).unwrap_or(i64::MAX);
                if now.saturating_sub(*at) <= FARTHEST_ZONE {
                    return Err(format!(
                        "expiry-time within hours of now, line {line} of {path}"
                    ));
                }
                refusal(Reason::KeyExpired, false)
            }
            LineRefusal::From { required, .. } => {
                // With UseDNS sshd also knows a name for the address, and this does not.
                if self.policy.dns && required.bytes().any(|byte| byte.is_ascii_alphabetic()) {
                    return Err(format!("from=\"{required}\" with UseDNS"));
                }
                refusal(Reason::KeyFromMismatch, true)
            }
            LineRefusal::IsAuthority => Refusal {
                rank: UNLISTED,
                ..refusal(Reason::KeyNotAuthorized, false)
            },
            LineRefusal::IsNoAuthority => Refusal {
                rank: UNTRUSTED,
                ..refusal(Reason::UserCertificateUnknownAuthority, false)
            },
            LineRefusal::Certificate(why) => Refusal {
                line: Some(line).filter(|line| *line > 0),
                ..self.by_certificate(why, Some(path))
            },
        })
    }
}

enum ByAuthority {
    Admitted(Box<KeyOptions>),
    Refused(Refusal),
    Open(String),
    NotAsked,
}

enum Contents<'a> {
    Bytes(&'a [u8]),
    Absent,
    Unknown,
}

/// The refusal that tells more; the first one of two alike.
pub(super) fn better(one: Refusal, other: Refusal) -> Refusal {
    if other.rank > one.rank { other } else { one }
}
