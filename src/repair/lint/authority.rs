//! What a plan may do for an authority's sake: certificates, the lines that trust it, and sshd's part.

use ipnet::IpNet;

use super::check::{Review, bytes_of, is_found};
use super::complaint::Rule;
use super::lines::lines;
use super::roles::Place;
use super::shape::is_straight;
use crate::domain::NodeId;
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::{CertRole, Certificate, PublicKey};
use crate::openssh::known_hosts::{Hosts, KnownHosts, Marker};
use crate::openssh::revoked::RevokedKeys;
use crate::repair::certificates::RevocationList;
use crate::repair::plan::{Edit, FileState, SshdChange};
use crate::survey::{FileFact, Identity};

/// What the operator allows a plan of certificates.
#[derive(Debug, Clone)]
pub struct AuthorityRules {
    /// The key that signs for hosts.
    pub hosts: PublicKey,
    /// The key that signs for users.
    pub users: PublicKey,
    /// Networks that the authority's lines admit logins from; empty for any.
    pub networks: Vec<IpNet>,
    /// Whether a user certificate must name its node's addresses.
    pub source_address: bool,
    /// Whether addresses that only the node itself says are its own may be certified.
    pub reported_addresses: bool,
    /// Whether plain keys go where certificates stand for them, and lines of other authorities.
    pub retires: bool,
    /// The node that goes out of everybody's trust.
    pub revokes: Option<NodeId>,
    /// What the operator's list had before.
    pub revoked: RevocationList,
    /// The controller's clock, seconds since the epoch.
    pub now: u64,
}

/// Where sshd's list of revoked keys is.
const LIST: &str = "/etc/ssh/clearway-revoked.krl";

