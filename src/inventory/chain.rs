//! Following links from name to name: what a profile extends, what a jump host is reached through.

/// The names from `start` on, as far as `next` leads, or the names that form a circle: as it is met, but beginning
/// with the alphabetically first, so that it is the same circle wherever one enters it.
pub(super) fn follow<'n>(
    start: &'n str,
    next: impl Fn(&'n str) -> Option<&'n str>,
) -> Result<Vec<&'n str>, Vec<&'n str>> {
    let mut names = vec![start];
    let mut last = start;
    while let Some(name) = next(last) {
        if let Some(first) = names.iter().position(|seen| *seen == name) {
            let mut circle = names.split_off(first);
            let smallest = (0..circle.len()).min_by_key(|&index| circle[index]);
            circle.rotate_left(smallest.unwrap_or(0));
            return Err(circle);
        }
        names.push(name);
        last = name;
    }
    Ok(names)
}

/// A circle in words: `a → b → a`.
pub(super) fn drawn(circle: &[&str]) -> String {
    let back = circle.first().copied().unwrap_or_default();
    format!("{} → {back}", circle.join(" → "))
}

#[cfg(test)]
mod tests {
    use super::{drawn, follow};

    #[test]
    fn links_end_or_form_one_circle() {
        let next = |name: &str| match name {
            "a" => Some("b"),
            "b" => Some("c"),
            "x" => Some("z"),
            "z" => Some("y"),
            "y" => Some("z"),
            _ => None,
        };
        assert_eq!(follow("a", next), Ok(vec!["a", "b", "c"]));
        assert_eq!(follow("x", next), Err(vec!["y", "z"]));
        assert_eq!(follow("y", next), Err(vec!["y", "z"]));
        assert_eq!(drawn(&["y", "z"]), "y → z → y");
    }
}
