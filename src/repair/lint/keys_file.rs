//! What a plan makes of an authorized_keys file.

use std::net::IpAddr;

use super::check::Review;
use super::complaint::Rule;
use super::lines::{Line, lines, words};
use super::roles::Place;
use crate::domain::NodeId;
use crate::openssh::authorized_keys::AuthorizedKeys;
use crate::openssh::key::PublicKey;
use crate::openssh::server_config::ServerSettings;
use crate::repair::plan::Edit;

impl Review<'_> {
    pub(super) fn keys_file(&mut self, place: Place<'_>, edit: &Edit, bytes: (&[u8], &[u8])) {
        let node = self.fleet.node(place.node).name.as_str();
        let keys = |bytes: &[u8]| AuthorizedKeys::parse(bytes).keys().count();
        // A node that is taken out of everybody's trust may have been the only one that was let in.
        let are_all_retired = !self.plan.turnover.retired.is_empty()
            && lines(bytes.0).iter().all(|it| {
                let is_key = AuthorizedKeys::parse(it.bytes).keys().count() > 0;
                !is_key || self.is_retired_line(it)
            });
        if keys(bytes.0) > 0 && keys(bytes.1) == 0 && !are_all_retired {
            self.complain(Rule::Emptied, node, Some(&edit.target), "no key is left");
        }
        let bytes = self.authority_in_keys(place, edit, bytes);
        let (before, after) = (lines(&bytes.0), lines(&bytes.1));
        let unowned = |all: &[Line<'_>]| -> usize { all.iter().filter(|it| !it.owned).count() };
        let stays = |line: &&Line<'_>| !line.owned && !self.is_retired_line(line);
        let kept: Vec<&Line<'_>> = before.iter().filter(stays).collect();
        let now: Vec<&Line<'_>> = after.iter().filter(|it| !it.owned).collect();
        let same = kept.len() == now.len() && kept.iter().zip(&now).all(|(one, two)| one.is(two));
        if !same {
            let detail = format!("{} lines, then {}", unowned(&before), unowned(&after));
            self.complain(Rule::Unmanaged, node, Some(&edit.target), &detail);
        }
        let of_all = self.is_of_all(place, edit);
        for line in after.iter().filter(|it| it.owned) {
            if before.iter().any(|old| old.owned && old.is(line)) {
                continue;
            }
            if of_all && !line.bytes.starts_with(b"# clearway: ") {
                let detail = "sshd reads it for all accounts, root too";
                self.complain(Rule::Wide, node, Some(&edit.target), detail);
            }
            if let Err((rule, detail)) = self.new_key(place.node, line) {
                let line = String::from_utf8_lossy(line.bytes).into_owned();
                let detail = format!("{detail}: {line}");
                self.complain(rule, node, Some(&edit.target), &detail);
            }
        }
    }

    /// Whether sshd looks for keys of whatever account in a file: it is written out in the settings that hold for nobody in
    /// particular.
    pub(super) fn is_of_all(&self, place: Place<'_>, edit: &Edit) -> bool {
        let base = place.facts.server.base_config.output();
        let settings = base.and_then(|it| ServerSettings::parse(&it.bytes).ok());
        settings.is_some_and(|it| it.authorized_keys_files.contains(&edit.target.path))
    }

    /// Whether a line lets in a key that the plan retires.
    fn is_retired_line(&self, line: &Line<'_>) -> bool {
        if self.plan.turnover.retired.is_empty() {
            return false;
        }
        let file = AuthorizedKeys::parse(line.visible());
        let mut keys = file.keys();
        keys.next()
            .is_some_and(|(_, it)| self.is_retired(&it.key, false))
    }

    fn new_key(&self, server: NodeId, line: &Line<'_>) -> Result<(), (Rule, &'static str)> {
        let wide = |detail| (Rule::Wide, detail);
        if line.bytes.starts_with(b"# clearway: ") {
            return Ok(());
        }
        let text = words(line.visible());
        let [options, kind, data, comment] = text.as_slice() else {
            return Err(wide("not four words"));
        };
        let name = std::str::from_utf8(comment)
            .ok()
            .and_then(|it| it.strip_prefix("clearway:"))
            .ok_or(wide("a comment that is not clearway's"))?;
        let client = self
            .fleet
            .find(name)
            .ok_or((Rule::Scope, "no node of the inventory"))?;
        if client == server || !self.scope.joins(client, server) {
            return Err((Rule::Scope, "a node out of scope"));
        }
        let options = std::str::from_utf8(options).map_err(|_| wide("options"))?;
        let own = self.facts[client.index()].iter();
        let own: Vec<IpAddr> = own
            .flat_map(|facts| &facts.addresses)
            .map(IpAddr::to_canonical)
            .collect();
        match options.strip_prefix("restrict") {
            Some("") => {}
            Some(rest) => {
                let list = rest
                    .strip_prefix(",from=\"")
                    .and_then(|it| it.strip_suffix('"'))
                    .ok_or(wide("other options than restrict and from="))?;
                let is_own = |item: &str| {
                    let address: Option<IpAddr> = item.parse().ok();
                    address.is_some_and(|it| own.contains(&it) && !it.is_unspecified())
                };
                if list.is_empty() || !list.split(',').all(is_own) {
                    return Err(wide("from= with addresses that are not the node's"));
                }
            }
            None => return Err(wide("not restricted")),
        }
        let key = [*kind, b" ", *data].concat();
        if self.is_new_key(client, &key) {
            return Ok(());
        }
        let (key, _) = PublicKey::read(&key).map_err(|_| wide("no key"))?;
        let mut clients = self.facts[client.index()]
            .iter()
            .flat_map(|facts| &facts.clients)
            .flat_map(|client| &client.identities)
            .filter_map(|identity| identity.public.as_deref());
        let is_its = clients.any(|public| {
            PublicKey::read(public.trim_start().as_bytes()).is_ok_and(|(own, _)| own == key)
        });
        if is_its || self.is_copied_key(client, &key) || self.is_renewed_key(client, &key) {
            Ok(())
        } else {
            Err((Rule::Scope, "not a key of that node"))
        }
    }
}
