//! The client side of one context.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::answers::{KnownAnswer, Tool, comparable};
use super::super::facts::{
    Account, Answer, ClientFacts, FileFact, FileKind, FileState, Identity, IdentityState, Meta,
};
use super::super::request::{ContextRequest, SurveyRequest};
use super::part::{Asked, PartAnswer, Side};
use super::paths::{Paths, Reader};
use super::stream::{Outcome, SurveyError};
use super::text::Passwd;

/// The facts of a context, and what `ssh -G` answered there if that was new.
pub(super) fn client(
    request: &SurveyRequest,
    context: &ContextRequest,
    outcome: &Outcome,
) -> Result<(ClientFacts, Option<KnownAnswer>), SurveyError> {
    const NOT_NEEDED: &str = "not entered: nova.conf does not let live migration use SSH";
    let part = match outcome {
        Outcome::Answered(part) => part,
        Outcome::Failed(why) => return Ok((without(context, why), None)),
        Outcome::Unfinished(why) => {
            let facts = ClientFacts {
                unfinished: true,
                ..without(context, why)
            };
            return Ok((facts, None));
        }
        Outcome::Skipped => return Ok((without(context, NOT_NEEDED), None)),
    };
    let side = match &part.client {
        Some(side) => side,
        None if context.only_live => return Ok((without(context, NOT_NEEDED), None)),
        None => return Err(SurveyError::Missing("client-programs")),
    };
    let account = part.text.own.as_ref().filter(|own| !own.name.is_empty());
    let gids = own_groups(part);
    let reader = Reader {
        uid: part.uid.ok_or(SurveyError::Missing("user id"))?,
        gids: &gids,
    };
    let own = |path: &str| part.paths.own_file(path, reader);
    let config_files = configuration(part, Tool::Ssh, reader)?;
    let (base_config, ssh_version, learnt) =
        answer(request, Tool::Ssh, part, side, account, &config_files)?;
    let identities = identities(part, reader);
    let known_hosts = known_hosts(part, &base_config)
        .into_iter()
        .map(own)
        .collect();
    let in_use: BTreeSet<&str> = identities.iter().map(|i| i.path.as_str()).collect();
    let copies = part.text.role("copy").map(|(_, path)| path);
    let key_copies = copies
        .filter(|path| !in_use.contains(path))
        .map(own)
        .collect();
    let facts = ClientFacts {
        context: context.words.clone(),
        failed: None,
        unfinished: false,
        account: account.map(to_account),
        ssh_version,
        base_config,
        config_files,
        identities,
        key_copies,
        public_halves: part
            .text
            .role("half")
            .map(|(_, path)| path.to_owned())
            .collect(),
        known_hosts,
        directories: part
            .text
            .role("directory")
            .map(|(_, path)| part.paths.directory(path, reader))
            .collect(),
        hosts: own("/etc/hosts"),
        programs: side.programs.clone(),
        labels: part.labels.clone(),
    };
    Ok((facts, learnt))
}

/// A context that was not entered.
fn without(context: &ContextRequest, why: &str) -> ClientFacts {
    ClientFacts {
        context: context.words.clone(),
        failed: Some(why.to_owned()),
        unfinished: false,
        account: None,
        ssh_version: None,
        base_config: Answer::Failed {
            status: 255,
            stderr: why.to_owned(),
        },
        config_files: Vec::new(),
        identities: Vec::new(),
        key_copies: Vec::new(),
        public_halves: Vec::new(),
        known_hosts: Vec::new(),
        directories: Vec::new(),
        hosts: FileFact {
            path: "/etc/hosts".to_owned(),
            state: FileState::Unreadable("the context was not entered".to_owned()),
        },
        programs: Vec::new(),
        labels: None,
    }
}

pub(super) fn to_account(entry: &Passwd) -> Account {
    Account {
        name: entry.name.clone(),
        uid: entry.uid,
        gid: entry.gid,
        groups: entry.groups.clone(),
        home: entry.home.clone(),
        shell: entry.shell.clone(),
    }
}

/// Ids of the groups of the account, as far as /etc/group names them, and the primary one.
fn own_groups(part: &PartAnswer) -> Vec<u32> {
    let primary = part.text.own.as_ref().map(|own| own.gid);
    let named = part.text.groups.keys().copied();
    primary.into_iter().chain(named).collect()
}

/// The configuration files of ssh or sshd, in reading order.
pub(super) fn configuration(
    part: &PartAnswer,
    tool: Tool,
    reader: Reader<'_>,
) -> Result<Vec<FileFact>, SurveyError> {
    let paths = part.configuration(tool).map(|line| {
        let path = line.get(3..);
        let path = path.ok_or(SurveyError::Value("list of configuration files"))?;
        Ok(part.paths.own_file(path, reader))
    });
    paths.collect()
}

