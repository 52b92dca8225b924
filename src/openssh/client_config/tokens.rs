//! `%` tokens and `~` in paths (ssh_config(5), TOKENS; `percent_dollar_expand` and `tilde_expand` of `misc.c`).

/// Why a path is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// OpenSSH knows no such token, or it is not known here.
    #[error("path: unknown token %{0}")]
    Unknown(char),
    /// A `%` at the very end.
    #[error("path: % without a token")]
    Unfinished,
    /// The home of another account.
    #[error("path: home of another account: {0:?}")]
    OtherHome(String),
    /// `${NAME}`: the environment of that `ssh` is not known here.
    #[error("path: environment variable in {0:?}")]
    Environment(String),
}

/// What the tokens stand for.
#[derive(Clone, Copy, Debug)]
pub struct Tokens<'a> {
    /// `%d` and `~`: the home of the account that runs `ssh`.
    pub home: &'a str,
    /// `%u`: that account.
    pub local_user: &'a str,
    /// `%i`: its number.
    pub uid: u32,
    /// `%h`: the name or address connected to.
    pub hostname: &'a str,
    /// `%n`: the name on the command line.
    pub dialled: &'a str,
    /// `%k`: the `HostKeyAlias`, else the name on the command line.
    pub host_key_alias: Option<&'a str>,
    /// `%p`
    pub port: u16,
    /// `%r`: the account at the server.
    pub remote_user: &'a str,
}

impl Tokens<'_> {
    /// Expands a path of an identity, a certificate or a `known_hosts` file.
    ///
    /// # Errors
    /// It needs something that is not known here.
    pub fn expand_path(&self, path: &str) -> Result<String, TokenError> {
        let path = match path.strip_prefix('~') {
            None => path.to_owned(),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                format!(
                    "{}/{}",
                    self.home.trim_end_matches('/'),
                    rest.trim_start_matches('/')
                )
            }
            Some(_) => return Err(TokenError::OtherHome(path.to_owned())),
        };
        if path.contains("${") {
            return Err(TokenError::Environment(path));
        }
        self.expand(&path)
    }

    fn expand(&self, text: &str) -> Result<String, TokenError> {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text.chars();
        while let Some(next) = rest.next() {
            if next != '%' {
                expanded.push(next);
                continue;
            }
            match rest.next().ok_or(TokenError::Unfinished)? {
                '%' => expanded.push('%'),
                'd' => expanded.push_str(self.home),
                'u' => expanded.push_str(self.local_user),
                'i' => expanded.push_str(&self.uid.to_string()),
                'h' => expanded.push_str(self.hostname),
                'n' => expanded.push_str(self.dialled),
                'k' => expanded.push_str(self.host_key_alias.unwrap_or(self.dialled)),
                'p' => expanded.push_str(&self.port.to_string()),
                'r' => expanded.push_str(self.remote_user),
                other => return Err(TokenError::Unknown(other)),
            }
        }
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_tilde_are_expanded() {
        let tokens = Tokens {
            home: "/var/lib/nova",
            local_user: "nova",
            uid: 64060,
            hostname: "10.77.0.3",
            dialled: "node2",
            host_key_alias: None,
            port: 8022,
            remote_user: "root",
        };
        for (path, expected) in [
            ("~/.ssh/id_rsa", Ok("/var/lib/nova/.ssh/id_rsa".to_owned())),
            ("~", Ok("/var/lib/nova/".to_owned())),
            (
                "/k/%h-%n-%k-%p-%r-%u-%i-%d-%%",
                Ok("/k/10.77.0.3-node2-node2-8022-root-nova-64060-/var/lib/nova-%".to_owned()),
            ),
            ("~root/x", Err(TokenError::OtherHome("~root/x".into()))),
            (
                "/a/${HOME}",
                Err(TokenError::Environment("/a/${HOME}".into())),
            ),
            ("/a/%C", Err(TokenError::Unknown('C'))),
            ("/a/%", Err(TokenError::Unfinished)),
        ] {
            assert_eq!(tokens.expand_path(path), expected, "{path}");
        }
    }
}
