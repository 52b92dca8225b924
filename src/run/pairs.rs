//! Which pairs are proven, from `--pairs`.

use std::fmt;
use std::str::FromStr;

use super::request::PairsMode;

impl fmt::Display for PairsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Ring => f.write_str("ring"),
            Self::Sample(count) => write!(f, "sample={count}"),
            Self::Changed => f.write_str("changed"),
            Self::Only(_) => f.write_str("one"),
        }
    }
}

impl FromStr for PairsMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self::All),
            "ring" => Ok(Self::Ring),
            "changed" => Ok(Self::Changed),
            _ => text
                .strip_prefix("sample=")
                .and_then(|count| count.parse().ok())
                .filter(|&count| count > 0)
                .map(Self::Sample)
                .ok_or("expected `all`, `ring`, `changed`, or `sample=N` with N of at least 1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_reads_back_as_it_is_shown() {
        for text in ["all", "ring", "changed", "sample=3"] {
            assert_eq!(
                text.parse::<PairsMode>().map(|it| it.to_string()),
                Ok(text.to_owned())
            );
        }
        for bad in [
            "",
            "sample",
            "sample=",
            "sample=0",
            "sample=-1",
            "some",
            "ALL",
        ] {
            assert!(bad.parse::<PairsMode>().is_err(), "{bad}");
        }
    }
}
