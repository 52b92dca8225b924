//! The server side.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::super::answers::{KnownAnswer, Tool};
use super::super::facts::{
    Answer, CheckedFile, FileFact, FileKind, FileState, HostKeyFact, LockState, LoginAccount, Meta,
    ServerFacts,
};
use super::super::request::SurveyRequest;
use super::client::{answer, certifies, configuration, public_line, to_account};
use super::part::{Asked, PartAnswer, Side};
use super::paths::{Reader, above};
use super::stream::SurveyError;
use super::text::{Group, Passwd};

const DAY: i64 = 86_400;

/// The facts of the server side, and what `sshd -T` answered if that was new.
pub(super) fn server(
    request: &SurveyRequest,
    part: &PartAnswer,
    clock: i64,
    gaps: &mut Vec<String>,
) -> Result<(ServerFacts, Option<KnownAnswer>), SurveyError> {
    let reader = Reader {
        uid: part.uid.ok_or(SurveyError::Missing("user id"))?,
        gids: &[],
    };
    let side = part
        .server
        .as_ref()
        .ok_or(SurveyError::Missing("server-programs"))?;
    let config_files = configuration(part, Tool::Sshd, reader)?;
    let (base_config, sshd_version, learnt) =
        answer(request, Tool::Sshd, part, side, None, &config_files)?;
    let own = |path: &str| part.paths.own_file(path, reader);
    let existing = part
        .text
        .accounts
        .iter()
        .map(|entry| account(part, entry, clock));
    let missing = part.text.missing.iter().map(|name| no_account(name));
    let accounts: Vec<_> = existing.chain(missing).collect();
    gaps.extend(unread(part, &accounts));
    let nologin = part.text.role("nologin").map(|(_, path)| path);
    let nologin = nologin.filter(|path| part.paths.meta(path).is_some());
    let facts = ServerFacts {
        machine_id: part.machine_id().map(str::to_owned),
        sshd_version,
        base_config,
        config_files,
        host_keys: host_keys(part, side, reader, gaps),
        accounts,
        trust_files: trust_files(part, reader),
        nologin: nologin.map(str::to_owned).collect(),
        sftp_server: part.text.role("sftp").next().map(|(_, path)| own(path)),
        programs: side.programs.clone(),
        labels: part.labels.clone(),
    };
    Ok((facts, learnt))
}

/// The server side where its context could not be entered.
pub(super) fn failed(why: &str) -> ServerFacts {
    ServerFacts {
        machine_id: None,
        sshd_version: None,
        base_config: Answer::Failed {
            status: 255,
            stderr: why.to_owned(),
        },
        config_files: Vec::new(),
        host_keys: Vec::new(),
        accounts: Vec::new(),
        trust_files: Vec::new(),
        nologin: Vec::new(),
        sftp_server: None,
        programs: Vec::new(),
        labels: None,
    }
}

fn host_keys(
    part: &PartAnswer,
    side: &Side,
    reader: Reader<'_>,
    gaps: &mut Vec<String>,
) -> Vec<HostKeyFact> {
    let loaded = match &side.asked {
        Asked::Now(Answer::Output(_), said) => Some(fingerprints(said)),
        _ => None,
    };
    let mut keys = Vec::new();
    for (_, path) in part.text.role("hostkey") {
        let Some(meta) = part.paths.meta(path) else {
            continue;
        };
        let beside = format!("{path}.pub");
        let public = match (part.paths.content(&beside), part.identities.get(path)) {
            (Some(content), _) => String::from_utf8_lossy(&content.bytes)
                .trim_end()
                .to_owned(),
            (None, Some((0, said))) => said.trim_end().to_owned(),
            (None, _) => {
                gaps.push(format!("{path}: its public half is not known"));
                continue;
            }
        };
        let Some(line) = public_line(&public) else {
            gaps.push(format!("{beside}: holds no public key"));
            continue;
        };
        if loaded
            .as_ref()
            .is_some_and(|loaded| !loaded.contains(&fingerprint(&line)))
        {
            gaps.push(format!(
                "{path}: sshd does not load this key, or {beside} is not its public half"
            ));
        }
        let certificates = part.text.role("hostcert").map(|(_, path)| path);
        let certificate = certificates
            .into_iter()
            .find(|certificate| certifies(&part.paths, certificate, Some(&line)))
            .map(|certificate| part.paths.own_file(certificate, reader));
        keys.push(HostKeyFact {
            path: path.to_owned(),
            public,
            certificate,
            meta: Some(meta),
            left_out: false,
        });
    }
    if let Some(loaded) = loaded {
        leave_out(&mut keys, loaded);
    }
    keys
}

/// Marks the keys that sshd does not load. Where it loads one that no public half is of, that may be any of the others.
fn leave_out(keys: &mut [HostKeyFact], loaded: Vec<String>) {
    let own = |key: &HostKeyFact| public_line(&key.public).map(|line| fingerprint(&line));
    let halves: Vec<_> = keys.iter().filter_map(own).collect();
    if loaded.is_empty() || !loaded.iter().all(|it| halves.contains(it)) {
        return;
    }
    for key in keys {
        key.left_out = own(key).is_some_and(|it| !loaded.contains(&it));
    }
}

/// The fingerprints in `debug1: private host key #0: ssh-ed25519 SHA256:…`.
fn fingerprints(said: &str) -> Vec<String> {
    let lines = said
        .lines()
        .filter(|line| line.starts_with("debug1: private host key #"));
    let last = lines.filter_map(|line| line.rsplit(' ').next());
    last.map(str::to_owned).collect()
}

