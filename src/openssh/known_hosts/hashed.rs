//! Hashed host names: `|1|SALT|HASH`, HMAC-SHA1 of the name with the salt as key (`host_hash` of `hostfile.c`).

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

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
        let hash = SaltedHasher::new(&salt).hash(name.as_bytes());
        Self {
            salt,
            hash: Some(hash),
        }
    }

    /// Whether it stands for this name.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        self.hash
            .is_some_and(|hash| SaltedHasher::new(&self.salt).hash(name) == hash)
    }

    /// For trying many names; nothing if it can match none.
    pub(super) fn matcher(&self) -> Option<HashMatcher> {
        Some(HashMatcher {
            hasher: SaltedHasher::new(&self.salt),
            hash: self.hash?,
        })
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

/// HMAC with its key schedule done, so that each further name costs two blocks of SHA-1.
struct SaltedHasher(Hmac<Sha1>);

impl SaltedHasher {
    fn new(salt: &[u8; 20]) -> Self {
        Self(Hmac::new_from_slice(salt).expect("HMAC takes keys of any length"))
    }

    fn hash(&self, name: &[u8]) -> [u8; 20] {
        self.0
            .clone()
            .chain_update(name)
            .finalize()
            .into_bytes()
            .into()
    }
}

/// A hashed name, ready to be compared with many names.
pub(super) struct HashMatcher {
    hasher: SaltedHasher,
    hash: [u8; 20],
}

impl HashMatcher {
    pub(super) fn matches(&self, name: &[u8]) -> bool {
        self.hasher.hash(name) == self.hash
    }
}
