//! What a plan leads to, by the prediction that also explains a check.

use crate::domain::{Fleet, Lane, LegId, Pair, Predicted, Profile};
use crate::repair::plan::{Edit, FileState, Plan, SshdChange, Target};
use crate::survey::{self, Answer, Content, FileFact, FileKind, Meta, NodeFacts};
use crate::trust::legs::Legs;
use crate::trust::{PairScope, Prediction};

use sha2::{Digest as _, Sha256};

use super::wanted::certificate_path;

/// What the files imply before and after a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Legs that work afterwards.
    pub works: usize,
    /// Legs that work before and not after: the first thousand.
    pub lost: Vec<(LegId, Predicted)>,
    /// Other legs that do not work afterwards, though they are needed: the first thousand.
    pub broken: Vec<(LegId, Predicted)>,
}

/// Nothing is kept for every pair of a large fleet.
const KEPT: usize = 1_000;

impl Outlook {
    /// Judges every leg of the scope on the facts as they are and as they will be.
    #[must_use]
    pub fn of(
        fleet: &Fleet,
        before: &[Option<NodeFacts>],
        after: &[Option<NodeFacts>],
        scope: &PairScope,
    ) -> Self {
        let (old_legs, new_legs) = (Legs::new(fleet, before), Legs::new(fleet, after));
        let old = Prediction::new(fleet, before, &old_legs, scope);
        let new = Prediction::new(fleet, after, &new_legs, scope);
        let mut outlook = Self::default();
        for &source in scope.nodes() {
            for destination in scope.destinations(source) {
                for lane in Lane::ALL {
                    let id = Pair {
                        source,
                        destination,
                    }
                    .leg(lane);
                    match new.verdict(id) {
                        Predicted::Works => outlook.works += 1,
                        Predicted::NotNeeded(_) => {}
                        other => {
                            let worked = old.verdict(id) == Predicted::Works;
                            let into = if worked {
                                &mut outlook.lost
                            } else {
                                &mut outlook.broken
                            };
                            if into.len() < KEPT {
                                into.push((id, other));
                            }
                        }
                    }
                }
            }
        }
        outlook
    }
}

/// The facts of a fleet after a plan. Edits of files that a survey does not look at change nothing; texts that wait for a
/// key are left out.
#[must_use]
pub fn afterwards(
    fleet: &Fleet,
    facts: &[Option<NodeFacts>],
    plan: &Plan,
) -> Vec<Option<NodeFacts>> {
    let mut facts = facts.to_vec();
    for of_node in &plan.nodes {
        let id = fleet.find(&of_node.node);
        let Some(id) = id else { continue };
        if let Some(facts) = &mut facts[id.index()] {
            let profile = &fleet.node(id).profile;
            of_node
                .edits
                .iter()
                .for_each(|edit| apply(facts, profile, edit));
        }
    }
    for change in &plan.sshd {
        let id = fleet.find(&change.node);
        let Some(id) = id else { continue };
        if let Some(facts) = &mut facts[id.index()] {
            for edit in &change.edits {
                apply(facts, &fleet.node(id).profile, edit);
                apply_to_sshd(facts, edit);
            }
            look_at_lists(facts, change);
        }
    }
    facts
}

/// Files that `RevokedKeys` names from now on are looked at, too.
fn look_at_lists(facts: &mut NodeFacts, change: &SshdChange) {
    let Answer::Output(printed) = &facts.server.base_config else {
        return;
    };
    let printed = String::from_utf8_lossy(&printed.bytes).into_owned();
    for edit in &change.edits {
        let path = &edit.target.path;
        let named = printed
            .lines()
            .any(|line| line == format!("revokedkeys {path}"));
        if named
            && let Some(state) = state_after(edit)
            && !facts.server.trust_files.iter().any(|it| it.path == *path)
        {
            facts.server.trust_files.extend(fact(path, &state));
        }
    }
}

fn apply(facts: &mut NodeFacts, profile: &Profile, edit: &Edit) {
    let Some(state) = state_after(edit) else {
        return;
    };
    let Target { context, path } = &edit.target;
    for client in &mut facts.clients {
        if profile.files_context(&client.context) != *context {
            continue;
        }
        set(client.known_hosts.iter_mut(), path, &state);
        for identity in &mut client.identities {
            if certificate_path(&identity.path) == *path {
                identity.certificate = fact(path, &state);
            }
        }
    }
    if *context == profile.sshd.context {
        for account in &mut facts.server.accounts {
            let files = account.authorized_keys.iter_mut().map(|it| &mut it.file);
            set(files, path, &state);
        }
        set(facts.server.trust_files.iter_mut(), path, &state);
    }
}

fn apply_to_sshd(facts: &mut NodeFacts, edit: &Edit) {
    let Some(state) = state_after(edit) else {
        return;
    };
    let path = &edit.target.path;
    let server = &mut facts.server;
    for key in &mut server.host_keys {
        if certificate_path(&key.path) == *path {
            key.certificate = fact(path, &state);
        }
    }
    let survey::FileState::Present {
        content: Some(content),
        ..
    } = &state
    else {
        return;
    };
    let text = String::from_utf8_lossy(&content.bytes).into_owned();
    let directives: Vec<(&str, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(keyword, _)| matches!(*keyword, "HostCertificate" | "RevokedKeys"))
        .collect();
    if directives.is_empty() {
        return;
    }
    if let Answer::Output(printed) = &server.base_config {
        let mut printed = String::from_utf8_lossy(&printed.bytes).into_owned();
        for (keyword, value) in directives {
            let line = format!("{} {value}\n", keyword.to_ascii_lowercase());
            if keyword == "RevokedKeys" {
                printed = printed.replace("revokedkeys none\n", "");
            }
            if !printed.contains(&line) {
                printed.push_str(&line);
            }
        }
        server.base_config = Answer::Output(content_of(printed.as_bytes()));
    }
    if server.config_files.iter().any(|it| it.path == *path) {
        set(server.config_files.iter_mut(), path, &state);
    } else {
        server.config_files.extend(fact(path, &state));
    }
}

fn set<'a>(files: impl Iterator<Item = &'a mut FileFact>, path: &str, state: &survey::FileState) {
    for file in files.filter(|file| file.path == path) {
        file.state = state.clone();
    }
}

fn fact(path: &str, state: &survey::FileState) -> Option<FileFact> {
    (*state != survey::FileState::Absent).then(|| FileFact {
        path: path.to_owned(),
        state: state.clone(),
    })
}

fn state_after(edit: &Edit) -> Option<survey::FileState> {
    match &edit.after {
        FileState::Absent => Some(survey::FileState::Absent),
        FileState::Directory { .. } | FileState::Opaque { .. } => None,
        FileState::File { attributes, text } => {
            let bytes = text.bytes(|_| None)?;
            Some(survey::FileState::Present {
                meta: Meta {
                    kind: FileKind::File,
                    mode: attributes.mode,
                    uid: attributes.uid,
                    gid: attributes.gid,
                    size: bytes.len() as u64,
                    symlink: false,
                },
                readable: true,
                content: Some(content_of(&bytes)),
            })
        }
    }
}

fn content_of(bytes: &[u8]) -> Content {
    Content {
        sha256: Sha256::digest(bytes).into(),
        bytes: bytes.into(),
    }
}