/// What is wrong, and which rule says so.
type Wrong = (Rule, &'static str);

impl<'a> Review<'a> {
    /// A certificate beside the key of an account.
    pub(super) fn user_certificate(
        &mut self,
        place: Place<'_>,
        edit: &Edit,
        (identity, bytes): (&Identity, &[u8]),
    ) {
        let node = self.fleet.node(place.node).name.as_str();
        let public = identity.public.as_deref().unwrap_or_default();
        if let Err((rule, detail)) = self.user_words(place, public, bytes) {
            self.complain(rule, node, Some(&edit.target), detail);
        }
    }

    fn user_words(&self, place: Place<'_>, public: &str, bytes: &[u8]) -> Result<(), Wrong> {
        let Some(rules) = self.rules() else {
            return Err((Rule::Place, "a certificate, and no authority is given"));
        };
        let key = certified(bytes, public)?;
        let certificate = issued(&key, CertRole::User, &rules.users, rules.now)?;
        not_revoked(&key, certificate, &rules.revoked)?;
        let accounts = self.facts.iter().flatten();
        let accounts = accounts.flat_map(|facts| &facts.server.accounts);
        let accounts: Vec<&[u8]> = accounts.map(|it| it.name.as_bytes()).collect();
        if !certificate
            .principals
            .iter()
            .all(|name| accounts.contains(&name.as_slice()))
        {
            return Err((Rule::Wide, "for an account that no lane logs in to"));
        }
        let own = &place.facts.addresses;
        let source = certificate.critical_option("source-address");
        let Some(source) = source.and_then(|it| it.value()) else {
            // A node with very many addresses is a router: no list would be read.
            return if rules.source_address && own.len() <= 64 && !own.is_empty() {
                Err((Rule::Wide, "good from any address"))
            } else {
                Ok(())
            };
        };
        let source = String::from_utf8_lossy(source).into_owned();
        let is_own = |network: &str| {
            let network: Option<IpNet> = network.parse().ok();
            network.is_some_and(|it| {
                it.prefix_len() == it.max_prefix_len() && own.contains(&it.addr())
            })
        };
        if source.split(',').all(is_own) {
            Ok(())
        } else {
            Err((Rule::Wide, "good from addresses that are not the node's"))
        }
    }

    /// Takes the lines out of both states of a known_hosts file that come or go for the authority's sake, and complains of
    /// those that may not. What is left is for the rules of keys.
    pub(super) fn authority_in_hosts(
        &mut self,
        place: Place<'_>,
        edit: &Edit,
        (before, after): (&[u8], &[u8]),
    ) -> (Vec<u8>, Vec<u8>) {
        let Some(rules) = self.rules() else {
            return (before.to_vec(), after.to_vec());
        };
        let node = self.fleet.node(place.node).name.as_str();
        let (old, new) = (lines(before), lines(after));
        let (mut left, mut right) = (Vec::new(), Vec::new());
        for line in &new {
            let entry = marked(line.visible());
            if old.iter().any(|it| it.is(line)) || entry.is_none() {
                right.extend_from_slice(line.bytes);
                continue;
            }
            if let Some(entry) = entry
                && let Err((rule, detail)) = self.new_marked(place.node, &entry, rules)
            {
                self.complain(rule, node, Some(&edit.target), detail);
            }
        }
        for line in &old {
            let entry = marked(line.visible()).filter(|_| !new.iter().any(|it| line.is(it)));
            let Some(entry) = entry else {
                left.extend_from_slice(line.bytes);
                continue;
            };
            // Names come and go in clearway's own lines.
            let is_own = entry.marker == Marker::CertAuthority
                && entry.comment.trim_ascii() == b"clearway:host-authority"
                && (entry.key == rules.hosts || rules.retires);
            if !is_own {
                let detail = "a line of an authority, or of a revoked key, goes";
                self.complain(Rule::Unmanaged, node, Some(&edit.target), detail);
            }
        }
        (left, right)
    }

    fn new_marked(
        &self,
        client: NodeId,
        entry: &MarkedLine,
        rules: &AuthorityRules,
    ) -> Result<(), Wrong> {
        if entry.marker == Marker::Revoked {
            let owners = self.known.iter().flat_map(|it| it.hosts_with(&entry.key));
            let mut others = owners.filter(|&&id| Some(id) != rules.revokes);
            return if rules.revoked.has_key(&entry.key) {
                Ok(())
            } else if rules.revokes.is_none() {
                Err((Rule::Scope, "a host key is revoked, and no node is"))
            } else if others.next().is_some() {
                Err((Rule::Scope, "a host key of another node is revoked"))
            } else {
                Ok(())
            };
        }
        if entry.key != rules.hosts {
            return Err((Rule::Wide, "another authority is trusted"));
        }
        if entry.comment.trim_ascii() != b"clearway:host-authority" {
            return Err((Rule::Wide, "a comment that is not clearway's"));
        }
        let names = entry.names.as_deref();
        let names = names.ok_or((Rule::Wide, "an authority for hashed names"))?;
        for name in names.split(',') {
            if name.is_empty() || name.contains(['*', '?', '!']) {
                return Err((Rule::Wide, "an authority for a pattern"));
            }
            let bare = name
                .strip_prefix('[')
                .and_then(|it| it.split_once("]:"))
                .map_or(name, |(host, _)| host);
            let is_in_scope = |&id: &NodeId| {
                (id == client || self.scope.joins(id, client))
                    && Some(id) != rules.revokes
                    && !self.is_out(id, &rules.revoked)
            };
            let mut owners = self.known.iter().flat_map(|it| it.owners(bare, true));
            if !owners.any(is_in_scope) {
                return Err((Rule::Scope, "an authority for a name of no node in scope"));
            }
        }
        Ok(())
    }

    /// Whether all host keys of a node are in the operator's list.
    fn is_out(&self, node: NodeId, revoked: &RevocationList) -> bool {
        let facts = self.facts[node.index()].iter();
        let mut keys = facts.flat_map(|it| &it.server.host_keys).peekable();
        let is_in = |public: &str| {
            let key = PublicKey::read(public.trim_start().as_bytes());
            key.is_ok_and(|(key, _)| revoked.has_key(&key))
        };
        keys.peek().is_some() && keys.all(|it| is_in(&it.public))
    }

    /// The same for an authorized_keys file.
    pub(super) fn authority_in_keys(
        &mut self,
        place: Place<'_>,
        edit: &Edit,
        (before, after): (&[u8], &[u8]),
    ) -> (Vec<u8>, Vec<u8>) {
        let Some(rules) = self.rules() else {
            return (before.to_vec(), after.to_vec());
        };
        let node = self.fleet.node(place.node).name.as_str();
        let (old, new) = (lines(before), lines(after));
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let path = edit.target.path.as_str();
        let logins = place.facts.server.accounts.iter();
        let logins = logins.filter(|it| it.authorized_keys.iter().any(|it| it.file.path == path));
        let admitting: Vec<String> = logins.map(|it| self.admitting(&it.name, rules)).collect();
        for line in &new {
            let is_new = !old.iter().any(|it| it.is(line)) && line.visible().starts_with(b"cert-");
            if !is_new {
                right.extend_from_slice(line.bytes);
            } else if self.is_of_all(place, edit) {
                let detail = "sshd reads it for all accounts, root too";
                self.complain(Rule::Wide, node, Some(&edit.target), detail);
            } else if !admitting.iter().any(|it| it.as_bytes() == line.visible()) {
                let detail = "an authority that lets in more than the account's certificates";
                self.complain(Rule::Wide, node, Some(&edit.target), detail);
            }
        }
        for line in &old {
            let is_gone = !new.iter().any(|it| line.is(it));
            if !(is_gone && self.may_go(line.visible(), rules)) {
                left.extend_from_slice(line.bytes);
            }
        }
        (left, right)
    }

    fn admitting(&self, account: &str, rules: &AuthorityRules) -> String {
        let networks: Vec<String> = rules.networks.iter().map(ToString::to_string).collect();
        let from = match networks.as_slice() {
            [] => String::new(),
            networks => format!(",from=\"{}\"", networks.join(",")),
        };
        let key = &rules.users;
        format!(
            "cert-authority,principals=\"{account}\",restrict{from} {key} clearway:user-authority"
        )
    }

    /// Whether a line of authorized_keys may go: its key has a certificate, or is a revoked node's alone.
    fn may_go(&self, line: &[u8], rules: &AuthorityRules) -> bool {
        let parsed = AuthorizedKeys::parse(line.to_vec());
        let Some((_, entry)) = parsed.keys().next() else {
            return false;
        };
        let Ok(options) = &entry.options else {
            return false;
        };
        if options.cert_authority {
            return entry.comment.trim_ascii() == b"clearway:user-authority"
                && (rules.retires || entry.key == rules.users);
        }
        let Some(known) = &self.known else {
            return false;
        };
        let owners = known.clients_with(&entry.key);
        match rules.revokes {
            Some(node) => owners == [node],
            None => {
                let blob = entry.key.plain_blob();
                rules.retires
                    && options.command.is_none()
                    && known.certified_users.contains(blob.as_bytes())
                    && owners.iter().any(|id| self.scope.nodes().contains(id))
            }
        }
    }

    /// Whether certificates vouch for a name under this key, so that a plain line need not.
    pub(super) fn is_vouched_for(&self, name: &str, key: &[u8]) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|it| it.rules.retires && it.vouches(key, name))
    }

    fn rules(&self) -> Option<&'a AuthorityRules> {
        self.known.as_ref().map(|it| it.rules)
    }

    /// What sshd reads: nothing but certificates, the list of revoked keys, and the directives that name them.
    pub(super) fn sshd(&mut self) {
        let plan = self.plan;
        let mut told = Vec::new();
        for change in &plan.sshd {
            let node = change.node.as_str();
            if let Err((rule, detail)) = self.whose_sshd(change, &told) {
                self.complain(rule, node, None, detail);
                continue;
            }
            told.push(node);
            for edit in &change.edits {
                if let Err((rule, detail)) = self.sshd_edit(change, edit) {
                    self.complain(rule, node, Some(&edit.target), detail);
                }
                if edit.answers.is_empty() {
                    self.complain(Rule::Unanswered, node, Some(&edit.target), "no reason");
                }
            }
        }
    }

    fn whose_sshd(&self, change: &SshdChange, told: &[&str]) -> Result<(), Wrong> {
        let id = self.fleet.find(&change.node);
        let id = id.ok_or((Rule::Shape, "no node of the inventory"))?;
        if self.known.is_none() {
            return Err((Rule::Place, "an sshd is changed, and no authority is given"));
        }
        if told.contains(&change.node.as_str()) {
            return Err((Rule::Shape, "its sshd is changed twice"));
        }
        if !self.scope.nodes().contains(&id) {
            return Err((Rule::Scope, "an sshd of a node out of scope"));
        }
        let profile = &self.fleet.node(id).profile.sshd;
        if !profile.context.is_empty() {
            return Err((Rule::Control, "an sshd in a container"));
        }
        if (&change.binary, &change.config) != (&profile.binary, &profile.config) {
            return Err((Rule::Place, "another sshd than the profile's"));
        }
        if self.facts[id.index()].is_none() {
            return Err((Rule::Before, "the node was not surveyed"));
        }
        Ok(())
    }

    fn sshd_edit(&self, change: &SshdChange, edit: &Edit) -> Result<(), Wrong> {
        let found = self.fleet.find(&change.node);
        let found = found.and_then(|id| Some((id, self.facts[id.index()].as_ref()?)));
        let (Some((id, facts)), Some(rules)) = (found, self.rules()) else {
            return Err((Rule::Before, "the node was not surveyed"));
        };
        let path = edit.target.path.as_str();
        if !edit.target.context.is_empty() || !is_straight(path) || edit.before == edit.after {
            return Err((Rule::Shape, "no edit of the host itself"));
        }
        if edit.label.is_some() {
            return Err((Rule::Label, "the label of a file of sshd's configuration"));
        }
        let after = edit.after.text().map(bytes_of);
        let mode = edit.after.attributes().map(|it| it.mode);
        let old_mode = edit.before.attributes().map(|it| it.mode);
        if mode.is_some_and(|mode| mode & !old_mode.unwrap_or(0o644) != 0) {
            return Err((Rule::Modes, "a file that is too open"));
        }
        let as_found = |file: Option<&FileFact>| match file {
            Some(file) => is_found(file, &edit.before),
            None => edit.before == FileState::Absent,
        };
        let not_found = Err((Rule::Before, "it is not there as the plan expects it"));
        let server = &facts.server;
        let mut keys = server.host_keys.iter();
        if let Some(key) = keys.find(|it| format!("{}-cert.pub", it.path) == path) {
            if !as_found(key.certificate.as_ref().filter(|it| it.path == path)) {
                return not_found;
            }
            let bytes = after.ok_or((Rule::Place, "a certificate goes"))?;
            let signed = certified(&bytes, &key.public)?;
            let certificate = issued(&signed, CertRole::Host, &rules.hosts, rules.now)?;
            not_revoked(&signed, certificate, &rules.revoked)?;
            let names = certificate.principals.iter();
            let mut names = names.map(|it| String::from_utf8_lossy(it));
            let known = self.known.as_ref();
            let is_its = |name: &str| {
                known.is_some_and(|it| it.owners(name, rules.reported_addresses).contains(&id))
            };
            return if names.all(|name| is_its(&name)) {
                Ok(())
            } else {
                Err((
                    Rule::Scope,
                    "a certificate for a name that is not the node's",
                ))
            };
        }
        if path == LIST {
            let known = server.trust_files.iter().find(|it| it.path == path);
            if !as_found(known) {
                return not_found;
            }
            let before = edit.before.text().map(bytes_of).unwrap_or_default();
            return self.revocations(&before, &after.unwrap_or_default(), rules);
        }
        let known = server.config_files.iter().find(|it| it.path == path);
        let is_own = path.ends_with("/10-clearway.conf");
        if !is_own && path != change.config {
            return Err((Rule::Place, "no file of sshd's trust"));
        }
        if !as_found(known) {
            return not_found;
        }
        let before = edit.before.text().map(bytes_of).unwrap_or_default();
        let after = after.unwrap_or_default();
        let (old_own, old_rest) = split(&before, is_own);
        let (new_own, new_rest) = split(&after, is_own);
        if old_rest != new_rest {
            return Err((Rule::Unmanaged, "sshd's configuration says something else"));
        }
        let allowed = |line: &str| {
            let line = line.trim();
            let certificate = |path: &str| {
                let mut keys = server.host_keys.iter();
                keys.any(|it| format!("{}-cert.pub", it.path) == path)
            };
            line.is_empty()
                || line.starts_with('#')
                || line
                    .strip_prefix("HostCertificate ")
                    .is_some_and(certificate)
                || line.strip_prefix("RevokedKeys ") == Some(LIST)
                || old_own.lines().any(|old| old.trim() == line)
        };
        let refuses = |own: &str| own.lines().any(|line| line.starts_with("RevokedKeys "));
        if refuses(&old_own) && !refuses(&new_own) {
            return Err((Rule::Wide, "sshd refuses revoked keys no more"));
        }
        if new_own.lines().all(allowed) {
            Ok(())
        } else {
            Err((Rule::Control, "a directive that is not about certificates"))
        }
    }
}

