//! Comments of the lines that a repair writes into authorized_keys and known_hosts: by them it knows its own, and whose they are.

/// What stands before the name of a node in the comment of every line that clearway writes.
pub const COMMENT: &str = "clearway:";
/// Comment of the lines that make clients trust the authority for host names.
pub const HOST_AUTHORITY: &str = "clearway:host-authority";
/// Comment of the lines that make servers trust the authority for logins.
pub const USER_AUTHORITY: &str = "clearway:user-authority";
/// Comment of the lines that make clients refuse a host key.
pub const REVOKED: &str = "clearway:revoked";

/// The node that a comment of clearway names.
#[must_use]
pub fn node_of_comment(comment: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(comment.trim_ascii()).ok()?;
    text.strip_prefix(COMMENT)
}
