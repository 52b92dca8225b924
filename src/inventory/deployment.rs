//! Putting a profile together: what it extends, then itself, then the overrides of defaults, groups and nodes.

use std::collections::BTreeMap;

use super::document::{self, Deployment};
use super::layer::Key;
use super::problem::{Fault, Faults, Mark};
use super::values::{self, command_word, node_path, port};
use super::yaml::{At, Clearable, Entries, Text};
use crate::domain::{
    Dial, KeySharing, KnownHostsPlace, Lane, LaneProfile, LaneUse, NewKeyType, Profile,
    RepairProfile, SshdProfile, TrustBy,
};

/// A profile of which some properties may still be missing.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    nova_conf: Option<Vec<String>>,
    nova_context: Option<Vec<String>>,
    sshd_context: Option<Vec<String>>,
    sshd_binary: Option<String>,
    sshd_config: Option<String>,
    sshd_port: Option<u16>,
    lanes: [LaneDraft; Lane::ALL.len()],
    trust: Option<TrustBy>,
    keys: Option<KeySharing>,
    key_type: Option<NewKeyType>,
    known_hosts: Option<KnownHostsPlace>,
    nova_root: Option<Vec<String>>,
}

/// One lane of a draft. The inner option of the last three is the value: `None` leaves it to the client.
#[derive(Debug, Clone, Default)]
struct LaneDraft {
    used: Option<LaneUse>,
    context: Option<Vec<String>>,
    dial: Option<Dial>,
    user: Option<Option<String>>,
    port: Option<Option<u16>>,
    identity: Option<Option<String>>,
}

/// Applies one layer to a draft.
pub(super) struct Apply<'a> {
    pub(super) draft: &'a mut Draft,
    /// Index of the file that the layer is written in.
    pub(super) file: usize,
    pub(super) faults: &'a mut Faults,
    /// Is told of every property that the layer sets, and where.
    pub(super) note: &'a mut dyn FnMut(Key, Mark),
}

impl Apply<'_> {
    /// Sets everything that the layer says; what it does not say stays.
    pub(super) fn apply(mut self, layer: Deployment<'_>) {
        if let Some(files) = layer.nova_conf {
            let at = files.mark(self.file);
            if files.value.is_empty() {
                self.faults.add(
                    Fault::new(at, "no configuration file of nova")
                        .expected("at least one path, such as `[/etc/nova/nova.conf]`"),
                );
            }
            self.draft.nova_conf = self.list(("", "nova_conf"), files, node_path);
        }
        if let Some(words) = layer.nova_context {
            self.draft.nova_context = self.list(("", "nova_context"), words, command_word);
        }
        if let Some(sshd) = layer.sshd {
            self.sshd(sshd);
        }
        if let Some(lanes) = layer.lanes {
            self.lanes(lanes);
        }
        self.trust(layer);
    }

    fn trust(&mut self, layer: Deployment<'_>) {
        if let Some(trust) = self.value(("", "trust"), layer.trust, values::trust) {
            self.draft.trust = Some(trust);
        }
        if let Some(keys) = self.value(("", "keys"), layer.keys, values::keys) {
            self.draft.keys = Some(keys);
        }
        if let Some(kind) = self.value(("", "key_type"), layer.key_type, values::key_type) {
            self.draft.key_type = Some(kind);
        }
        if let Some(place) = self.value(("", "known_hosts"), layer.known_hosts, values::known_hosts)
        {
            self.draft.known_hosts = Some(place);
        }
        if let Some(words) = layer.nova_root {
            self.draft.nova_root = self.list(("", "nova_root"), words, command_word);
        }
    }

    fn sshd(&mut self, sshd: &document::Sshd) {
        if let Some(words) = &sshd.context {
            self.draft.sshd_context = self.list(("sshd", "context"), words, command_word);
        }
        if let Some(path) = self.value(("sshd", "binary"), sshd.binary.as_ref(), node_path) {
            self.draft.sshd_binary = Some(path);
        }
        if let Some(path) = self.value(("sshd", "config"), sshd.config.as_ref(), node_path) {
            self.draft.sshd_config = Some(path);
        }
        if let Some(port) = self.value(("sshd", "port"), sshd.port.as_ref(), port) {
            self.draft.sshd_port = Some(port);
        }
    }

    fn lanes(&mut self, lanes: &Entries<document::Lane>) {
        let mut seen: BTreeMap<&str, Mark> = BTreeMap::new();
        for (name, properties) in &lanes.0 {
            let at = name.mark(self.file);
            if let Some(first) = seen.insert(&name.value, at) {
                self.faults.add(
                    Fault::new(at, format!("the lane `{}` stands twice", name.value))
                        .expected("each lane once")
                        .also(first, "it stands here first"),
                );
            }
            if let Some(lane) = self.faults.keep(values::lane(at, &name.value)) {
                self.lane(lane, properties);
            }
        }
    }

    fn lane(&mut self, lane: Lane, properties: &document::Lane) {
        let section = lane.as_str();
        let mut draft = std::mem::take(&mut self.draft.lanes[lane as usize]);
        if let Some(used) = self.value(
            (section, "used"),
            properties.used.as_ref(),
            values::lane_use,
        ) {
            draft.used = Some(used);
        }
        if let Some(words) = &properties.context {
            draft.context = self.list((section, "context"), words, command_word);
        }
        if let Some(dial) = self.value((section, "dial"), properties.dial.as_ref(), values::dial) {
            draft.dial = Some(dial);
        }
        if let Some(user) =
            self.clearable((section, "user"), properties.user.as_ref(), values::user)
        {
            draft.user = Some(user);
        }
        if let Some(port) = self.clearable((section, "port"), properties.port.as_ref(), port) {
            draft.port = Some(port);
        }
        if let Some(path) = self.clearable(
            (section, "identity"),
            properties.identity.as_ref(),
            node_path,
        ) {
            draft.identity = Some(path);
        }
        self.draft.lanes[lane as usize] = draft;
    }

    fn value<T>(
        &mut self,
        key: Key,
        text: Option<&Text>,
        read: impl Fn(Mark, &str) -> Result<T, Fault>,
    ) -> Option<T> {
        let text = text?;
        let at = text.mark(self.file);
        (self.note)(key, at);
        self.faults.keep(read(at, &text.value))
    }

    fn clearable<T>(
        &mut self,
        key: Key,
        text: Option<&At<Clearable>>,
        read: impl Fn(Mark, &str) -> Result<T, Fault>,
    ) -> Option<Option<T>> {
        let text = text?;
        let at = text.mark(self.file);
        (self.note)(key, at);
        match &text.value.0 {
            Some(text) => self.faults.keep(read(at, text)).map(Some),
            None => Some(None),
        }
    }

    fn list(
        &mut self,
        key: Key,
        words: &At<Vec<Text>>,
        read: impl Fn(Mark, &str) -> Result<String, Fault>,
    ) -> Option<Vec<String>> {
        (self.note)(key, words.mark(self.file));
        words
            .value
            .iter()
            .map(|word| self.faults.keep(read(word.mark(self.file), &word.value)))
            .collect()
    }
}

