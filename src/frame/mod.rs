//! How a shell program on a node answers, so that the answer can be believed to be whole and to be its own.
//!
//! The stream, which a POSIX shell writes with its builtins alone:
//!
//! ```text
//! whatever start-up files print
//! clearway/1 NONCE                        begin
//! NONCE kind 5:value 0:  3:two            a record: its kind, then LENGTH:BYTES fields, any bytes
//! NONCE kind 4:path <                     a span: a record with raw bytes of unknown length behind it,
//! ...raw bytes...
//! NONCE >                                 up to this line; the newline before it is not part of them
//! NONCE end 2                             the number of records, spans included; nothing behind it counts
//! ```
//!
//! The nonce is random, made by the controller for one program on one node and told to nobody else. What does not
//! know it can neither begin, nor add a record, nor end a span: not start-up noise, not a file's content, not the
//! output of a command. A part of the program that runs as somebody else gets a nonce of its own
//! ([`Nonce::child`]) and answers inside a span, so it speaks only for itself.
//!
//! The end record proves that the answer is whole. Everything is bounded by [`Limits`]; what breaks the form is an
//! error that names the byte.

mod decoder;
mod nonce;
mod shell;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, FrameError, Garbage, Limits, Record, decode};
pub use nonce::Nonce;
pub use shell::{SHELL, prelude, sh_quote};