/// What `ssh -G` or `sshd -T` says, its version, and the answer to be remembered when it is new.
pub(super) fn answer(
    request: &SurveyRequest,
    tool: Tool,
    part: &PartAnswer,
    side: &Side,
    account: Option<&Passwd>,
    files: &[FileFact],
) -> Result<(Answer, Option<String>, Option<KnownAnswer>), SurveyError> {
    let (answer, said) = match &side.asked {
        Asked::Known(number) => {
            let mut sent = request.known_of(tool);
            let known = sent
                .find(|(sent, _)| sent == number)
                .map(|(_, known)| known);
            let known = known.ok_or(SurveyError::Value("number of a known answer"))?;
            let output = Answer::Output(known.answer.clone());
            return Ok((output, known.version.clone(), None));
        }
        Asked::Now(answer, said) => (answer.clone(), said),
    };
    let version = version(tool, said);
    let listed: Vec<_> = part.configuration(tool).zip(files).collect();
    let learnt = match (
        &answer,
        comparable(tool, &listed),
        stamp(tool, part, account),
    ) {
        (Answer::Output(content), Some(files), Some(key)) => Some(KnownAnswer {
            tool,
            files,
            key,
            answer: content.clone(),
            version: version.clone(),
        }),
        _ => None,
    };
    Ok((answer, version, learnt))
}

/// What else the answer depends on, in the words of the program (`known` in part.sh).
fn stamp(tool: Tool, part: &PartAnswer, account: Option<&Passwd>) -> Option<String> {
    let role = match tool {
        Tool::Ssh => "ssh",
        Tool::Sshd => "sshd",
    };
    let (_, binary) = part.text.role(role).next()?;
    let binary = part.paths.stamp(binary)?;
    let who = match tool {
        Tool::Ssh => {
            let account = account?;
            format!(" {}:{}:{}", account.name, account.uid, account.home)
        }
        Tool::Sshd => part
            .text
            .role("hostkey")
            .filter_map(|(_, path)| part.paths.meta(path))
            .map(|meta| format!(" {:x}:{}", 0o100_000 | meta.mode, meta.uid))
            .collect(),
    };
    Some(format!("{binary}{who} {}", part.fips))
}

/// The version in what `ssh -v` or `sshd -d` writes first.
fn version(tool: Tool, said: &str) -> Option<String> {
    let line = match tool {
        Tool::Ssh => said.lines().find(|line| line.starts_with("OpenSSH_"))?,
        Tool::Sshd => {
            let mut versions = said
                .lines()
                .filter_map(|line| line.strip_prefix("debug1: sshd version "));
            versions.next()?
        }
    };
    Some(line.to_owned())
}

