//! Why a leg could not be proven, and why it need not be.

use super::catalogue::catalogue;

catalogue! {
    /// Why a leg could not be proven. Never a statement about trust.
    pub enum Why (&'static str) {
        /// The control connection to the node could not be opened: no answer, refused, or no route.
        ControlUnreachable = "control-unreachable",
            "Check the address, port and jump host in the inventory (`clearway inventory show {node}`), and that sshd runs there.";
        /// The node closed the control connection before it said who it is, also when tried again.
        ControlDropped = "control-dropped",
            "Wait a minute and try again; look for MaxStartups or penalties in the sshd log of the node.";
        /// The host key of the control connection is unknown, changed or revoked. Nothing was sent to that machine.
        ControlHostKey = "control-host-key",
            "Compare the fingerprint shown with the node's console, then add it to the operator's known_hosts, or pin it in the inventory.";
        /// The node does not let clearway log in.
        ControlDenied = "control-denied",
            "Check `control.user` and `control.identity` in the inventory; try `ssh` by hand.";
        /// A key of the control connection cannot be used: unreadable, encrypted without an agent, or not a key.
        ControlIdentity = "control-identity",
            "Check `control.identity` in the inventory, or load the key into ssh-agent.";
        /// `sudo -n` is not allowed for the control user, or asks for a password or a terminal.
        SudoRefused = "sudo-refused",
            "Give the control user passwordless sudo on the node, or set `control.sudo: false` for a root login.";
        /// The control connection broke off before the node's answer was complete.
        ControlLost = "control-lost",
            "Look whether the node went down or its network did, then try again.";
        /// The node did not finish in time.
        ControlTimedOut = "control-timed-out",
            "Try again with a longer `--timeout`; look at the load of the node.";
        /// What the node answered is not the answer of clearway's program: damaged, too long, or not from it.
        ControlGarbage = "control-garbage",
            "Run `clearway trace` with this node alone; look for output in its shell start-up files, and distrust the machine.";
        /// The answer is that of another node: its host keys are another's, and the one that the control connection verified is not among them.
        ControlMisled = "control-misled",
            "Look what `sudo`, the login shell and a forced command do for the control user on the node, and distrust the machine.";
        /// The node was not surveyed, so its side of the leg is not known.
        NotSurveyed = "not-surveyed",
            "See what the report says of that node itself: why it was not surveyed.";
        /// The leg was not proven in this run (`--pairs`, `--depth`, `--no-write`): only the prediction is known.
        PredictedOnly = "predicted-only",
            "Run `clearway check` with the default `--pairs all --depth copy`.";
        /// The leg was not proven in this run, and files alone cannot tell.
        NotPredictable = "not-predictable",
            "Let the proof decide: `clearway check` with the default `--pairs all --depth copy`. Where that tries nothing either, set right what the evidence names.";
        /// The files of nova.conf say two addresses or names, and which one Nova would dial depends on how nova-compute was started, which was not seen.
        AddressUndecided = "address-undecided",
            "State `migration_address` or `service_host` for {server} in the inventory, or leave each option in one of the files of nova.conf there.";
        /// The far end dropped the connection before the banner, also when tried again: MaxStartups or PerSourcePenalties. That says nothing about trust.
        Throttled = "throttled",
            "Try again in a few minutes, raise `MaxStartups` on {server}, or list the migration network in `PerSourcePenaltyExemptList`.";
        /// The proof did not finish before its deadline.
        ProbeTimedOut = "probe-timed-out",
            "Try again with a longer `--timeout`.";
        /// The run was interrupted before this leg was proven, or before its node had told so (nodes tell what works every few seconds).
        Interrupted = "interrupted",
            "Run it again.";
        /// The proof could not be carried out on the dialling node for a reason of its own, for example a full /tmp.
        ProbeFailed = "probe-failed",
            "See the evidence; run `clearway trace {source} {destination}`.";
    }
}

impl Why {
    /// What to do, with placeholders.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        self.row().2
    }
}

catalogue! {
    /// Why a leg is not needed.
    pub enum NotNeeded () {
        /// Live migration uses `qemu+tcp`: libvirt makes no SSH login.
        LiveOverTcp = "live-over-tcp";
        /// Live migration uses `qemu+tls`: libvirt makes no SSH login.
        LiveOverTls = "live-over-tls";
        /// Live migration uses a transport that is not SSH.
        LiveOtherTransport = "live-other-transport";
        /// The profile says that this deployment does not use the lane.
        LaneOff = "lane-off";
    }
}
