//! `[libvirt]live_migration_uri` and `live_migration_scheme`: how libvirt reaches the destination of a live move
//! (nova/virt/libvirt/driver.py `_live_migration_uri`; libvirt's "Remote support" page for the URI's parts).

use crate::survey::NovaSettings;

/// How libvirt's daemon connects to the other one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LiveTransport {
    /// It runs the `ssh` program.
    Ssh(SshUri),
    /// Plain TCP, the default.
    Tcp,
    /// TLS with certificates of its own.
    Tls,
    /// It speaks SSH by a library (`libssh`, `libssh2`), with files and rules that are not OpenSSH's.
    SshLibrary,
    /// Anything else, or a hypervisor that Nova moves in another way.
    Other,
}

/// What a `qemu+ssh` URI says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct SshUri {
    /// Text around the destination's name in the host part.
    pub(super) around: (String, String),
    /// `-l`.
    pub(super) user: Option<String>,
    /// `-p`.
    pub(super) port: Option<u16>,
    /// `keyfile=`, given as `-i`.
    pub(super) identity: Option<String>,
    /// `no_verify=1`, given as `-o StrictHostKeyChecking=no`.
    pub(super) no_verify: bool,
}

/// Why these settings make no URI that can be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Complaint {
    /// Python's `live_migration_uri % destination` raises an error, so every live move fails
    /// (nova/virt/libvirt/driver.py `_live_migration_uri`).
    Raises(String),
    /// What comes of it is not told here.
    Unclear(String),
}

/// What these settings mean, or why nothing can be made of them.
pub(super) fn live_transport(nova: &NovaSettings) -> Result<LiveTransport, Complaint> {
    if let Some(template) = &nova.live_migration_uri {
        return parse(template);
    }
    match nova.virt_type.as_deref().unwrap_or("kvm") {
        "kvm" | "qemu" => {}
        "parallels" => return Ok(LiveTransport::Tcp),
        _ => return Ok(LiveTransport::Other),
    }
    Ok(match nova.live_migration_scheme.as_deref() {
        None | Some("tcp") => LiveTransport::Tcp,
        Some("tls") => LiveTransport::Tls,
        Some("ssh") => LiveTransport::Ssh(SshUri::default()),
        Some("libssh" | "libssh2") => LiveTransport::SshLibrary,
        Some(_) => LiveTransport::Other,
    })
}

/// Stands for the destination's name while the URI is taken apart. No URI that Nova could use has it.
const DESTINATION: char = '\0';

fn parse(template: &str) -> Result<LiveTransport, Complaint> {
    let text = |what: &str| format!("[libvirt]live_migration_uri `{template}`: {what}");
    let complaint = |what: &str| Err(Complaint::Unclear(text(what)));
    let uri = match format_percent(template) {
        Ok(uri) => uri,
        Err(Percent::Raises(why)) => return Err(Complaint::Raises(text(why))),
        Err(Percent::Unclear) => return complaint("what Python makes of it is not known"),
    };
    let Some((scheme, rest)) = uri.split_once("://") else {
        return complaint("no scheme");
    };
    let transport = match scheme.split_once('+').map(|(_, transport)| transport) {
        Some("ssh") => LiveTransport::Ssh(SshUri::default()),
        Some("tcp") => LiveTransport::Tcp,
        // libvirt's default for a remote URI without a transport.
        Some("tls") | None => LiveTransport::Tls,
        Some("libssh" | "libssh2") => LiveTransport::SshLibrary,
        Some(_) => LiveTransport::Other,
    };
    if !matches!(transport, LiveTransport::Ssh(_)) {
        return Ok(transport);
    }
    let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(unescape(user)), host),
        None => (None, authority),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => return complaint("the port is no number"),
        },
        _ => (host, None),
    };
    let Some((before, after)) = host.split_once(DESTINATION) else {
        return complaint("no `%s` in its host part");
    };
    let mut ssh = SshUri {
        around: (before.to_owned(), after.to_owned()),
        user,
        port,
        ..SshUri::default()
    };
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    for (key, value) in query.split(['&', ';']).filter_map(|it| it.split_once('=')) {
        match key {
            "keyfile" => ssh.identity = Some(unescape(value)),
            "no_verify" => ssh.no_verify = value.trim().parse::<i64>().is_ok_and(|it| it != 0),
            _ => {}
        }
    }
    Ok(LiveTransport::Ssh(ssh))
}

