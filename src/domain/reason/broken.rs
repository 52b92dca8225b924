//! Why a leg is broken, rung by rung.

use super::catalogue::catalogue;
use crate::domain::lane::Step;

catalogue! {
    /// Why a leg is broken.
    pub enum Reason (Step, &'static str) {
        /// The name Nova dials has no address on the node that dials it.
        NameUnresolvable = "name-unresolvable", Step::Resolve,
            "Make it resolvable there the same way on every node (DNS or /etc/hosts), or set `[libvirt]migration_inbound_addr` on {server} to an address.";
        /// The name Nova dials leads to an address that another node owns, or that no surveyed node owns as its own.
        NameResolvesElsewhere = "name-resolves-elsewhere", Step::Resolve,
            "Correct the record or the /etc/hosts line for `{name}` on {client}: it must lead to an address of {server}.";
        /// The name Nova dials leads to a loopback address, so the node would log in to itself.
        AddressLoopback = "address-loopback", Step::Resolve,
            "Remove the 127.x.x.x line for `{name}` from /etc/hosts on {client}, or set `my_ip` / `[libvirt]migration_inbound_addr` on {server}.";
        /// Two nodes announce the same migration address, or one announces an address that it does not own. Nova then takes their storage for shared, copies no disk and loses it.
        SharedAddress = "shared-address", Step::Resolve,
            "Give each node its own `my_ip` or `[libvirt]migration_inbound_addr` in nova.conf, restart nova-compute, then check again. Move nothing before that.";
        /// Nothing says which address or name Nova would dial: neither the inventory nor a readable nova.conf.
        AddressUnknown = "address-unknown", Step::Resolve,
            "Let nova-compute's user read nova.conf on {server}, correct the option there that the evidence names, or state `migration_address` and `service_host` for it in the inventory.";
        /// Nova cannot put the destination's name into `[libvirt]live_migration_uri`: Python's `%` raises an error, and every live move fails before anything is dialled.
        LiveUriInvalid = "live-uri-invalid", Step::Resolve,
            "In nova.conf on {client}, put `%s` in place of the destination's name in `live_migration_uri` (`%%` for a plain `%`), once; or set `live_migration_scheme` instead. Then restart nova-compute.";
        /// ssh refuses to start, or to dial, because of its own configuration on the dialling node.
        ClientConfigInvalid = "client-config-invalid", Step::Resolve,
            "Correct the file or the option that ssh names (`{context} ssh -G {name}` on {client} shows the complaint, or what ssh makes of its files).";
        /// ssh refuses its per-user configuration because of the file's owner or mode.
        ClientConfigUnsafe = "client-config-unsafe", Step::Resolve,
            "On {client}: `chown {client_user}: {file} && chmod 600 {file}`.";
        /// There is no ssh client where Nova would run it.
        SshMissing = "ssh-missing", Step::Resolve,
            "Install openssh-client (openssh-clients on RHEL) where nova-compute runs on {client}.";
        /// The command that enters Nova's context fails: on the dialling node, so that Nova's ssh cannot be run as Nova runs it, or on the node dialled, so that nova.conf, which says its name, cannot be read.
        ContextFailed = "context-failed", Step::Resolve,
            "Check the context of the profile (`clearway inventory show`) and that its program, account or container exists on the node that the evidence names.";

        /// The address answers, but nothing listens on the port dialled.
        ConnectionRefused = "connection-refused", Step::Connect,
            "On {server}: start sshd, or make it listen on {name} port {port} (`ss -ltn`, `sshd -T | grep -i listen`); or correct `Port` in {client_user}'s ssh config on {client}.";
        /// No answer to the TCP connection: a firewall drops it, or the address is wrong.
        ConnectionTimedOut = "connection-timed-out", Step::Connect,
            "Open TCP port {port} from {client} to {name} (firewall, security group), or correct the migration address of {server}.";
        /// The dialling node has no route to the address, or a router or firewall rejects it.
        NoRoute = "no-route", Step::Connect,
            "Correct the route from {client} to {name} (`ip route get {name}`), or the firewall that answers with an ICMP reject.";
        /// The dialling node's own rules forbid the connection.
        LocalFirewall = "local-firewall", Step::Connect,
            "Allow outgoing TCP to {name} port {port} on {client} (`ip route get {name}`, `nft list ruleset`).";
        /// The server closed the connection before it said who it is, twice, and no throttling explains it.
        ConnectionDropped = "connection-dropped", Step::Connect,
            "Look at the sshd log of {server} (`journalctl -u ssh`, /var/log/auth.log): sshd may crash, be out of memory, or be wrapped by hosts.deny.";
        /// The connection is accepted, but no SSH banner comes in time.
        BannerTimeout = "banner-timeout", Step::Connect,
            "Look at {server}: sshd is stopped or overloaded, or its name lookups hang (`UseDNS`, dead resolver).";
        /// What answers on that port is not an SSH server.
        NotSsh = "not-ssh", Step::Connect,
            "Find out what listens on {name} port {port} (`ss -ltnp` on {server}), or correct the port.";
        /// The client configuration goes through a jump host or proxy command, and that fails.
        ProxyFailed = "proxy-failed", Step::Connect,
            "Correct `ProxyJump` or `ProxyCommand` for `{name}` in {client_user}'s ssh config on {client}.";
        /// The client configuration shares connections over a control socket that this account cannot use.
        ControlMasterFailed = "control-master-failed", Step::Connect,
            "Set `ControlMaster no` for {client_user} on {client}, or a `ControlPath` that the account can write.";

        /// The connection opens and then hangs in the key exchange: typical of a path that drops large packets (MTU).
        KeyExchangeStalled = "key-exchange-stalled", Step::HostKey,
            "Compare the MTU of every interface between {client} and {server} (`ping -M do -s 1472 {name}`), and let ICMP type 3 code 4 through.";
        /// Client and server have no key exchange, cipher, MAC or host key algorithm in common.
        NoCommonAlgorithm = "no-common-algorithm", Step::HostKey,
            "Bring the crypto policies of {client} and {server} together (`KexAlgorithms`, `Ciphers`, `MACs`, `HostKeyAlgorithms`).";
        /// The far end ends the connection in the middle of the key exchange: its sshd fails on its own, or something in between tampers with the traffic.
        KeyExchangeFailed = "key-exchange-failed", Step::HostKey,
            "Look at the sshd log of {server}: a missing /run/sshd, a crash or no memory; then at whatever rewrites or resets traffic between {client} and {server}.";
        /// The client has no host key for the exact name that Nova dials.
        HostKeyUnknown = "host-key-unknown", Step::HostKey,
            "Add the host keys read on {server} under the name `{name}` to {file} on {client}, or run `clearway repair`.";
        /// The client has another host key recorded for that name than the one the server presents.
        HostKeyChanged = "host-key-changed", Step::HostKey,
            "If the key on {server}'s disk is the one presented: replace the stale line in {file} on {client} (`ssh-keygen -R '{name}' -f {file}`) by the keys read on {server}. If it is not, another machine answers: find it first.";
        /// The key presented on the wire is neither the one recorded nor one that lies on the destination's disk: another machine, NAT, a duplicate address, an sshd not restarted, or an attack.
        HostKeyNotOnDisk = "host-key-not-on-disk", Step::HostKey,
            "Do not change known_hosts. Find out which machine answers on {name} port {port} (`ip neigh`, duplicate addresses), and whether sshd on {server} was restarted after its keys were remade.";
        /// The key presented is marked as revoked on the client.
        HostKeyRevoked = "host-key-revoked", Step::HostKey,
            "Make new host keys on {server}, or remove the `@revoked` line or the key from `RevokedHostKeys` on {client} if it is wrong.";
        /// The dialling node's `RevokedHostKeys` file is missing or unreadable, so ssh refuses every host key.
        RevokedHostKeysUnreadable = "revoked-host-keys-unreadable", Step::HostKey,
            "Put the file back or remove `RevokedHostKeys` from {client_user}'s ssh config on {client}.";
        /// The client knows the name only with key types that the server does not present any more.
        HostKeyTypeGap = "host-key-type-gap", Step::HostKey,
            "Record all host key types of {server} for `{name}` in {file} on {client}.";
        /// The known_hosts file exists but the account cannot read it.
        KnownHostsUnreadable = "known-hosts-unreadable", Step::HostKey,
            "On {client}: `chown {client_user}: {file} && chmod 600 {file}` (a global file: `chmod 644`).";
        /// The server's host certificate is past its end.
        HostCertificateExpired = "host-certificate-expired", Step::HostKey,
            "Sign the host key of {server} again and reload its sshd; compare the clocks.";
        /// The server's host certificate is not valid yet: signed for later, or a clock is wrong.
        HostCertificateNotYetValid = "host-certificate-not-yet-valid", Step::HostKey,
            "Compare the clocks of {client} and {server}; sign the certificate again if its start is wrong.";
        /// The server's host certificate does not list the name that Nova dials.
        HostCertificateWrongPrincipal = "host-certificate-wrong-principal", Step::HostKey,
            "Sign the host key of {server} again with `{name}` among the principals (`ssh-keygen -s CA -h -n ...`).";
        /// The server's host certificate is signed by an authority that the client does not trust for this name.
        HostCertificateUnknownAuthority = "host-certificate-unknown-authority", Step::HostKey,
            "Add `@cert-authority {name} <CA key>` to the client's known_hosts on {client}, or correct the pattern of the line that is there.";
        /// The server presents a user certificate as its host certificate.
        HostCertificateWrongType = "host-certificate-wrong-type", Step::HostKey,
            "Sign the host key of {server} with `ssh-keygen -h`.";

        /// The account that dials has no private key to offer.
        IdentityMissing = "identity-missing", Step::Login,
            "Make a key for {client_user} on {client} and authorise it on {server}, or run `clearway repair`.";
        /// The private key exists, but the account that dials cannot read it.
        IdentityUnreadable = "identity-unreadable", Step::Login,
            "On {client}: `chown {client_user}: {file} && chmod 600 {file}`.";
        /// ssh ignores the private key because others may read it.
        IdentityModes = "identity-modes", Step::Login,
            "On {client}: `chmod 600 {file}`.";
        /// The private key file is damaged, truncated, or not a private key.
        IdentityInvalid = "identity-invalid", Step::Login,
            "On {client}: compare `ssh-keygen -y -f {file}` with {file}.pub; put the right key back or make a new one.";
        /// The private key is protected by a passphrase that nobody can type.
        IdentityPassphrase = "identity-passphrase", Step::Login,
            "On {client}: `ssh-keygen -p -f {file}` to remove it, or use a key made for this account.";
        /// The client configuration forbids public keys.
        PublickeyDisabledClient = "publickey-disabled-client", Step::Login,
            "Allow public keys for `{name}` in {client_user}'s ssh config on {client}: no `PubkeyAuthentication no`, and `publickey` in `PreferredAuthentications`.";
        /// None of the keys offered is authorised for the account on the far end.
        KeyNotAuthorized = "key-not-authorized", Step::Login,
            "Add the public key of {client_user}@{client} to {file} on {server}, or run `clearway repair`.";
        /// The account on the far end has no authorized_keys file where its sshd looks for one.
        AuthorizedKeysMissing = "authorized-keys-missing", Step::Login,
            "Create {file} on {server} with the public keys of the nodes in scope, or run `clearway repair`.";
        /// sshd refuses the authorized_keys file, or the list of principals, because of the owner or mode of it or of a directory above it (StrictModes).
        AuthorizedKeysModes = "authorized-keys-modes", Step::Login,
            "On {server}: `chown {server_user}: {file} && chmod go-w {file}`.";
        /// sshd cannot read the authorized_keys file: SELinux enforces its policy, and the file or a directory above it has a label that the policy does not give to that path.
        AuthorizedKeysLabel = "authorized-keys-label", Step::Login,
            "On {server}: `restorecon -v` of each path that the evidence names, or run `clearway repair`.";
        /// The account cannot read its own authorized_keys file, or its list of principals: the file or a directory above it is closed to it.
        AuthorizedKeysUnreadable = "authorized-keys-unreadable", Step::Login,
            "On {server}: `chmod a+rX {file}`; where that lies in the home of {server_user}, give it to that account instead (`chown`).";
        /// The key is authorised, but its `from=` does not allow the address that this node comes from.
        KeyFromMismatch = "key-from-mismatch", Step::Login,
            "Add the migration address of {client} to `from=` in {file} on {server}.";
        /// The key is authorised, but its `expiry-time=` is past.
        KeyExpired = "key-expired", Step::Login,
            "Renew or remove `expiry-time=` in {file} on {server}.";
        /// The line that authorises the key has an option that sshd does not accept, so the whole line is void.
        KeyOptionInvalid = "key-option-invalid", Step::Login,
            "Correct the options of that line in {file} on {server}.";
        /// The key is on the far end's list of revoked keys.
        KeyRevoked = "key-revoked", Step::Login,
            "Make a new key for {client_user} on {client}, or take the key out of `RevokedKeys` on {server} if it is there by mistake.";
        /// The far end's `RevokedKeys` file is missing or unreadable, so sshd refuses every key.
        RevokedKeysUnreadable = "revoked-keys-unreadable", Step::Login,
            "Put the file back or remove `RevokedKeys` from the sshd configuration of {server}, then reload.";
        /// Client and server agree on no signature algorithm for this key, or the key is shorter than one of them accepts.
        KeyAlgorithmRefused = "key-algorithm-refused", Step::Login,
            "Make an ed25519 key for {client_user} on {client}, or widen `PubkeyAcceptedAlgorithms` / `RequiredRSASize`.";
        /// The user certificate is past its end.
        UserCertificateExpired = "user-certificate-expired", Step::Login,
            "Sign the key of {client_user}@{client} again; compare the clocks.";
        /// The user certificate is not valid yet: signed for later, or a clock is wrong.
        UserCertificateNotYetValid = "user-certificate-not-yet-valid", Step::Login,
            "Compare the clocks of {client} and {server}; sign again if the start is wrong.";
        /// The user certificate does not list a principal that the far end accepts for the account.
        UserCertificateWrongPrincipal = "user-certificate-wrong-principal", Step::Login,
            "Sign it again with the principal that `AuthorizedPrincipalsFile` or the account name {server_user} asks for.";
        /// The user certificate has no principals, and sshd accepts none such.
        UserCertificateNoPrincipal = "user-certificate-no-principal", Step::Login,
            "Sign it again with `-n {server_user}`.";
        /// The authority has signed the user certificate in a way that the far end does not accept (`CASignatureAlgorithms`).
        UserCertificateSignature = "user-certificate-signature", Step::Login,
            "Have the certificate of {client_user} on {client} signed again by a key of an accepted type, or with `ssh-keygen -t rsa-sha2-512` by one of RSA; or widen `CASignatureAlgorithms` on {server}.";
        /// The user certificate is signed by an authority that the far end does not trust.
        UserCertificateUnknownAuthority = "user-certificate-unknown-authority", Step::Login,
            "Add the CA key to `TrustedUserCAKeys` (or a `cert-authority` line) on {server}, then reload sshd.";
        /// The user certificate is limited to source addresses that this node does not come from.
        UserCertificateSourceAddress = "user-certificate-source-address", Step::Login,
            "Sign it again with `-O source-address=` covering the migration address of {client}.";
        /// The account that is logged in to does not exist on the far end.
        AccountMissing = "account-missing", Step::Login,
            "Create the account {server_user} on {server}, or correct `User` in {client_user}'s ssh config on {client}.";
        /// The account on the far end is locked, and its sshd (UsePAM no) refuses locked accounts.
        AccountLocked = "account-locked", Step::Login,
            "On {server}: `usermod -p '*' {server_user}`.";
        /// The account or its password has expired on the far end.
        AccountExpired = "account-expired", Step::Login,
            "On {server}: `chage -E -1 -M -1 {server_user}`.";
        /// The far end's sshd does not let this account in (AllowUsers, DenyUsers, AllowGroups, DenyGroups, PermitRootLogin).
        AccountNotAllowed = "account-not-allowed", Step::Login,
            "Allow {server_user} from {client} in the sshd configuration of {server}, then reload.";
        /// The login shell of the account does not exist on the far end.
        AccountShellMissing = "account-shell-missing", Step::Login,
            "On {server}: `usermod -s /bin/bash {server_user}`.";
        /// /etc/nologin or /run/nologin exists on the far end: only root may log in.
        LoginsDisabled = "logins-disabled", Step::Login,
            "Remove the file on {server} (`ls /etc/nologin /run/nologin`), after asking why it is there.";
        /// PAM on the far end refuses the account after the key was accepted.
        PamRefused = "pam-refused", Step::Login,
            "Look at the sshd log of {server} and at /etc/pam.d/sshd, access.conf.";
        /// The far end's sshd does not accept public keys for this account and source.
        PublickeyDisabledServer = "publickey-disabled-server", Step::Login,
            "Set `PubkeyAuthentication yes` for {server_user} from {client} in the sshd configuration of {server}, then reload.";
        /// The key is accepted, but the far end asks for a second factor (AuthenticationMethods).
        MoreAuthenticationNeeded = "more-authentication-needed", Step::Login,
            "Exempt {server_user} from it in a `Match` block on {server}.";
        /// The client offers so many keys that the far end ends the login (MaxAuthTries) before it comes to the right one.
        TooManyKeys = "too-many-keys", Step::Login,
            "Name the right key in the ssh config of {client_user} on {client} (`IdentityFile`, `IdentitiesOnly yes`), take keys that nobody uses out of its .ssh, or raise `MaxAuthTries` on {server}.";
        /// The far end refuses the login, and neither its files nor its log say why.
        LoginRefused = "login-refused", Step::Login,
            "Set `LogLevel VERBOSE` in the sshd configuration of {server}, reload, run `clearway trace {source} {destination}` again, and read its log.";

        /// The login works, but the account's shell runs no commands (nologin, false).
        AccountNologin = "account-nologin", Step::Command,
            "On {server}: `usermod -s /bin/bash {server_user}`.";
        /// The key is accepted, but the far end cannot open a session (PAM session, limits, chroot, MaxSessions).
        SessionRefused = "session-refused", Step::Command,
            "Look at the sshd log of {server}: PAM session modules, limits.d, `ChrootDirectory`.";
        /// The login works, but the account must change its password first.
        PasswordChangeRequired = "password-change-required", Step::Command,
            "On {server}: `chage -d -1 -M -1 {server_user}`.";
        /// A forced command answers instead of the command that Nova sends, and refuses it.
        ForcedCommandDenied = "forced-command-denied", Step::Command,
            "Widen the forced command (`command=` in {file}, `ForceCommand`, or the migration wrapper) on {server} to Nova's commands, or remove it.";
        /// The login succeeds, but another machine than the intended one answers.
        WrongMachine = "wrong-machine", Step::Command,
            "Correct `HostName`, `Port` or `ProxyJump` for `{name}` in {client_user}'s ssh config on {client}, or the address of {server}.";
        /// The login succeeds, but Nova's commands fail on the far end.
        CommandFailed = "command-failed", Step::Command,
            "Run the command shown in the evidence on {client} and read its error.";
        /// The instances directory does not exist on the far end.
        InstancesPathMissing = "instances-path-missing", Step::Command,
            "Create it on {server} (`install -d -o {server_user} -g {server_user} {instances_path}`), mount it, or make `instances_path` the same on both nodes.";
        /// The account cannot write to the instances directory on the far end.
        InstancesPathNotWritable = "instances-path-not-writable", Step::Command,
            "On {server}: `chown {server_user}: {instances_path}`; on shared storage compare the uid of {server_user} on both nodes.";
        /// The instances directory lies on a file system that is mounted read-only.
        ReadOnlyFilesystem = "read-only-filesystem", Step::Command,
            "Look at `dmesg` and `mount` on {server}; repair and remount it.";
        /// The file system of the instances directory is full (space or inodes).
        DiskFull = "disk-full", Step::Command,
            "Free space on {server} (`df -h {instances_path}; df -i {instances_path}`).";
        /// The login works, but the far end has neither `virt-ssh-helper` nor `nc`, with which libvirt reaches its daemon there.
        LibvirtHelperMissing = "libvirt-helper-missing", Step::Command,
            "Install libvirt-daemon (virt-ssh-helper) or a netcat that knows `-U` on {server}.";
        /// The login works, but no libvirt daemon listens on the far end's local socket.
        LibvirtSocketMissing = "libvirt-socket-missing", Step::Command,
            "On {server}: start libvirtd or virtqemud (`systemctl status virtqemud.socket libvirtd.socket`).";
        /// The login works, but the account may not use the libvirt daemon's socket.
        LibvirtSocketDenied = "libvirt-socket-denied", Step::Command,
            "On {server}: `usermod -aG libvirt {server_user}`, or `unix_sock_group` and `auth_unix_rw` in libvirtd.conf or virtqemud.conf.";

        /// The far end's shell prints text before the copy starts, which breaks scp, sftp and rsync.
        ShellNoisy = "shell-noisy", Step::Copy,
            "Remove the output from the start-up files of {server_user} on {server} (~/.bashrc, /etc/profile.d), at least for non-interactive shells.";
        /// The far end has no working sftp subsystem, which scp needs since OpenSSH 9.0.
        SftpMissing = "sftp-missing", Step::Copy,
            "Set `Subsystem sftp internal-sftp` in the sshd configuration of {server}, then reload.";
        /// A program that the copy needs (scp, rsync) is missing on one of the ends.
        CopyToolMissing = "copy-tool-missing", Step::Copy,
            "Install openssh-client or rsync on the node that the evidence names.";
        /// Commands work, but copying a file fails.
        CopyFailed = "copy-failed", Step::Copy,
            "Run the copy shown in the evidence on {client} and read its error.";
        /// The file was copied without an error, but does not read back the same.
        CopyCorrupted = "copy-corrupted", Step::Copy,
            "Check disk and memory of {server}, and anything that rewrites traffic between {client} and {server}; move nothing across this pair.";
    }
}

impl Reason {
    /// The rung on which it stops the leg.
    #[must_use]
    pub fn step(self) -> Step {
        self.row().2
    }

    /// What to do, with placeholders.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        self.row().3
    }

    /// What a person is to do where a repair does not: the remedy without the advice to repair.
    #[must_use]
    pub fn remedy_by_hand(self) -> String {
        self.remedy().replace(", or run `clearway repair`", "")
    }
}
