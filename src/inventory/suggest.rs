//! Near misses: what was probably meant.

use std::cmp::Reverse;

/// The candidate nearest to a misspelt word, when one is near enough to be a likely slip of the fingers.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match word.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed)
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(&lower, &candidate.to_lowercase());
            (distance, candidate)
        })
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.len())
        .min_by_key(|(distance, candidate)| (*distance, Reverse(shared_start(word, candidate))))
        .map(|(_, candidate)| candidate)
}

/// How many bytes two words have in common at their start. Of equally near names, the one that differs late is meant.
fn shared_start(one: &str, other: &str) -> usize {
    let pairs = one.bytes().zip(other.bytes());
    pairs.take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn of_equally_near_names_the_one_that_differs_last_is_meant() {
        assert_eq!(
            nearest("cmp061", ["cmp001", "cmp011", "cmp060"]),
            Some("cmp060")
        );
    }

    #[test]
    fn only_a_likely_slip_is_suggested() {
        let keys = ["address", "port", "user", "sudo", "jump"];
        for (word, wanted) in [
            ("prot", Some("port")),
            ("adress", Some("address")),
            ("Port", Some("port")),
            ("usr", Some("user")),
            ("proxy", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, keys), wanted, "{word}");
        }
    }
}
