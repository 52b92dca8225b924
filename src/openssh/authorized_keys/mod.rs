//! `authorized_keys` and `authorized_principals` files: who may log in, exactly as `sshd` reads them (sshd(8), AUTHORIZED_KEYS FILE
//! FORMAT; `auth2-pubkeyfile.c`, `auth2-pubkey.c` and `auth-options.c` of OpenSSH).
//!
//! - [`AuthorizedKeys`] is one file, with every byte kept; [`AuthorizedKeys::judge`] says what it means for one key.
//! - [`AuthorizedKeysIndex`] answers the same for very many keys at once.
//! - [`judge_trusted_certificate`] is the other way for a certificate, `TrustedUserCAKeys`.

mod document;
mod index;
mod judge;
mod option_text;
mod options;
mod principals;
mod wall_time;

#[cfg(test)]
mod tests;

pub use document::{AuthorizedKey, AuthorizedKeys, BadKeyLine, KeyLine};
pub use index::AuthorizedKeysIndex;
pub use judge::{KeyVerdict, LineRefusal, LoginContext, RefusedLine};
pub use options::{BadOption, KeyOptions};
pub use principals::{AuthorizedPrincipals, TrustRefusal, judge_trusted_certificate};
pub use wall_time::WallTime;
