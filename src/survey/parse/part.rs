//! The records of one part.

use std::collections::BTreeMap;

use crate::frame::Record;

use super::super::answers::Tool;
use super::super::content::ContentPool;
use super::super::facts::{Answer, Content, Labels};
use super::labels::labels;
use super::paths::Paths;
use super::stream::{SurveyError, text_number};
use super::text::Text;

/// What one part answered, each record checked for its form but not yet for its meaning.
#[derive(Debug)]
pub(in super::super) struct PartAnswer {
    /// `gethostname()` there.
    pub(super) hostname: String,
    /// The effective user id there.
    pub(super) uid: Option<u32>,
    /// `/proc/sys/crypto/fips_enabled`; empty without that.
    pub(super) fips: String,
    /// What awk read.
    pub(super) text: Text,
    /// The configuration files of ssh and sshd in reading order, as they are listed: two letters, a space, the path.
    configuration: Vec<String>,
    /// What is known of paths.
    pub(super) paths: Paths,
    /// What `ssh-keygen -y` said of a key: exit status and output.
    pub(super) identities: BTreeMap<String, (u8, String)>,
    /// The client side, when it was looked at.
    pub(super) client: Option<Side>,
    /// The server side, when it was looked at.
    pub(super) server: Option<Side>,
    /// What SELinux has to say of the files.
    pub(super) labels: Option<Labels>,
    /// The instances directory.
    pub(super) instances: Option<Instances>,
    /// `getent hosts` of the host name.
    pub(super) canonical: Option<String>,
    /// Whether the files of nova.conf come in the order of a running nova-compute.
    pub(super) started: bool,
    /// `/etc/machine-id`.
    machine: Option<String>,
    /// Which way the listening sockets were learnt (`ss`, `proc`, or neither), and what came out.
    pub(super) listen: Option<(String, String)>,
    /// `ip route get` of an address that nobody has: exit status and output.
    pub(super) my_ip: Option<(u8, String)>,
}

/// What was learnt of the client side or of the server side.
#[derive(Debug)]
pub(super) struct Side {
    /// Which of the programs asked for are there.
    pub(super) programs: Vec<String>,
    /// What `ssh -G` or `sshd -T` said.
    pub(super) asked: Asked,
}

/// What `ssh -G` or `sshd -T` said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It would say what the request already knows by this number.
    Known(usize),
    /// It was asked; the answer, and everything that it wrote to stderr.
    Now(Answer, String),
}

/// The instances directory as nova-compute's user sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instances {
    pub(super) path: String,
    pub(super) writable: bool,
    pub(super) free_bytes: Option<u64>,
    pub(super) free_inodes: Option<u64>,
    pub(super) read_only: bool,
}

const LABELS_NOT_KNOWN: &str =
    "SELinux: restorecon does not say whether the labels of files are the policy's";

/// What may come, apart from spans and `identity`.
const KINDS: [&str; 16] = [
    "part",
    "text",
    "stat",
    "labels",
    "instances",
    "canonical",
    "started",
    "machine",
    "listen",
    "my-ip",
    "ssh-status",
    "ssh-known",
    "client-programs",
    "sshd-status",
    "sshd-known",
    "server-programs",
];

impl PartAnswer {
    /// Adds what could not be learnt, in words.
    pub(super) fn gaps(&self, gaps: &mut Vec<String>) {
        gaps.extend(self.paths.gaps.iter().cloned());
        let unknown = self.labels.as_ref().is_some_and(|it| it.wrong.is_none());
        if unknown && !gaps.iter().any(|gap| gap == LABELS_NOT_KNOWN) {
            gaps.push(LABELS_NOT_KNOWN.to_owned());
        }
        for (kind, text) in &self.text.odd {
            gaps.push(format!(
                "{kind}: `{text}` is not looked at: it depends on more than this node"
            ));
        }
    }

    /// What stands in `/etc/machine-id`, if that is one: images ship the file empty, or with `uninitialized`.
    pub(super) fn machine_id(&self) -> Option<&str> {
        let is_one = |id: &&str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        self.machine.as_deref().filter(is_one)
    }

    /// The lines that list ssh's or sshd's configuration files, in reading order.
    pub(super) fn configuration(&self, tool: Tool) -> impl Iterator<Item = &str> {
        let lines = self.configuration.iter().map(String::as_str);
        lines.filter(move |line| line.starts_with('d') == (tool == Tool::Sshd))
    }

