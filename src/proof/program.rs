//! The program for one context of one client node.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::domain::{Lane, Leg, Transport};
use crate::frame::{Nonce, prelude, sh_quote};

use super::answer::Reader;
use super::settings::Settings;
use super::vocabulary::{errand, pulled, quoted};
use super::words;

const CLIMB: &str = include_str!("climb.sh");

/// What every program has in common, made once.
static SENT: LazyLock<String> = LazyLock::new(|| {
    let lines = CLIMB.split_inclusive('\n');
    lines.filter(|line| !line.starts_with('#')).collect()
});
static KEEP_FULL: LazyLock<String> = LazyLock::new(|| filter(FULL));
static KEEP_BRIEF: LazyLock<String> = LazyLock::new(|| filter(BRIEF));
static KEEP_KEY: LazyLock<String> = LazyLock::new(|| filter(&[BRIEF, &[ACCEPTED]].concat()));

/// Between the lines of a text in the answer: a record must not hold a newline.
pub(super) const SEPARATOR: char = '\u{1f}';

/// Programs for the legs of one client node, one for each context among them, to be run one after the other.
///
/// The legs keep their order. `nonce` must be new for each call.
#[must_use]
pub fn programs(legs: Vec<Leg>, settings: &Settings, nonce: &Nonce) -> Vec<Program> {
    let mut programs: Vec<Program> = Vec::new();
    for leg in legs {
        match programs.iter_mut().find(|it| it.context == leg.context) {
            Some(program) => program.legs.push(leg),
            None => programs.push(Program {
                context: leg.context.clone(),
                nonce: nonce.child(&format!("proof {}", programs.len())),
                settings: settings.clone(),
                legs: vec![leg],
            }),
        }
    }
    programs
}

/// What climbs the legs of one client node in one context.
#[derive(Debug, Clone)]
pub struct Program {
    context: Arc<[String]>,
    nonce: Nonce,
    settings: Settings,
    legs: Vec<Leg>,
}

impl Program {
    /// Its legs, in the order in which they are climbed.
    #[must_use]
    pub fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// For how long it may be silent while it works: a leg that takes its time gives a sign of life after each connection.
    #[must_use]
    pub fn longest_silence(&self) -> Duration {
        Duration::from_secs(self.settings.silent_seconds() + 20)
    }

    /// After how long it has certainly ended by itself.
    #[must_use]
    pub fn longest_run(&self) -> Duration {
        self.settings.total + Duration::from_secs(20)
    }

