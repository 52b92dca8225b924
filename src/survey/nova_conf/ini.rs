//! The file format: oslo_config/iniparser.py, which is not quite any other INI.

/// What one nova.conf file assigns.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct IniFile {
    /// Section (as oslo.config normalizes it), option and value, in the order of the file.
    pub(crate) assignments: Vec<(String, String, String)>,
    /// What oslo.config refuses the file for; nova-compute does not start with such a file.
    pub(crate) refused: Option<String>,
}

impl IniFile {
    /// Reads a file (`BaseParser.parse` and `ConfigParser`).
    pub(crate) fn parse(text: &str) -> Self {
        let mut file = Self::default();
        let mut section: Option<String> = None;
        let mut pending: Option<(String, Vec<String>)> = None;
        for (number, line) in text.lines().enumerate() {
            // Python's str.rstrip without arguments.
            let line = line.trim_end();
            if line.is_empty() {
                file.assign(section.as_deref(), pending.take(), number);
                continue;
            }
            if line.starts_with([' ', '\t']) {
                match &mut pending {
                    Some((_, values)) => values.push(line.trim_start().to_owned()),
                    None => file.refuse("a continuation line of nothing", number),
                }
                continue;
            }
            file.assign(section.as_deref(), pending.take(), number);
            if let Some(rest) = line.strip_prefix('[') {
                match rest.strip_suffix(']') {
                    Some("") => file.refuse("a section without a name", number),
                    Some(name) => section = Some(normalized(name)),
                    None => file.refuse("a section without its closing bracket", number),
                }
            } else if !line.starts_with(['#', ';']) {
                match line.find(['=', ':']) {
                    Some(0) => file.refuse("an option without a name", number),
                    Some(at) => {
                        let key = line[..at].trim();
                        if key.is_empty() {
                            file.refuse("an option without a name", number);
                        }
                        pending = Some((key.to_owned(), vec![unquoted(line[at + 1..].trim())]));
                    }
                    None => file.refuse("a line that assigns nothing", number),
                }
            }
        }
        file.assign(section.as_deref(), pending.take(), text.lines().count());
        file
    }

    fn assign(
        &mut self,
        section: Option<&str>,
        pending: Option<(String, Vec<String>)>,
        number: usize,
    ) {
        let Some((key, values)) = pending else { return };
        match section {
            Some(section) => {
                self.assignments
                    .push((section.to_owned(), key, values.join("\n")));
            }
            None => self.refuse("an option before the first section", number),
        }
    }

    fn refuse(&mut self, what: &str, number: usize) {
        self.refused
            .get_or_insert_with(|| format!("line {}: {what}", number + 1));
    }
}

/// `_normalize_group_name` of oslo_config/cfg.py.
fn normalized(section: &str) -> String {
    match section {
        "DEFAULT" => section.to_owned(),
        _ => section.to_lowercase(),
    }
}

/// A value without the one pair of equal quotes around it.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some(inner) = value
            .strip_prefix(quote)
            .and_then(|v| v.strip_suffix(quote))
        {
            return inner.to_owned();
        }
    }
    // A lone quote is its own first and last character: Python's value[1:-1] leaves nothing of it.
    if value == "\"" || value == "'" {
        return String::new();
    }
    value.to_owned()
}