impl Review<'_> {
    /// A list of revoked keys: it only grows, and by nothing but what the operator revokes.
    fn revocations(
        &self,
        before: &[u8],
        after: &[u8],
        rules: &AuthorityRules,
    ) -> Result<(), Wrong> {
        let nobody = "no list of revoked keys: sshd would let nobody in";
        if !after.starts_with(b"SSHKRL\n\0") {
            return Err((Rule::Control, nobody));
        }
        let (was, becomes) = (RevokedKeys::parse(before), RevokedKeys::parse(after));
        if !becomes.lacks(&was).is_empty() {
            return Err((Rule::Wide, "what was revoked is so no more"));
        }
        for id in self.fleet.ids().filter(|id| Some(*id) != rules.revokes) {
            let facts = self.facts[id.index()].iter();
            let identities = facts
                .flat_map(|it| &it.clients)
                .flat_map(|it| &it.identities);
            for public in identities.filter_map(|it| it.public.as_deref()) {
                let Ok((key, _)) = PublicKey::read(public.trim_start().as_bytes()) else {
                    continue;
                };
                match becomes.contains(&key) {
                    Err(_) => return Err((Rule::Control, nobody)),
                    Ok(true) if !rules.revoked.has_key(&key) => {
                        return Err((Rule::Scope, "a key of another node is revoked"));
                    }
                    Ok(_) => {}
                }
            }
        }
        Ok(())
    }
}

