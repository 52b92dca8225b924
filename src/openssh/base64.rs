//! Base64 as the C library's `b64_pton` accepts it, which is what OpenSSH calls for keys and hashed names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Decodes, skipping white space anywhere (also the `\r` of files from Windows), with padding required and no stray bits.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t'..=b'\r');
    if text.iter().any(is_space) {
        let packed: Vec<u8> = text
            .iter()
            .copied()
            .filter(|byte| !is_space(byte))
            .collect();
        STANDARD.decode(packed).ok()
    } else {
        STANDARD.decode(text).ok()
    }
}

/// Encodes with padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_skipped_and_padding_is_required() {
        assert_eq!(decode(b"QQ==\r"), Some(b"A".to_vec()));
        assert_eq!(decode(b"Q\nQ=\x0b="), Some(b"A".to_vec()));
        assert_eq!(decode(b"QQ="), None);
        assert_eq!(decode(b"QQ"), None);
        assert_eq!(
            decode(b"QR=="),
            None,
            "bits beyond the last byte must be zero"
        );
        assert_eq!(decode(b"QQ==x"), None);
        assert_eq!(decode(b""), Some(Vec::new()));
    }
}
