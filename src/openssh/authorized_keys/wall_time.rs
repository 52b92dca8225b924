//! Times as people write them in options: `YYYYMMDD[HHMM[SS]]`, with `Z` or `UTC` behind it if not local time
//! (`parse_absolute_time` of `misc.c`).

/// A moment that is known up to the time zone of the machine that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WallTime {
    /// Seconds from 1970-01-01 00:00:00 on the same clock.
    seconds: i64,
    utc: bool,
}

impl WallTime {
    /// Reads the text; days and seconds beyond the end of their month and minute run over, as with `mktime(3)`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ends_with = |suffix: &str| {
            let start = text.len().checked_sub(suffix.len())?;
            let tail = text.get(start..)?;
            (start > 0 && tail.eq_ignore_ascii_case(suffix)).then(|| &text[..start])
        };
        let (digits, utc) = match ends_with("Z").or_else(|| ends_with("UTC")) {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        if !matches!(digits.len(), 8 | 12 | 14) || !digits.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let field = |from: usize, to: usize| {
            digits
                .get(from..to)
                .map_or(Some(0), |field| field.parse::<i64>().ok())
        };
        let (year, month, day) = (field(0, 4)?, field(4, 6)?, field(6, 8)?);
        let (hour, minute, second) = (field(8, 10)?, field(10, 12)?, field(12, 14)?);
        let in_range = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 61;
        let first =
            jiff::civil::Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, 1).ok()?;
        let days = first
            .duration_since(jiff::civil::date(1970, 1, 1))
            .as_secs()
            / 86400
            + day
            - 1;
        in_range.then_some(Self {
            seconds: days * 86400 + hour * 3600 + minute * 60 + second,
            utc,
        })
    }

    /// The moment in epoch seconds, where local time is `utc_offset` seconds ahead of UTC.
    #[must_use]
    pub fn epoch(self, utc_offset: i32) -> i64 {
        if self.utc {
            self.seconds
        } else {
            self.seconds - i64::from(utc_offset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_their_zone() {
        let epoch = |text| WallTime::parse(text).map(|time| time.epoch(3600));
        assert_eq!(epoch("19700102"), Some(86400 - 3600));
        assert_eq!(epoch("19700102Z"), Some(86400));
        assert_eq!(epoch("197001020001utc"), Some(86460));
        assert_eq!(epoch("20240229000001Z"), Some(1_709_164_801));
        assert_eq!(epoch("20230231Z"), epoch("20230303Z"), "as mktime");
        for bad in [
            "",
            "Z",
            "2024",
            "20241301",
            "20240100",
            "202401012400",
            "2024010100000x",
            "20240101UTCZ",
            "\u{e9}",
        ] {
            assert_eq!(epoch(bad), None, "{bad}");
        }
    }
}
