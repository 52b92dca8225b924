//! `~` and the `%` tokens in file names of ssh_config(5) and sshd_config(5), as far as they do not depend on a
//! connection.

/// What tokens stand for. `None` leaves the token unknown, and with it the whole name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tokens<'a> {
    /// `~` and, for clients, `%d`; for servers `%h`.
    pub(super) home: &'a str,
    /// `%u`: the local account for clients, the account logged in to for servers.
    pub(super) user: &'a str,
    /// `%i` (clients) and `%U` (servers).
    pub(super) uid: u32,
    /// `%h` and `%n` of clients: the name dialled.
    pub(super) host: Option<&'a str>,
    /// `%r` of clients: the account to log in to.
    pub(super) remote_user: Option<&'a str>,
    /// `%p` of clients.
    pub(super) port: Option<u16>,
}

/// Expands a name in a client's configuration; `None` with a token that is not known here.
pub(super) fn client(text: &str, tokens: Tokens<'_>) -> Option<String> {
    percent(&tilde(text, tokens.home), |token| {
        Some(match token {
            'd' => tokens.home.to_owned(),
            'u' => tokens.user.to_owned(),
            'i' => tokens.uid.to_string(),
            'h' | 'n' => tokens.host?.to_owned(),
            'r' => tokens.remote_user?.to_owned(),
            'p' => tokens.port?.to_string(),
            _ => return None,
        })
    })
}

/// Expands a name in a server's configuration; a relative one is below the account's home (`expand_authorized_keys`
/// of auth.c).
pub(super) fn server(text: &str, tokens: Tokens<'_>) -> Option<String> {
    let text = percent(text, |token| {
        Some(match token {
            'h' => tokens.home.to_owned(),
            'u' => tokens.user.to_owned(),
            'U' => tokens.uid.to_string(),
            _ => return None,
        })
    })?;
    if text.starts_with('/') {
        Some(text)
    } else {
        Some(format!("{}/{text}", tokens.home.trim_end_matches('/')))
    }
}

fn tilde(text: &str, home: &str) -> String {
    match text.strip_prefix('~') {
        Some("") => home.to_owned(),
        Some(rest) if rest.starts_with('/') => {
            format!("{}{rest}", home.trim_end_matches('/'))
        }
        // `~name` is another account's home, which is not known here; the name then is found nowhere.
        _ => text.to_owned(),
    }
}

fn percent(text: &str, value: impl Fn(char) -> Option<String>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(next) = chars.next() {
        if next != '%' {
            out.push(next);
            continue;
        }
        match chars.next()? {
            '%' => out.push('%'),
            token => out.push_str(&value(token)?),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_expand_for_clients_and_servers() {
        let tokens = Tokens {
            home: "/var/lib/nova",
            user: "nova",
            uid: 64060,
            host: Some("cmp2"),
            remote_user: None,
            port: Some(22),
        };
        for (text, expected) in [
            ("~/.ssh/id_rsa", Some("/var/lib/nova/.ssh/id_rsa")),
            ("%d/.ssh/id_%u_%i", Some("/var/lib/nova/.ssh/id_nova_64060")),
            ("/k/%h-%p-100%%", Some("/k/cmp2-22-100%")),
            ("/k/%r", None),
            ("/k/%", None),
        ] {
            assert_eq!(client(text, tokens).as_deref(), expected, "{text}");
        }
        for (text, expected) in [
            (
                ".ssh/authorized_keys",
                Some("/var/lib/nova/.ssh/authorized_keys"),
            ),
            ("/etc/ssh/keys/%u", Some("/etc/ssh/keys/nova")),
            ("%h/k%U", Some("/var/lib/nova/k64060")),
            ("/k/%d", None),
        ] {
            assert_eq!(server(text, tokens).as_deref(), expected, "{text}");
        }
    }
}
