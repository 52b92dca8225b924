//! Hashed host names: `|1|SALT|HASH`, HMAC-SHA1 of the name with the salt as key (`host_hash` of `hostfile.c`).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use sha1::block_api::compress;

use crate::openssh::base64;

/// One hashed name. It stands for exactly one name; patterns cannot be hashed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct HashedName {
    salt: [u8; 20],
    /// Nothing where the text behind the salt is no hash: OpenSSH then finds the line well-formed, but it never matches.
    hash: Option<[u8; 20]>,
}

impl HashedName {
    /// Reads the hosts field of a line. `None` is what OpenSSH calls a bad host hash.
    #[must_use]
    pub fn parse(field: &[u8]) -> Option<Self> {
        let rest = field.strip_prefix(b"|1|")?;
        let end = rest.iter().position(|byte| *byte == b'|')?;
        let salt = base64::decode(&rest[..end])?.try_into().ok()?;
        let hash = base64::decode(&rest[end + 1..]).and_then(|hash| hash.try_into().ok());
        let parsed = Self { salt, hash };
        // OpenSSH compares the text, so any other spelling of the same bytes never matches.
        let spelled_as_usual = parsed.hash.is_some() && parsed.to_string().as_bytes() == field;
        Some(Self {
            hash: parsed.hash.filter(|_| spelled_as_usual),
            ..parsed
        })
    }

    /// Hashes a name, which must be in the form that is looked up: lower case, `[name]:port` for ports other than 22.
    #[must_use]
    pub fn new(name: &str, salt: [u8; 20]) -> Self {
        Self {
            salt,
            hash: Some(hmac_sha1(&salt, name.as_bytes())),
        }
    }

    /// Whether it stands for this name.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.hash
            .is_some_and(|hash| hmac_sha1(&self.salt, name) == hash)
    }

    /// For trying many names; nothing if it can match none.
    pub(super) fn matcher(&self) -> Option<HashMatcher> {
        Some(HashMatcher::new(&self.salt, &self.hash?))
    }
}

impl fmt::Display for HashedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = self
            .hash
            .map(|hash| base64::encode(&hash))
            .unwrap_or_default();
        write!(f, "|1|{}|{hash}", base64::encode(&self.salt))
    }
}

impl fmt::Debug for HashedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hmac_sha1(salt: &[u8; 20], name: &[u8]) -> [u8; 20] {
    let hmac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes keys of any length");
    hmac.chain_update(name).finalize().into_bytes().into()
}

type Sha1State = [u32; 5];

/// A name laid out for the inner hash, so that trying it costs no more than the two blocks of SHA-1 that HMAC needs.
pub(super) struct HashableName {
    first: [u8; 64],
    /// Empty for names of up to 55 bytes; the others must not make all names slow to reach.
    more: Box<[[u8; 64]]>,
}

impl HashableName {
    pub(super) fn new(name: &[u8]) -> Self {
        let blocks = final_blocks(name);
        let (first, more) = blocks.split_first().expect("padding never leaves it empty");
        Self {
            first: *first,
            more: more.into(),
        }
    }
}

/// What is hashed after the first block of a keyed hash: the message, then SHA-1's padding and length.
fn final_blocks(message: &[u8]) -> Vec<[u8; 64]> {
    let bits = (64 + message.len() as u64) * 8;
    let mut bytes = message.to_vec();
    bytes.push(0x80);
    bytes.resize((bytes.len() + 8).next_multiple_of(64) - 8, 0);
    bytes.extend(bits.to_be_bytes());
    let (blocks, rest) = bytes.as_chunks();
    debug_assert!(rest.is_empty(), "padded to whole blocks");
    blocks.to_vec()
}

/// A hashed name, ready to be compared with many names.
pub(super) struct HashMatcher {
    inner: Sha1State,
    outer: Sha1State,
    hash: Sha1State,
}

impl HashMatcher {
    fn new(salt: &[u8; 20], hash: &[u8; 20]) -> Self {
        let keyed = |pad: u8| {
            let mut block = [pad; 64];
            for (byte, salt) in block.iter_mut().zip(salt) {
                *byte ^= salt;
            }
            // The initial value of SHA-1 (FIPS 180-4, 5.3.1).
            let mut state = [
                0x6745_2301,
                0xefcd_ab89,
                0x98ba_dcfe,
                0x1032_5476,
                0xc3d2_e1f0,
            ];
            compress(&mut state, &[block]);
            state
        };
        let mut words = [0; 5];
        let (bytes, _) = hash.as_chunks();
        for (word, bytes) in words.iter_mut().zip(bytes) {
            *word = u32::from_be_bytes(*bytes);
        }
        Self {
            inner: keyed(0x36),
            outer: keyed(0x5c),
            hash: words,
        }
    }

    pub(super) fn matches(&self, name: &HashableName) -> bool {
        let mut inner = self.inner;
        compress(&mut inner, &[name.first]);
        if !name.more.is_empty() {
            compress(&mut inner, &name.more);
        }
        let mut block = [0; 64];
        let (places, _) = block.as_chunks_mut();
        for (place, word) in places.iter_mut().zip(inner) {
            *place = word.to_be_bytes();
        }
        block[20] = 0x80;
        block[62..].copy_from_slice(&(8_u16 * (64 + 20)).to_be_bytes());
        let mut outer = self.outer;
        compress(&mut outer, &[block]);
        outer == self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_fast_comparison_is_hmac(name in "[a-z0-9.\\[\\]:-]{0,140}", salt: [u8; 20], other in "[a-z]{0,3}") {
            let hashed = HashedName::new(&name, salt);
            let matcher = hashed.matcher().expect("a hash");
            prop_assert!(matcher.matches(&HashableName::new(name.as_bytes())));
            prop_assert_eq!(matcher.matches(&HashableName::new(other.as_bytes())), name == other);
            prop_assert_eq!(HashedName::parse(hashed.to_string().as_bytes()), Some(hashed));
        }
    }
}
