//! How far `ssh -v` got, and what it told on the way.
//!
//! Only lines of level `debug1` and the messages that ssh prints at any level are used; both have been the same from
//! OpenSSH 8.0 to 10.x (sshconnect.c, sshconnect2.c, clientloop.c). The far end can write to the same stream once it
//! has let the client in, and in a banner before: what is read here says something about its own leg and no other.

use crate::domain::Step;

/// The rungs of `ssh -v`, in the order in which they appear.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Stage {
    /// ssh has not tried to reach anybody: it reads its configuration or looks the name up.
    #[default]
    Started,
    /// The name has an address, which is being dialled (`Connecting to`).
    Resolved,
    /// The TCP connection stands.
    Connected,
    /// The far end said that it speaks SSH.
    Banner,
    /// The far end's proposal of algorithms has come.
    KeyExchange,
    /// The host key has come.
    HostKey,
    /// The host key is accepted and everything is encrypted from here on.
    Encrypted,
    /// A public key was offered.
    Offered,
    /// The far end would take that key.
    Accepted,
    /// Logged in.
    Authenticated,
    /// The command or subsystem was sent.
    Commanded,
    /// The far end's command ended by itself or by a signal.
    Ended,
}

impl Stage {
    /// The highest step that has certainly succeeded. Whether the command did what it should is not known here.
    #[must_use]
    pub fn passed(self) -> Option<Step> {
        match self {
            Self::Started => None,
            Self::Resolved | Self::Connected => Some(Step::Resolve),
            Self::Banner | Self::KeyExchange | Self::HostKey => Some(Step::Connect),
            Self::Encrypted | Self::Offered | Self::Accepted => Some(Step::HostKey),
            Self::Authenticated | Self::Commanded | Self::Ended => Some(Step::Login),
        }
    }
}

/// A host key as it came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServedKey<'a> {
    /// `ssh-ed25519`, or `ssh-ed25519-cert-v01@openssh.com` for a certificate.
    pub key_type: &'a str,
    /// `SHA256:…`; for a certificate that of the key it certifies.
    pub fingerprint: &'a str,
    /// Fingerprint of the authority, for a certificate.
    pub authority: Option<&'a str>,
}

/// A key that the client could offer, or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientKey<'a> {
    /// Its file, or the comment of an agent's key.
    pub path: &'a str,
    /// ssh's short name of the type, for example `ED25519`.
    pub key_type: &'a str,
    /// `SHA256:…`.
    pub fingerprint: &'a str,
}

/// A line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileLine<'a> {
    /// Path on the client, as ssh prints it.
    pub path: &'a str,
    /// Line number from 1.
    pub line: u32,
}

/// What one run of ssh (or of scp or rsync around it) told with `-v`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace<'a> {
    /// How far it got.
    pub stage: Stage,
    /// Whether there was any line of level `debug1`: without, nothing but [`Trace::said`] means anything.
    pub verbose: bool,
    /// The address dialled.
    pub address: Option<&'a str>,
    /// The port dialled.
    pub port: Option<u16>,
    /// Whether a jump host or proxy command stands in between.
    pub proxied: bool,
    /// Whether a control socket was asked, and whether a connection that stood already was used.
    pub shared: Sharing,
    /// What the far end said before, or instead of, its SSH banner.
    pub before_banner: Vec<&'a str>,
    /// The host key it presented.
    pub served: Option<ServedKey<'a>>,
    /// Whether the host key was found for the name dialled.
    pub host_key_known: bool,
    /// Where it was found.
    pub found: Option<FileLine<'a>>,
    /// Where ssh found the same key under another name, or in a `Host key` complaint another key under this name.
    pub elsewhere: Vec<FileLine<'a>>,
    /// Another key recorded for the name (`Offending … key in`).
    pub offending: Option<FileLine<'a>>,
    /// The methods that the far end still allows; as it wrote them, comma-separated.
    pub methods: Option<&'a str>,
    /// Whether public keys were tried at all.
    pub tried_public_keys: bool,
    /// Keys whose public half the client knows and that it means to offer.
    pub candidates: Vec<ClientKey<'a>>,
    /// Whether a key was left out because of `PubkeyAcceptedAlgorithms`.
    pub skipped: bool,
    /// Whether a private key without a public half beside it is being tried: an answer of the far end says that it loaded and was
    /// offered, which ssh itself does not tell.
    pub trying: bool,
    /// Keys offered.
    pub offered: Vec<ClientKey<'a>>,
    /// The key that the far end would take.
    pub accepted: Option<ClientKey<'a>>,
    /// Whether the far end took the key but wants more.
    pub partial: bool,
    /// Whether the line that let the client in forces a command.
    pub forced_command: bool,
    /// The exit status of the far end's command; negative when it has none.
    pub exit_status: Option<i32>,
    /// Whether the far end's command was killed by a signal.
    pub signalled: bool,
    /// Everything else, in order: ssh's own messages, the far end's banner and what its command wrote to stderr.
    pub said: Vec<&'a str>,
}

