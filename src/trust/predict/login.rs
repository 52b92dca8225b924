//! The rung `login`: whether the far end lets a client in with one of its keys.

use std::cell::Cell;
use std::net::IpAddr;

use crate::domain::{Evidence, KeySeen, Predicted, Reason, Why};
use crate::openssh::Release;
use crate::openssh::authorized_keys::{KeyOptions, LoginContext};
use crate::openssh::key::PublicKey;
use crate::survey::{Account, IdentityState, LoginAccount, NodeFacts};

use super::account::Door;
use super::authorized::{Admission, Library, Lists, Refusal};
use super::dialing::LoginConfig;
use super::door::written;
use super::forced::{self, Forced, Sends};
use super::host_key::key_evidence;
use super::keys_files::{self, KeysFile};
use super::notes::Notes;
use super::offers::{Offered, Ring};
use super::path::fact;
use super::policy::{MoreThanKey, Policy, RootLogin};
use super::tail;

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
    pub(super) library: &'a Library,
    pub(super) sends: Sends,
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
        let Some(account) = &login.account else {
            return Predicted::Breaks(Reason::AccountMissing);
        };
        self.with_keys(&door, (login, account), more, notes)
    }

    /// What the client alone makes of it: whether it has a key to offer.
    fn without_keys(&self, notes: &mut impl Notes) -> Option<Predicted> {
        if let Some(line) = &self.config.no_publickey {
            notes.add(|| {
                fact(
                    self.client,
                    format!("its configuration forbids public keys: `{line}`"),
                )
            });
            return Some(Predicted::Breaks(Reason::PublickeyDisabledClient));
        }
        if let Some(given) = self.missing_given() {
            notes.add(|| Evidence::FileLine {
                node: self.client.to_owned(),
                path: given.to_owned(),
                line: None,
                note: "is named on the command line and is not there: ssh passes over it"
                    .to_owned(),
            });
        }
        let keys = &self.ring.keys;
        if keys.iter().any(|key| key.state == IdentityState::Usable) {
            return None;
        }
        if let Some(what) = self.other_keys() {
            notes.add(|| fact(self.client, format!("other keys may be offered: {what}")));
            return Some(UNKNOWN);
        }
        let spoilt = keys.iter().find(|key| key.state != IdentityState::Missing);
        let Some(spoilt) = spoilt else {
            let files = self.config.files(self.ring.is_given_missing);
            let given = self.missing_given().into_iter();
            let files: Vec<&str> = given.chain(files.iter().map(String::as_str)).collect();
            let files = files.join(" ");
            notes.add(|| fact(self.client, format!("none of these exists: {files}")));
            return Some(Predicted::Breaks(Reason::IdentityMissing));
        };
        // A public half is offered as well, so the far end has its say before anybody misses the private one.
        if self.tries().next().is_some() {
            return None;
        }
        Some(Predicted::Breaks(self.spoilt(spoilt, notes)))
    }

    /// The key that the command line names, where it is not there.
    fn missing_given(&self) -> Option<&str> {
        self.config.given().filter(|_| self.ring.is_given_missing)
    }

    /// Where keys may come from that the survey did not see.
    fn other_keys(&self) -> Option<String> {
        let unread = self.ring.keys.iter().filter(|key| {
            key.state == IdentityState::Usable && key.key.is_none() && key.certificates.is_empty()
        });
        let unread = unread.map(|key| key.path);
        let unseen: Vec<&str> = self
            .ring
            .unseen
            .iter()
            .map(String::as_str)
            .chain(unread)
            .collect();
        let unseen = (!unseen.is_empty()).then(|| unseen.join(" "));
        self.config.elsewhere.clone().or(unseen)
    }

    /// Why a key that is there cannot be used.
    fn spoilt(&self, key: &Offered<'_>, notes: &mut impl Notes) -> Reason {
        notes.value("file", || key.path.to_owned());
        if key.state == IdentityState::OtherPublic {
            let (path, stale) = (key.path, format!("{}.pub", key.path));
            notes.add(|| Evidence::FileLine {
                node: self.client.to_owned(),
                note: format!(
                    "is not the public half of {path}, and ssh offers it all the same: `ssh-keygen -y -f {path} > {stale}` makes the right one"
                ),
                path: stale,
                line: None,
            });
            if let Some(own) = &key.own {
                notes
                    .add(|| key_evidence(KeySeen::OnDisk, self.client, own, Some(path.to_owned())));
            }
            return Reason::IdentityInvalid;
        }
        let (reason, note) = match key.state {
            IdentityState::Unreadable => (Reason::IdentityUnreadable, "the account cannot read it"),
            IdentityState::TooOpen => (Reason::IdentityModes, "others may read it: ssh ignores it"),
            IdentityState::Passphrase => (Reason::IdentityPassphrase, "needs a passphrase"),
            IdentityState::Invalid | IdentityState::OtherPublic => {
                (Reason::IdentityInvalid, "is no private key that loads")
            }
            IdentityState::Missing | IdentityState::Usable => (Reason::IdentityMissing, "missing"),
        };
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
        (login, account): (&LoginAccount, &Account),
        more: MoreThanKey,
        notes: &mut impl Notes,
    ) -> Predicted {
        let version = self.facts.server.sshd_version.as_deref();
        let source = self.source.map(written).unwrap_or_default();
        let lists = Lists {
            policy: self.policy,
            account,
            principals: &login.principals,
            trust_files: &self.facts.server.trust_files,
            library: self.library,
            context: LoginContext {
                account: &login.name,
                address: &source,
                host: &source,
                now: u64::try_from(self.facts.clock).unwrap_or(0),
                utc_offset: 0,
                release: version.and_then(Release::find).unwrap_or(Release::NEWEST),
            },
        };
        let files = keys_files::files(self.policy, login, account);
        match self.first_admitted(&lists, &files, notes) {
            Err(predicted) => predicted,
            Ok(options) => self.admitted(door, (login, account), more, &options, notes),
        }
    }

    /// The options under which the first key is admitted, or why none is.
    fn first_admitted(
        &self,
        lists: &Lists<'_>,
        files: &[KeysFile],
        notes: &mut impl Notes,
    ) -> Result<KeyOptions, Predicted> {
        let mut best: Option<(Refusal, &PublicKey, &str)> = None;
        let mut open = None;
        let mut spoilt = None;
        let mut tried = 0;
        for (offered, path, key) in self.tries() {
            let refused = match self.judge_key(lists, files, key) {
                // Taken by the far end, and then the client cannot sign: it goes on with the next key.
                Admission::Admitted { .. } if offered.state != IdentityState::Usable => {
                    spoilt = spoilt.or(Some(offered));
                    continue;
                }
                Admission::Admitted { options, at } => {
                    if tried >= self.policy.tries {
                        let text =
                            format!("MaxAuthTries {} comes before {path}", self.policy.tries);
                        notes.add(|| fact(self.server, text));
                        return Err(Predicted::Breaks(Reason::TooManyKeys));
                    }
                    notes.add(|| {
                        key_evidence(KeySeen::Offered, self.client, key, Some(path.to_owned()))
                    });
                    if let Some((path, line)) = &at {
                        notes.value("file", || path.clone());
                        notes.add(|| self.line(path, Some(*line), "admits the key".to_owned()));
                    } else {
                        // What it allows is in the certificate.
                        notes.value("file", || format!("{path} of {}", self.client));
                    }
                    return Ok(*options);
                }
                Admission::Open(what) => {
                    open = open.or(Some(what));
                    tried += 1;
                    continue;
                }
                Admission::Refused(refusal) => refusal,
            };
            tried += 1;
            if refused.by_source {
                self.asked_source.set(true);
                if self.source.is_none() {
                    open =
                        open.or_else(|| Some("the address that the client comes from".to_owned()));
                }
            }
            if best
                .as_ref()
                .is_none_or(|(best, ..)| refused.rank > best.rank)
            {
                best = Some((refused, key, path));
            }
        }
        if let Some(what) = open {
            notes.add(|| fact(self.server, format!("{what} decides, and was not surveyed")));
            return Err(UNKNOWN);
        }
        // A key that would be admitted, were it usable, is what somebody meant.
        let meant = |offered: &&Offered<'_>| {
            let own = offered.own.as_ref();
            own.is_some_and(|own| {
                let admission = self.judge_key(lists, files, own);
                matches!(admission, Admission::Admitted { .. })
            })
        };
        if let Some(key) = spoilt.or_else(|| self.ring.keys.iter().find(meant)) {
            return Err(Predicted::Breaks(self.spoilt(key, notes)));
        }
        if let Some(what) = self.other_keys() {
            notes.add(|| fact(self.client, format!("other keys may be offered: {what}")));
            return Err(UNKNOWN);
        }
        Err(Predicted::Breaks(self.refused(best, files, notes)))
    }

    /// The keys that are offered, in order: for each file its certificates, then the plain key. ssh offers whatever
    /// public half it finds, also where the private one cannot be used (`load_public_identity_files` of ssh.c).
    fn tries(&self) -> impl Iterator<Item = (&Offered<'_>, &str, &PublicKey)> {
        self.ring.keys.iter().flat_map(|offered| {
            let certificates = offered.certificates.iter().map(|(path, it)| (*path, it));
            let plain = offered.key.iter().map(|it| (offered.path, it));
            certificates
                .chain(plain)
                .map(move |(path, key)| (offered, path, key))
        })
    }

    fn judge_key(&self, lists: &Lists<'_>, files: &[KeysFile], key: &PublicKey) -> Admission {
        let client = (self.config.algorithms.as_deref(), self.config.rsa_bits);
        let server = (self.policy.algorithms.as_deref(), self.policy.rsa_bits);
        let admission = lists.judge(files, key);
        let Some(note) = keys_files::algorithm_refused(key, client, server) else {
            return admission;
        };
        let is_meant = matches!(admission, Admission::Admitted { .. });
        Admission::Refused(Refusal {
            rank: if is_meant { 3 } else { 0 },
            reason: Reason::KeyAlgorithmRefused,
            path: None,
            line: None,
            note,
            by_source: false,
        })
    }

    fn refused(
        &self,
        best: Option<(Refusal, &PublicKey, &str)>,
        files: &[KeysFile],
        notes: &mut impl Notes,
    ) -> Reason {
        for (_, path, key) in self.tries() {
            let path = Some(path.to_owned());
            notes.add(|| key_evidence(KeySeen::Offered, self.client, key, path));
        }
        match best {
            Some((refusal, ..)) if refusal.reason != Reason::KeyNotAuthorized => {
                match &refusal.path {
                    Some(path) => {
                        notes.value("file", || path.clone());
                        notes.add(|| self.line(path, refusal.line, refusal.note.clone()));
                    }
                    None => notes.add(|| fact(self.server, refusal.note.clone())),
                }
                if refusal.by_source
                    && let Some(source) = self.source
                {
                    notes.add(|| fact(self.client, format!("seems to come from {source}")));
                }
                refusal.reason
            }
            _ => keys_files::unlisted(self.server, files, self.library, notes),
        }
    }

    /// Behind the key: what is left of the login, and what the session begins with.
    fn admitted(
        &self,
        door: &Door<'_>,
        (login, account): (&LoginAccount, &Account),
        more: MoreThanKey,
        options: &KeyOptions,
        notes: &mut impl Notes,
    ) -> Predicted {
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        if account.uid == 0
            && self.policy.root == RootLogin::ForcedOnly
            && options.command.is_none()
        {
            notes.add(|| {
                fact(
                    self.server,
                    "PermitRootLogin forced-commands-only".to_owned(),
                )
            });
            return Predicted::Breaks(Reason::AccountNotAllowed);
        }
        if more == MoreThanKey::More {
            let methods = self.policy.methods.join(" ");
            notes.add(|| fact(self.server, format!("AuthenticationMethods {methods}")));
            return Predicted::Breaks(Reason::MoreAuthenticationNeeded);
        }
        if let Some(predicted) = door.behind_the_key(login, notes) {
            return predicted;
        }
        let only_sftp = self.sends == Sends::Sftp;
        if only_sftp
            && let Some(predicted) = tail::without_subsystem(self.server, self.policy, notes)
        {
            return predicted;
        }
        let forced = self
            .policy
            .force_command
            .clone()
            .or(options.command.as_ref().map(text));
        // A forced command takes the place of the subsystem's.
        let runs = forced.as_deref().or(self.policy.sftp.as_deref());
        let by_shell = !(only_sftp && runs.is_some_and(tail::is_internal_sftp));
        if let Some(predicted) = door.session(login, by_shell, notes) {
            return predicted;
        }
        let Some(command) = forced else {
            return Predicted::Works;
        };
        let verdict = forced::judge(&command, self.sends);
        if verdict != Forced::Passes {
            notes.add(|| fact(self.server, format!("forced command: {command}")));
        }
        match verdict {
            Forced::Passes => Predicted::Works,
            Forced::Denies => Predicted::Breaks(Reason::ForcedCommandDenied),
            Forced::Unknown => UNKNOWN,
        }
    }

    fn line(&self, path: &str, line: Option<usize>, note: String) -> Evidence {
        Evidence::FileLine {
            node: self.server.to_owned(),
            path: path.to_owned(),
            line: line.and_then(|line| u32::try_from(line).ok()),
            note,
        }
    }
}
