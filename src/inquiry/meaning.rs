//! What sshd and PAM mean by a line. The texts are OpenSSH's (auth.c, auth2-pubkey.c, auth2-pubkeyfile.c,
//! auth-options.c, auth-pam.c, session.c, sshd.c; releases 8.0 to 10.x) and Linux-PAM's.

use crate::domain::Reason;

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This is why.
    Says(Reason),
    /// It follows from something that another line may name; alone it means this.
    Suggests(Reason),
    /// sshd drops connections unasked for a while: it says nothing about this one's trust.
    Throttling,
}

use Meaning::{Says, Suggests, Throttling};

/// How a text is looked for.
enum Where {
    Start,
    Anywhere,
}
use Where::{Anywhere, Start};

const TEXTS: &[(Where, &str, Meaning)] = &[
    (Start, "Invalid user ", Says(Reason::AccountMissing)),
    (
        Start,
        "Failed publickey for invalid user ",
        Says(Reason::AccountMissing),
    ),
    (
        Start,
        "maximum authentication attempts exceeded for ",
        Says(Reason::TooManyKeys),
    ),
    (
        Start,
        "Failed publickey for ",
        Suggests(Reason::KeyNotAuthorized),
    ),
    (
        Start,
        "Authentication refused: bad ownership or modes for ",
        Says(Reason::AuthorizedKeysModes),
    ),
    (
        Start,
        "Could not open user '",
        Says(Reason::AuthorizedKeysUnreadable),
    ),
    (
        Start,
        "Could not open authorized keys ",
        Says(Reason::AuthorizedKeysUnreadable),
    ),
    (
        Anywhere,
        "with correct key but not from a permitted host",
        Says(Reason::KeyFromMismatch),
    ),
    (
        Anywhere,
        "with valid certificate but not from a permitted ",
        Says(Reason::UserCertificateSourceAddress),
    ),
    (Anywhere, ": entry expired at ", Says(Reason::KeyExpired)),
    (
        Anywhere,
        ": bad key options: ",
        Says(Reason::KeyOptionInvalid),
    ),
    (
        Start,
        "Certificate invalid: expired",
        Says(Reason::UserCertificateExpired),
    ),
    (
        Start,
        "Certificate invalid: not yet valid",
        Says(Reason::UserCertificateNotYetValid),
    ),
    (
        Start,
        "Certificate invalid: name is not a listed principal",
        Says(Reason::UserCertificateWrongPrincipal),
    ),
    (
        Start,
        "Certificate does not contain an authorized principal",
        Says(Reason::UserCertificateWrongPrincipal),
    ),
    (
        Start,
        "Certificate lacks principal list",
        Says(Reason::UserCertificateNoPrincipal),
    ),
    (
        Anywhere,
        " is not listed in ",
        Suggests(Reason::UserCertificateUnknownAuthority),
    ),
    (
        Start,
        "Error checking authentication key ",
        Says(Reason::RevokedKeysUnreadable),
    ),
    (Start, "Authentication key ", Says(Reason::KeyRevoked)),
    (
        Start,
        "WARNING: authentication attempt with a revoked ",
        Says(Reason::KeyRevoked),
    ),
    (
        Anywhere,
        " not in PubkeyAccepted",
        Says(Reason::KeyAlgorithmRefused),
    ),
    // auth2-pubkey.c `userauth_pubkey`
    (
        Anywhere,
        "certificate signature algorithm ",
        Says(Reason::UserCertificateSignature),
    ),
    (
        Start,
        "refusing RSA key: Invalid key length",
        Says(Reason::KeyAlgorithmRefused),
    ),
    (
        Start,
        "AuthorizedKeysCommand ",
        Suggests(Reason::KeyNotAuthorized),
    ),
    (
        Start,
        "AuthorizedKeysCommandUser ",
        Suggests(Reason::KeyNotAuthorized),
    ),
    (
        Start,
        "Unsafe AuthorizedKeysCommand",
        Suggests(Reason::KeyNotAuthorized),
    ),
    (
        Start,
        "ROOT LOGIN REFUSED FROM ",
        Says(Reason::AccountNotAllowed),
    ),
    (
        Anywhere,
        ":account): account ",
        Says(Reason::AccountExpired),
    ),
    (
        Anywhere,
        ":account): expired password for user ",
        Says(Reason::PasswordChangeRequired),
    ),
    (Anywhere, ":account): ", Suggests(Reason::PamRefused)),
    (
        Start,
        "Access denied for user ",
        Suggests(Reason::PamRefused),
    ),
    (
        Start,
        "PAM: pam_open_session(): ",
        Says(Reason::SessionRefused),
    ),
    (
        Start,
        "bad ownership or modes for chroot directory",
        Says(Reason::SessionRefused),
    ),
    (Start, "no more sessions", Says(Reason::SessionRefused)),
    (
        Anywhere,
        "refusing non-sftp session",
        Says(Reason::ForcedCommandDenied),
    ),
    (
        Start,
        "subsystem request for sftp ",
        Says(Reason::SftpMissing),
    ),
    (
        Start,
        "Missing privilege separation directory",
        Says(Reason::KeyExchangeFailed),
    ),
    (Start, "chroot(", Says(Reason::KeyExchangeFailed)),
    (
        Start,
        "Unable to negotiate with ",
        Says(Reason::NoCommonAlgorithm),
    ),
    (Start, "beginning MaxStartups throttling", Throttling),
    (Start, "in MaxStartups throttling for ", Throttling),
    (Start, "exited MaxStartups throttling after ", Throttling),
    (Start, "drop connection #", Throttling),
];

/// Reads a text of sshd, without its severity.
pub(super) fn meaning(text: &str) -> Option<Meaning> {
    if let Some(why) = text
        .strip_prefix("User ")
        .and_then(|rest| rest.split_once(" not allowed because "))
        .map(|(_, why)| why)
    {
        return Some(Says(if why.starts_with("account is locked") {
            Reason::AccountLocked
        } else if why.starts_with("shell ") {
            Reason::AccountShellMissing
        } else {
            Reason::AccountNotAllowed
        }));
    }
    if text.starts_with("Account ") && text.ends_with(" has expired") {
        return Some(Says(Reason::AccountExpired));
    }
    let found = TEXTS.iter().find(|(place, pattern, _)| match place {
        Start => text.starts_with(pattern),
        Anywhere => text.contains(pattern),
    });
    found.map(|(_, _, meaning)| *meaning)
}

/// Whether sshd writes down at `LogLevel INFO`, its default, that this is why.
pub(super) fn is_said(reason: Reason) -> bool {
    let of_accounts = [
        Reason::AccountLocked,
        Reason::AccountShellMissing,
        Reason::AccountNotAllowed,
    ];
    let says = |meaning: &Meaning| *meaning == Says(reason);
    of_accounts.contains(&reason) || TEXTS.iter().any(|(_, _, meaning)| says(meaning))
}
