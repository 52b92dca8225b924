//! What is proposed in a key exchange, besides the host key algorithms.

use russh::{cipher, kex};

/// Key exchanges, in OpenSSH's order (myproposal.h `KEX_CLIENT`): the SSH library's own list leaves out NIST's curves, which
/// are all that FIPS mode and some hardening guides let a server have beside the slow groups.
pub(super) const KEY_EXCHANGES: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_GEX_SHA256,
    kex::DH_G16_SHA512,
    kex::DH_G18_SHA512,
    kex::DH_G14_SHA256,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

/// Ciphers, in the order of OpenSSH since 10.0 (myproposal.h `KEX_CLIENT_ENCRYPT`): those with authentication first. The SSH
/// library's own list has no AES-128-GCM.
pub(super) const CIPHERS: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];