/// The known_hosts files: those of the base configuration in its order, then what else is named.
fn known_hosts<'a>(part: &'a PartAnswer, base: &'a Answer) -> Vec<&'a str> {
    let mut paths: Vec<&str> = Vec::new();
    if let Answer::Output(content) = base {
        let text = std::str::from_utf8(&content.bytes).unwrap_or_default();
        for keyword in ["userknownhostsfile ", "globalknownhostsfile "] {
            let lines = text.lines().filter_map(|line| line.strip_prefix(keyword));
            paths.extend(lines.flat_map(str::split_whitespace));
        }
    }
    let named: Vec<&str> = part.text.role("known").map(|(_, path)| path).collect();
    // What the survey did not look at is no fact: a path with spaces, or one that the configuration makes of tokens.
    paths.retain(|path| named.contains(path));
    for path in named {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

fn identities(part: &PartAnswer, reader: Reader<'_>) -> Vec<Identity> {
    let named = part.text.role("identity").chain(part.text.role("default"));
    let mut seen = BTreeSet::new();
    named
        .map(|(_, path)| path)
        .filter(|path| seen.insert(*path))
        .map(|path| identity(part, path, reader))
        .collect()
}

fn identity(part: &PartAnswer, path: &str, reader: Reader<'_>) -> Identity {
    let meta = part.paths.meta(path);
    let told = part.identities.get(path);
    let loaded = part.text.keys.get(path);
    // Without a newline behind its last line it is no key to ssh (private2_uudecode in sshkey.c).
    let ends = |meta: &Meta| part.text.key_bytes.get(path) != Some(&meta.size.saturating_add(1));
    let is_cut = loaded.is_some() && !meta.as_ref().is_none_or(ends);
    let known_to_awk = loaded.filter(|_| !is_cut);
    let state = match meta {
        None if part.paths.is_unseen(path) => IdentityState::Unreadable,
        None => IdentityState::Missing,
        Some(meta) if is_cut => match state(meta, true, None, reader) {
            IdentityState::Usable => IdentityState::Invalid,
            worse => worse,
        },
        Some(meta) => state(meta, known_to_awk.is_some(), told, reader),
    };
    let told = told
        .filter(|(status, _)| *status == 0)
        .map(|(_, said)| said.as_str());
    let beside = part.paths.content(&format!("{path}.pub"));
    let beside = beside.and_then(|content| std::str::from_utf8(&content.bytes).ok());
    let own = known_to_awk
        .map(ed25519_line)
        .or_else(|| told.and_then(public_line));
    let beside = beside.and_then(public_line);
    let public = own.clone().or_else(|| beside.clone());
    let certificate = certificate(part, path, public.as_deref(), reader);
    // With a certificate there is more that may be offered, and its key is the private one's.
    let stale = match (state, own, &certificate) {
        (IdentityState::Usable, Some(own), None) => beside.filter(|it| is_another(it, &own)),
        _ => None,
    };
    Identity {
        path: path.to_owned(),
        meta,
        state: if stale.is_some() {
            IdentityState::OtherPublic
        } else {
            state
        },
        public,
        stale,
        certificate,
    }
}

fn state(
    meta: Meta,
    loads: bool,
    told: Option<&(u8, String)>,
    reader: Reader<'_>,
) -> IdentityState {
    if meta.kind != FileKind::File {
        return IdentityState::Invalid;
    }
    // authfile.c, sshkey_perm_ok: only the owner's own file is judged by its mode.
    if meta.uid == reader.uid && meta.mode & 0o077 != 0 {
        return IdentityState::TooOpen;
    }
    match told {
        _ if loads => IdentityState::Usable,
        Some((0, _)) => IdentityState::Usable,
        Some((_, said)) if said.contains("incorrect passphrase") => IdentityState::Passphrase,
        Some((_, said)) if said.contains("bad permissions") => IdentityState::TooOpen,
        Some((_, said)) if said.contains("Permission denied") => IdentityState::Unreadable,
        Some(_) => IdentityState::Invalid,
        None => IdentityState::Unreadable,
    }
}

/// The certificate beside a key, else a configured one that is for this key.
fn certificate(
    part: &PartAnswer,
    path: &str,
    public: Option<&str>,
    reader: Reader<'_>,
) -> Option<FileFact> {
    let beside = format!("{path}-cert.pub");
    if part.paths.meta(&beside).is_some() {
        return Some(part.paths.own_file(&beside, reader));
    }
    let configured: Vec<&str> = part.text.role("cert").map(|(_, path)| path).collect();
    let fits = |path: &&str| certifies(&part.paths, path, public);
    let chosen = configured.iter().copied().find(fits)?;
    Some(part.paths.own_file(chosen, reader))
}

/// Whether a certificate file is for a public key.
pub(super) fn certifies(paths: &Paths, certificate: &str, public: Option<&str>) -> bool {
    let text = paths
        .content(certificate)
        .and_then(|content| std::str::from_utf8(&content.bytes).ok());
    let certificate =
        text.and_then(|text| ssh_key::Certificate::from_openssh(text.trim_end()).ok());
    let public = public.and_then(|line| ssh_key::PublicKey::from_openssh(line).ok());
    match (certificate, public) {
        (Some(certificate), Some(public)) => certificate.public_key() == public.key_data(),
        _ => false,
    }
}

/// `type base64` from the first line that has both.
pub(super) fn public_line(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (kind, blob) = (words.next()?, words.next()?);
        let plausible = !line.starts_with('#') && STANDARD.decode(blob).is_ok_and(|b| b.len() > 16);
        plausible.then(|| format!("{kind} {blob}"))
    })
}

/// Whether both are public keys, and not the same. A `.pub` that ssh cannot read stands in nobody's way.
fn is_another(beside: &str, own: &str) -> bool {
    let read = |line: &str| ssh_key::PublicKey::from_openssh(line).ok();
    match (read(beside), read(own)) {
        (Some(beside), Some(own)) => beside.key_data() != own.key_data(),
        _ => false,
    }
}

fn ed25519_line(public: &[u8; 32]) -> String {
    let blob = [b"\0\0\0\x0bssh-ed25519\0\0\0\x20".as_slice(), public].concat();
    format!("ssh-ed25519 {}", STANDARD.encode(blob))
}
