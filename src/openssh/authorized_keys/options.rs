//! What the options of a key allow (`sshauthopt_parse`, `sshauthopt_from_cert` and `sshauthopt_merge` of `auth-options.c`).

use super::option_text::OptionText;
use super::wall_time::WallTime;
use crate::openssh::address::match_cidr_list;
use crate::openssh::key::{Certificate, CertificateRefusal};

/// Why the options of a line are refused, and with them the whole line. `sshd` says so only at `LogLevel DEBUG`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    /// No option of this name, or something behind one that does not belong to it.
    #[error("unknown key option {0:?}")]
    Unknown(String),
    /// A value does not begin with a double quote.
    #[error("missing start quote")]
    MissingStartQuote,
    /// A value does not end.
    #[error("missing end quote")]
    MissingEndQuote,
    /// A comma with nothing behind it.
    #[error("unexpected end of options")]
    UnexpectedEnd,
    /// An option that may stand only once.
    #[error("multiple {0:?} clauses")]
    Repeated(&'static str),
    /// A value that the option cannot have.
    #[error("invalid value of {0:?}")]
    InvalidValue(&'static str),
    /// More of them than OpenSSH takes.
    #[error("too many {0:?} clauses")]
    TooMany(&'static str),
}

/// The options of one key. Values are bytes: they are neither text nor ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOptions {
    /// `restrict` was given.
    pub restricted: bool,
    /// `cert-authority`: the key signs user certificates, and is none that logs in.
    pub cert_authority: bool,
    /// Port forwarding is allowed.
    pub port_forwarding: bool,
    /// Agent forwarding is allowed.
    pub agent_forwarding: bool,
    /// X11 forwarding is allowed.
    pub x11_forwarding: bool,
    /// A terminal is allowed.
    pub pty: bool,
    /// `~/.ssh/rc` is run.
    pub user_rc: bool,
    /// A FIDO token need not be touched.
    pub no_touch_required: bool,
    /// A FIDO token must verify its user.
    pub verify_required: bool,
    /// `command=`: run instead of whatever the client asks for.
    pub command: Option<Vec<u8>>,
    /// `from=`: the pattern list of clients.
    pub from: Option<Vec<u8>>,
    /// `principals=`: for a `cert-authority`, the names that count instead of the account's.
    pub principals: Option<Vec<u8>>,
    /// `expiry-time=`, all of them; the earliest counts.
    pub expiry: Vec<WallTime>,
    /// `environment=`, first of each name.
    pub environment: Vec<Vec<u8>>,
    /// `permitopen=`
    pub permit_open: Vec<Vec<u8>>,
    /// `permitlisten=`, with `*:` before a bare port.
    pub permit_listen: Vec<Vec<u8>>,
    /// `tunnel=`
    pub tunnel: Option<Vec<u8>>,
    /// `source-address` of a certificate: the networks of clients.
    pub source_address: Option<String>,
}

impl Default for KeyOptions {
    /// What a line without options allows: everything.
    fn default() -> Self {
        let mut options = Self::nothing();
        options.permit_all(true);
        options
    }
}

/// `SSH_AUTHOPT_PERMIT_MAX` and `SSH_AUTHOPT_ENV_MAX`; one more than these gets through, as in OpenSSH.
const MOST_PERMITS: usize = 4096;
const MOST_ENVIRONMENT: usize = 1024;

impl KeyOptions {
    fn nothing() -> Self {
        Self {
            restricted: false,
            cert_authority: false,
            port_forwarding: false,
            agent_forwarding: false,
            x11_forwarding: false,
            pty: false,
            user_rc: false,
            no_touch_required: false,
            verify_required: false,
            command: None,
            from: None,
            principals: None,
            expiry: Vec::new(),
            environment: Vec::new(),
            permit_open: Vec::new(),
            permit_listen: Vec::new(),
            tunnel: None,
            source_address: None,
        }
    }

    fn permit_all(&mut self, permit: bool) {
        self.port_forwarding = permit;
        self.agent_forwarding = permit;
        self.x11_forwarding = permit;
        self.pty = permit;
        self.user_rc = permit;
    }

    /// Reads the options at the start of a line. Names are compared without case; they end at the first blank outside quotes.
    ///
    /// # Errors
    /// `sshd` refuses them, and the line.
    pub fn parse(text: &[u8]) -> Result<Self, BadOption> {
        let mut options = Self::default();
        let mut text = OptionText::new(text);
        while text.has_option() {
            if !options.take_flag(&mut text) {
                options.take_value(&mut text)?;
            }
            if !text.next_option()? {
                break;
            }
        }
        Ok(options)
    }

    fn take_flag(&mut self, text: &mut OptionText<'_>) -> bool {
        if text.flag("restrict") {
            self.restricted = true;
            self.permit_all(false);
            return true;
        }
        if text.flag("cert-authority") {
            self.cert_authority = true;
            return true;
        }
        let switches: [(&str, &mut bool); 6] = [
            ("port-forwarding", &mut self.port_forwarding),
            ("agent-forwarding", &mut self.agent_forwarding),
            ("x11-forwarding", &mut self.x11_forwarding),
            ("verify-required", &mut self.verify_required),
            ("pty", &mut self.pty),
            ("user-rc", &mut self.user_rc),
        ];
        for (name, target) in switches {
            if let Some(on) = text.switch(name) {
                *target = on;
                return true;
            }
        }
        if let Some(on) = text.switch("touch-required") {
            self.no_touch_required = !on;
            return true;
        }
        false
    }

    fn take_value(&mut self, text: &mut OptionText<'_>) -> Result<(), BadOption> {
        let once: [(&'static str, &mut Option<Vec<u8>>); 3] = [
            ("command", &mut self.command),
            ("principals", &mut self.principals),
            ("from", &mut self.from),
        ];
        for (name, target) in once {
            if text.name(name) {
                if target.is_some() {
                    return Err(BadOption::Repeated(name));
                }
                *target = Some(text.value()?);
                return Ok(());
            }
        }
        if text.name("expiry-time") {
            let value = text.value()?;
            let time = std::str::from_utf8(&value).ok().and_then(WallTime::parse);
            self.expiry
                .push(time.ok_or(BadOption::InvalidValue("expiry-time"))?);
        } else if text.name("environment") {
            self.add_environment(text)?;
        } else if text.name("permitopen") {
            add_permit(&mut self.permit_open, "permitopen", text, false)?;
        } else if text.name("permitlisten") {
            add_permit(&mut self.permit_listen, "permitlisten", text, true)?;
        } else if text.name("tunnel") {
            let value = text.value()?;
            if !is_tunnel(&value) {
                return Err(BadOption::InvalidValue("tunnel"));
            }
            self.tunnel = Some(value);
        }
        Ok(())
    }

    fn add_environment(&mut self, text: &mut OptionText<'_>) -> Result<(), BadOption> {
        if self.environment.len() > MOST_ENVIRONMENT {
            return Err(BadOption::TooMany("environment"));
        }
        let value = text.value()?;
        let name_length = value
            .iter()
            .position(|byte| *byte == b'=')
            .ok_or(BadOption::InvalidValue("environment"))?;
        let name = &value[..name_length];
        if name.is_empty()
            || !name
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        {
            return Err(BadOption::InvalidValue("environment"));
        }
        let assigns =
            |known: &Vec<u8>| known.starts_with(name) && known.get(name.len()) == Some(&b'=');
        if !self.environment.iter().any(assigns) {
            self.environment.push(value);
        }
        Ok(())
    }

    /// The earliest `expiry-time` in epoch seconds.
    #[must_use]
    pub fn expires(&self, utc_offset: i32) -> Option<i64> {
        self.expiry.iter().map(|time| time.epoch(utc_offset)).min()
    }

    /// What a user certificate allows by itself.
    ///
    /// # Errors
    /// It has a critical option that `sshd` does not know, or one that is malformed or given twice.
    pub fn from_certificate(certificate: &Certificate) -> Result<Self, CertificateRefusal> {
        let refused = CertificateRefusal::CriticalOption;
        let mut options = Self::nothing();
        for option in &certificate.critical_options {
            match (&*option.name, option.value()) {
                (b"verify-required", _) if option.data.is_empty() => options.verify_required = true,
                (b"force-command", Some(command)) if options.command.is_none() => {
                    options.command = Some(command.to_vec())
                }
                (b"source-address", Some(networks)) if options.source_address.is_none() => {
                    let networks =
                        String::from_utf8(networks.to_vec()).map_err(|_| refused.clone())?;
                    match_cidr_list("::", &networks).map_err(|_| refused.clone())?;
                    options.source_address = Some(networks);
                }
                _ => return Err(refused),
            }
        }
        for option in &certificate.extensions {
            let target = match &*option.name {
                b"no-touch-required" => &mut options.no_touch_required,
                b"permit-X11-forwarding" => &mut options.x11_forwarding,
                b"permit-agent-forwarding" => &mut options.agent_forwarding,
                b"permit-port-forwarding" => &mut options.port_forwarding,
                b"permit-pty" => &mut options.pty,
                b"permit-user-rc" => &mut options.user_rc,
                _ => continue,
            };
            if !option.data.is_empty() {
                return Err(refused);
            }
            *target = true;
        }
        Ok(options)
    }

    /// The options of a line and of the certificate that it admits, together. `None` if both force a command, but not the same.
    #[must_use]
    pub fn merge(&self, certificate: &Self) -> Option<Self> {
        let command = match (&self.command, &certificate.command) {
            (Some(ours), Some(theirs)) if ours != theirs => return None,
            (ours, theirs) => ours.clone().or_else(|| theirs.clone()),
        };
        let prefer = |ours: &Vec<Vec<u8>>, theirs: &Vec<Vec<u8>>| {
            if ours.is_empty() {
                theirs.clone()
            } else {
                ours.clone()
            }
        };
        Some(Self {
            restricted: self.restricted,
            cert_authority: false,
            port_forwarding: self.port_forwarding && certificate.port_forwarding,
            agent_forwarding: self.agent_forwarding && certificate.agent_forwarding,
            x11_forwarding: self.x11_forwarding && certificate.x11_forwarding,
            pty: self.pty && certificate.pty,
            user_rc: self.user_rc && certificate.user_rc,
            no_touch_required: self.no_touch_required && certificate.no_touch_required,
            verify_required: self.verify_required || certificate.verify_required,
            command,
            from: self.from.clone(),
            principals: None,
            expiry: self.expiry.clone(),
            environment: prefer(&self.environment, &certificate.environment),
            permit_open: prefer(&self.permit_open, &certificate.permit_open),
            permit_listen: prefer(&self.permit_listen, &certificate.permit_listen),
            tunnel: self.tunnel.clone(),
            source_address: certificate.source_address.clone(),
        })
    }
}

/// `handle_permit`: `host:port` or `[host]:port`, where the port may be `*`.
fn add_permit(
    permits: &mut Vec<Vec<u8>>,
    name: &'static str,
    text: &mut OptionText<'_>,
    bare_port: bool,
) -> Result<(), BadOption> {
    if permits.len() > MOST_PERMITS {
        return Err(BadOption::TooMany(name));
    }
    let mut value = text.value()?;
    if bare_port && !value.contains(&b':') {
        value.splice(..0, *b"*:");
    }
    if !is_host_port(&value) {
        return Err(BadOption::InvalidValue(name));
    }
    permits.push(value);
    Ok(())
}

/// Names of services (`permitopen="node2:ssh"`) are not looked up here, so any port that is a word is taken for valid.
fn is_host_port(value: &[u8]) -> bool {
    /// `NI_MAXHOST`
    const LONGEST_HOST: usize = 1025;
    let end = if value.first() == Some(&b'[') {
        value.iter().position(|byte| *byte == b']').map(|at| at + 1)
    } else {
        value.iter().position(|byte| matches!(byte, b':' | b'/'))
    };
    let Some((host, rest)) = end.and_then(|end| value.split_at_checked(end)) else {
        return false;
    };
    let Some((b':' | b'/', port)) = rest.split_first() else {
        return false;
    };
    if host.len() >= LONGEST_HOST {
        return false;
    }
    match std::str::from_utf8(port) {
        Ok("*") => true,
        Ok(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            number.parse::<u16>().is_ok_and(|number| number != 0)
        }
        Ok(service) => service.starts_with(|first: char| first.is_ascii_alphabetic()),
        Err(_) => false,
    }
}

/// `a2tun`: `any` or a number up to `SSH_TUNID_MAX`.
fn is_tunnel(value: &[u8]) -> bool {
    const LARGEST: u32 = 0x7fff_ffff - 2;
    let number = || std::str::from_utf8(value).ok()?.parse::<u32>().ok();
    value.eq_ignore_ascii_case(b"any") || number().is_some_and(|number| number <= LARGEST)
}
