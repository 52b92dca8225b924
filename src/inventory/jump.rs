//! Jump hosts: named hops, and the chains that lead through them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::chain::{drawn, follow};
use super::document::{self, Document};
use super::layer::{Shared, words};
use super::problem::{Fault, Faults, Mark};
use super::values::{self, did_you_mean, fingerprint, listed, name, path, port, user};
use super::yaml::{At, Text, Words};
use crate::domain::{HostKeyTrust, JumpHost};

/// The port of SSH (RFC 4253, section 4.1).
pub(super) const SSH_PORT: u16 = 22;

/// All jump hosts by name.
#[derive(Default)]
pub(super) struct JumpHosts<'d> {
    table: BTreeMap<&'d str, Hop<'d>>,
}

struct Hop<'d> {
    mark: Mark,
    host: Option<JumpHost>,
    /// The hop before it.
    jump: Option<(Mark, &'d str)>,
}

impl<'d> JumpHosts<'d> {
    /// Reads the jump hosts of all files.
    pub(super) fn read(
        documents: &'d [Document],
        defaults: &HopDefaults,
        shared: &Shared,
        faults: &mut Faults,
    ) -> Self {
        let mut hosts = Self::default();
        for (file, document) in documents.iter().enumerate() {
            let entries = document
                .jump_hosts
                .iter()
                .flat_map(|entries| &entries.value.0);
            for (key, raw) in entries {
                let at = key.mark(file);
                faults.keep(name(at, &key.value));
                if let Some(first) = hosts.table.get(key.value.as_str()) {
                    faults.add(
                        Fault::new(at, format!("there is a jump host `{}` already", key.value))
                            .expected("each jump host once")
                            .also(first.mark, "it is defined here"),
                    );
                    continue;
                }
                let reader = Reader {
                    file,
                    shared,
                    defaults,
                    faults,
                };
                let hop = Hop {
                    mark: at,
                    host: reader.hop(at, &key.value, raw),
                    jump: raw
                        .jump
                        .as_ref()
                        .map(|jump| (jump.mark(file), jump.value.as_str())),
                };
                hosts.table.insert(&key.value, hop);
            }
        }
        for (name, hop) in &hosts.table {
            faults.keep(hosts.chain(hop.mark, name));
        }
        hosts
    }

    /// The hops that a `jump` list stands for, the first one dialled first: where the first named host is itself
    /// behind others, these come before it.
    pub(super) fn route(&self, jump: &[(Mark, &str)]) -> Result<Vec<JumpHost>, Fault> {
        let mut names: Vec<&str> = Vec::new();
        for (at, name) in jump {
            let chain = self.chain(*at, name)?;
            if names.is_empty() {
                names = chain;
                continue;
            }
            // A later host that says how it is reached must agree with the list.
            let before = chain.len().saturating_sub(2);
            if chain.len() > 1 && names.last() != chain.get(before) {
                return Err(Fault::new(
                    *at,
                    format!(
                        "`{name}` is reached through `{}`, not through the host before it",
                        chain[before]
                    ),
                )
                .expected(format!(
                    "`jump: {name}` alone, which includes the hosts before it"
                )));
            }
            if names.contains(name) {
                return Err(
                    Fault::new(*at, format!("the way leads through `{name}` twice"))
                        .expected("each jump host once"),
                );
            }
            names.push(name);
        }
        Ok(names
            .iter()
            .filter_map(|name| self.table.get(name)?.host.clone())
            .collect())
    }

    /// A host and all that lie before it, the first one dialled first.
    fn chain<'n>(&'n self, mark: Mark, name: &'n str) -> Result<Vec<&'n str>, Fault> {
        self.check(mark, name)?;
        let next = |name: &str| Some(self.table.get(name)?.jump?.1);
        let mut chain = follow(name, next).map_err(|circle| {
            let at = self.table.get(circle[0]).map_or(mark, |hop| hop.mark);
            Fault::new(
                at,
                format!("jump hosts lead in a circle: {}", drawn(&circle)),
            )
            .expected("a chain of jump hosts that ends")
        })?;
        for name in &chain {
            if let Some((mark, before)) = self.table.get(name).and_then(|hop| hop.jump) {
                self.check(mark, before)?;
            }
        }
        chain.reverse();
        Ok(chain)
    }

    /// Whether there is such a jump host.
    fn check(&self, mark: Mark, name: &str) -> Result<(), Fault> {
        if self.table.contains_key(name) {
            return Ok(());
        }
        let known = || self.table.keys().copied();
        let fault = Fault::new(mark, format!("unknown jump host `{name}`"));
        Err(if self.table.is_empty() {
            fault.expected("a name from `jump_hosts:`, which the inventory does not have")
        } else {
            fault
                .expected(listed(known()))
                .hint(did_you_mean(name, known()))
        })
    }
}

/// What a jump host takes from the defaults' `control` where it says nothing itself.
pub(super) struct HopDefaults {
    pub(super) user: Option<String>,
    pub(super) known_hosts: Vec<PathBuf>,
}

/// Reads one jump host.
struct Reader<'a> {
    file: usize,
    shared: &'a Shared,
    defaults: &'a HopDefaults,
    faults: &'a mut Faults,
}

impl Reader<'_> {
    fn hop(mut self, at: Mark, key: &str, raw: &document::JumpHost) -> Option<JumpHost> {
        let context = &self.shared.context;
        let base = self.shared.base(at);
        let file = |mark: Mark, text: &str| path(mark, text, context, base);
        let address = match &raw.address {
            Some(text) => self.value(Some(text), values::address),
            None => self.faults.keep(values::address(at, key)),
        };
        let port = self.value(raw.port.as_ref(), port);
        let user = match &raw.user {
            Some(text) => self.value(Some(text), user),
            None => self.defaults.user.clone(),
        };
        if user.is_none() && raw.user.is_none() {
            self.faults.add(no_user(at));
        }
        let identities = self.words(raw.identity.as_ref(), file);
        let known_hosts = match &raw.known_hosts {
            Some(list) => self.words(Some(list), file),
            None => self.defaults.known_hosts.clone(),
        };
        let pinned = self.words(raw.host_key.as_ref(), fingerprint);
        let alias = self.value(raw.host_key_alias.as_ref(), name);
        Some(JumpHost {
            address: address?,
            port: port.unwrap_or(SSH_PORT),
            user: user?,
            identities,
            host_key: HostKeyTrust {
                known_hosts,
                alias,
                pinned,
            },
        })
    }

    fn value<T>(
        &mut self,
        text: Option<&Text>,
        read: impl Fn(Mark, &str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = text?;
        self.faults.keep(read(text.mark(self.file), &text.value))
    }

    fn words<T>(
        &mut self,
        list: Option<&At<Words>>,
        read: impl Fn(Mark, &str) -> Result<T, Fault>,
    ) -> Vec<T> {
        let Some(list) = list else {
            return Vec::new();
        };
        words(list.mark(self.file), &list.value)
            .into_iter()
            .filter_map(|(mark, word)| self.faults.keep(read(mark, word)))
            .collect()
    }
}

/// Nothing says which account to log in to.
pub(super) fn no_user(at: Mark) -> Fault {
    Fault::new(at, "no login name").expected("`user:` in `control:`, here or in the defaults")
}
