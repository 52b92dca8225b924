//! The far end's own word on logins that it refused: most refusals look alike to the client.
//!
//! ```text
//! legs refused or dropped
//!   │ script()                 a small program on the server, over its control connection
//!   ▼
//! ServerLog::read()            the last lines of its sshd, from the journal or a file, bounded
//!   │ explain(Question)        the lines of the connections that came from this client, and what they mean
//!   ▼
//! Answer                       a reason, whether it was throttling, the lines as evidence
//! ```
//!
//! At sshd's default `LogLevel INFO` nothing is logged of a key that is simply not in authorized_keys. No answer then
//! means just that, and the prediction explains.

mod answer;
mod line;
mod meaning;
mod nova;
mod script;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Question, ServerLog, is_worth_asking, key_was_taken};
pub use nova::{NovaLog, NovaQuestion, nova_script};
pub use script::script;