/// Neither its key nor its key id is in the operator's list.
pub(super) fn not_revoked(
    key: &PublicKey,
    certificate: &Certificate,
    revoked: &RevocationList,
) -> Result<(), Wrong> {
    if revoked.has_key(key) || revoked.has_id(&certificate.key_id) {
        Err((Rule::Wide, "a certificate of a key that was revoked"))
    } else {
        Ok(())
    }
}

/// Clearway's directives in a file of sshd's configuration, and everything else in it.
fn split(bytes: &[u8], is_own: bool) -> (String, String) {
    let text = String::from_utf8_lossy(bytes).into_owned();
    if is_own {
        return (text, String::new());
    }
    let (begin, end) = ("# clearway begin", "# clearway end\n");
    match text.strip_prefix(begin).and_then(|it| it.split_once(end)) {
        Some((own, rest)) => {
            let own = own.split_once('\n').map_or("", |(_, own)| own);
            (own.to_owned(), rest.to_owned())
        }
        None => (String::new(), text),
    }
}

/// A certificate for this very key.
pub(super) fn certified(bytes: &[u8], public: &str) -> Result<PublicKey, Wrong> {
    let key = PublicKey::read_file(bytes);
    let (key, _) = key.map_err(|_| (Rule::Place, "no certificate"))?;
    let own = PublicKey::read(public.trim_start().as_bytes());
    let is_own = own.is_ok_and(|(own, _)| own.plain_blob() == key.plain_blob());
    if is_own && key.certificate().is_some() {
        Ok(key)
    } else {
        Err((Rule::Scope, "a certificate for another key"))
    }
}

