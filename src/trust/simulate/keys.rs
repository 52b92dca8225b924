//! Keys that look real and are the same in every run.

use sha2::{Digest as _, Sha256};
use ssh_key::PrivateKey;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::Ed25519Keypair;

use crate::openssh::key::PublicKey;

/// Bytes that depend on the words and on nothing else.
pub(super) fn bytes(words: &[&str], number: usize) -> [u8; 32] {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word);
        hash.update([0]);
    }
    hash.update(number.to_be_bytes());
    hash.finalize().into()
}

/// An ed25519 public key, `type base64`. Any 32 bytes are one to whoever does not verify a signature.
pub(super) fn ed25519(words: &[&str], number: usize) -> String {
    let mut blob = Vec::new();
    string(&mut blob, b"ssh-ed25519");
    string(&mut blob, &bytes(words, number));
    public("ssh-ed25519", &blob)
}

/// An RSA public key of 2,048 bits.
pub(super) fn rsa(words: &[&str], number: usize) -> String {
    let mut modulus: Vec<u8> = (0..8)
        .flat_map(|part| {
            let part = format!("{part}");
            let mut all = words.to_vec();
            all.push(&part);
            bytes(&all, number)
        })
        .collect();
    modulus[0] |= 0x80;
    modulus.insert(0, 0);
    let mut blob = Vec::new();
    string(&mut blob, b"ssh-rsa");
    string(&mut blob, &[1, 0, 1]);
    string(&mut blob, &modulus);
    public("ssh-rsa", &blob)
}

fn string(blob: &mut Vec<u8>, text: &[u8]) {
    blob.extend(u32::try_from(text.len()).unwrap_or(0).to_be_bytes());
    blob.extend(text);
}

fn public(name: &str, blob: &[u8]) -> String {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(blob);
    format!("{name} {data}")
}

/// A key pair whose private half is known, so that it can sign and be certified.
pub(super) fn pair(words: &[&str], number: usize) -> PrivateKey {
    Ed25519Keypair::from_seed(&bytes(words, number)).into()
}

/// The public half of a pair, `type base64`.
pub(super) fn public_half(pair: &PrivateKey) -> String {
    let text = pair.public_key().to_openssh().unwrap_or_default();
    let mut words = text.split(' ').take(2);
    let mut next = || words.next().unwrap_or_default().to_owned();
    format!("{} {}", next(), next())
}

/// A host certificate for a pair, as it stands in a `-cert.pub` file; empty if it cannot be made.
pub(super) fn host_certificate(
    subject: &PrivateKey,
    authority: &PrivateKey,
    names: &[&str],
    valid: (u64, u64),
) -> String {
    let signed = || -> Option<String> {
        let mut builder = Builder::new([3; 16], subject.public_key(), valid.0, valid.1).ok()?;
        builder.serial(1).ok()?.key_id("host").ok()?;
        builder.cert_type(CertType::Host).ok()?;
        for name in names {
            builder.valid_principal(*name).ok()?;
        }
        builder.sign(authority).ok()?.to_openssh().ok()
    };
    let text = signed().unwrap_or_default();
    debug_assert!(PublicKey::read(text.as_bytes()).is_ok());
    text
}