/// Why [`format_percent`] has no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// Python raises an error, in words.
    Raises(&'static str),
    /// Conversions with flags, widths or of other kinds.
    Unclear,
}

/// Python's `template % name` for a name that is text, with the name left open.
fn format_percent(template: &str) -> Result<String, Percent> {
    let mut text = String::with_capacity(template.len());
    let mut names = 0;
    let mut chars = template.chars();
    while let Some(next) = chars.next() {
        match next {
            '%' => match chars.next() {
                Some('%') => text.push('%'),
                Some('s') => {
                    names += 1;
                    text.push(DESTINATION);
                }
                // Conversions of numbers.
                Some('d' | 'i' | 'u' | 'o' | 'x' | 'X' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G') => {
                    return Err(Percent::Raises("Python's % wants a number in it"));
                }
                None => return Err(Percent::Raises("it ends in the middle of a conversion")),
                Some(_) => return Err(Percent::Unclear),
            },
            DESTINATION => return Err(Percent::Unclear),
            other => text.push(other),
        }
    }
    match names {
        0 => Err(Percent::Raises(
            "it has no `%s` for the destination's name, so Nova raises an error at every live move",
        )),
        1 => Ok(text),
        _ => Err(Percent::Raises(
            "it has more than one `%s`, so Nova raises an error at every live move",
        )),
    }
}

/// Undoes a URI's `%XX`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: Option<&str>, scheme: Option<&str>) -> Result<LiveTransport, Complaint> {
        live_transport(&NovaSettings {
            live_migration_uri: uri.map(str::to_owned),
            live_migration_scheme: scheme.map(str::to_owned),
            ..NovaSettings::default()
        })
    }

    #[test]
    fn the_uri_comes_first_and_tcp_is_the_default() {
        for (uri, scheme, expected) in [
            (None, None, LiveTransport::Tcp),
            (None, Some("tls"), LiveTransport::Tls),
            (None, Some("ssh"), LiveTransport::Ssh(SshUri::default())),
            (None, Some("libssh2"), LiveTransport::SshLibrary),
            (
                Some("qemu+tcp://%s/system"),
                Some("ssh"),
                LiveTransport::Tcp,
            ),
            (Some("qemu://%s/system"), None, LiveTransport::Tls),
            (Some("qemu+ext://%s/system"), None, LiveTransport::Other),
        ] {
            assert_eq!(of(uri, scheme), Ok(expected), "{uri:?} {scheme:?}");
        }
    }

    #[test]
    fn user_port_key_and_no_verify_are_read_from_the_uri() {
        let uri = "qemu+ssh://nova@%s:2222/system?no_verify=1&keyfile=/var/lib/nova/.ssh/id%%20rsa";
        let expected = SshUri {
            user: Some("nova".into()),
            port: Some(2222),
            identity: Some("/var/lib/nova/.ssh/id rsa".into()),
            no_verify: true,
            ..SshUri::default()
        };
        assert_eq!(of(Some(uri), None), Ok(LiveTransport::Ssh(expected)));
        let Ok(LiveTransport::Ssh(ssh)) = of(Some("qemu+ssh://mig-%s.lab/system"), None) else {
            panic!("not ssh");
        };
        assert_eq!(ssh.around, ("mig-".into(), ".lab".into()));
        assert!(!ssh.no_verify);
    }

    #[test]
    fn a_uri_that_python_cannot_fill_is_reported() {
        for (uri, raises) in [
            ("qemu+ssh://cmp1/system", true),
            ("qemu+tcp://cmp1/system", true),
            ("qemu+ssh://%%s/system", true),
            ("qemu+ssh://%s/%s", true),
            ("qemu+ssh://%d/system", true),
            ("qemu+ssh://%s/system%", true),
            ("qemu+ssh://%r/system", false),
            ("qemu+ssh://%-9s/system", false),
            ("%s", false),
            ("qemu+ssh://%s:x/system", false),
            ("qemu+ssh://cmp1/%s", false),
        ] {
            let complaint = of(Some(uri), None).expect_err(uri);
            assert_eq!(matches!(complaint, Complaint::Raises(_)), raises, "{uri}");
        }
    }
}
