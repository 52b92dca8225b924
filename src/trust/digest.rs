//! A hash of everything about a node that trust depends on, to tell later whether it changed.

use sha2::{Digest as _, Sha256};

use crate::domain::Node;
use crate::survey::{
    Account, Answer, CheckedFile, ClientFacts, Content, FileFact, FileState, HostKeyFact, Identity,
    Labels, LoginAccount, Meta, NodeFacts,
};

/// Raised when the same facts get another digest: stored ones then count as changed.
const VERSION: u8 = 3;

/// SHA-256, in hexadecimal, of the facts of a node that a verdict may depend on, with what the inventory adds to them.
///
/// Left out is what changes by itself: the clock, free space (only whether there is any counts), other listeners than
/// those of the ports concerned.
#[must_use]
pub fn facts_digest(node: &Node, facts: &NodeFacts) -> String {
    let mut hash = Writer(Sha256::new());
    hash.byte(VERSION);
    // The inventory's part. Its text form is only compared with itself.
    hash.text(node.name.as_str());
    hash.optional(&node.service_host, |hash, it| hash.text(it));
    hash.optional(&node.migration_address, |hash, it| hash.text(it));
    hash.optional(&node.live_address, |hash, it| hash.text(it));
    hash.text(&format!("{:?}", node.profile));

    hash.text(&facts.hostname);
    hash.optional(&facts.machine_id, |hash, it| hash.text(it));
    let mut addresses: Vec<String> = facts.addresses.iter().map(ToString::to_string).collect();
    addresses.sort_unstable();
    hash.list(&addresses, |hash, it| hash.text(it));
    hash.optional(&facts.listeners, |hash, listeners| {
        let lanes = [
            &node.profile.cold_push,
            &node.profile.cold_pull,
            &node.profile.live,
        ];
        let concerned = |port: u16| {
            port == 22
                || port == node.profile.sshd.port
                || lanes.iter().any(|lane| lane.port == Some(port))
        };
        let mut sockets: Vec<String> = listeners
            .iter()
            .filter(|socket| concerned(socket.port()))
            .map(ToString::to_string)
            .collect();
        sockets.sort_unstable();
        hash.list(&sockets, |hash, it| hash.text(it));
    });
    hash.text(&format!("{:?}", facts.nova));
    hash.list(&facts.clients, Writer::client);
    hash.server(facts);
    let instances = &facts.instances;
    hash.text(&instances.path);
    hash.optional(&instances.meta, Writer::meta);
    hash.flag(instances.writable);
    hash.optional(&instances.free_bytes, |hash, it| hash.flag(*it > 0));
    hash.optional(&instances.free_inodes, |hash, it| hash.flag(*it > 0));
    hash.flag(instances.read_only);
    hash.0
        .finalize()
        .iter()
        .fold(String::new(), |mut hex, byte| {
            hex.push(char::from_digit(u32::from(byte >> 4), 16).unwrap_or('0'));
            hex.push(char::from_digit(u32::from(byte & 15), 16).unwrap_or('0'));
            hex
        })
}

/// Writes values so that no two different ones write the same: every text and list is preceded by its length.
struct Writer(Sha256);

impl Writer {
    fn byte(&mut self, byte: u8) {
        self.0.update([byte]);
    }

