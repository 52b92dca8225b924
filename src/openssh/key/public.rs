//! Public keys as OpenSSH reads them (`sshkey_read` and `sshkey_from_blob` of `sshkey.c`).

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::blob::{Fingerprint, KeyBlob};
use super::certificate::Certificate;
use super::kind::KeyKind;
use super::wire::{WireReader, put_integer, put_string};
use crate::openssh::base64;
use crate::openssh::lines::{Lines, is_blank, skip_blanks, split_word};

/// Why OpenSSH does not take something for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KeyError {
    /// There is no type word, or nothing behind it.
    #[error("key: type or data missing")]
    Missing,
    /// The type is none that OpenSSH knows.
    #[error("key: unknown type")]
    UnknownType,
    /// The data is not base64.
    #[error("key: not base64")]
    NotBase64,
    /// The blob ends early, goes on too long or holds impossible numbers.
    #[error("key: malformed data")]
    Malformed,
    /// The word before the data says another type than the data.
    #[error("key: type does not agree with the data")]
    TypeMismatch,
    /// An elliptic curve point that is not on its curve.
    #[error("key: point not on its curve")]
    NotOnCurve,
    /// An RSA modulus below 1,024 bits.
    #[error("key: RSA modulus too short: {bits} bits")]
    TooShort {
        /// Length of the modulus.
        bits: u32,
    },
    /// A certificate's own part is malformed.
    #[error("certificate: malformed data")]
    MalformedCertificate,
    /// A certificate that is neither a user's nor a host's.
    #[error("certificate: neither for users nor for hosts")]
    CertificateRole,
    /// The signing key is no key that may sign.
    #[error("certificate: bad signing key")]
    SigningKey,
    /// The signature is not the signing key's.
    #[error("certificate: wrong signature")]
    Signature,
}

/// The shortest RSA key OpenSSH reads at all (`SSH_RSA_MINIMUM_MODULUS_SIZE`).
const SHORTEST_RSA: u32 = 1024;

/// A public key or a certificate. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    kind: KeyKind,
    bits: u32,
    plain: KeyBlob,
    certificate: Option<Arc<Certificate>>,
}

impl PublicKey {
    /// Reads a wire blob, as a whole.
    ///
    /// # Errors
    /// OpenSSH would not take it; see [`KeyError`].
    pub fn from_wire(blob: &[u8]) -> Result<Self, KeyError> {
        let mut reader = WireReader::new(blob);
        let name = reader.c_string().ok_or(KeyError::Malformed)?;
        let name = std::str::from_utf8(name).map_err(|_| KeyError::UnknownType)?;
        let (kind, is_certificate) = KeyKind::from_algorithm(name).ok_or(KeyError::UnknownType)?;
        if is_certificate {
            reader.string().ok_or(KeyError::Malformed)?; // the nonce
        }
        let (plain, bits) = read_plain(kind, &mut reader)?;
        let certificate = if is_certificate {
            Some(Arc::new(Certificate::read(blob, &mut reader)?))
        } else {
            None
        };
        if !reader.is_empty() {
            return Err(KeyError::Malformed);
        }
        Ok(Self {
            kind,
            bits,
            plain,
            certificate,
        })
    }

    /// Reads `TYPE BASE64` at the start of a line's text and returns what follows, without the blanks before it
    /// (`sshkey_read`). Only blank and tab separate; `\r` and the like inside the base64 are skipped.
    ///
    /// # Errors
    /// OpenSSH would find no key there; see [`KeyError`].
    pub fn read(text: &[u8]) -> Result<(Self, &[u8]), KeyError> {
        let (words, rest) = split_key(text)?;
        Ok((Self::from_fields(words.name, words.base64)?, rest))
    }

    fn from_fields(name: &[u8], data: &[u8]) -> Result<Self, KeyError> {
        let name = std::str::from_utf8(name).map_err(|_| KeyError::UnknownType)?;
        let (kind, is_certificate) = KeyKind::from_algorithm(name).ok_or(KeyError::UnknownType)?;
        let blob = base64::decode(data).ok_or(KeyError::NotBase64)?;
        let key = Self::from_wire(&blob)?;
        if key.kind != kind || key.certificate.is_some() != is_certificate {
            return Err(KeyError::TypeMismatch);
        }
        Ok(key)
    }

    /// Reads a `.pub` file: the first line that holds a key, and its comment (`sshkey_try_load_public`).
    ///
    /// # Errors
    /// No line holds a key; the error is that of the first line that is not a comment.
    pub fn read_file(bytes: &[u8]) -> Result<(Self, Vec<u8>), KeyError> {
        let mut first_error = None;
        for line in Lines::new(bytes).visible() {
            if line.is_empty() || line[0] == b'#' {
                continue;
            }
            if line.starts_with(b"-----BEGIN") {
                break;
            }
            match Self::read(skip_blanks(line)) {
                Ok((key, comment)) => {
                    let end = comment
                        .iter()
                        .position(|byte| *byte == b'\r')
                        .unwrap_or(comment.len());
                    return Ok((key, comment[..end].to_vec()));
                }
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.unwrap_or(KeyError::Missing))
    }

    /// What kind of key it is, or certifies.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Length of the key in bits as `ssh-keygen -l` shows it: the modulus of RSA and DSA, the order of a curve.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The certificate, if this is one.
    #[must_use]
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_deref()
    }

    /// Blob of the plain key; for a certificate, of the key it certifies.
    #[must_use]
    pub fn plain_blob(&self) -> &KeyBlob {
        &self.plain
    }

    /// Blob of the key, or of the whole certificate.
    #[must_use]
    pub fn blob(&self) -> &KeyBlob {
        self.certificate
            .as_ref()
            .map_or(&self.plain, |certificate| certificate.blob())
    }

