//! What fills the placeholders of a remedy.

/// The values that a remedy's placeholders are filled with. A placeholder without a value stays as a readable word.
///
/// `{client}` and `{server}` are the node that dials and the one that answers, `{source}` and `{destination}` the
/// pair, `{name}` and `{port}` what is dialled, `{client_user}` and `{server_user}` the accounts, `{file}` the file
/// in question, `{context}` the words that enter Nova's context, `{instances_path}` Nova's directory, `{node}` a node.
#[derive(Debug, Clone, Default)]
pub struct Placeholders(Vec<(&'static str, String)>);

impl Placeholders {
    /// Adds a value; the first one given for a key counts.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.0.push((key, value.into()));
        self
    }

    /// Adds the values of another list for keys that have none here.
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        self.0.extend(others.0.iter().cloned());
        self
    }

    /// The values that are the same in another list.
    #[must_use]
    pub fn in_common(&self, other: &Self) -> Self {
        let counts = |(key, value): &&(&'static str, String)| {
            self.get(key) == Some(value) && other.get(key) == Some(value)
        };
        Self(self.0.iter().filter(counts).cloned().collect())
    }

    /// Takes a value back.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.0.retain(|(known, _)| *known != key);
        self
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Fills a template.
    #[must_use]
    pub fn fill(&self, template: &str) -> String {
        let mut text = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((key, tail)) = after.split_once('}') else {
                text.push('{');
                rest = after;
                break;
            };
            match self.get(key) {
                Some(value) => text.push_str(value),
                None => text.push_str(&key.replace('_', " ").to_uppercase()),
            }
            rest = tail;
        }
        text.push_str(rest);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_filled_or_stays_readable() {
        let values = Placeholders::default().with("server", "cmp017");
        assert_eq!(
            values.fill("on {server}: chmod {file}"),
            "on cmp017: chmod FILE"
        );
    }

    #[test]
    fn what_is_in_common_is_what_would_be_filled_in() {
        let of = |server: &str, file: &str| {
            let values = Placeholders::default();
            values.with("server", server).with("file", file)
        };
        let one = of("cmp1", "/a").with("file", "/b");
        let both = one.in_common(&of("cmp1", "/b"));
        assert_eq!(both.fill("{server} {file}"), "cmp1 FILE");
    }
}
