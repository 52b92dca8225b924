//! Keys and certificates for the tests of this layer, the same in every run.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};

use p256::elliptic_curve::sec1::ToSec1Point as _;
use ssh_key::PrivateKey;
use ssh_key::certificate::{Builder, CertType};
use ssh_key::private::{EcdsaKeypair, Ed25519Keypair};

use super::key::PublicKey;

pub(crate) const RSA_1024: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQDMedPjr4B1p5ujYEQ2OldG+Uthuk+rhBjY7wjKMbAXFziSdBOYibuotNgzUU77y6Rg/uK723Z4PNRLBG8heDjafG6qW7UTqokUzFx8zYi0Tk5I4fZ6L5GM+ErT86CMVzQMqKp/IuN5cQlmJERPpl3qWjPHJHc6yc9D5zFic8MKuw==";
pub(crate) const DSA: &str = "ssh-dss AAAAB3NzaC1kc3MAAACBAJuY9KKTMJY1ybznW3J54PoU8IzZSP0GlRdDg31N/xIfrfDHEiTl5ubKIaM4otc+gZL9RD1JeH8hJ7x8c6Bd7a1KbhB5Remm7eKQeK4Qn25IQyaeO0GnG2eRJ/Sj59ow+Umz03+srsoQ4wN1/9npi161OWiwQAjeF3Ewp38BL2oNAAAAFQD3wxzplGckb5Ua/VazEA179H3l6QAAAIEAmXbWicOHujJiG7ZlenvBOm//Vt2WGisuXckMnRLsJo4qdbMN3dO/WkILTuVo24wEVr0m6GvKvlIq1Q4JzzHq8Ru64et1ImTsgRaNSLSsCdOfSLW8yrnDPW7Sp+IDRs9CNKzoHVZsoDw5DXPgTx640rEEyfCl1XXptqLkfVmmI8oAAACAcIFnzkufVo7yn80bx4tQxwqPo9QiBDGq3xaXuboBtllSub59koD+4rfQvQ+5Fm93W56OSzYl7ppcd+NX5Pbo8mDFk9jm/Klrf+gqomwZaAbDZdUvIge2mSL8Bq2LDw1RvwzQFeMhbGRCZ8m9vJhf1pCD/s7QaMQNtxHLT2V/ByI=";

pub(crate) fn ed25519_private(seed: u32) -> PrivateKey {
    let mut bytes = [7; 32];
    bytes[..4].copy_from_slice(&seed.to_be_bytes());
    Ed25519Keypair::from_seed(&bytes).into()
}

pub(crate) fn read(text: &str) -> PublicKey {
    PublicKey::read(text.as_bytes()).expect("a key").0
}

/// Making a key takes milliseconds without optimisation, and properties ask for the same few again and again.
fn cached(algorithm: &'static str, seed: u32, make: impl FnOnce() -> PrivateKey) -> PublicKey {
    static MADE: LazyLock<Mutex<HashMap<(&str, u32), PublicKey>>> = LazyLock::new(Mutex::default);
    let mut made = MADE.lock().expect("no test panics while it makes a key");
    let make = || read(&make().public_key().to_openssh().expect("encodes"));
    made.entry((algorithm, seed)).or_insert_with(make).clone()
}

pub(crate) fn ed25519(seed: u32) -> PublicKey {
    cached("ed25519", seed, || ed25519_private(seed))
}

pub(crate) fn ecdsa(seed: u32) -> PublicKey {
    cached("ecdsa", seed, || {
        let mut scalar = [9; 32];
        scalar[..4].copy_from_slice(&seed.to_be_bytes());
        let secret = p256::SecretKey::from_slice(&scalar).expect("a scalar below the order");
        let public = secret.public_key().to_sec1_point(false);
        EcdsaKeypair::NistP256 {
            public,
            private: secret.into(),
        }
        .into()
    })
}

/// A certificate for the key of one seed, signed by the key of another.
pub(crate) struct CertificateOf<'a> {
    pub(crate) subject: u32,
    pub(crate) authority: u32,
    pub(crate) role: CertType,
    pub(crate) principals: &'a [&'a str],
    pub(crate) valid: (u64, u64),
    pub(crate) critical: &'a [(&'a str, &'a str)],
    pub(crate) extensions: &'a [(&'a str, &'a str)],
}

impl CertificateOf<'_> {
    pub(crate) fn host(subject: u32, authority: u32) -> Self {
        Self {
            subject,
            authority,
            role: CertType::Host,
            principals: &["node2"],
            valid: (100, 200),
            critical: &[],
            extensions: &[],
        }
    }

    pub(crate) fn user(subject: u32, authority: u32) -> Self {
        Self {
            role: CertType::User,
            principals: &["nova"],
            ..Self::host(subject, authority)
        }
    }

    pub(crate) fn sign(&self) -> PublicKey {
        let subject = ed25519_private(self.subject);
        let mut builder = Builder::new([3; 16], subject.public_key(), self.valid.0, self.valid.1)
            .expect("from before to");
        builder
            .serial(42)
            .expect("first")
            .key_id("the id")
            .expect("first")
            .cert_type(self.role)
            .expect("first");
        if self.principals.is_empty() {
            builder.all_principals_valid().expect("first");
        }
        for principal in self.principals {
            builder.valid_principal(*principal).expect("allowed");
        }
        for (name, data) in self.critical {
            builder
                .critical_option(*name, *data)
                .expect("sorted and new");
        }
        for (name, data) in self.extensions {
            builder.extension(*name, *data).expect("sorted and new");
        }
        let certificate = builder
            .sign(&ed25519_private(self.authority))
            .expect("signs");
        PublicKey::from_wire(&certificate.to_bytes().expect("encodes")).expect("a certificate")
    }
}
