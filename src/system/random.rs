//! Randomness: names that nobody can guess, and names of runs.

use jiff::Timestamp;
use uuid::Uuid;

/// 32 hexadecimal digits that nobody can guess (122 random bits from the operating system).
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that makes them"
)]
pub fn random_name() -> String {
    Uuid::new_v4().simple().to_string()
}

/// A salt for a hashed name in `known_hosts`: random bytes in the length that OpenSSH wants.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that makes them"
)]
pub fn host_name_salt() -> [u8; 20] {
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let mut salt = [0; 20];
    salt[..16].copy_from_slice(first.as_bytes());
    salt[16..].copy_from_slice(&second.as_bytes()[..4]);
    salt
}

/// 16 bytes that nobody can guess, for the nonces of programs.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that makes them"
)]
pub fn random_bytes() -> [u8; 16] {
    // The version and variant bits of one UUID are fixed; two folded into one have none.
    let (one, other) = (Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes());
    let mut bytes = [0; 16];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = one[at] ^ other[(at + 5) % 16];
    }
    bytes
}

/// A number that differs from run to run, for samples and pauses.
#[must_use]
pub fn random_seed() -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = random_bytes();
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// The name of a run that starts at `now`: `20261123-013355-7f3a9c`, in UTC.
///
/// It sorts by time, and an operator can say it over the telephone. It names; it does not protect anything.
#[must_use]
pub fn run_id(now: Timestamp) -> String {
    let random = random_name();
    format!("{}-{}", now.strftime("%Y%m%d-%H%M%S"), &random[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_named_after_its_second_and_two_runs_of_one_second_differ() {
        let now: Timestamp = "2026-11-23T01:33:55.9Z".parse().unwrap();
        let (one, other) = (run_id(now), run_id(now));
        assert_eq!(one.len(), "20261123-013355-7f3a9c".len());
        assert!(one.starts_with("20261123-013355-"), "{one}");
        assert_ne!(one, other);
    }
}
