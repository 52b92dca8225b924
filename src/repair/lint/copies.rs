//! Private keys that go from one node to another: which, and whether any may.

use super::check::Review;
use super::complaint::Rule;
use super::roles::Place;
use crate::domain::{KeySharing, NodeId};
use crate::openssh::key::PublicKey;
use crate::repair::plan::{KeyCopy, KeySource, Target};
use crate::survey::{Account, ClientFacts, IdentityState};

impl<'a> Review<'a> {
    pub(super) fn copies(&mut self) {
        let plan = self.plan;
        for copy in &plan.copies {
            if let Err(problem) = self.copied(copy) {
                self.complain(Rule::PrivateKey, &copy.node, Some(&copy.target), &problem);
            }
        }
    }

    /// Root reads what is copied, so any private key of a node could be meant. It is one that the survey found the same
    /// account to offer, or that the plan makes for it, and it goes where the inventory wants one key for all.
    fn copied(&self, copy: &KeyCopy) -> Result<(), String> {
        let Some(id) = self.fleet.find(&copy.node) else {
            // Told of every key.
            return Ok(());
        };
        if self.fleet.node(id).profile.repair.keys != KeySharing::Shared {
            return Err("brought there, and the inventory does not say `keys: shared`".to_owned());
        }
        let (from, source) = match &copy.of {
            KeySource::New(id) => match self.plan.keys.iter().find(|it| it.id == *id) {
                Some(key) => (&key.node, &key.target),
                None => return Ok(()),
            },
            KeySource::Existing { node, target, .. } => (node, target),
        };
        let path = source.path.escape_debug();
        let wrong = |what: &str| {
            Err(format!(
                "brought from {}:{path}, {what}",
                from.escape_debug()
            ))
        };
        let Some(from) = self.fleet.find(from) else {
            return wrong("which is no node of the inventory");
        };
        if !self.scope.nodes().contains(&from) {
            return wrong("a node out of scope");
        }
        let owners = self.sides(id, &copy.target);
        let sides = self.sides(from, source).into_iter();
        let mut sides = sides.filter(|(_, account)| {
            let mut owners = owners.iter();
            owners.any(|(_, owner)| owner.uid == copy.owner.uid && owner.name == account.name)
        });
        match &copy.of {
            KeySource::New(_) if sides.next().is_none() => wrong("a key of another account"),
            KeySource::New(_) => Ok(()),
            KeySource::Existing { public, owner, .. } => {
                let is_it = |(client, account): (&ClientFacts, &Account)| {
                    account.uid == owner.uid
                        && client.identities.iter().any(|it| {
                            let own = it.public.as_deref().and_then(plain);
                            it.path == source.path
                                && it.state == IdentityState::Usable
                                && own.as_ref().is_some_and(|own| own.to_string() == *public)
                        })
                };
                if self.is_host_key(from, source, public) {
                    wrong("a host key")
                } else if !sides.any(is_it) {
                    wrong("which is not the key that the survey found this account to use there")
                } else {
                    Ok(())
                }
            }
        }
    }

    /// The client sides whose files a target is among.
    fn sides(&self, node: NodeId, target: &Target) -> Vec<(&'a ClientFacts, &'a Account)> {
        let Some(facts) = &self.facts[node.index()] else {
            return Vec::new();
        };
        let place = Place {
            node,
            profile: &self.fleet.node(node).profile,
            facts,
        };
        place.clients(target).collect()
    }

    fn is_host_key(&self, node: NodeId, source: &Target, public: &str) -> bool {
        let facts = self.facts[node.index()].iter();
        let mut keys = facts.flat_map(|it| &it.server.host_keys);
        let wanted = plain(public);
        keys.any(|it| it.path == source.path || (wanted.is_some() && plain(&it.public) == wanted))
    }
}

fn plain(public: &str) -> Option<PublicKey> {
    let key = PublicKey::read(public.trim().as_bytes());
    key.ok().map(|(key, _)| key.to_plain())
}
