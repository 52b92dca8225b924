//! The secret of one program on one node.

use std::fmt;

use sha2::{Digest, Sha256};

/// 128 random bits as 32 hexadecimal digits, which mark every record of one answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Makes a nonce of random bits. They come from the caller: nothing here is random.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex(&random))
    }

    /// The nonce of a part of the program, which does not tell anything about this one.
    #[must_use]
    pub fn child(&self, part: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(self.0.as_bytes())
            .chain_update(b" ")
            .chain_update(part.as_bytes())
            .finalize();
        Self(hex(&digest[..16]))
    }

    /// The 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Does not show the digits: who has them can answer in the program's place.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
