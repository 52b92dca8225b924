//! `RevokedKeys` and `RevokedHostKeys` files: a list of keys, or a binary revocation list (ssh-keygen(1), KEY REVOCATION LISTS;
//! `sshkey_check_revoked` and `sshkey_in_file` of `authfile.c`, `krl.c` and PROTOCOL.krl of OpenSSH).

mod krl;
mod list;

#[cfg(test)]
mod tests;

pub use list::{RevokedKeys, UnreadableList};