/// What became of connection sharing (`ControlMaster`, `ControlPath`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Not asked for, or this connection is the first.
    #[default]
    No,
    /// An existing master was found and asked.
    Asked,
    /// The session runs over it: no login was made.
    Used,
}

/// The jump hosts on the way. For each `ProxyJump` ssh starts another ssh with the same `-v` (ssh.c `main`), and all of them
/// write to one stderr: the one to the nearest host first, until its login is done.
#[derive(Default)]
struct Way {
    jumps: usize,
    behind: usize,
    greeted: bool,
}

impl Way {
    /// Whether with this line, at this stage of the session before, the session with the next host begins.
    fn goes_on(&mut self, line: &str, stage: Stage) -> bool {
        self.jumps += usize::from(line.starts_with("Setting implicit ProxyCommand from ProxyJump"));
        let greets = line.starts_with("Remote protocol version");
        self.greeted |= greets;
        let begins =
            greets || line == "SSH2_MSG_KEXINIT received" || line.starts_with("Server host ");
        // A jump host with a control master: its login was done before.
        let is_shared = line.starts_with("mux_client_request_stdio_fwd: master session id");
        let next =
            (begins && stage >= Stage::Authenticated || is_shared) && self.behind < self.jumps;
        self.behind += usize::from(next);
        next
    }

    /// Whether no more was heard than what hosts on the way say. What is told of a run that went well has no greetings.
    fn ends_before_the_host(&self) -> bool {
        self.greeted && self.behind < self.jumps
    }
}

impl<'a> Trace<'a> {
    /// Reads the stderr of a run with `-v`.
    #[must_use]
    pub fn read(text: &'a str) -> Self {
        let mut trace = Self::default();
        let mut way = Way::default();
        for line in text.split('\n') {
            let line = line.trim_end_matches('\r');
            if let Some(debug) = line.strip_prefix("debug1: ") {
                trace.verbose = true;
                if way.goes_on(debug, trace.stage) {
                    trace.forget();
                }
                trace.debug(debug);
            } else if line.starts_with("Authenticated to ") {
                trace.reach(Stage::Authenticated);
            } else if !is_chatter(line) {
                trace.message(line);
            }
        }
        if way.ends_before_the_host() {
            let said = std::mem::take(&mut trace.said);
            trace.forget();
            trace.said = said;
        }
        trace
    }

    /// Takes back what is of the way and not of the host that is meant.
    fn forget(&mut self) {
        *self = Self {
            stage: Stage::Started,
            verbose: self.verbose,
            proxied: self.proxied,
            ..Self::default()
        };
    }

    /// Whether any of the messages contains a text.
    #[must_use]
    pub fn says(&self, text: &str) -> bool {
        self.said.iter().any(|line| line.contains(text))
    }

    fn reach(&mut self, stage: Stage) {
        self.stage = self.stage.max(stage);
    }

