//! Binary revocation lists (PROTOCOL.krl; `ssh_krl_from_blob` and `is_key_revoked` of `krl.c`).

use std::collections::{BTreeSet, HashSet};

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::openssh::key::{Certificate, Fingerprint, KeyBlob, PublicKey, WireReader};

const MAGIC: &[u8] = b"SSHKRL\n\0";
const FORMAT_VERSION: u32 = 1;

const SECTION_CERTIFICATES: u8 = 1;
const SECTION_KEYS: u8 = 2;
const SECTION_SHA1: u8 = 3;
const SECTION_SIGNATURE: u8 = 4;
const SECTION_SHA256: u8 = 5;
const SECTION_EXTENSION: u8 = 255;

const CERT_SERIAL_LIST: u8 = 0x20;
const CERT_SERIAL_RANGE: u8 = 0x21;
const CERT_SERIAL_BITMAP: u8 = 0x22;
const CERT_KEY_ID: u8 = 0x23;
const CERT_EXTENSION: u8 = 0x39;

/// A revocation list.
#[derive(Clone, Debug, Default)]
pub(super) struct Krl {
    keys: HashSet<Vec<u8>>,
    sha1: HashSet<Vec<u8>>,
    sha256: HashSet<Vec<u8>>,
    certificates: Vec<Certificates>,
}

/// Revoked certificates of one CA.
#[derive(Clone, Debug, Default)]
struct Certificates {
    /// `None` for every CA.
    authority: Option<PublicKey>,
    /// First and last of each range.
    serials: Vec<(u64, u64)>,
    key_ids: HashSet<Vec<u8>>,
}

/// A part of the list that is not as it should be; OpenSSH then reads none of it.
type Strict<T> = Result<T, ()>;

impl Krl {
    /// Reads a list. `None` if the bytes do not begin like one.
    pub(super) fn parse(bytes: &[u8]) -> Option<Strict<Self>> {
        Some(Self::parse_body(bytes.strip_prefix(MAGIC)?))
    }

    fn parse_body(bytes: &[u8]) -> Strict<Self> {
        let mut reader = WireReader::new(bytes);
        if reader.u32() != Some(FORMAT_VERSION) {
            return Err(());
        }
        for _ in ["version", "date", "flags"] {
            reader.u64().ok_or(())?;
        }
        reader.string().ok_or(())?; // reserved
        reader.c_string().ok_or(())?; // comment
        let mut krl = Self::default();
        while !reader.is_empty() {
            let kind = reader.u8().ok_or(())?;
            let mut section = WireReader::new(reader.string().ok_or(())?);
            match kind {
                SECTION_CERTIFICATES => krl.certificates.push(Certificates::parse(&mut section)?),
                SECTION_KEYS => read_blobs(&mut section, &mut krl.keys, None)?,
                SECTION_SHA1 => read_blobs(&mut section, &mut krl.sha1, Some(20))?,
                SECTION_SHA256 => read_blobs(&mut section, &mut krl.sha256, Some(32))?,
                SECTION_EXTENSION => read_extension(&mut section)?,
                // The signature itself follows the key; nothing checks it.
                SECTION_SIGNATURE => {
                    reader.string().ok_or(())?;
                    continue;
                }
                _ => return Err(()),
            }
            if !section.is_empty() {
                return Err(());
            }
        }
        Ok(krl)
    }

    /// `ssh_krl_check_key`
    pub(super) fn revokes(&self, key: &PublicKey) -> bool {
        let Some(certificate) = key.certificate() else {
            return self.revokes_plain(key);
        };
        self.revokes_plain(key)
            || self.revokes_plain(&certificate.authority)
            || self
                .certificates
                .iter()
                .any(|revoked| revoked.revokes(certificate))
    }