    /// What reads its answer.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(
            &self.nonce,
            self.token(),
            self.settings.clone(),
            self.legs.clone(),
        )
    }

    /// The POSIX sh script, to be run as root on the client node. It enters the context once, for all legs, and gives
    /// the program to a shell there on standard input: in a context that passes none (`docker exec` without `-i`)
    /// nothing happens.
    ///
    /// That input stays open behind the program for as long as the context's words run. Between them and the program there
    /// may be a daemon (docker) that passes on no signal, and that reads what the program writes also when nobody listens
    /// any more: the end of the input is then all that the program sees. The shell holds both ends of that pipe; it has
    /// something left to do behind the words, or it would turn into them.
    #[must_use]
    pub fn script(&self) -> String {
        let program = self.inner();
        if self.context.is_empty() {
            return program;
        }
        let program = format!("listens=1\n{program}");
        let context: Vec<_> = self.context.iter().map(|word| sh_quote(word)).collect();
        format!(
            "p={}\n: | {{\nexec 9>/proc/self/fd/0\nprintf %s \"$p\" >&9 2>/dev/null &\n\
             {} /bin/sh -c 'eval \"$(head -c {})\"' 9>&-\nexit $?\n}}\n",
            sh_quote(&program),
            context.join(" "),
            program.len(),
        )
    }

    /// Marks what the far end answers. The far end learns it, so it is not the nonce.
    fn token(&self) -> String {
        format!("clearway-{}", &self.nonce.child("answer").as_str()[..16])
    }

    fn inner(&self) -> String {
        let settings = &self.settings;
        let mut text = prelude(&self.nonce);
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, "{key}={}", sh_quote(value));
        };
        line("tag", &self.nonce.child("directory").as_str()[..16]);
        line("token", &self.token());
        line("us", &SEPARATOR.to_string());
        line("full", &KEEP_FULL);
        line(
            "brief",
            if settings.only_identity {
                &KEEP_KEY
            } else {
                &KEEP_BRIEF
            },
        );
        line("limit", &settings.connection_seconds().to_string());
        line("total", &settings.total.as_secs().to_string());
        line("rest", &settings.pause.as_secs().to_string());
        line("workers", &self.workers().to_string());
        line("hold", &self.hold().to_string());
        line("tools", &self.tools());
        text.push_str(&SENT);
        let mut shapes = Vec::new();
        let mut list = String::new();
        for (number, leg) in self.legs.iter().enumerate() {
            let shape = self.shape(leg);
            let place = shapes
                .iter()
                .position(|it| *it == shape)
                .unwrap_or_else(|| {
                    shapes.push(shape);
                    shapes.len() - 1
                });
            let machine = leg.machine_id.as_deref().filter(|id| is_plain(id));
            let _ = writeln!(
                list,
                "leg {number} s{place} {} {} {} {}",
                sh_quote(&leg.name),
                sh_quote(&words::before_colon(&leg.name)),
                sh_quote(machine.unwrap_or_default()),
                pulled(leg),
            );
        }
        for (place, shape) in shapes.iter().enumerate() {
            let _ = write!(text, "s{place}() {{\n{shape}}}\n");
        }
        let _ = write!(text, "legs() {{\n{list}}}\nclimb\n");
        text
    }

    fn workers(&self) -> usize {
        let wanted = usize::try_from(self.settings.workers).unwrap_or(usize::MAX);
        wanted.clamp(1, 16).min(self.legs.len())
    }

    /// For how many hundredths of a second news of legs that work may be held back: not where there are few of them, and longer
    /// where many nodes, each with many legs, would wake the controller all the time.
    fn hold(&self) -> u32 {
        match self.legs.len() / self.workers() {
            0..=4 => 0,
            5..=16 => 500,
            _ => 1500,
        }
    }

    /// Programs without which some of the legs cannot be climbed.
    fn tools(&self) -> String {
        let mut tools = vec!["ssh"];
        let errands = || {
            self.legs.iter().map(|leg| {
                (
                    leg,
                    errand(leg, self.settings.depth, self.settings.write).climb,
                )
            })
        };
        if errands().any(|(_, climb)| matches!(climb, "climb_push" | "climb_pull" | "climb_look")) {
            tools.push("scp");
        }
        if errands().any(|(_, climb)| {
            matches!(
                climb,
                "climb_rsync" | "climb_pull_rsync" | "climb_look_rsync"
            )
        }) {
            tools.push("rsync");
        }
        tools.join(" ")
    }

    /// What legs of one kind share: the body of a function.
    fn shape(&self, leg: &Leg) -> String {
        let settings = &self.settings;
        let errand = errand(leg, settings.depth, settings.write);
        let join = |words: Vec<String>| {
            let quoted: Vec<_> = words.iter().map(|word| sh_quote(word)).collect();
            quoted.join(" ")
        };
        let ssh = join(words::ssh(leg, settings));
        // What `unrecorded` finds goes before all other options: the first value counts.
        let (kept, kept_by_rsync) = match leg.may_record {
            true => (r#" ${k:+-o "$k"}"#, r#""${k:+ -o $q$k$q}""#),
            false => ("", ""),
        };
        let mut body = String::new();
        if leg.may_record {
            let _ = writeln!(body, r#"unrecorded ssh -G {ssh} "$name""#);
        }
        let _ = match leg.id.lane {
            Lane::Live => writeln!(
                body,
                r#"S() {{ go "$1" ssh{kept} {ssh} "$name" sh -c "'$2'"; }}"#
            ),
            _ => writeln!(body, r#"S() {{ go "$1" ssh{kept} {ssh} "$name" "$2"; }}"#),
        };
        let scp = join(words::scp(leg, settings));
        let _ = writeln!(
            body,
            r#"C() {{ d=$1; shift; go "$d" scp{kept} {scp} "$@"; }}"#
        );
        if leg.transport == Transport::Rsync {
            let shell = sh_quote(&format!(" {}", join(words::rsync_shell(leg, settings))));
            let _ = writeln!(body, r#"R() {{ d=$1; shift; go "$d" rsync "$@"; }}"#);
            let _ = writeln!(
                body,
                "RSYNC_RSH=ssh{kept_by_rsync}{shell}\nexport RSYNC_RSH"
            );
        }
        // The quoting in `dq` is for the far end's shell.
        let _ = writeln!(body, "dr={}", sh_quote(&leg.directory));
        let _ = writeln!(body, "dq={}", sh_quote(&sh_quote(&leg.directory)));
        // The connections after the first, and one of them twice.
        let left = if leg.transport == Transport::Rsync {
            5
        } else {
            3
        };
        let patience =
            (left * (settings.connection_seconds() + 2) + settings.pause.as_secs()).div_ceil(5);
        let _ = writeln!(body, "patience={}", patience + 1);
        body.push_str("far=$dq/.clearway-$tag-$i\nraw=$dr/.clearway-$tag-$i\n");
        if let Some(first) = errand.first() {
            let _ = writeln!(body, "prepare={}", quoted(&first));
        }
        if let Some((collect, discard)) = errand.after {
            let _ = writeln!(body, "collect={}", quoted(collect));
            let _ = writeln!(body, "discard={}", quoted(discard));
        }
        let _ = writeln!(body, "{}", errand.climb);
        body
    }
}

/// Whether a machine id can stand in a far end's program as it is.
fn is_plain(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Lines of a run with `-v` that decide or explain, when it failed.
const FULL: &[&str] = &[
    "^debug1: Connecting to ",
    "^debug1: Connection established",
    "^debug1: Executing proxy ",
    "^debug1: Setting implicit Proxy",
    "^debug1: auto-mux: Trying",
    "^debug1: mux_client_request_[a-z_]*: master",
    "xchange_identification: banner line ",
    "^debug1: Remote protocol version",
    "^debug1: SSH2_MSG_KEXINIT received",
    "^debug1: Server host ",
    "^debug1: Host .*is known and matches",
    "^debug1: Found ",
    ": found matching key in ",
    "^debug1: SSH2_MSG_NEWKEYS received",
    "^debug1: Authentications that can",
    "^debug1: Next authentication method: ",
    "^debug1: Trying private key: ",
    "^debug1: Skipping .* not in PubkeyAccepted",
    "partial success",
    "^debug1: Will attempt key: .* SHA256:",
    "^debug1: Offering public key",
    ACCEPTED,
    "^debug1: Authentication succeeded",
    "^Authenticated to ",
    "^debug1: Remote: .* command ",
    "^debug1: Sending command",
    "^debug1: Sending subsystem",
    " rtype exit-s",
    "^debug1: Exit status",
];

/// Which key the far end took.
const ACCEPTED: &str = "^debug1: Server accepts key";

/// The same when it succeeded.
const BRIEF: &[&str] = &[
    "^debug1: Connecting to ",
    "^debug1: Executing proxy ",
    "^debug1: Server host ",
    "^debug1: Found ",
    "^debug1: mux_client_request_session: master",
];

/// A sed script that keeps these lines and all that are not debug output, makes them one, and stops at the line `#.`
/// or after a flood.
fn filter(keep: &[&str]) -> String {
    let mut script = String::from("1500b z\n/^#\\.$/b z\ns/\r$//\n");
    for pattern in keep {
        let _ = writeln!(script, "/{pattern}/b k");
    }
    for pattern in [
        "^debug[123]: ",
        "^Authenticated to ",
        "^scp: debug",
        "^OpenSSH_",
        "^Executing: program ",
        "^Sending file modes: ",
        "^Transferred: sent ",
        "^Bytes per second: sent ",
        "^$",
    ] {
        let _ = writeln!(script, "/{pattern}/d");
    }
    // The command may be long, and is known.
    script.push_str(":k\ns/^\\(debug1: Sending [a-z]*\\): .*/\\1: -/\n");
    script.push_str("s/^\\(.\\{300\\}\\).*/\\1/\nH\nd\n:z\nx\ns/^\\n//\n");
    let _ = write!(script, "s/\\n/{SEPARATOR}/g\np\nq");
    script
}
