//! What a plan makes of a known_hosts file.

use std::collections::BTreeSet;

use super::check::Review;
use super::complaint::Rule;
use super::lines::{Line, lines, words};
use super::roles::Place;
use crate::domain::NodeId;
use crate::openssh::key::PublicKey;
use crate::openssh::known_hosts::HashedName;
use crate::repair::plan::Edit;
use crate::survey::{FileFact, NodeFacts};

impl Review<'_> {
    pub(super) fn hosts_file(&mut self, place: Place<'_>, edit: &Edit, bytes: (&[u8], &[u8])) {
        let node = self.fleet.node(place.node).name.as_str();
        let bytes = self.authority_in_hosts(place, edit, bytes);
        let (before, after) = (lines(&bytes.0), lines(&bytes.1));
        for line in after.iter().filter(|it| it.owned) {
            if before.iter().any(|old| old.owned && old.is(line)) {
                continue;
            }
            if let Err((rule, detail)) = self.new_host(place.node, line, &before) {
                let line = String::from_utf8_lossy(line.bytes).into_owned();
                let detail = format!("{detail}: {line}");
                self.complain(rule, node, Some(&edit.target), &detail);
            }
        }
        let mut now = after.iter().filter(|it| !it.owned).peekable();
        for old in before.iter().filter(|it| !it.owned) {
            match now.peek() {
                Some(line) if old.is(line) => {
                    now.next();
                    continue;
                }
                Some(line) if self.is_shorter(place.node, old, Some(line)) => {
                    now.next();
                    continue;
                }
                _ => {}
            }
            if !self.is_shorter(place.node, old, None) && !self.is_retired_host(old) {
                let line = String::from_utf8_lossy(old.bytes).into_owned();
                let detail = format!("dropped or changed: {line}");
                self.complain(Rule::Unmanaged, node, Some(&edit.target), &detail);
                break;
            }
        }
        if now.next().is_some() {
            let detail = "a line outside of the block is new";
            self.complain(Rule::Unmanaged, node, Some(&edit.target), detail);
        }
    }

    /// Whether a line vouches for a host key that the plan retires.
    fn is_retired_host(&self, old: &Line<'_>) -> bool {
        let Some((_, _, rest)) = entry(old.visible()) else {
            return false;
        };
        PublicKey::read(rest.trim_ascii_start()).is_ok_and(|(key, _)| self.is_retired(&key, true))
    }

    /// Whether a line lost, or with it went, nothing but names of nodes in scope under a key that is none of theirs.
    fn is_shorter(&self, client: NodeId, old: &Line<'_>, new: Option<&Line<'_>>) -> bool {
        let Some((names, key, rest)) = entry(old.visible()) else {
            return false;
        };
        let kept = match new {
            None => Vec::new(),
            Some(new) => match entry(new.visible()) {
                Some((kept, _, after)) if after == rest => kept,
                _ => return false,
            },
        };
        if new.is_some()
            && old.bytes.ends_with(b"\n") != new.is_some_and(|it| it.bytes.ends_with(b"\n"))
        {
            return false;
        }
        // What is kept stays in its order.
        let mut order = names.iter();
        if !kept.iter().all(|name| order.any(|it| it == name)) {
            return false;
        }
        let gone = names.iter().filter(|name| !kept.contains(name));
        gone.into_iter().all(|name| {
            let hashed = HashedName::parse(name);
            let mut owners = self.names.iter().filter(|(known, _)| match &hashed {
                Some(hashed) => hashed.matches(known.as_bytes()),
                None => known.as_bytes().eq_ignore_ascii_case(name),
            });
            let is_stale = |id: NodeId| {
                let keys = &self.disk_keys[id.index()];
                self.scope.joins(id, client) && !keys.is_empty() && !keys.contains(&key)
            };
            let is_vouched_for = |known: &str, id: NodeId| {
                let bare = known.strip_prefix('[').and_then(|it| it.split_once("]:"));
                let bare = bare.map_or(known, |(host, _)| host);
                (id == client || self.scope.joins(id, client)) && self.is_vouched_for(bare, &key)
            };
            owners.any(|(known, id)| is_stale(*id) || is_vouched_for(known, *id))
        })
    }

    fn new_host(
        &self,
        client: NodeId,
        line: &Line<'_>,
        before: &[Line<'_>],
    ) -> Result<(), (Rule, &'static str)> {
        let wide = |detail| (Rule::Wide, detail);
        if line.bytes.starts_with(b"# clearway: ") {
            return Ok(());
        }
        let text = words(line.visible());
        let [_, _, _, comment] = text.as_slice() else {
            return Err(wide("not four words"));
        };
        let name = std::str::from_utf8(comment)
            .ok()
            .and_then(|it| it.strip_prefix("clearway:"))
            .ok_or(wide("a comment that is not clearway's"))?;
        let server = self
            .fleet
            .find(name)
            .ok_or((Rule::Scope, "no node of the inventory"))?;
        if client == server || !self.scope.joins(client, server) {
            return Err((Rule::Scope, "a node out of scope"));
        }
        let (names, key, _) = entry(line.visible()).ok_or(wide("no plain entry"))?;
        if !self.disk_keys[server.index()].contains(&key) {
            return Err((Rule::Scope, "not a key of that node's disk"));
        }
        let is_hashed = |line: &Line<'_>| line.visible().trim_ascii_start().starts_with(b"|1|");
        let was_hashed = before.iter().any(is_hashed);
        for name in names {
            if let Some(hashed) = HashedName::parse(name) {
                let known = |(known, id): &(String, NodeId)| {
                    *id != server && hashed.matches(known.as_bytes()) && self.is_stated(known, *id)
                };
                if self.names.iter().any(known) {
                    return Err((Rule::Scope, "the name of another node"));
                }
                let own = |(known, id): &(String, NodeId)| {
                    *id == server && hashed.matches(known.as_bytes())
                };
                let configured = |word: &str| hashed.matches(word.as_bytes());
                if !self.names.iter().any(own) && !self.configures(client, configured) {
                    return Err((Rule::Scope, "a name that is not the node's"));
                }
                continue;
            }
            if was_hashed {
                return Err(wide("a name in the clear in a hashed file"));
            }
            let odd = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"._-:%[]".contains(byte));
            if name.is_empty() || name.iter().any(odd) {
                return Err(wide("a pattern"));
            }
            let text = String::from_utf8_lossy(name).to_ascii_lowercase();
            let bare = text
                .strip_prefix('[')
                .and_then(|it| it.split_once("]:"))
                .map_or(text.as_str(), |(host, _)| host);
            let owners = self.owners.get(bare).map_or(&[][..], Vec::as_slice);
            let mut others = owners.iter().filter(|&&id| id != server);
            if others.any(|&id| self.is_stated(bare, id)) && !self.is_stated(bare, server) {
                return Err((Rule::Scope, "the name of another node"));
            }
            let is_own = owners.contains(&server);
            let configured = |word: &str| word.eq_ignore_ascii_case(bare);
            if !is_own && !self.configures(client, configured) {
                return Err((Rule::Scope, "a name that is not the node's"));
            }
        }
        Ok(())
    }

    /// Whether a word of a client's own configuration is a name under which ssh looks a server up: `HostName`, `HostKeyAlias`.
    fn configures(&self, client: NodeId, is_it: impl Fn(&str) -> bool) -> bool {
        let clients = self.facts[client.index()].iter();
        let clients = clients.flat_map(|facts| &facts.clients);
        let mut texts = clients.flat_map(|client| {
            let files = client.config_files.iter().filter_map(FileFact::content);
            files.chain(client.base_config.output())
        });
        texts.any(|content| {
            let text = String::from_utf8_lossy(&content.bytes);
            text.lines().any(|line| {
                let between = |c: char| c.is_whitespace() || "=\"".contains(c);
                let mut words = line.split(between).filter(|word| !word.is_empty());
                // `%h` stands for the name as it is typed.
                let mut names = self.names.iter().map(|(name, _)| name.as_str());
                let keyword = words.next().unwrap_or_default().to_ascii_lowercase();
                ["hostname", "hostkeyalias"].contains(&&*keyword)
                    && words.any(|word| {
                        let typed = |name| word.replace("%h", name).replace("%n", name);
                        is_it(word) || word.contains('%') && names.any(|it| is_it(&typed(it)))
                    })
            })
        })
    }
}

/// The host keys that a survey has found on a node's disk.
pub(super) fn disk_keys(facts: Option<&NodeFacts>) -> BTreeSet<Vec<u8>> {
    facts
        .into_iter()
        .flat_map(|facts| &facts.server.host_keys)
        .filter_map(|key| PublicKey::read(key.public.trim_start().as_bytes()).ok())
        .map(|(key, _)| key.plain_blob().as_bytes().to_vec())
        .collect()
}

type Entry<'a> = (Vec<&'a [u8]>, Vec<u8>, &'a [u8]);

/// Names, key blob, and everything behind the names, of a line without a marker.
fn entry(line: &[u8]) -> Option<Entry<'_>> {
    let start = line.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    let line = &line[start..];
    if line.starts_with(b"#") || line.starts_with(b"@") {
        return None;
    }
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t'))?;
    let (names, rest) = line.split_at(end);
    let (key, _) = PublicKey::read(rest.trim_ascii_start()).ok()?;
    let names = names.split(|byte| *byte == b',').collect();
    Some((names, key.plain_blob().as_bytes().to_vec(), rest))
}
