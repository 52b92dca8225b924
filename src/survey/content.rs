//! Contents that many nodes share, kept once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::facts::Content;

/// The contents of one run: what is the same on many nodes is kept and judged once.
#[derive(Debug, Default)]
pub struct ContentPool {
    known: Mutex<HashMap<[u8; 32], Arc<[u8]>>>,
}

impl ContentPool {
    /// An empty pool.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The content with these bytes; its memory is shared with all others that have the same.
    pub fn content(&self, bytes: &[u8]) -> Content {
        let sha256: [u8; 32] = Sha256::digest(bytes).into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = known.entry(sha256).or_insert_with(|| Arc::from(bytes));
        Content {
            sha256,
            bytes: Arc::clone(bytes),
        }
    }

    /// How many different contents there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_share_their_memory() {
        let pool = ContentPool::new();
        let (one, two) = (pool.content(b"a"), pool.content(b"a"));
        assert!(Arc::ptr_eq(&one.bytes, &two.bytes));
        assert_ne!(one, pool.content(b"b"));
        assert_eq!(pool.len(), 2);
    }
}