    fn flag(&mut self, flag: bool) {
        self.byte(u8::from(flag));
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn length(&mut self, length: usize) {
        self.number(u64::try_from(length).unwrap_or(u64::MAX));
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.update(text.as_bytes());
    }

    fn optional<T>(&mut self, value: &Option<T>, write: impl FnOnce(&mut Self, &T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(values.len());
        for value in values {
            write(self, value);
        }
    }

    fn content(&mut self, content: &Content) {
        self.0.update(content.sha256);
    }

    fn meta(&mut self, meta: &Meta) {
        self.text(&format!("{:?}", meta.kind));
        self.number(u64::from(meta.mode));
        self.number(u64::from(meta.uid));
        self.number(u64::from(meta.gid));
        self.flag(meta.symlink);
    }

    fn file(&mut self, file: &FileFact) {
        self.text(&file.path);
        match &file.state {
            FileState::Absent => self.byte(0),
            FileState::Unreadable(error) => {
                self.byte(1);
                self.text(error);
            }
            FileState::Present {
                meta,
                readable,
                content,
            } => {
                self.byte(2);
                self.meta(meta);
                self.flag(*readable);
                self.optional(content, Self::content);
            }
        }
    }

    fn answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Output(content) => {
                self.byte(0);
                self.content(content);
            }
            Answer::Failed { status, stderr } => {
                self.byte(1);
                self.text(&status.to_string());
                self.text(stderr);
            }
        }
    }

    fn account(&mut self, account: &Account) {
        self.text(&account.name);
        self.number(u64::from(account.uid));
        self.number(u64::from(account.gid));
        self.list(&account.groups, |hash, it| hash.text(it));
        self.text(&account.home);
        self.text(&account.shell);
    }

    fn client(&mut self, client: &ClientFacts) {
        self.list(&client.context, |hash, it| hash.text(it));
        self.optional(&client.failed, |hash, it| hash.text(it));
        self.optional(&client.account, Self::account);
        self.optional(&client.ssh_version, |hash, it| hash.text(it));
        self.answer(&client.base_config);
        self.list(&client.config_files, Self::file);
        self.list(&client.identities, Self::identity);
        self.list(&client.known_hosts, Self::file);
        self.file(&client.hosts);
        self.list(&client.programs, |hash, it| hash.text(it));
        self.optional(&client.labels, Self::labels);
    }

    fn labels(&mut self, labels: &Labels) {
        self.flag(labels.enforcing);
        self.optional(&labels.wrong, |hash, wrong| {
            hash.list(wrong, |hash, it| {
                hash.text(&it.path);
                hash.text(&it.has);
                hash.text(&it.policy);
            });
        });
    }

    fn identity(&mut self, identity: &Identity) {
        self.text(&identity.path);
        self.optional(&identity.meta, Self::meta);
        self.text(&format!("{:?}", identity.state));
        self.optional(&identity.public, |hash, it| hash.text(it));
        self.optional(&identity.stale, |hash, it| hash.text(it));
        self.optional(&identity.certificate, Self::file);
    }

    fn server(&mut self, facts: &NodeFacts) {
        let server = &facts.server;
        self.optional(&server.machine_id, |hash, it| hash.text(it));
        self.optional(&server.sshd_version, |hash, it| hash.text(it));
        self.answer(&server.base_config);
        self.list(&server.config_files, Self::file);
        self.list(&server.host_keys, Self::host_key);
        self.list(&server.accounts, Self::login);
        self.list(&server.trust_files, Self::file);
        self.list(&server.nologin, |hash, it| hash.text(it));
        self.optional(&server.sftp_server, Self::file);
        self.list(&server.programs, |hash, it| hash.text(it));
        self.optional(&server.labels, Self::labels);
    }

    fn host_key(&mut self, key: &HostKeyFact) {
        self.text(&key.path);
        self.text(&key.public);
        self.optional(&key.certificate, Self::file);
        self.optional(&key.meta, Self::meta);
    }

    fn login(&mut self, login: &LoginAccount) {
        self.text(&login.name);
        self.optional(&login.account, Self::account);
        self.flag(login.shell_usable);
        self.text(&format!("{:?}", login.lock));
        self.text(&format!("{:?}", login.expires_day));
        self.flag(login.password_expired);
        self.list(&login.authorized_keys, Self::checked);
        self.list(&login.principals, Self::checked);
    }

    fn checked(&mut self, checked: &CheckedFile) {
        self.file(&checked.file);
        self.list(&checked.above, |hash, (path, meta)| {
            hash.text(path);
            hash.meta(meta);
        });
        self.list(&checked.private_group, |hash, it| hash.flag(*it));
    }
}
