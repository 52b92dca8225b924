//! The kinds of keys that OpenSSH knows, and their many names.

/// A kind of key; certificates are of the kind of the key they certify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// `ssh-ed25519`
    Ed25519,
    /// `sk-ssh-ed25519@openssh.com`: Ed25519 on a FIDO token
    SkEd25519,
    /// `ecdsa-sha2-nistp256`
    EcdsaP256,
    /// `ecdsa-sha2-nistp384`
    EcdsaP384,
    /// `ecdsa-sha2-nistp521`
    EcdsaP521,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: ECDSA on a FIDO token
    SkEcdsaP256,
    /// `ssh-rsa`, also used with the `rsa-sha2-256` and `rsa-sha2-512` signature algorithms
    Rsa,
    /// `ssh-dss`, unknown to OpenSSH 10.0 and later
    Dsa,
}

/// Kind, name of the plain key, name of its certificate, other names of the plain key, other names of the certificate.
type Names = (
    KeyKind,
    &'static str,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const NAMES: [Names; 8] = [
    (
        KeyKind::Ed25519,
        "ssh-ed25519",
        "ssh-ed25519-cert-v01@openssh.com",
        &[],
        &[],
    ),
    (
        KeyKind::SkEd25519,
        "sk-ssh-ed25519@openssh.com",
        "sk-ssh-ed25519-cert-v01@openssh.com",
        &[],
        &[],
    ),
    (
        KeyKind::EcdsaP256,
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp256-cert-v01@openssh.com",
        &[],
        &[],
    ),
    (
        KeyKind::EcdsaP384,
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp384-cert-v01@openssh.com",
        &[],
        &[],
    ),
    (
        KeyKind::EcdsaP521,
        "ecdsa-sha2-nistp521",
        "ecdsa-sha2-nistp521-cert-v01@openssh.com",
        &[],
        &[],
    ),
    (
        KeyKind::SkEcdsaP256,
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
        &["webauthn-sk-ecdsa-sha2-nistp256@openssh.com"],
        &["webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com"],
    ),
    (
        KeyKind::Rsa,
        "ssh-rsa",
        "ssh-rsa-cert-v01@openssh.com",
        &["rsa-sha2-256", "rsa-sha2-512"],
        &[
            "rsa-sha2-256-cert-v01@openssh.com",
            "rsa-sha2-512-cert-v01@openssh.com",
        ],
    ),
    (
        KeyKind::Dsa,
        "ssh-dss",
        "ssh-dss-cert-v01@openssh.com",
        &[],
        &[],
    ),
];

impl KeyKind {
    fn names(self) -> &'static Names {
        NAMES
            .iter()
            .find(|names| names.0 == self)
            .expect("the table has every kind")
    }

    /// The name a plain key of this kind has in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.names().1
    }

    /// The name a certificate of this kind has in files.
    #[must_use]
    pub fn certificate_name(self) -> &'static str {
        self.names().2
    }

    /// Finds the kind of a key type or signature algorithm, and whether the name is a certificate's.
    #[must_use]
    pub fn from_algorithm(name: &str) -> Option<(Self, bool)> {
        NAMES
            .iter()
            .find_map(|(kind, plain, certificate, more_plain, more_certificate)| {
                if *plain == name || more_plain.contains(&name) {
                    Some((*kind, false))
                } else if *certificate == name || more_certificate.contains(&name) {
                    Some((*kind, true))
                } else {
                    None
                }
            })
    }

    /// The algorithms a server offers for a key of this kind, most preferred first (`list_hostkey_types` of `sshd.c`).
    #[must_use]
    pub fn host_key_algorithms(self, certificate: bool) -> &'static [&'static str] {
        match (self, certificate) {
            (Self::Rsa, false) => &["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"],
            (Self::Rsa, true) => &[
                "rsa-sha2-512-cert-v01@openssh.com",
                "rsa-sha2-256-cert-v01@openssh.com",
                "ssh-rsa-cert-v01@openssh.com",
            ],
            (_, false) => std::slice::from_ref(&self.names().1),
            (_, true) => std::slice::from_ref(&self.names().2),
        }
    }

    /// The word OpenSSH's messages use: `ED25519`, `ECDSA`, `RSA`, …
    #[must_use]
    pub fn short_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ED25519",
            Self::SkEd25519 => "ED25519-SK",
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => "ECDSA",
            Self::SkEcdsaP256 => "ECDSA-SK",
            Self::Rsa => "RSA",
            Self::Dsa => "DSA",
        }
    }
}