    fn debug(&mut self, line: &'a str) {
        if let Some(rest) = line.strip_prefix("Connecting to ") {
            // `NAME [ADDRESS] port N.`
            if let Some((_, rest)) = rest.rsplit_once(" [")
                && let Some((address, port)) = rest.split_once("] port ")
            {
                self.address = Some(address);
                self.port = port.trim_end_matches('.').parse().ok();
            }
            self.reach(Stage::Resolved);
        } else if line.starts_with("Executing proxy ") || line.starts_with("Setting implicit Proxy")
        {
            self.proxied = true;
        } else if line.starts_with("auto-mux: Trying existing master") {
            self.shared = Sharing::Asked;
        } else if line.starts_with("mux_client_request_session: master session id") {
            self.shared = Sharing::Used;
            self.reach(Stage::Commanded);
        } else if line == "Connection established." {
            self.reach(Stage::Connected);
        } else if let Some((_, said)) = line.split_once("xchange_identification: banner line ") {
            // `kex_exchange_identification: banner line 0: TEXT`
            self.before_banner
                .push(said.split_once(": ").map_or(said, |(_, text)| text));
        } else if line.starts_with("Remote protocol version") {
            self.reach(Stage::Banner);
        } else if line == "SSH2_MSG_KEXINIT received" {
            self.reach(Stage::KeyExchange);
        } else if let Some(key) = line.strip_prefix("Server host key: ") {
            self.served = two_words(key).map(|(key_type, fingerprint)| ServedKey {
                key_type,
                fingerprint,
                authority: None,
            });
            self.reach(Stage::HostKey);
        } else if let Some(key) = line.strip_prefix("Server host certificate: ") {
            self.served = two_words(key).map(|(key_type, fingerprint)| ServedKey {
                key_type,
                fingerprint: fingerprint.trim_end_matches(','),
                authority: key
                    .rsplit_once(" CA ")
                    .and_then(|(_, ca)| two_words(ca))
                    .map(|(_, fingerprint)| fingerprint),
            });
            self.reach(Stage::HostKey);
        } else if line.starts_with("Host '") && line.contains("' is known and matches ") {
            self.host_key_known = true;
        } else if let Some(place) = line
            .strip_prefix("Found key in ")
            .or_else(|| line.strip_prefix("Found CA key in "))
        {
            self.found = file_line(place);
        } else if let Some((_, place)) = line.split_once(": found matching key in ") {
            self.elsewhere.extend(file_line(place));
        } else if line == "SSH2_MSG_NEWKEYS received" {
            self.reach(Stage::Encrypted);
        } else if let Some(methods) = line.strip_prefix("Authentications that can continue: ") {
            self.methods = Some(methods);
            if std::mem::take(&mut self.trying) {
                self.reach(Stage::Offered);
            }
        } else if let Some(method) = line.strip_prefix("Next authentication method: ") {
            self.trying = false;
            self.tried_public_keys |= method == "publickey";
        } else if line.ends_with("with partial success.") {
            self.partial = true;
        } else if let Some(key) = line.strip_prefix("Will attempt key: ") {
            self.candidates.extend(client_key(key));
        } else if line.starts_with("Skipping ") && line.contains(" not in PubkeyAccepted") {
            self.skipped = true;
        } else if line.starts_with("Trying private key: ") {
            self.trying = true;
        } else if let Some(key) = line.strip_prefix("Offering public key: ") {
            self.trying = false;
            self.offered.extend(client_key(key));
            self.reach(Stage::Offered);
        } else if let Some(key) = line.strip_prefix("Server accepts key: ") {
            self.accepted = client_key(key);
            self.reach(Stage::Accepted);
        } else if line.starts_with("Authentication succeeded ") {
            self.reach(Stage::Authenticated);
        } else if let Some(remark) = line.strip_prefix("Remote: ") {
            if let Some((_, options)) = remark.split_once(" key options: ") {
                self.forced_command |= options.split(' ').any(|word| word == "command");
            }
        } else if line.starts_with("Sending command: ") || line.starts_with("Sending subsystem: ") {
            self.reach(Stage::Commanded);
        } else if line.contains(" rtype exit-status ") {
            self.reach(Stage::Ended);
        } else if line.contains(" rtype exit-signal ") {
            self.signalled = true;
            self.reach(Stage::Ended);
        } else if let Some(status) = line.strip_prefix("Exit status ") {
            self.exit_status = status.parse().ok();
        }
    }

    fn message(&mut self, line: &'a str) {
        if line.starts_with("Offending ")
            && let Some((_, place)) = line.split_once(" in ")
        {
            // The last one names the entry for the name; one for the address comes before it.
            self.offending = file_line(place);
        }
        self.said.push(line);
    }
}

/// Lines that ssh and scp print with `-v` without marking them as debug output.
fn is_chatter(line: &str) -> bool {
    line.trim().is_empty()
        || line.starts_with("debug2: ")
        || line.starts_with("debug3: ")
        || line.starts_with("scp: debug")
        || line.starts_with("OpenSSH_")
        || line.starts_with("Executing: program ")
        || line.starts_with("Transferred: sent ")
        || line.starts_with("Bytes per second: sent ")
        || line.starts_with("Sending file modes: ")
}

fn two_words(text: &str) -> Option<(&str, &str)> {
    let mut words = text.split(' ');
    Some((words.next()?, words.next()?))
}

/// `PATH:LINE`; the path may hold colons.
fn file_line(text: &str) -> Option<FileLine<'_>> {
    let (path, line) = text.rsplit_once(':')?;
    Some(FileLine {
        path,
        line: line.parse().ok()?,
    })
}