    /// A list of these plain keys, and of certificates with these key ids, whoever signed them.
    pub(super) fn of<'a>(
        keys: impl IntoIterator<Item = &'a KeyBlob>,
        ids: impl IntoIterator<Item = &'a [u8]>,
    ) -> Self {
        let keys = keys.into_iter().map(|key| key.as_bytes().to_vec());
        let of_everybody = Certificates {
            key_ids: ids.into_iter().map(<[u8]>::to_vec).collect(),
            ..Certificates::default()
        };
        Self {
            keys: keys.collect(),
            certificates: vec![of_everybody],
            ..Self::default()
        }
    }

    /// What the other list revokes and this one does not, as lines for `ssh-keygen -k`.
    pub(super) fn lacks(&self, other: &Self) -> BTreeSet<String> {
        let mut lacking = BTreeSet::new();
        let has = |hash: &[u8]| {
            self.sha256.contains(hash) || self.keys.iter().any(|key| *Sha256::digest(key) == *hash)
        };
        for key in &other.keys {
            if !self.keys.contains(key) && !has(&Sha256::digest(key)) {
                lacking.insert(match PublicKey::from_wire(key) {
                    Ok(key) => format!("key: {key}"),
                    Err(_) => "a key of a kind that is not known".to_owned(),
                });
            }
        }
        for hash in other.sha256.iter().filter(|hash| !has(hash)) {
            if let Ok(hash) = hash.as_slice().try_into() {
                lacking.insert(format!("hash: {}", Fingerprint::from_bytes(hash)));
            }
        }
        let has_old = |hash: &Vec<u8>| {
            self.sha1.contains(hash) || self.keys.iter().any(|key| *Sha1::digest(key) == **hash)
        };
        if !other.sha1.iter().all(has_old) {
            lacking.insert("keys by their SHA-1".to_owned());
        }
        for theirs in &other.certificates {
            let own = || {
                let all = self.certificates.iter();
                all.filter(|own| own.authority.is_none() || own.authority == theirs.authority)
            };
            for id in &theirs.key_ids {
                if !own().any(|own| own.key_ids.contains(id)) {
                    lacking.insert(format!("id: {}", String::from_utf8_lossy(id)));
                }
            }
            for (first, last) in &theirs.serials {
                let mut ranges = own().flat_map(|own| &own.serials);
                if !ranges.any(|range| range.0 <= *first && *last <= range.1) {
                    lacking.insert(format!("serial: {first}-{last}"));
                }
            }
        }
        lacking
    }

    fn revokes_plain(&self, key: &PublicKey) -> bool {
        let blob = key.plain_blob();
        self.keys.contains(blob.as_bytes())
            || self
                .sha256
                .contains(key.fingerprint().as_bytes().as_slice())
            || (!self.sha1.is_empty()
                && self.sha1.contains(Sha1::digest(blob.as_bytes()).as_slice()))
    }
}

impl Certificates {
    fn parse(section: &mut WireReader<'_>) -> Strict<Self> {
        let authority = section.string().ok_or(())?;
        section.string().ok_or(())?; // reserved
        let authority = if authority.is_empty() {
            None
        } else {
            Some(PublicKey::from_wire(authority).map_err(|_| ())?)
        };
        let mut revoked = Self {
            authority,
            ..Self::default()
        };
        while !section.is_empty() {
            let kind = section.u8().ok_or(())?;
            let mut part = WireReader::new(section.string().ok_or(())?);
            match kind {
                CERT_SERIAL_LIST => {
                    while !part.is_empty() {
                        let serial = part.u64().ok_or(())?;
                        revoked.add_serials(serial, serial)?;
                    }
                }
                CERT_SERIAL_RANGE => {
                    let (first, last) = (part.u64().ok_or(())?, part.u64().ok_or(())?);
                    revoked.add_serials(first, last)?;
                }
                CERT_SERIAL_BITMAP => {
                    let first = part.u64().ok_or(())?;
                    revoked.add_bitmap(first, part.integer().ok_or(())?)?;
                }
                CERT_KEY_ID => {
                    while !part.is_empty() {
                        revoked.key_ids.insert(part.c_string().ok_or(())?.to_vec());
                    }
                }
                CERT_EXTENSION => read_extension(&mut part)?,
                _ => return Err(()),
            }
            if !part.is_empty() {
                return Err(());
            }
        }
        Ok(revoked)
    }

    /// The serial number 0 stands for certificates that are not counted, and cannot be revoked by it.
    fn add_serials(&mut self, first: u64, last: u64) -> Strict<()> {
        if first == 0 || first > last {
            return Err(());
        }
        self.serials.push((first, last));
        Ok(())
    }

    /// The last byte holds the first numbers.
    fn add_bitmap(&mut self, offset: u64, bitmap: &[u8]) -> Strict<()> {
        for (bit, at) in bitmap
            .iter()
            .rev()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1))
            .zip(0..)
        {
            if bit == 1 {
                let serial = offset.checked_add(at).ok_or(())?;
                self.add_serials(serial, serial)?;
            }
        }
        Ok(())
    }

    fn revokes(&self, certificate: &Certificate) -> bool {
        let is_by_this_authority = self
            .authority
            .as_ref()
            .is_none_or(|authority| *authority == certificate.authority);
        is_by_this_authority
            && (self.key_ids.contains(&certificate.key_id)
                || self
                    .serials
                    .iter()
                    .any(|(first, last)| (*first..=*last).contains(&certificate.serial)))
    }
}

fn read_blobs(
    section: &mut WireReader<'_>,
    blobs: &mut HashSet<Vec<u8>>,
    length: Option<usize>,
) -> Strict<()> {
    while !section.is_empty() {
        let blob = section.string().ok_or(())?;
        if length.is_some_and(|length| length != blob.len()) {
            return Err(());
        }
        blobs.insert(blob.to_vec());
    }
    Ok(())
}

/// No extension is known; those that may not be overlooked make the list unreadable.
fn read_extension(section: &mut WireReader<'_>) -> Strict<()> {
    section.c_string().ok_or(())?;
    let is_critical = section.u8().ok_or(())? != 0;
    section.string().ok_or(())?;
    if is_critical { Err(()) } else { Ok(()) }
}
