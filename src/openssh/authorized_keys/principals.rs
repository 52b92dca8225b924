//! Certificates whose CA is trusted for the whole server (`TrustedUserCAKeys`, `AuthorizedPrincipalsFile`;
//! `user_cert_trusted_ca` of `auth2-pubkey.c`).

use super::judge::{LineRefusal, LoginContext, authorise};
use super::options::{BadOption, KeyOptions};
use crate::openssh::key::{Certificate, CertificateRefusal, PublicKey};
use crate::openssh::lines::{Lines, is_blank, skip_blanks};

/// One `authorized_principals` file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthorizedPrincipals {
    lines: Vec<(usize, PrincipalLine)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct PrincipalLine {
    options: Result<KeyOptions, BadOption>,
    name: Box<[u8]>,
}

impl AuthorizedPrincipals {
    /// Reads a file; a `#` starts a comment anywhere in a line.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        let file = Lines::new(bytes);
        let lines = (1..)
            .zip(file.visible().map(parse_line))
            .filter_map(|(number, line)| Some((number, line?)))
            .collect();
        Self { lines }
    }

    /// The principals that lines with good options name, with the numbers of the lines.
    pub fn names(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.lines
            .iter()
            .filter(|(_, line)| line.options.is_ok())
            .map(|(number, line)| (*number, &*line.name))
    }

    /// The options of the first line that names one of the certificate's principals.
    #[must_use]
    pub fn find(&self, certificate: &Certificate) -> Option<(usize, &KeyOptions)> {
        self.lines.iter().find_map(|(number, line)| {
            let is_named = certificate
                .principals
                .iter()
                .any(|principal| **principal == *line.name);
            line.options
                .as_ref()
                .ok()
                .filter(|_| is_named)
                .map(|options| (*number, options))
        })
    }
}

fn parse_line(text: &[u8]) -> Option<PrincipalLine> {
    let text = skip_blanks(text);
    let text = text.split(|byte| *byte == b'#').next().unwrap_or_default();
    let end = text
        .iter()
        .rposition(|byte| !is_blank(*byte))
        .map_or(0, |at| at + 1);
    let text = &text[..end];
    if text.is_empty() {
        return None;
    }
    // As in OpenSSH, the last blank separates; a tab only where there is no blank.
    let cut = text
        .iter()
        .rposition(|byte| *byte == b' ')
        .or_else(|| text.iter().rposition(|byte| *byte == b'\t'));
    let (options, name) = match cut {
        Some(cut) => (KeyOptions::parse(&text[..cut]), skip_blanks(&text[cut..])),
        None => (Ok(KeyOptions::default()), text),
    };
    Some(PrincipalLine {
        options,
        name: name.into(),
    })
}

/// Whether a certificate is admitted because its CA is in `TrustedUserCAKeys`.
///
/// `trusted` is that file's keys. `principals` is the `AuthorizedPrincipalsFile` of the account: `None` if none is configured, then
/// the account's name itself must be a principal; a configured file that does not exist is an empty one.
///
/// # Errors
/// Why it is not, and which line of the principals file has it so.
pub fn judge_trusted_certificate(
    offered: &PublicKey,
    trusted: &[PublicKey],
    principals: Option<&AuthorizedPrincipals>,
    login: &LoginContext<'_>,
) -> Result<KeyOptions, TrustRefusal> {
    let refuse = |why| TrustRefusal {
        line: None,
        why: LineRefusal::Certificate(why),
    };
    let certificate = offered
        .certificate()
        .filter(|certificate| trusted.contains(&certificate.authority))
        .ok_or(refuse(CertificateRefusal::UntrustedAuthority))?;
    let line = match principals {
        None => None,
        Some(file) => Some(
            file.find(certificate)
                .ok_or(refuse(CertificateRefusal::NotAPrincipal))?,
        ),
    };
    let account = line.is_none().then_some(login.account);
    certificate
        .check_user(account, login.now, true)
        .map_err(refuse)?;
    let own = KeyOptions::from_certificate(certificate).map_err(refuse)?;
    authorise(&own, false, login).map_err(|why| TrustRefusal { line: None, why })?;
    let Some((number, options)) = line else {
        return Ok(own);
    };
    let by_line = |why| TrustRefusal {
        line: Some(number),
        why,
    };
    authorise(options, false, login).map_err(by_line)?;
    options
        .merge(&own)
        .ok_or(by_line(LineRefusal::ForcedCommands))
}

/// Why a certificate of a trusted CA is not admitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustRefusal {
    /// The line of the principals file whose options refuse it, from 1; `None` where the certificate itself is the reason.
    pub line: Option<usize>,
    /// Why.
    pub why: LineRefusal,
}
