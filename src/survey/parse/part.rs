//! The records of one part.

use std::collections::BTreeMap;

use crate::frame::Record;

use super::super::content::ContentPool;
use super::super::facts::{Answer, Content};
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
    /// The configuration files in reading order, as they are listed: two letters, a space, the path.
    pub(super) configuration: Vec<String>,
    /// What is known of paths.
    pub(super) paths: Paths,
    /// What `ssh-keygen -y` said of a key: exit status and output.
    pub(super) identities: BTreeMap<String, (u8, String)>,
    /// Which of the programs asked for are there.
    pub(super) programs: Vec<String>,
    /// What `ssh -G` or `sshd -T` said.
    pub(super) asked: Asked,
    /// The instances directory.
    pub(super) instances: Option<Instances>,
    /// `getent hosts` of the host name.
    pub(super) canonical: Option<String>,
    /// `/etc/machine-id`.
    pub(super) machine: Option<String>,
    /// Which way the listening sockets were learnt (`ss`, `proc`, or neither), and what came out.
    pub(super) listen: Option<(String, String)>,
    /// `ip route get` of an address that nobody has: exit status and output.
    pub(super) my_ip: Option<(u8, String)>,
}

/// What `ssh -G` or `sshd -T` said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It was not asked there.
    No,
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

impl PartAnswer {
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
            let is_span = matches!(kind, "files" | "ssh-g" | "sshd-t");
            let expected = is_span
                || matches!(
                    kind,
                    "part"
                        | "text"
                        | "stat"
                        | "instances"
                        | "canonical"
                        | "known"
                        | "ssh-g-status"
                        | "sshd-t-status"
                        | "programs"
                        | "machine"
                        | "listen"
                        | "my-ip"
                );
            if !expected || is_span != record.span.is_some() || once.insert(kind, record).is_some()
            {
                return Err(SurveyError::Unexpected(kind.to_owned()));
            }
        }
        let [hostname, uid, fips] = fields(needed(&once, "part")?)?;
        let [text, configuration] = fields(needed(&once, "text")?)?;
        let stat = fields(needed(&once, "stat")?)?;
        let files = match once.get("files") {
            Some(record) => {
                let [list] = fields(record)?;
                Some((list, record.span.as_deref().unwrap_or_default()))
            }
            None => None,
        };
        let programs = match once.get("programs") {
            Some(record) => {
                let [programs] = fields(record)?;
                lossy(programs)
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect()
            }
            None => Vec::new(),
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
        Ok(Self {
            hostname: lossy(hostname),
            uid: text_number(uid),
            fips: lossy(fips),
            text: Text::parse(text)?,
            configuration: lossy(configuration).lines().map(str::to_owned).collect(),
            paths: Paths::parse(stat, files, pool)?,
            identities,
            programs,
            asked: asked(&once, pool)?,
            instances: match once.get("instances") {
                Some(record) => Some(instances(record)?),
                None => None,
            },
            canonical: one("canonical")?,
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

fn asked(once: &BTreeMap<&str, &Record>, pool: &ContentPool) -> Result<Asked, SurveyError> {
    if let Some(record) = once.get("known") {
        let [number] = fields(record)?;
        let number = text_number(number).ok_or(SurveyError::Value("number of a known answer"))?;
        return match once.contains_key("ssh-g") || once.contains_key("sshd-t") {
            true => Err(SurveyError::Unexpected("known".to_owned())),
            false => Ok(Asked::Known(number)),
        };
    }
    let found = ["ssh-g", "sshd-t"]
        .into_iter()
        .zip(["ssh-g-status", "sshd-t-status"]);
    for (output, status) in found {
        let Some(record) = once.get(output) else {
            if once.contains_key(status) {
                return Err(SurveyError::Missing("ssh-g or sshd-t"));
            }
            continue;
        };
        let [] = fields(record)?;
        let [status, said] = fields(needed(once, status)?)?;
        let status: u8 = text_number(status).ok_or(SurveyError::Value("exit status"))?;
        // sshd ends what it logs to a terminal's lines with CR LF.
        let said = lossy(said).replace('\r', "");
        let answer = if status == 0 {
            Answer::Output(without_log_level(
                record.span.as_deref().unwrap_or_default(),
                pool,
            ))
        } else {
            let complaint: Vec<&str> = said.lines().filter(|line| !chatter(line)).collect();
            Answer::Failed {
                status: status.into(),
                stderr: complaint.join("\n"),
            }
        };
        return Ok(Asked::Now(answer, said));
    }
    Ok(Asked::No)
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