    /// Fingerprint of the plain key: OpenSSH gives a certificate the fingerprint of the key it certifies.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.plain.fingerprint()
    }

    /// The key without the certificate around it (`sshkey_drop_cert`).
    #[must_use]
    pub fn to_plain(&self) -> Self {
        Self {
            certificate: None,
            ..self.clone()
        }
    }

    /// The type as it stands in files: `ssh-ed25519`, `ssh-ed25519-cert-v01@openssh.com`, …
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        if self.certificate.is_some() {
            self.kind.certificate_name()
        } else {
            self.kind.name()
        }
    }
}

impl fmt::Display for PublicKey {
    /// `TYPE BASE64`, as in files.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_name(), self.blob().to_base64())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.type_name(), self.fingerprint())
    }
}

/// The two words of a key in a line.
struct KeyWords<'a> {
    name: &'a [u8],
    base64: &'a [u8],
    /// Both words with the blanks between them.
    spelled: &'a [u8],
}

fn split_key(text: &[u8]) -> Result<(KeyWords<'_>, &[u8]), KeyError> {
    let (name, rest) = split_word(text);
    if !rest.first().is_some_and(|byte| is_blank(*byte)) {
        return Err(KeyError::Missing);
    }
    let data = skip_blanks(rest);
    if data.is_empty() {
        return Err(KeyError::Missing);
    }
    let (base64, rest) = split_word(data);
    let spelled = &text[..text.len() - rest.len()];
    Ok((
        KeyWords {
            name,
            base64,
            spelled,
        },
        skip_blanks(rest),
    ))
}

/// Reads the fields of a plain key and returns its canonical blob and its length in bits.
fn read_plain(kind: KeyKind, reader: &mut WireReader<'_>) -> Result<(KeyBlob, u32), KeyError> {
    let mut blob = Vec::with_capacity(reader.rest().len() + 32);
    put_string(&mut blob, kind.name().as_bytes());
    let bits = match kind {
        KeyKind::Rsa => {
            let exponent = reader.integer().ok_or(KeyError::Malformed)?;
            let modulus = reader.integer().ok_or(KeyError::Malformed)?;
            put_integer(&mut blob, exponent);
            put_integer(&mut blob, modulus);
            let bits = bit_length(modulus);
            if bits < SHORTEST_RSA {
                return Err(KeyError::TooShort { bits });
            }
            bits
        }
        KeyKind::Dsa => {
            let mut bits = 0;
            for at in 0..4 {
                let number = reader.integer().ok_or(KeyError::Malformed)?;
                put_integer(&mut blob, number);
                if at == 0 {
                    bits = bit_length(number);
                }
            }
            bits
        }
        KeyKind::Ed25519 | KeyKind::SkEd25519 => {
            let point = reader
                .string()
                .filter(|point| point.len() == 32)
                .ok_or(KeyError::Malformed)?;
            put_string(&mut blob, point);
            256
        }
        KeyKind::EcdsaP256 | KeyKind::SkEcdsaP256 => {
            read_point(reader, &mut blob, "nistp256", 256)?
        }
        KeyKind::EcdsaP384 => read_point(reader, &mut blob, "nistp384", 384)?,
        KeyKind::EcdsaP521 => read_point(reader, &mut blob, "nistp521", 521)?,
    };
    if matches!(kind, KeyKind::SkEd25519 | KeyKind::SkEcdsaP256) {
        let application = reader.c_string().ok_or(KeyError::Malformed)?;
        put_string(&mut blob, application);
    }
    Ok((KeyBlob::new(blob), bits))
}

fn read_point(
    reader: &mut WireReader<'_>,
    blob: &mut Vec<u8>,
    curve: &str,
    bits: u32,
) -> Result<u32, KeyError> {
    if reader.c_string().ok_or(KeyError::Malformed)? != curve.as_bytes() {
        return Err(KeyError::TypeMismatch);
    }
    let point = reader.string().ok_or(KeyError::Malformed)?;
    // OpenSSH reads uncompressed points only.
    if point.first() != Some(&4) {
        return Err(KeyError::Malformed);
    }
    let on_curve = match bits {
        256 => p256::PublicKey::from_sec1_bytes(point).is_ok(),
        384 => p384::PublicKey::from_sec1_bytes(point).is_ok(),
        _ => p521::PublicKey::from_sec1_bytes(point).is_ok(),
    };
    if !on_curve {
        return Err(KeyError::NotOnCurve);
    }
    put_string(blob, curve.as_bytes());
    put_string(blob, point);
    Ok(bits)
}

fn bit_length(magnitude: &[u8]) -> u32 {
    let bytes = u32::try_from(magnitude.len()).unwrap_or(u32::MAX / 8);
    magnitude
        .first()
        .map_or(0, |first| bytes * 8 - first.leading_zeros())
}

/// Remembers keys that were read before: fleets repeat the same few keys in thousands of lines, and checking a curve point or a
/// certificate's signature costs far more than finding it here.
#[derive(Debug, Default)]
pub struct KeyInterner {
    seen: HashMap<Box<[u8]>, Result<PublicKey, KeyError>>,
}

impl KeyInterner {
    /// An empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same as [`PublicKey::read`].
    ///
    /// # Errors
    /// See [`PublicKey::read`].
    pub fn read<'a>(&mut self, text: &'a [u8]) -> Result<(PublicKey, &'a [u8]), KeyError> {
        let (words, rest) = split_key(text)?;
        let spelled = words.spelled;
        if let Some(known) = self.seen.get(spelled) {
            return known.clone().map(|key| (key, rest));
        }
        let key = PublicKey::from_fields(words.name, words.base64);
        self.seen.insert(spelled.into(), key.clone());
        key.map(|key| (key, rest))
    }
}