impl Draft {
    /// The whole profile, or the keys that are still missing.
    ///
    /// A lane that says nothing of its context runs where Nova runs, the live lane on the host itself; what it dials
    /// and whether it is used is then what Nova does by itself.
    pub(super) fn finish(self, name: &str) -> Result<Profile, Vec<&'static str>> {
        let missing: Vec<&str> = [
            ("nova_conf", self.nova_conf.is_none()),
            ("nova_context", self.nova_context.is_none()),
            ("sshd.binary", self.sshd_binary.is_none()),
            ("sshd.config", self.sshd_config.is_none()),
            ("sshd.port", self.sshd_port.is_none()),
        ]
        .into_iter()
        .filter_map(|(key, is_missing)| is_missing.then_some(key))
        .collect();
        let (Some(nova_conf), Some(nova_context), Some(binary), Some(config), Some(port)) = (
            self.nova_conf,
            self.nova_context,
            self.sshd_binary,
            self.sshd_config,
            self.sshd_port,
        ) else {
            return Err(missing);
        };
        let [push, pull, live] = self.lanes;
        Ok(Profile {
            name: name.to_owned(),
            nova_conf,
            cold_push: push.finish(&nova_context, Dial::MigrationAddress),
            cold_pull: pull.finish(&nova_context, Dial::ServiceHost),
            live: live.finish(&[], Dial::LiveAddress),
            nova_context,
            sshd: SshdProfile {
                context: self.sshd_context.unwrap_or_default(),
                binary,
                config,
                port,
            },
            repair: RepairProfile {
                trust: self.trust.unwrap_or_default(),
                keys: self.keys.unwrap_or_default(),
                key_type: self.key_type.unwrap_or_default(),
                known_hosts: self.known_hosts.unwrap_or_default(),
                nova_root: self.nova_root,
            },
        })
    }
}

impl LaneDraft {
    fn finish(self, context: &[String], dial: Dial) -> LaneProfile {
        LaneProfile {
            used: self.used.unwrap_or(LaneUse::Auto),
            context: self.context.unwrap_or_else(|| context.to_vec()),
            dial: self.dial.unwrap_or(dial),
            user: self.user.flatten(),
            port: self.port.flatten(),
            identity: self.identity.flatten(),
        }
    }
}
