//! Authorising keys in an authorized_keys file.

use std::rc::Rc;
use std::sync::Arc;

use super::block::{add_to_block, find_block};
use super::lines::LineEdits;
use crate::domain::node_of_comment;
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::repair::plan::{Piece, Text};

/// A key to authorise, as a whole line.
#[derive(Debug, Clone)]
pub(crate) struct Authorised {
    /// The line, `\n` included.
    pub(crate) line: Rc<[Piece]>,
}

/// Puts lines into clearway's block. Of the lines in it, those that `goes` names (by node and key) go; no line outside
/// of it is touched. `None` if nothing changes.
pub(crate) fn authorise(
    before: &Arc<[u8]>,
    keys: &[Authorised],
    mut goes: impl FnMut(&str, &PublicKey) -> bool,
) -> Option<Text> {
    let mut file = LineEdits::new(Arc::clone(before));
    let block = find_block(&file);
    // Files that are none of clearway's yet are not taken apart.
    if let Some(block) = block {
        let parsed = AuthorizedKeys::parse(&**before);
        for (number, entry) in parsed.keys() {
            if block.owns(number)
                && let Some(node) = node_of_comment(&entry.comment)
                && goes(node, &entry.key)
            {
                file.remove(number);
            }
        }
    }
    let lines = keys.iter().flat_map(|key| key.line.iter().cloned());
    add_to_block(&mut file, block, lines.collect());
    (!file.is_empty()).then(|| file.finish())
}
