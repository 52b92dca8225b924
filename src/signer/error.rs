//! Why something was not signed, told from what `ssh-keygen` says.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::repair::certificates::MismatchedCertificate;

/// What kind of thing keeps the authority from signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignerFault {
    /// No agent answers on `SSH_AUTH_SOCK`.
    NoAgent,
    /// The agent is there and does not have the key, or is locked.
    KeyNotInAgent,
    /// The agent has the key and refused to sign: it asks for a confirmation that nobody gave.
    AgentRefused,
    /// The key file has a passphrase, or the token wants a PIN.
    PassphraseNeeded,
    /// There is no such key file, or it is not readable.
    NoKeyFile,
    /// Others may read the key file.
    KeyFileTooOpen,
    /// The PKCS#11 library cannot be used, or the token is not there.
    Token,
    /// Anything else.
    Other,
}

/// Something was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// `ssh-keygen` cannot be started.
    #[error("cannot start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The private directory cannot be made, written or read.
    #[error("cannot use {}", path.display())]
    Scratch {
        /// What cannot be used.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The public half of the authority's key is not there, or is no public key.
    #[error("no public key in {}: {why}", path.display())]
    Public {
        /// The file.
        path: PathBuf,
        /// Why it is of no use.
        why: String,
    },
    /// `ssh-keygen` did not end in time.
    #[error("ssh-keygen did not sign for {what} within {} s", limit.as_secs())]
    TooSlow {
        /// What it was to sign.
        what: String,
        /// How long it was given.
        limit: Duration,
    },
    /// `ssh-keygen` refused.
    #[error("ssh-keygen did not sign for {what}: {said}")]
    Refused {
        /// What it was to sign.
        what: String,
        /// What kind of refusal it is.
        fault: SignerFault,
        /// Its own words.
        said: String,
    },
    /// It signed something else than it was asked to.
    #[error(transparent)]
    Mismatched(#[from] MismatchedCertificate),
}

impl SignerFault {
    /// Tells it from what `ssh-keygen` wrote to standard error (`do_ca_sign`, `agent_signer`, `load_identity` of
    /// `ssh-keygen.c`; `pkcs11_add_provider` of `ssh-pkcs11.c`).
    #[must_use]
    pub fn of(said: &str) -> Self {
        const TABLE: &[(&str, SignerFault)] = &[
            ("agent not present", SignerFault::NoAgent),
            ("agent contains no identities", SignerFault::KeyNotInAgent),
            ("Retrieve agent key list", SignerFault::KeyNotInAgent),
            ("not found in agent", SignerFault::KeyNotInAgent),
            ("agent refused operation", SignerFault::AgentRefused),
            ("incorrect passphrase", SignerFault::PassphraseNeeded),
            ("PIN", SignerFault::PassphraseNeeded),
            ("login failed", SignerFault::PassphraseNeeded),
            ("C_Login failed", SignerFault::PassphraseNeeded),
            ("login required", SignerFault::PassphraseNeeded),
            ("too open", SignerFault::KeyFileTooOpen),
            ("bad permissions", SignerFault::KeyFileTooOpen),
            ("pkcs11", SignerFault::Token),
            ("PKCS#11", SignerFault::Token),
            ("No PKCS#11 key matching", SignerFault::Token),
            ("No such file or directory", SignerFault::NoKeyFile),
            ("Permission denied", SignerFault::NoKeyFile),
        ];
        TABLE
            .iter()
            .find(|(words, _)| said.contains(words))
            .map_or(Self::Other, |(_, fault)| *fault)
    }

    /// What to type next.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::NoAgent => "start one: `eval $(ssh-agent)`, then `ssh-add` the authority's key",
            Self::KeyNotInAgent => {
                "add the authority's key: `ssh-add FILE` (a token: `ssh-add -s LIBRARY`), or unlock the agent: `ssh-add -X`"
            }
            Self::AgentRefused => {
                "the agent asks before it signs (`ssh-add -c`): confirm, or add the key without `-c`"
            }
            Self::PassphraseNeeded => {
                "nobody is asked for a passphrase or PIN: `ssh-add` the key (a token: `ssh-add -s LIBRARY`) and say `--ca-agent`"
            }
            Self::NoKeyFile => "name the authority's private key with `--ca FILE`",
            Self::KeyFileTooOpen => "take it from others: `chmod 600 FILE`",
            Self::Token => {
                "name the token's PKCS#11 library with `--ca-token LIBRARY`; `ssh-keygen -D LIBRARY` shows what it has"
            }
            Self::Other => "try it by hand: `ssh-keygen -s FILE -I test -n test KEY.pub`",
        }
    }
}
