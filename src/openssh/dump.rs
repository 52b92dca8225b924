//! The effective configuration as `ssh -G` and `sshd -T` print it: `keyword value`, one a line.

use std::collections::BTreeMap;

use super::config::Difference;

/// What is wrong with the output of `ssh -G` or `sshd -T`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// Not text.
    #[error("effective configuration: not UTF-8")]
    NotText,
    /// Far more than any OpenSSH prints.
    #[error("effective configuration: too long")]
    TooLong,
    /// A line that is no keyword.
    #[error("effective configuration: line {line}: not a keyword with a value")]
    Line {
        /// Number of the line, from 1.
        line: usize,
    },
    /// A keyword that every release prints is not there: the output is cut short, or is something else.
    #[error("effective configuration: {keyword} missing")]
    Missing {
        /// The keyword.
        keyword: &'static str,
    },
    /// A keyword with one value has several.
    #[error("effective configuration: {keyword} given more than once")]
    Repeated {
        /// The keyword.
        keyword: &'static str,
    },
    /// A value that this keyword cannot have.
    #[error("effective configuration: {keyword} cannot be {value:?}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// The value.
        value: String,
    },
}

/// The lines by keyword. Taking a keyword removes it, so that what remains is what nobody knew.
pub(crate) struct Dump {
    values: BTreeMap<String, Vec<String>>,
}

impl Dump {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DumpError> {
        /// The longest real one has about 10 KiB and 200 lines; 64 identities and thousands of `AllowUsers` fit too.
        const LONGEST: usize = 1 << 20;
        if bytes.len() > LONGEST {
            return Err(DumpError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| DumpError::NotText)?;
        let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (line, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.is_empty()) {
            let (keyword, value) = text.split_once(' ').unwrap_or((text, ""));
            if keyword.is_empty() || !keyword.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(DumpError::Line { line });
            }
            values
                .entry(keyword.to_ascii_lowercase())
                .or_default()
                .push(value.trim_end().to_owned());
        }
        Ok(Self { values })
    }

    /// Replaces what differs for another name or connection.
    pub(crate) fn change(&mut self, difference: &Difference) {
        let Difference::Settings(changed) = difference else {
            return;
        };
        for (keyword, values) in changed {
            match values {
                Some(values) => self.values.insert(keyword.clone(), values.clone()),
                None => self.values.remove(keyword),
            };
        }
    }

    /// All values of a keyword.
    pub(crate) fn all(&mut self, keyword: &str) -> Vec<String> {
        self.values.remove(keyword).unwrap_or_default()
    }

    /// The value of a keyword that is printed at most once.
    pub(crate) fn one(&mut self, keyword: &'static str) -> Result<Option<String>, DumpError> {
        let mut values = self.all(keyword);
        match values.len() {
            0 | 1 => Ok(values.pop()),
            _ => Err(DumpError::Repeated { keyword }),
        }
    }

    pub(crate) fn required(&mut self, keyword: &'static str) -> Result<String, DumpError> {
        self.one(keyword)?
            .filter(|value| !value.is_empty())
            .ok_or(DumpError::Missing { keyword })
    }

    /// A value where `none` stands for none.
    pub(crate) fn optional(&mut self, keyword: &'static str) -> Result<Option<String>, DumpError> {
        Ok(self
            .one(keyword)?
            .filter(|value| !value.is_empty() && !value.eq_ignore_ascii_case("none")))
    }

    /// Several values in one line, where `none` stands for none.
    pub(crate) fn words(&mut self, keyword: &'static str) -> Result<Vec<String>, DumpError> {
        let value = self.optional(keyword)?.unwrap_or_default();
        Ok(value
            .split(' ')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect())
    }

    /// `yes` or `no`, or as older releases print it, `true` or `false`.
    pub(crate) fn flag(&mut self, keyword: &'static str) -> Result<Option<bool>, DumpError> {
        self.read(keyword, |value| match value {
            "yes" | "true" => Some(true),
            "no" | "false" => Some(false),
            _ => None,
        })
    }

    pub(crate) fn number<T: std::str::FromStr>(
        &mut self,
        keyword: &'static str,
    ) -> Result<Option<T>, DumpError> {
        self.read(keyword, |value| value.parse().ok())
    }

    /// A value that is read by a function; `None` from it is an error.
    pub(crate) fn read<T>(
        &mut self,
        keyword: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, DumpError> {
        match self.one(keyword)? {
            None => Ok(None),
            Some(value) => match read(&value) {
                Some(read) => Ok(Some(read)),
                None => Err(DumpError::Value { keyword, value }),
            },
        }
    }

    /// What was not taken.
    pub(crate) fn rest(self) -> BTreeMap<String, Vec<String>> {
        self.values
    }
}