fn fingerprint(line: &str) -> String {
    let blob = line
        .split(' ')
        .nth(1)
        .and_then(|blob| STANDARD.decode(blob).ok());
    let digest = Sha256::digest(blob.unwrap_or_default());
    format!("SHA256:{}", STANDARD_NO_PAD.encode(digest))
}

fn trust_files(part: &PartAnswer, reader: Reader<'_>) -> Vec<FileFact> {
    let files = part.text.role("trust");
    files
        .map(|(_, path)| part.paths.own_file(path, reader))
        .collect()
}

fn no_account(name: &str) -> LoginAccount {
    LoginAccount {
        name: name.to_owned(),
        account: None,
        shell_usable: false,
        lock: LockState::Unknown,
        expires_day: None,
        password_expired: false,
        authorized_keys: Vec::new(),
        principals: Vec::new(),
    }
}

fn account(part: &PartAnswer, entry: &Passwd, clock: i64) -> LoginAccount {
    let shell = match entry.shell.as_str() {
        "" => "/bin/sh",
        shell => shell,
    };
    let shadow = part.text.shadow.get(&entry.name);
    let today = clock / DAY;
    let gids = group_ids(part, entry);
    let files = |role| -> Vec<CheckedFile> {
        let of_all = part.text.role(role);
        let own = of_all.filter(|(of, _)| *of == entry.name);
        own.map(|(_, path)| checked(part, entry, &gids, path))
            .collect()
    };
    LoginAccount {
        name: entry.name.clone(),
        account: Some(to_account(entry)),
        // auth.c, allowed_user.
        shell_usable: part
            .paths
            .meta(shell)
            .is_some_and(|meta| meta.kind == FileKind::File && meta.mode & 0o111 != 0),
        lock: match shadow {
            Some(shadow) if shadow.locked => LockState::Locked,
            Some(_) => LockState::Open,
            None => LockState::Unknown,
        },
        expires_day: shadow.and_then(|shadow| shadow.expires),
        // shadow(5): 0 as the day of the last change asks for a new password; 99999 days and more is never.
        password_expired: shadow.is_some_and(|shadow| match (shadow.changed, shadow.max) {
            (Some(0), _) => true,
            (Some(changed), Some(max)) => max < 99_999 && today > changed.saturating_add(max),
            _ => false,
        }),
        authorized_keys: files("authorized"),
        principals: files("principals"),
    }
}

fn group_ids(part: &PartAnswer, entry: &Passwd) -> Vec<u32> {
    let named = part
        .text
        .groups
        .iter()
        .filter(|(_, group)| entry.groups.contains(&group.name));
    std::iter::once(entry.gid)
        .chain(named.map(|(id, _)| *id))
        .collect()
}

/// The authorized_keys and principals files whose account can read them and of which nobody knows yet that their content is not known: root
/// opens only a few for accounts (part.sh, `hold`), and reads none that is very large.
fn unread(part: &PartAnswer, accounts: &[LoginAccount]) -> Vec<String> {
    let files = accounts
        .iter()
        .flat_map(|it| it.authorized_keys.iter().chain(&it.principals));
    let mut told = HashSet::new();
    let unread = files.filter(|checked| {
        let FileState::Present {
            meta,
            readable: true,
            content: None,
        } = &checked.file.state
        else {
            return false;
        };
        let path = checked.file.path.as_str();
        meta.kind == FileKind::File && !part.paths.was_read(path) && told.insert(path)
    });
    unread
        .map(|checked| {
            let path = &checked.file.path;
            format!("{path}: was not read, so which keys it allows is not known")
        })
        .collect()
}

/// An authorized_keys or principals file with what StrictModes looks at: misc.c `safe_path` goes up from where the file really is,
/// to the account's home if that is above it.
fn checked(part: &PartAnswer, entry: &Passwd, gids: &[u32], path: &str) -> CheckedFile {
    let reader = Reader {
        uid: entry.uid,
        gids,
    };
    let file = part.paths.file(path, reader);
    let home = part.paths.real(&entry.home);
    let mut directories = Vec::new();
    for directory in above(part.paths.real(path)) {
        if let Some(meta) = part.paths.meta(directory) {
            directories.push((directory.to_owned(), meta));
        }
        if directory == home {
            break;
        }
    }
    let metas = part.paths.meta(path).into_iter();
    let metas = metas.chain(directories.iter().map(|(_, meta)| *meta));
    let private_group = metas.map(|meta| private_group(part, entry, meta)).collect();
    CheckedFile {
        file,
        above: directories,
        private_group,
        closed: part.paths.closed(path, reader).map(str::to_owned),
    }
}

/// Debian's `secure_permissions` (user-group-modes.patch): the group has exactly one member, the account. `sshd -d` does
/// not say whose package it is of, but the system that it runs on does.
fn private_group(part: &PartAnswer, entry: &Passwd, meta: Meta) -> bool {
    let os = part.text.os.as_deref().unwrap_or_default();
    if !["Debian", "Ubuntu"].iter().any(|name| os.contains(name)) {
        return false;
    }
    let Some(group) = part.text.groups.get(&meta.gid) else {
        return false;
    };
    let Group {
        members, primary, ..
    } = group;
    let only_primary = primary.iter().all(|uid| *uid == entry.uid);
    let only_member = members.iter().all(|name| *name == entry.name) && members.len() < 2;
    only_primary && only_member && !(primary.is_empty() && members.is_empty())
}