/// `PATH TYPE SHA256:… [explicit|agent …]`; the path may hold blanks. Keys without a fingerprint are files that were
/// only looked for.
fn client_key(text: &str) -> Option<ClientKey<'_>> {
    let at = text.find(" SHA256:")?;
    let (before, behind) = text.split_at(at);
    let (path, key_type) = before.rsplit_once(' ')?;
    Some(ClientKey {
        path,
        key_type,
        fingerprint: behind.trim_start().split(' ').next()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOGIN: &str = "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026\r
debug1: Reading configuration data /etc/ssh/ssh_config\r
debug1: Connecting to fd00::2 [fd00::2] port 8022.\r
debug1: Connection established.\r
debug1: identity file /var/lib/nova/.ssh/id_rsa type -1\r
debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1\r
debug1: SSH2_MSG_KEXINIT sent\r
debug1: SSH2_MSG_KEXINIT received\r
debug1: Server host key: ssh-ed25519 SHA256:dlSSrdsvzUt1cbX4Z7dwaUQU0/cczyk6jdb8OujGKks\r
debug1: Host '[fd00::2]:8022' is known and matches the ED25519 host key.\r
debug1: Found key in /var/lib/nova/.ssh/known_hosts:3\r
debug1: SSH2_MSG_NEWKEYS received\r
debug1: Will attempt key: /var/lib/nova/.ssh/id_rsa \r
debug1: Will attempt key: /var/lib/nova/my keys/id ED25519 SHA256:tts explicit\r
debug1: Authentications that can continue: publickey,password\r
debug1: Next authentication method: publickey\r
debug1: Offering public key: /var/lib/nova/my keys/id ED25519 SHA256:tts explicit\r
debug1: Server accepts key: /var/lib/nova/my keys/id ED25519 SHA256:tts explicit\r
Authenticated to fd00::2 ([fd00::2]:8022) using \"publickey\".\r
debug1: Remote: /home/nova/.ssh/authorized_keys:1: key options: agent-forwarding command pty\r
debug1: Sending command: true\r
debug1: client_input_channel_req: channel 0 rtype exit-status reply 0\r
from the far end
Transferred: sent 3532, received 3352 bytes, in 0.4 seconds\r
debug1: Exit status 7\r
";

    #[test]
    fn a_whole_login_is_read() {
        let trace = Trace::read(LOGIN);
        assert_eq!(trace.stage, Stage::Ended);
        assert_eq!((trace.address, trace.port), (Some("fd00::2"), Some(8022)));
        let served = trace.served.expect("served");
        assert_eq!(served.key_type, "ssh-ed25519");
        assert!(served.fingerprint.starts_with("SHA256:dlSS") && served.authority.is_none());
        assert_eq!(trace.found.expect("found").line, 3);
        assert_eq!(trace.candidates, trace.offered);
        assert_eq!(trace.accepted, Some(trace.offered[0]));
        assert_eq!(trace.offered[0].path, "/var/lib/nova/my keys/id");
        assert_eq!(trace.exit_status, Some(7));
        assert!(trace.forced_command && trace.tried_public_keys && trace.verbose);
        assert_eq!(trace.said, ["from the far end"]);
    }

    #[test]
    fn the_stage_is_the_highest_line_that_came() {
        use Stage::*;
        let order = [
            Started,
            Resolved,
            Connected,
            Connected,
            Banner,
            KeyExchange,
            HostKey,
            HostKey,
            HostKey,
            Encrypted,
            Offered,
            Accepted,
            Authenticated,
            Authenticated,
            Commanded,
            Ended,
            Ended,
        ];
        let telling = |line: &&str| {
            [
                "Reading",
                "Connecting",
                "Connection est",
                "identity",
                "Remote proto",
                "KEXINIT received",
                "Server host",
                "is known",
                "Found",
                "NEWKEYS",
                "Offering",
                "Server accepts",
                "Authenticated",
                "Remote: ",
                "Sending command",
                "rtype",
                "Exit status",
            ]
            .iter()
            .any(|text| line.contains(text))
        };
        let lines: Vec<_> = LOGIN.lines().filter(telling).collect();
        assert_eq!(lines.len(), order.len());
        for (count, stage) in order.into_iter().enumerate() {
            assert_eq!(
                Trace::read(&lines[..=count].join("\n")).stage,
                stage,
                "{}",
                lines[count]
            );
        }
    }

    #[test]
    fn what_jump_hosts_say_is_not_taken_for_the_host_behind_them() {
        let jump = "debug1: Setting implicit ProxyCommand from ProxyJump: ssh -v -W '[%h]:%p' jump\ndebug1: Executing proxy command: exec ssh -v -W '[10.0.0.2]:22' jump\n";
        let session = |name: &str, end: &str| {
            format!(
                "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1\ndebug1: SSH2_MSG_KEXINIT received\ndebug1: Server host key: ssh-ed25519 SHA256:{name}\ndebug1: Found key in /k:1\ndebug1: SSH2_MSG_NEWKEYS received\ndebug1: Offering public key: /k ED25519 SHA256:mine\n{end}"
            )
        };
        let let_in = "Authenticated to jump ([10.0.0.9]:22) using \"publickey\".\n";
        let denied = "nova@10.0.0.2: Permission denied (publickey).\n";
        let served = |trace: &Trace<'_>| trace.served.map(|key| key.fingerprint.to_owned());

        let on_the_way = format!("{jump}{}", session("jump", denied));
        let trace = Trace::read(&on_the_way);
        assert!(trace.proxied && trace.stage < Stage::Banner);
        assert_eq!((served(&trace), trace.offered.len()), (None, 0));
        assert!(trace.says("Permission denied"));

        let behind = format!(
            "{jump}{}{}",
            session("jump", let_in),
            session("host", denied)
        );
        let trace = Trace::read(&behind);
        assert_eq!(trace.stage, Stage::Offered);
        assert_eq!(served(&trace).as_deref(), Some("SHA256:host"));
        assert_eq!(trace.offered.len(), 1);

        let shared = format!(
            "{jump}debug1: auto-mux: Trying existing master\ndebug1: mux_client_request_stdio_fwd: master session id: 2\n{}",
            session("host", denied)
        );
        let trace = Trace::read(&shared);
        assert_eq!(trace.stage, Stage::Offered);
        assert_eq!(served(&trace).as_deref(), Some("SHA256:host"));

        let two = format!("{jump}{jump}{}", session("one", let_in));
        let behind = format!("{two}{}{}", session("two", let_in), session("host", denied));
        assert_eq!(
            served(&Trace::read(&behind)).as_deref(),
            Some("SHA256:host")
        );
        let between = format!("{two}{}", session("two", denied));
        assert!(Trace::read(&between).stage < Stage::Banner);

        let refused = format!(
            "{jump}{}stdio forwarding failed\nConnection closed by UNKNOWN port 65535\n",
            session("jump", let_in)
        );
        let trace = Trace::read(&refused);
        assert!(trace.proxied && trace.stage < Stage::Banner);
    }

    #[test]
    fn a_certificate_tells_its_authority() {
        let trace = Trace::read(
            "debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com SHA256:abc, serial 0 ID \"n CA x\" CA ssh-ed25519 SHA256:def valid forever",
        );
        assert_eq!(
            trace.served,
            Some(ServedKey {
                key_type: "ssh-ed25519-cert-v01@openssh.com",
                fingerprint: "SHA256:abc",
                authority: Some("SHA256:def"),
            })
        );
    }

    #[test]
    fn a_session_over_a_master_is_told_from_a_login() {
        let asked = "debug1: auto-mux: Trying existing master at '/run/x'\n";
        assert_eq!(Trace::read(asked).shared, Sharing::Asked);
        let used = format!("{asked}debug1: mux_client_request_session: master session id: 2\n");
        let trace = Trace::read(&used);
        assert_eq!(
            (trace.shared, trace.stage),
            (Sharing::Used, Stage::Commanded)
        );
    }

    #[test]
    fn what_stands_in_place_of_the_banner_is_kept() {
        for prefix in ["kex_exchange_identification", "ssh_exchange_identification"] {
            let text = format!("debug1: {prefix}: banner line 0: Exceeded MaxStartups");
            assert_eq!(Trace::read(&text).before_banner, ["Exceeded MaxStartups"]);
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(debug1: )?[ -~\n\r:\\[\\]']{0,200}") {
            let _ = Trace::read(&text);
        }

        #[test]
        fn a_cut_login_never_reaches_higher(cut in 0..LOGIN.len()) {
            prop_assert!(Trace::read(&LOGIN[..cut]).stage <= Stage::Ended);
            let whole = Trace::read(LOGIN).stage;
            prop_assert!(Trace::read(&LOGIN[..cut]).stage <= whole);
        }
    }
}
