//! The keys of an inventory file, exactly as they may be written. docs/inventory.md explains them.

use serde::Deserialize;

use super::yaml::{At, Clearable, Entries, Field, Text, WordOr, Words, clearable, given};

/// Declares a mapping with optional keys, and lists them.
macro_rules! keys {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$attribute:meta])* $key:ident: $type:ty,)* }
        $(clearable { $($clear:ident,)* })?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $name {
            $(
                $(#[$attribute])*
                #[serde(default, deserialize_with = "given")]
                pub(super) $key: Field<$type>,
            )*
            $($(
                #[serde(default, deserialize_with = "clearable")]
                pub(super) $clear: Field<Clearable>,
            )*)?
        }

        impl $name {
            /// Every key.
            pub(super) const KEYS: &[&str] = &[$(stringify!($key),)* $($(stringify!($clear),)*)?];
        }
    };
}

/// Declares a mapping that has all properties of a node, and more.
macro_rules! with_properties {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty,)* }) => {
        keys! {
            $(#[$doc])*
            $name {
                profile: String,
                cell: String,
                service_host: String,
                migration_address: String,
                live_address: String,
                control: Box<Control>,
                nova_conf: Vec<Text>,
                nova_context: Vec<Text>,
                sshd: Box<Sshd>,
                lanes: Entries<Lane>,
                trust: String,
                keys: String,
                key_type: String,
                known_hosts: String,
                nova_root: Vec<Text>,
                $($key: $type,)*
            }
        }

        impl $name {
            /// What it shares with the other layers.
            pub(super) fn properties(&self) -> Properties<'_> {
                Properties {
                    profile: self.profile.as_ref(),
                    cell: self.cell.as_ref(),
                    service_host: self.service_host.as_ref(),
                    migration_address: self.migration_address.as_ref(),
                    live_address: self.live_address.as_ref(),
                    control: self.control.as_ref().map(|control| &*control.value),
                    deployment: Deployment {
                        nova_conf: self.nova_conf.as_ref(),
                        nova_context: self.nova_context.as_ref(),
                        sshd: self.sshd.as_ref().map(|sshd| &*sshd.value),
                        lanes: self.lanes.as_ref().map(|lanes| &lanes.value),
                        trust: self.trust.as_ref(),
                        keys: self.keys.as_ref(),
                        key_type: self.key_type.as_ref(),
                        known_hosts: self.known_hosts.as_ref(),
                        nova_root: self.nova_root.as_ref(),
                    },
                }
            }
        }
    };
}

/// Every mapping with its keys, by the key that it stands under; the file itself has none.
pub(super) const SECTIONS: &[(&str, &[&str])] = &[
    ("", Document::KEYS),
    ("defaults", Defaults::KEYS),
    ("control", Control::KEYS),
    ("lanes", Lane::KEYS),
    ("sshd", Sshd::KEYS),
    ("groups", Group::KEYS),
    ("nodes", Node::KEYS),
    ("profiles", Profile::KEYS),
    ("jump_hosts", JumpHost::KEYS),
    ("scope", Rule::KEYS),
];

/// The properties of one layer: the defaults, a group or a node.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Properties<'d> {
    pub(super) profile: Option<&'d Text>,
    pub(super) cell: Option<&'d Text>,
    pub(super) service_host: Option<&'d Text>,
    pub(super) migration_address: Option<&'d Text>,
    pub(super) live_address: Option<&'d Text>,
    pub(super) control: Option<&'d Control>,
    pub(super) deployment: Deployment<'d>,
}

/// What a profile consists of, and what every layer may override of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Deployment<'d> {
    pub(super) nova_conf: Option<&'d At<Vec<Text>>>,
    pub(super) nova_context: Option<&'d At<Vec<Text>>>,
    pub(super) sshd: Option<&'d Sshd>,
    pub(super) lanes: Option<&'d Entries<Lane>>,
    pub(super) trust: Option<&'d Text>,
    pub(super) keys: Option<&'d Text>,
    pub(super) key_type: Option<&'d Text>,
    pub(super) known_hosts: Option<&'d Text>,
    pub(super) nova_root: Option<&'d At<Vec<Text>>>,
}

impl Deployment<'_> {
    /// Whether the layer says nothing of these.
    pub(super) fn is_empty(&self) -> bool {
        self.nova_conf.is_none()
            && self.nova_context.is_none()
            && self.sshd.is_none()
            && self.lanes.is_none()
            && self.trust.is_none()
            && self.keys.is_none()
            && self.key_type.is_none()
            && self.known_hosts.is_none()
            && self.nova_root.is_none()
    }
}

keys! {
    /// A whole file.
    Document {
        clearway: String,
        defaults: Defaults,
        jump_hosts: Entries<JumpHost>,
        profiles: Entries<Profile>,
        groups: Entries<Option<Group>>,
        nodes: Entries<Option<Node>>,
        scope: WordOr<Rule>,
    }
}

with_properties! {
    /// `defaults:`
    Defaults {}
}

with_properties! {
    /// An entry of `groups:`
    Group { nodes: Entries<Option<Node>>, }
}

with_properties! {
    /// An entry of `nodes:`
    Node { groups: Words, }
}

keys! {
    /// `control:`
    Control {
        address: String,
        port: String,
        user: String,
        sudo: String,
        identity: Words,
        agent: String,
        known_hosts: Words,
        host_key: Words,
        host_key_alias: String,
        jump: Words,
    }
}

keys! {
    /// An entry of `jump_hosts:`
    JumpHost {
        address: String,
        port: String,
        user: String,
        identity: Words,
        known_hosts: Words,
        host_key: Words,
        host_key_alias: String,
        jump: String,
    }
}

keys! {
    /// An entry of `profiles:`
    Profile {
        extends: String,
        nova_conf: Vec<Text>,
        nova_context: Vec<Text>,
        sshd: Box<Sshd>,
        lanes: Entries<Lane>,
        trust: String,
        keys: String,
        key_type: String,
        known_hosts: String,
        nova_root: Vec<Text>,
    }
}

impl Profile {
    pub(super) fn deployment(&self) -> Deployment<'_> {
        Deployment {
            nova_conf: self.nova_conf.as_ref(),
            nova_context: self.nova_context.as_ref(),
            sshd: self.sshd.as_ref().map(|sshd| &*sshd.value),
            lanes: self.lanes.as_ref().map(|lanes| &lanes.value),
            trust: self.trust.as_ref(),
            keys: self.keys.as_ref(),
            key_type: self.key_type.as_ref(),
            known_hosts: self.known_hosts.as_ref(),
            nova_root: self.nova_root.as_ref(),
        }
    }
}

keys! {
    /// `sshd:`
    Sshd {
        context: Vec<Text>,
        binary: String,
        config: String,
        port: String,
    }
}

keys! {
    /// An entry of `lanes:`
    Lane {
        used: String,
        context: Vec<Text>,
        dial: String,
    }
    clearable {
        user,
        port,
        identity,
    }
}

keys! {
    /// An entry of `scope:`
    Rule {
        from: Words,
        to: Words,
    }
}
