//! The rung `login`: whether the far end lets a client in with one of its keys.

use std::cell::Cell;
use std::net::IpAddr;

use crate::domain::{Evidence, KeySeen, Predicted, Reason, Why};
use crate::survey::{IdentityState, LoginAccount, NodeFacts};

use super::account::Door;
use super::authorized;
use super::dialing::LoginConfig;
use super::door::written;
use super::host_key::key_evidence;
use super::notes::Notes;
use super::offers::{Offered, Ring};
use super::path::fact;
use super::policy::{MoreThanKey, Policy};

/// One client at one door.
pub(super) struct Attempt<'a> {
    pub(super) client: &'a str,
    pub(super) server: &'a str,
    pub(super) ring: &'a Ring<'a>,
    pub(super) config: &'a LoginConfig,
    /// Where the client seems to come from.
    pub(super) source: Option<IpAddr>,
    pub(super) facts: &'a NodeFacts,
    pub(super) policy: &'a Policy,
    /// Set when the address made a difference: then another one might make another.
    pub(super) asked_source: Cell<bool>,
}

const UNKNOWN: Predicted = Predicted::Unknown(Why::NotPredictable);

impl Attempt<'_> {
    pub(super) fn judge(&self, notes: &mut impl Notes) -> Predicted {
        let user = &self.config.user;
        notes.value("server_user", || user.clone());
        if let Some(predicted) = self.without_keys(notes) {
            return predicted;
        }
        let accounts = &self.facts.server.accounts;
        let Some(login) = accounts.iter().find(|login| login.name == *user) else {
            notes.add(|| {
                fact(
                    self.server,
                    format!("the account `{user}` was not surveyed"),
                )
            });
            return UNKNOWN;
        };
        let source = self.source.map(written);
        let by_host = [&self.policy.allow_users, &self.policy.deny_users];
        if by_host
            .into_iter()
            .flatten()
            .any(|pattern| pattern.contains('@'))
        {
            self.asked_source.set(true);
        }
        let door = Door {
            node: self.server,
            policy: self.policy,
            nologin: &self.facts.server.nologin,
            clock: self.facts.clock,
            source: source.as_deref(),
        };
        if let Some(predicted) = door.before_the_key(login, notes) {
            return predicted;
        }
        let more = self.policy.more_than_a_key();
        if !self.policy.publickey || more == MoreThanKey::Instead {
            notes.add(|| {
                fact(
                    self.server,
                    "its sshd accepts no public keys here".to_owned(),
                )
            });
            return Predicted::Breaks(Reason::PublickeyDisabledServer);
        }
        self.with_keys(&door, login, more, notes)
    }

    /// What the client alone makes of it: whether it has a key to offer.
    fn without_keys(&self, notes: &mut impl Notes) -> Option<Predicted> {
        if !self.config.publickey {
            notes.add(|| {
                fact(
                    self.client,
                    "its configuration forbids public keys".to_owned(),
                )
            });
            return Some(Predicted::Breaks(Reason::PublickeyDisabledClient));
        }
        let keys = &self.ring.keys;
        if keys.iter().any(|key| key.state == IdentityState::Usable) {
            return None;
        }
        if let Some(elsewhere) = &self.config.elsewhere {
            notes.add(|| fact(self.client, format!("keys may come from {elsewhere}")));
            return Some(UNKNOWN);
        }
        if !self.ring.unseen.is_empty() {
            let files = &self.ring.unseen;
            notes.add(|| fact(self.client, format!("not surveyed: {}", files.join(" "))));
            return Some(UNKNOWN);
        }
        let spoilt = keys.iter().find(|key| key.state != IdentityState::Missing);
        let Some(spoilt) = spoilt else {
            let files = self.config.identities.join(" ");
            notes.add(|| fact(self.client, format!("none of these exists: {files}")));
            return Some(Predicted::Breaks(Reason::IdentityMissing));
        };
        Some(Predicted::Breaks(self.spoilt(spoilt, notes)))
    }

    /// Why a key that is there cannot be used.
    fn spoilt(&self, key: &Offered<'_>, notes: &mut impl Notes) -> Reason {
        let (reason, note) = match key.state {
            IdentityState::Unreadable => (Reason::IdentityUnreadable, "the account cannot read it"),
            IdentityState::TooOpen => (Reason::IdentityModes, "others may read it: ssh ignores it"),
            IdentityState::Passphrase => (Reason::IdentityPassphrase, "needs a passphrase"),
            IdentityState::Invalid => (Reason::IdentityInvalid, "is no private key that loads"),
            IdentityState::Missing | IdentityState::Usable => (Reason::IdentityMissing, "missing"),
        };
        notes.value("file", || key.path.to_owned());
        notes.add(|| Evidence::FileLine {
            node: self.client.to_owned(),
            path: key.path.to_owned(),
            line: None,
            note: note.to_owned(),
        });
        reason
    }

    fn with_keys(
        &self,
        door: &Door<'_>,
        login: &LoginAccount,
        more: MoreThanKey,
        notes: &mut impl Notes,
    ) -> Predicted {
        for offered in &self.ring.keys {
            if let (IdentityState::Usable, Some(key)) = (offered.state, &offered.key) {
                let path = Some(offered.path.to_owned());
                notes.add(|| key_evidence(KeySeen::Offered, self.client, key, path));
            }
        }
        let account = login.account.as_ref();
        let files = account.map(|account| authorized::files(self.policy, login, account));
        let by_other_means =
            self.policy.keys_command.is_some() || self.policy.trusted_authorities.is_some();
        if let Some(files) = &files
            && !by_other_means
            && let Some(reason) = authorized::closed(self.server, files, notes)
        {
            return Predicted::Breaks(reason);
        }
        if more == MoreThanKey::More {
            let methods = self.policy.methods.join(" ");
            notes.add(|| fact(self.server, format!("AuthenticationMethods {methods}")));
            return Predicted::Breaks(Reason::MoreAuthenticationNeeded);
        }
        door.behind_the_key(login, notes)
            .or_else(|| door.session(login, notes))
            .unwrap_or(Predicted::Works)
    }
}
