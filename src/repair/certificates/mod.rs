//! Trust by an SSH certificate authority: N nodes need N changes, and not N².
//!
//! ```text
//! facts + policy
//!   │ wanted()        which certificates are missing, ending, or not as they should be, and what is left to a person
//!   ▼
//! Wanted              requests, each fully determined ─▶ the signer (ssh-keygen) ─▶ signed, each checked again
//!   │ plan()          certificates beside the keys, @cert-authority and cert-authority lines, sshd's part
//!   ▼
//! Plan                nothing that stood there goes away: keys work on until …
//!   │ retire()        … certificates are proven; then the lines of plain keys may go
//!   ▼
//! Plan
//! ```
//!
//! [`Outlook`] says what a plan leads to, by the same prediction that explains a check.

mod drop_in;
mod entries;
mod names;
mod outlook;
mod plan;
mod policy;
mod request;
mod retire;
mod revocation_list;
mod revoke;
mod server_side;
mod sites;
mod standing;
#[cfg(test)]
mod tests;
mod told;
mod wanted;

pub use names::{Disowned, OwnedNames, owned_names};
pub use outlook::{Outlook, afterwards};
pub use plan::{CertificatePlan, plan};
pub use policy::{Authorities, Policy};
pub use request::{CertificateRequest, MismatchedCertificate, Signed, check_signed};
pub use retire::retire;
pub use revocation_list::{BadRevocation, RevocationList};
pub use revoke::{Revocation, revoke};
pub use standing::{other_authority, unlisted};
pub use wanted::{REPLACE_OTHERS, Wanted, wanted};
