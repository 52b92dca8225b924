//! What is true and worth knowing, and breaks no leg.

use serde::{Deserialize, Serialize};

use super::catalogue::catalogue;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Should be changed.
    Warning,
}

catalogue! {
    /// Something true and worth knowing that does not break a leg.
    pub enum FindingCode (Severity, &'static str) {
        /// What the files say and what really happened are not the same.
        PredictionDiffers = "prediction-differs", Severity::Warning,
            "Read both in `clearway trace`; files may have changed in between, sshd may not have been reloaded, or clearway is wrong: report it.";
        /// The client accepts any host key for this name (`StrictHostKeyChecking no` or `accept-new` with nowhere to record), so nobody would notice another machine.
        HostKeysNotChecked = "host-keys-not-checked", Severity::Warning,
            "Distribute known_hosts, then remove `StrictHostKeyChecking no` and `UserKnownHostsFile /dev/null`.";
        /// The recorded host key is not the one presented, and only `StrictHostKeyChecking no` hides it.
        HostKeyStaleButAccepted = "host-key-stale-but-accepted", Severity::Warning,
            "Replace the stale line in known_hosts.";
        /// Several nodes have one host key: each of them can pass for the others. Images cloned with their keys do this.
        HostKeyShared = "host-key-shared", Severity::Warning,
            "Unless it is one machine under several names: on each node remove /etc/ssh/ssh_host_*, run `ssh-keygen -A`, reload sshd, and distribute the new keys.";
        /// Several nodes have one machine-id, so nobody can tell which of them answered. Images cloned with it do this.
        MachineIdShared = "machine-id-shared", Severity::Warning,
            "Unless it is one machine under several names: on each node empty /etc/machine-id and run `systemd-machine-id-setup`.";
        /// The host key of the control connection is none of those that the surveyed sshd has, so whose answer it is rests on that connection alone.
        ControlHostKeyElsewhere = "control-host-key-elsewhere", Severity::Info,
            "Nothing, where the control connection is meant to lead to another sshd than Nova's; otherwise look what answers at its address.";
        /// The same private key lies on several nodes: whoever takes one node has them all, and no single node can be revoked.
        PrivateKeyShared = "private-key-shared", Severity::Warning,
            "Give each node a key of its own (`clearway keys rotate`).";
        /// A copy of a private key can be read by other accounts.
        PrivateKeyCopyReadable = "private-key-copy-readable", Severity::Warning,
            "Remove the copy or `chmod 600` it, and consider the key stolen.";
        /// A known_hosts pattern vouches for more nodes than the one whose key it carries.
        KnownHostsPatternBroad = "known-hosts-pattern-broad", Severity::Warning,
            "List the names of the node instead of a pattern.";
        /// A known_hosts line matches no name that Nova dials.
        KnownHostsNeverMatches = "known-hosts-never-matches", Severity::Info,
            "Remove it, or correct its name or port form.";
        /// A line of known_hosts cannot be read and is skipped by ssh.
        KnownHostsBadLine = "known-hosts-bad-line", Severity::Info,
            "Correct or remove the line.";
        /// A key is of a type or length that is no longer considered safe.
        KeyWeak = "key-weak", Severity::Warning,
            "Make an ed25519 key, or RSA of at least 3072 bits.";
        /// A lane logs in as root on the far end.
        RootLane = "root-lane", Severity::Warning,
            "Use an account of its own for migrations, with the rights that it needs.";
        /// A certificate ends soon.
        CertificateExpiring = "certificate-expiring", Severity::Warning,
            "Sign it again before that date.";
        /// Nodes of one group have different ssh settings for a lane.
        SshConfigDiffers = "ssh-config-differs", Severity::Info,
            "Bring them together with your deployment tool, or ignore it if it is meant.";
        /// Nodes of one group have different sshd settings that matter for a lane.
        SshdConfigDiffers = "sshd-config-differs", Severity::Info,
            "Bring them together with your deployment tool, or ignore it if it is meant.";
        /// A node's clock is away from the controller's by more than certificates and logs bear.
        ClockSkew = "clock-skew", Severity::Warning,
            "Repair time synchronisation on the node.";
        /// sshd drops unauthenticated connections early; many moves at once to this node may be refused.
        MaxStartupsLow = "max-startups-low", Severity::Info,
            "Raise `MaxStartups` on the node.";
        /// A key or known_hosts file is a symbolic link.
        UserConfigSymlinked = "user-config-symlinked", Severity::Info,
            "Know that repair will not follow it.";
        /// A key, known_hosts or configuration file, or a directory above one, has another SELinux label than the node's policy gives to its path. Files that were made elsewhere and moved there do this.
        WrongLabel = "wrong-label", Severity::Warning,
            "On each of these nodes: `restorecon -v` of the path.";
        /// ssh will rewrite known_hosts by itself after a login (`UpdateHostKeys`).
        UpdateHostKeys = "update-host-keys", Severity::Info,
            "Set `UpdateHostKeys no` where a tool owns the file.";
        /// The inventory states another address or name for a node than its nova.conf announces. Nova never reads the inventory: it dials what nova.conf says, so that is what is checked.
        InventoryDiffers = "inventory-differs", Severity::Warning,
            "Correct nova.conf on the node and restart nova-compute, or correct the inventory, or take the key out of it.";
        /// A repair once let in a key of a node that the inventory does not have any more, or that another inventory has.
        FormerNodeTrusted = "former-node-trusted", Severity::Info,
            "If the node is gone, remove the line, or `clearway keys revoke` it.";
        /// A repair once let in a key of a node that has no pair with this one in the inventory's scope, in neither direction.
        OutOfScopeTrusted = "out-of-scope-trusted", Severity::Info,
            "Remove the line, or widen `scope` in the inventory.";
        /// The address dialled is not on an interface that the node owns, but the right node answered (NAT or a proxy).
        DestAnsweredElsewhere = "dest-answered-elsewhere", Severity::Info,
            "Know that Nova's own address comparison does not see this.";
    }
}

impl FindingCode {
    /// How much it matters.
    #[must_use]
    pub fn severity(self) -> Severity {
        self.row().2
    }

    /// What to do, with placeholders.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        self.row().3
    }
}