/// A certificate of the authority's that permits nothing but commands, and has an end.
pub(super) fn issued<'a>(
    key: &'a PublicKey,
    role: CertRole,
    authority: &PublicKey,
    now: u64,
) -> Result<&'a Certificate, Wrong> {
    let certificate = key.certificate().ok_or((Rule::Place, "no certificate"))?;
    if certificate.authority != *authority || !certificate.signature_checked {
        return Err((Rule::Wide, "a certificate of another authority"));
    }
    if certificate.role != role {
        return Err((Rule::Wide, "a certificate for the other role"));
    }
    if certificate.principals.is_empty() {
        return Err((Rule::Wide, "a certificate for every name"));
    }
    if certificate.valid_before == u64::MAX || certificate.valid_before <= now {
        return Err((Rule::Wide, "a certificate without an end to come"));
    }
    let known = |name: &[u8]| name == b"source-address";
    let mut options = certificate.critical_options.iter();
    if !certificate.extensions.is_empty() || !options.all(|it| known(&it.name)) {
        return Err((Rule::Wide, "a certificate that permits more than commands"));
    }
    Ok(certificate)
}

/// A line with a marker.
struct MarkedLine {
    marker: Marker,
    /// As written; `None` where they are hashed.
    names: Option<String>,
    key: PublicKey,
    comment: Box<[u8]>,
}

fn marked(line: &[u8]) -> Option<MarkedLine> {
    if !line.trim_ascii_start().starts_with(b"@") {
        return None;
    }
    let file = KnownHosts::parse(line.to_vec());
    let (_, entry) = file.entries().next()?;
    let names = match &entry.hosts {
        Hosts::List(names) => Some(String::from_utf8_lossy(names).into_owned()),
        Hosts::Hashed(_) => None,
    };
    (entry.marker != Marker::None).then(|| MarkedLine {
        marker: entry.marker,
        names,
        key: entry.key.clone(),
        comment: entry.comment.clone(),
    })
}