    /// Takes records apart. Every kind is known, and each but `identity` comes at most once.
    pub(super) fn read(records: &[Record], pool: &ContentPool) -> Result<Self, SurveyError> {
        let mut once: BTreeMap<&str, &Record> = BTreeMap::new();
        let mut identities = BTreeMap::new();
        for record in records {
            let kind = record.kind.as_str();
            if kind == "identity" {
                let [path, status, said] = fields(record)?;
                let status = text_number(status).ok_or(SurveyError::Value("exit status"))?;
                let said = (status, lossy(said));
                if identities.insert(lossy(path), said).is_some() {
                    return Err(SurveyError::Unexpected(kind.to_owned()));
                }
                continue;
            }
            let is_span = matches!(kind, "files" | "ssh" | "sshd");
            let expected = is_span || KINDS.contains(&kind);
            if !expected || is_span != record.span.is_some() || once.insert(kind, record).is_some()
            {
                return Err(SurveyError::Unexpected(kind.to_owned()));
            }
        }
        let [hostname, uid, fips] = fields(needed(&once, "part")?)?;
        let [text, configuration] = fields(needed(&once, "text")?)?;
        let stat = fields::<6>(needed(&once, "stat")?)?;
        let files = match once.get("files") {
            Some(record) => {
                let [list] = fields(record)?;
                Some((list, record.span.as_deref().unwrap_or_default()))
            }
            None => None,
        };
        let one = |kind| match once.get(kind) {
            Some(record) => fields::<1>(record).map(|[value]| Some(lossy(value))),
            None => Ok(None),
        };
        let listen = match once.get("listen") {
            Some(record) => {
                let [way, said] = fields(record)?;
                Some((lossy(way), lossy(said)))
            }
            None => None,
        };
        let my_ip = match once.get("my-ip") {
            Some(record) => {
                let [status, said] = fields(record)?;
                let status = text_number(status).ok_or(SurveyError::Value("exit status"))?;
                Some((status, lossy(said)))
            }
            None => None,
        };
        let text = Text::parse(text)?;
        let paths = Paths::parse(stat, files, pool)?;
        let labels = match once.get("labels") {
            Some(record) => {
                let [enforce, status, said] = fields(record)?;
                Some(labels(enforce, status, &lossy(said), &text, &paths)?)
            }
            None => None,
        };
        Ok(Self {
            hostname: lossy(hostname),
            uid: text_number(uid),
            fips: lossy(fips),
            text,
            labels,
            configuration: lossy(configuration).lines().map(str::to_owned).collect(),
            paths,
            identities,
            client: side(
                &once,
                ["ssh", "ssh-status", "ssh-known", "client-programs"],
                pool,
            )?,
            server: side(
                &once,
                ["sshd", "sshd-status", "sshd-known", "server-programs"],
                pool,
            )?,
            instances: match once.get("instances") {
                Some(record) => Some(instances(record)?),
                None => None,
            },
            canonical: one("canonical")?,
            started: match once.get("started") {
                Some(record) => fields::<0>(record).map(|_| true)?,
                None => false,
            },
            machine: one("machine")?,
            listen,
            my_ip,
        })
    }
}

fn needed<'a>(
    once: &BTreeMap<&str, &'a Record>,
    kind: &'static str,
) -> Result<&'a Record, SurveyError> {
    once.get(kind).copied().ok_or(SurveyError::Missing(kind))
}

fn fields<const N: usize>(record: &Record) -> Result<[&[u8]; N], SurveyError> {
    let fields: Vec<&[u8]> = record.fields.iter().map(Vec::as_slice).collect();
    fields
        .try_into()
        .map_err(|_| SurveyError::Unexpected(record.kind.clone()))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One side, when its list of programs says that it was looked at: then it was asked, or its answer is known.
fn side(
    once: &BTreeMap<&str, &Record>,
    [output, status, known, programs]: [&'static str; 4],
    pool: &ContentPool,
) -> Result<Option<Side>, SurveyError> {
    let Some(found) = once.get(programs) else {
        let odd = [output, status, known]
            .into_iter()
            .find(|kind| once.contains_key(kind));
        return match odd {
            Some(odd) => Err(SurveyError::Unexpected(odd.to_owned())),
            None => Ok(None),
        };
    };
    let [found] = fields(found)?;
    let asked = match (once.get(known), once.get(output)) {
        (Some(record), None) => {
            let [number] = fields(record)?;
            Asked::Known(text_number(number).ok_or(SurveyError::Value("number of a known answer"))?)
        }
        (None, Some(output)) => {
            let [] = fields(output)?;
            let [status, said] = fields(needed(once, status)?)?;
            let status: u8 = text_number(status).ok_or(SurveyError::Value("exit status"))?;
            // sshd ends what it logs to a terminal's lines with CR LF.
            let said = lossy(said).replace('\r', "");
            Asked::Now(
                answer(
                    status,
                    &said,
                    output.span.as_deref().unwrap_or_default(),
                    pool,
                ),
                said,
            )
        }
        _ => return Err(SurveyError::Missing(output)),
    };
    Ok(Some(Side {
        programs: lossy(found).split_whitespace().map(str::to_owned).collect(),
        asked,
    }))
}

fn answer(status: u8, said: &str, output: &[u8], pool: &ContentPool) -> Answer {
    if status == 0 {
        return Answer::Output(without_log_level(output, pool));
    }
    let complaint: Vec<&str> = said.lines().filter(|line| !chatter(line)).collect();
    Answer::Failed {
        status: status.into(),
        stderr: complaint.join("\n"),
    }
}

/// What `-v` and `-d` add, which the survey uses to learn the version.
fn chatter(line: &str) -> bool {
    line.starts_with("debug1: ")
        || line.starts_with("OpenSSH_")
        || line.starts_with("Pseudo-terminal")
}

/// The output without its `loglevel`, which is not the configuration's but that of the survey's own `-v`.
fn without_log_level(output: &[u8], pool: &ContentPool) -> Content {
    let lines = output.split_inclusive(|&b| b == b'\n');
    let kept: Vec<u8> = lines
        .filter(|line| !line.starts_with(b"loglevel "))
        .flatten()
        .copied()
        .collect();
    pool.content(&kept)
}

fn instances(record: &Record) -> Result<Instances, SurveyError> {
    let [path, writable, free, options] = fields(record)?;
    let free = lossy(free);
    let numbers: Vec<Option<u64>> = free.split(' ').map(|n| text_number(n.as_bytes())).collect();
    let (free_bytes, free_inodes) = match numbers.as_slice() {
        [Some(blocks), Some(size), Some(inodes)] => (blocks.checked_mul(*size), Some(*inodes)),
        _ => (None, None),
    };
    Ok(Instances {
        path: lossy(path),
        writable: match writable {
            b"yes" => true,
            b"no" => false,
            _ => return Err(SurveyError::Value("instances record")),
        },
        free_bytes,
        free_inodes,
        read_only: lossy(options).split(',').any(|option| option == "ro"),
    })
}
