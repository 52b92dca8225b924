use super::*;

const KNOWN_HOSTS: &str = "/var/lib/nova/.ssh/known_hosts";

/// What `ssh -v` prints up to a stage, before the messages.
fn verbose(stage: Stage) -> String {
    let lines = [
        (
            Stage::Resolved,
            "debug1: Connecting to node2 [10.77.0.3] port 22.",
        ),
        (Stage::Connected, "debug1: Connection established."),
        (
            Stage::Banner,
            "debug1: Remote protocol version 2.0, remote software version OpenSSH_9.2p1",
        ),
        (Stage::KeyExchange, "debug1: SSH2_MSG_KEXINIT received"),
        (
            Stage::HostKey,
            "debug1: Server host key: ssh-ed25519 SHA256:PTeyk84uJO5k8Gk2uEpbmB2ijt0U5hPT9YM4kTYiXPk",
        ),
        (
            Stage::Encrypted,
            "debug1: Host 'node2' is known and matches the ED25519 host key.\ndebug1: SSH2_MSG_NEWKEYS received\ndebug1: Authentications that can continue: publickey,password\ndebug1: Next authentication method: publickey",
        ),
        (
            Stage::Offered,
            "debug1: Will attempt key: /k ED25519 SHA256:k\ndebug1: Offering public key: /k ED25519 SHA256:k",
        ),
        (
            Stage::Accepted,
            "debug1: Server accepts key: /k ED25519 SHA256:k",
        ),
        (
            Stage::Authenticated,
            "Authenticated to node2 ([10.77.0.3]:22) using \"publickey\".",
        ),
        (Stage::Commanded, "debug1: Sending command: echo OK"),
        (
            Stage::Ended,
            "debug1: client_input_channel_req: channel 0 rtype exit-status reply 0",
        ),
    ];
    let mut text = "debug1: Reading configuration data /etc/ssh/ssh_config\n".to_owned();
    for (_, line) in lines.iter().filter(|(at, _)| *at <= stage) {
        text += line;
        text.push('\n');
    }
    text
}

fn changed(last: &str) -> String {
    format!(
        "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nThe fingerprint for the ED25519 key sent by the remote host is\nSHA256:x.\nOffending ECDSA key in {KNOWN_HOSTS}:4\n{last}"
    )
}

fn revoked(kind: &str) -> String {
    format!(
        "@       WARNING: REVOKED HOST KEY DETECTED!               @\nThe {kind} host key for node2 is marked as revoked.\n{kind} host key for node2 was revoked and you have requested strict checking.\nHost key verification failed."
    )
}

fn unprotected(mode: &str) -> String {
    format!(
        "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\nPermissions {mode} for '/var/lib/nova/.ssh/id_ed25519' are too open.\nLoad key \"/var/lib/nova/.ssh/id_ed25519\": bad permissions\n{DENIED}"
    )
}

const FAILED: &str = "Host key verification failed.";
const DENIED: &str = "nova@node2: Permission denied (publickey,password).";
const CLOSED: &str = "Connection closed by 10.77.0.3 port 22";
const RESET: &str = "kex_exchange_identification: read: Connection reset by peer\nConnection reset by 10.77.0.3 port 22";

fn cause(stage: Stage, status: Option<i32>, stderr: &str, stdout: &str) -> Cause {
    let text = verbose(stage) + stderr;
    explain(Ending {
        trace: &Trace::read(&text),
        stdout,
        status,
    })
}

/// What is seen of each fault, by ssh: its name, the stage, the exit status, stderr beside the debug lines, the cause.
#[test]
fn every_known_fault_of_ssh_has_its_cause() {
    use Cause::{Breaks, Dropped, Refused, Remote, Throttled};
    use Reason::*;
    use Stage::*;
    let ca = "debug1: Server host certificate: ssh-ed25519-cert-v01@openssh.com SHA256:a, serial 0 ID \"x\" CA ssh-ed25519 SHA256:b valid forever\n";
    let table: &[(&str, Stage, i32, &str, Cause)] = &[
        (
            "01 no known_hosts",
            HostKey,
            255,
            FAILED,
            Breaks(HostKeyUnknown),
        ),
        (
            "02 changed",
            HostKey,
            255,
            &changed(
                "Host key for node2 has changed and you have requested strict checking.\nHost key verification failed.",
            ),
            Breaks(HostKeyChanged),
        ),
        (
            "02 changed, not checked, key refused",
            Offered,
            255,
            &changed(DENIED),
            Refused,
        ),
        (
            "04 revoked",
            HostKey,
            255,
            &revoked("ED25519"),
            Breaks(HostKeyRevoked),
        ),
        (
            "05 revoked ca",
            HostKey,
            255,
            &revoked("ED25519-CERT"),
            Breaks(HostKeyRevoked),
        ),
        (
            "04 in RevokedHostKeys",
            HostKey,
            255,
            "Host key ED25519 SHA256:x revoked by file /etc/ssh/revoked\nHost key verification failed.",
            Breaks(HostKeyRevoked),
        ),
        (
            "04 RevokedHostKeys missing",
            HostKey,
            255,
            "Error checking host key ED25519 SHA256:x in revoked keys file /etc/ssh/nonexist: No such file or directory\nHost key verification failed.",
            Breaks(RevokedHostKeysUnreadable),
        ),
        (
            "05 wrong ca",
            HostKey,
            255,
            &format!("{ca}{FAILED}"),
            Breaks(HostCertificateUnknownAuthority),
        ),
        (
            "05 wrong ca, strict",
            HostKey,
            255,
            &format!(
                "{ca}No ED25519 host key is known for node2 and you have requested strict checking.\n{FAILED}"
            ),
            Breaks(HostCertificateUnknownAuthority),
        ),
        (
            "05 expired",
            HostKey,
            255,
            &format!("{ca}Certificate invalid: expired\n{FAILED}"),
            Breaks(HostCertificateExpired),
        ),
        (
            "05 not yet",
            HostKey,
            255,
            &format!("{ca}Certificate invalid: not yet valid\n{FAILED}"),
            Breaks(HostCertificateNotYetValid),
        ),
        (
            "05 principal",
            HostKey,
            255,
            &format!("{ca}Certificate invalid: name is not a listed principal\n{FAILED}"),
            Breaks(HostCertificateWrongPrincipal),
        ),
        (
            "05 user certificate",
            HostKey,
            255,
            &format!("{ca}Certificate invalid: not a host certificate\n{FAILED}"),
            Breaks(HostCertificateWrongType),
        ),
        (
            "08 unreadable",
            HostKey,
            255,
            &format!(
                "hostkeys_find_by_key_hostfile: hostkeys_foreach failed for {KNOWN_HOSTS}: Permission denied\n{FAILED}"
            ),
            Breaks(KnownHostsUnreadable),
        ),
        (
            "10 no identity",
            Encrypted,
            255,
            DENIED,
            Breaks(IdentityMissing),
        ),
        (
            "11 id 0644",
            Accepted,
            255,
            &unprotected("0644"),
            Breaks(IdentityModes),
        ),
        (
            "11 id 0640, no .pub",
            Encrypted,
            255,
            &unprotected("0640"),
            Breaks(IdentityModes),
        ),
        (
            "11 id of root",
            Encrypted,
            255,
            &format!("Load key \"/var/lib/nova/.ssh/id_ed25519\": Permission denied\n{DENIED}"),
            Breaks(IdentityUnreadable),
        ),
        (
            "12 passphrase",
            Accepted,
            255,
            DENIED,
            Breaks(IdentityPassphrase),
        ),
        (
            "12 corrupt",
            Encrypted,
            255,
            &format!("Load key \"/var/lib/nova/.ssh/id_ed25519\": error in libcrypto\n{DENIED}"),
            Breaks(IdentityInvalid),
        ),
        (
            "12 is a public key",
            Accepted,
            255,
            &format!("Load key \"/var/lib/nova/.ssh/id_ed25519\": invalid format\n{DENIED}"),
            Breaks(IdentityInvalid),
        ),
        (
            "12 dsa",
            Encrypted,
            255,
            &format!("debug1: Will attempt key: /id_dsa DSA SHA256:d\n{DENIED}"),
            Breaks(KeyAlgorithmRefused),
        ),
        ("13-18, 20-21 refused", Offered, 255, DENIED, Refused),
        (
            "27 banner",
            Offered,
            255,
            &format!("AUTHORIZED USE ONLY\n{DENIED}"),
            Refused,
        ),
        (
            "a bad identity beside the one that is refused",
            Offered,
            255,
            &unprotected("0644"),
            Refused,
        ),
        (
            "too many keys",
            Offered,
            255,
            "Received disconnect from 10.77.0.3 port 22:2: Too many authentication failures\nDisconnected from 10.77.0.3 port 22",
            Refused,
        ),
        (
            "19 account expired",
            Accepted,
            255,
            &format!(
                "Your account has expired; please contact your system administrator.\n{CLOSED}"
            ),
            Breaks(AccountExpired),
        ),
        ("19 no shadow, 21 pam", Accepted, 255, CLOSED, Refused),
        (
            "19 password expired",
            Ended,
            1,
            "WARNING: Your password has expired.\nPassword change required but no TTY available.",
            Breaks(PasswordChangeRequired),
        ),
        (
            "20 /etc/nologin",
            Accepted,
            255,
            &format!("System going down for maintenance\n{CLOSED}"),
            Refused,
        ),
        (
            "20 /run/nologin",
            Accepted,
            255,
            &format!(
                "\"System is booting up. Unprivileged users are not permitted to log in yet. Please come back later. For technical details, see pam_nologin(8).\"\n{CLOSED}"
            ),
            Breaks(LoginsDisabled),
        ),
        (
            "21 PubkeyAuthentication no",
            Encrypted,
            255,
            "nova@node2: Permission denied (password).",
            Breaks(PublickeyDisabledServer),
        ),
        (
            "21 no methods",
            Offered,
            255,
            "nova@node2: Permission denied ().",
            Breaks(PublickeyDisabledServer),
        ),
        (
            "21 second factor",
            Accepted,
            255,
            "debug1: Authenticated using \"publickey\" with partial success.\nnova@node2: Permission denied (password).",
            Breaks(MoreAuthenticationNeeded),
        ),
        ("21 pam session", Ended, 254, "", Breaks(SessionRefused)),
        (
            "22 refused",
            Resolved,
            255,
            "ssh: connect to host node2 port 22: Connection refused",
            Breaks(ConnectionRefused),
        ),
        (
            "22 timed out",
            Resolved,
            255,
            "ssh: connect to host node2 port 22: Connection timed out",
            Breaks(ConnectionTimedOut),
        ),
        (
            "22 no route",
            Resolved,
            255,
            "ssh: connect to host node2 port 22: No route to host",
            Breaks(NoRoute),
        ),
        (
            "22 unreachable",
            Resolved,
            255,
            "ssh: connect to host node2 port 22: Network is unreachable",
            Breaks(NoRoute),
        ),
        (
            "22 blackhole",
            Resolved,
            255,
            "ssh: connect to host node2 port 22: Invalid argument",
            Breaks(NoRoute),
        ),
        (
            "22 prohibit",
            Resolved,
            255,
            "ssh: connect to host node2 port 22: Permission denied",
            Breaks(LocalFirewall),
        ),
        (
            "22 reset at once",
            Resolved,
            255,
            "ssh: connect to host node2 port 22: Connection reset by peer",
            Dropped,
        ),
        (
            "22 stall",
            Connected,
            255,
            "Connection timed out during banner exchange\nConnection to 10.77.0.3 port 22 timed out",
            Breaks(BannerTimeout),
        ),
        (
            "22 http",
            Connected,
            255,
            &format!(
                "debug1: kex_exchange_identification: banner line 0: HTTP/1.1 400 Bad Request\nkex_exchange_identification: Connection closed by remote host\n{CLOSED}"
            ),
            Breaks(NotSsh),
        ),
        ("22 closes at once", Connected, 255, RESET, Dropped),
        (
            "25 MaxStartups 9.2",
            Connected,
            255,
            &format!(
                "debug1: kex_exchange_identification: banner line 0: Exceeded MaxStartups\nkex_exchange_identification: Connection closed by remote host\n{CLOSED}"
            ),
            Throttled,
        ),
        (
            "25 MaxStartups, penalties 10.0",
            Connected,
            255,
            &format!(
                "debug1: kex_exchange_identification: banner line 0: Not allowed at this time\r\n{RESET}"
            ),
            Throttled,
        ),
        (
            "25 MaxStartups 10.0, unseen",
            Connected,
            255,
            CLOSED,
            Dropped,
        ),
        (
            "25 broken pipe",
            Connected,
            255,
            "banner exchange: Connection to 10.77.0.3 port 22: Broken pipe",
            Dropped,
        ),
        (
            "25 before 8",
            Connected,
            255,
            "ssh_exchange_identification: read: Connection reset by peer",
            Dropped,
        ),
        (
            "23 mtu",
            KeyExchange,
            255,
            "Connection to 10.77.0.3 port 22 timed out",
            Breaks(KeyExchangeStalled),
        ),
        (
            "23 mtu, client side",
            Banner,
            255,
            "ssh_dispatch_run_fatal: Connection to 10.77.0.3 port 22: Connection timed out",
            Breaks(KeyExchangeStalled),
        ),
        (
            "sshd dies in the key exchange",
            Banner,
            255,
            CLOSED,
            Breaks(KeyExchangeFailed),
        ),
        (
            "something rewrites the traffic",
            KeyExchange,
            255,
            "ssh_dispatch_run_fatal: Connection to 10.77.0.3 port 22: incorrect signature",
            Breaks(KeyExchangeFailed),
        ),
        (
            "24 no name",
            Started,
            255,
            "ssh: Could not resolve hostname node2: Temporary failure in name resolution",
            Breaks(NameUnresolvable),
        ),
        (
            "29 kex",
            KeyExchange,
            255,
            "Unable to negotiate with 10.77.0.3 port 22: no matching key exchange method found. Their offer: diffie-hellman-group1-sha1",
            Breaks(NoCommonAlgorithm),
        ),
        (
            "29 host key type",
            KeyExchange,
            255,
            "Unable to negotiate with 10.77.0.3 port 22: no matching host key type found. Their offer: ssh-ed25519",
            Breaks(NoCommonAlgorithm),
        ),
        (
            "29 PubkeyAcceptedAlgorithms",
            Encrypted,
            255,
            &format!("debug1: Will attempt key: /k ED25519 SHA256:k\n{DENIED}"),
            Breaks(KeyAlgorithmRefused),
        ),
        (
            "PEM without .pub, answered by the far end",
            Encrypted,
            255,
            &format!(
                "debug1: Trying private key: /k\ndebug1: Authentications that can continue: publickey,password\ndebug1: Trying private key: /none\ndebug1: No more authentication methods to try.\n{DENIED}"
            ),
            Refused,
        ),
        (
            "no key behind any name",
            Encrypted,
            255,
            &format!(
                "debug1: Trying private key: /none\ndebug1: Trying private key: /none2\ndebug1: No more authentication methods to try.\n{DENIED}"
            ),
            Breaks(IdentityMissing),
        ),
        (
            "PubkeyAcceptedAlgorithms of the client",
            Encrypted,
            255,
            &format!(
                "debug1: Skipping ssh-rsa key /k - corresponding algo not in PubkeyAcceptedAlgorithms\n{DENIED}"
            ),
            Breaks(KeyAlgorithmRefused),
        ),
        (
            "30 identity file elsewhere",
            Encrypted,
            255,
            &format!(
                "no such identity: /var/lib/nova/.ssh/nova_key: No such file or directory\n{DENIED}"
            ),
            Breaks(IdentityMissing),
        ),
        (
            "30 ProxyJump dead",
            Started,
            255,
            "debug1: Setting implicit ProxyCommand from ProxyJump: ssh -v -W '[%h]:%p' 10.77.0.99\ndebug1: Executing proxy command: exec ssh\ndebug1: Connecting to 10.77.0.99 [10.77.0.99] port 22.\nssh: connect to host 10.77.0.99 port 22: Network is unreachable\nkex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
            Breaks(ProxyFailed),
        ),
        (
            "30 ProxyCommand missing",
            Started,
            255,
            "debug1: Executing proxy command: exec /usr/bin/nc node2 22\n/bin/bash: line 1: /usr/bin/nc: No such file or directory\nbanner exchange: Connection to UNKNOWN port 65535: Broken pipe",
            Breaks(ProxyFailed),
        ),
        (
            "30 ProxyCommand missing 10.0",
            Started,
            255,
            "debug1: Executing proxy command: exec /usr/bin/nc node2 22\n/bin/bash: line 1: /usr/bin/nc: No such file or directory\nConnection closed by UNKNOWN port 65535",
            Breaks(ProxyFailed),
        ),
        (
            "30 CheckHostIP",
            HostKey,
            255,
            "debug1: Host 'node2' is known and matches the ED25519 host key.\nHost key verification failed.",
            Breaks(HostKeyChanged),
        ),
        (
            "30 owner of config",
            Started,
            255,
            "Bad owner or permissions on /var/lib/nova/.ssh/config",
            Breaks(ClientConfigUnsafe),
        ),
        (
            "30 bad option",
            Started,
            255,
            "/var/lib/nova/.ssh/config: line 2: Bad configuration option: frobnicate\n/var/lib/nova/.ssh/config: terminating, 1 bad configuration options",
            Breaks(ClientConfigInvalid),
        ),
        (
            "30 an address to bind that is not there",
            Resolved,
            255,
            "bind 10.99.0.1: Cannot assign requested address\nssh: connect to host 10.77.0.3 port 22: failure",
            Breaks(ClientConfigInvalid),
        ),
        (
            "30 an interface to bind that is not there",
            Resolved,
            255,
            "getifaddrs: nope0: no suitable addresses\nssh: connect to host 10.77.0.3 port 22: failure",
            Breaks(ClientConfigInvalid),
        ),
        (
            "30 a forwarding that cannot be bound stops nothing",
            Ended,
            7,
            "bind [2001:db8::5]:5000: Cannot assign requested address",
            Cause::Remote(7),
        ),
        (
            "30 an address of the other family",
            Started,
            255,
            "ssh: Could not resolve hostname 10.77.0.3: Address family for hostname not supported",
            Breaks(ClientConfigInvalid),
        ),
        (
            "30 a command of its own",
            Started,
            255,
            "Cannot execute command-line and remote command.",
            Breaks(ClientConfigInvalid),
        ),
        (
            "30 missing argument",
            Started,
            255,
            "/etc/ssh/ssh_config.d/x.conf line 1: missing argument.",
            Breaks(ClientConfigInvalid),
        ),
        (
            "30 an option of ours",
            Started,
            255,
            "command-line line 0: missing argument.",
            Cause::Unexplained,
        ),
        (
            "30 removed option, other fault",
            Resolved,
            255,
            "/var/lib/nova/.ssh/config line 4: Unsupported option \"rhostsrsaauthentication\"\nssh: connect to host node2 port 22: Connection refused",
            Breaks(ConnectionRefused),
        ),
        (
            "30 control socket",
            Authenticated,
            255,
            "unix_listener: cannot bind to path /run/ssh-root/x: Permission denied",
            Breaks(ControlMasterFailed),
        ),
        ("32 exit 7", Ended, 7, "debug1: Exit status 7", Remote(7)),
        (
            "32 exit 255",
            Ended,
            255,
            "debug1: Exit status 255",
            Remote(255),
        ),
        (
            "32 killed",
            Ended,
            255,
            "debug1: channel 0 rtype exit-signal reply 0\ndebug1: Exit status -1",
            Remote(-1),
        ),
        (
            "32 sshd killed",
            Commanded,
            255,
            "Connection to node2 closed by remote host.\ndebug1: Exit status -1",
            Breaks(SessionRefused),
        ),
        (
            "16 ForceCommand in authorized_keys",
            Ended,
            7,
            "debug1: Remote: /ak:1: key options: agent-forwarding command pty",
            Breaks(ForcedCommandDenied),
        ),
        (
            "40 strict",
            HostKey,
            255,
            &format!(
                "No ED25519 host key is known for node2 and you have requested strict checking.\n{FAILED}"
            ),
            Breaks(HostKeyUnknown),
        ),
        (
            "40 strict, CheckHostIP",
            HostKey,
            255,
            &format!(
                "Warning: the ED25519 host key for 'node2' differs from the key for the IP address '10.77.0.3'\nOffending key for IP in {KNOWN_HOSTS}:8\nExiting, you have requested strict checking.\n{FAILED}"
            ),
            Breaks(HostKeyChanged),
        ),
        (
            "no account in the container",
            Started,
            255,
            "No user exists for uid 64060",
            Breaks(ContextFailed),
        ),
        ("LogLevel QUIET", Started, 255, "", Cause::Unexplained),
    ];
    for (id, stage, status, stderr, expected) in table {
        assert_eq!(cause(*stage, Some(*status), stderr, ""), *expected, "{id}");
    }
}

#[test]
fn what_is_said_on_stdout_counts() {
    use Stage::Ended;
    for (status, stdout, expected) in [
        (
            1,
            "This account is currently not available.\n",
            Reason::AccountNologin,
        ),
        (
            254,
            "Linux node2\nThere were too many logins for 'nova'.\n",
            Reason::SessionRefused,
        ),
        (
            1,
            "This service allows sftp connections only.\r\n",
            Reason::ForcedCommandDenied,
        ),
        (1, "Forbidden\n", Reason::ForcedCommandDenied),
        (1, "", Reason::AccountNologin),
    ] {
        assert_eq!(
            cause(Ended, Some(status), "", stdout),
            Cause::Breaks(expected),
            "{stdout:?}"
        );
    }
    assert_eq!(cause(Ended, Some(4), "", ""), Cause::Remote(4));
    assert_eq!(cause(Ended, Some(1), "", "Welcome\n"), Cause::Remote(1));
}

#[test]
fn a_deadline_says_as_much_as_the_stage_does() {
    use Stage::*;
    for (stage, expected) in [
        (Started, Cause::TimedOut),
        (Resolved, Cause::Breaks(Reason::ConnectionTimedOut)),
        (Connected, Cause::Breaks(Reason::BannerTimeout)),
        (Banner, Cause::Breaks(Reason::KeyExchangeStalled)),
        (HostKey, Cause::Breaks(Reason::KeyExchangeStalled)),
        (Offered, Cause::TimedOut),
        (Commanded, Cause::TimedOut),
    ] {
        assert_eq!(cause(stage, None, "", ""), expected, "{stage:?}");
    }
    let hung = "debug1: auto-mux: Trying existing master at '/run/x'\n";
    assert_eq!(
        cause(Started, None, hung, ""),
        Cause::Breaks(Reason::ControlMasterFailed)
    );
    let proxy = "debug1: Executing proxy command: exec nc\n";
    assert_eq!(
        cause(Started, None, proxy, ""),
        Cause::Breaks(Reason::ProxyFailed)
    );
}

#[test]
fn every_known_fault_of_a_copy_has_its_cause() {
    use Reason::*;
    use Stage::*;
    let noisy = "scp: Received message too long 1466264675\nscp: Ensure the remote shell produces no output for non-interactive sessions.";
    let nologin = "scp: Received message too long 1416128883\nscp: Ensure the remote shell produces no output for non-interactive sessions.";
    let table: &[(&str, Stage, i32, &str, Reason)] = &[
        ("27 noisy", Commanded, 255, noisy, ShellNoisy),
        ("27 nologin", Commanded, 255, nologin, AccountNologin),
        // 0x54686572, `Ther`: `There were too many logins for 'nova'.`
        (
            "maxlogins",
            Commanded,
            255,
            "scp: Received message too long 1416127858\nscp: Ensure the remote shell produces no output for non-interactive sessions.",
            SessionRefused,
        ),
        (
            "27 nologin, old protocol",
            Commanded,
            1,
            "protocol error: mtime.sec not present",
            AccountNologin,
        ),
        (
            "27 noisy, old protocol",
            Commanded,
            1,
            "protocol error: expected control record",
            ShellNoisy,
        ),
        (
            "27 start-up file exits",
            Ended,
            255,
            "debug1: Exit status 4\nscp: Connection closed",
            CopyFailed,
        ),
        (
            "28 no sftp-server",
            Ended,
            255,
            "debug1: Exit status 127\nscp: Connection closed",
            SftpMissing,
        ),
        (
            "28 no sftp-server, status unseen",
            Commanded,
            255,
            "scp: Connection closed",
            SftpMissing,
        ),
        (
            "28 sftp could not write",
            Commanded,
            255,
            "scp: write remote \"/x/disk\": Failure\nscp: Connection closed",
            CopyFailed,
        ),
        (
            "28 no subsystem",
            Commanded,
            255,
            "subsystem request failed on channel 0\nscp: Connection closed",
            SftpMissing,
        ),
        (
            "28 no scp there, old protocol",
            Commanded,
            1,
            "bash: line 1: scp: command not found\nlost connection",
            CopyToolMissing,
        ),
        (
            "27 noisy rsync",
            Commanded,
            2,
            "protocol version mismatch -- is your shell clean?\n(see the rsync manpage for an explanation)",
            ShellNoisy,
        ),
        (
            "28 no rsync",
            Commanded,
            127,
            "bash: line 1: rsync: command not found\nrsync: connection unexpectedly closed (0 bytes received so far) [sender]",
            CopyToolMissing,
        ),
        (
            "28 no rsync, dash",
            Commanded,
            12,
            "sh: 1: rsync: not found\nrsync error: error in rsync protocol data stream (code 12)",
            CopyToolMissing,
        ),
        (
            "host key before all else",
            HostKey,
            255,
            "Host key verification failed.\nscp: Connection closed",
            HostKeyUnknown,
        ),
        (
            "the session ended",
            Commanded,
            255,
            "client_loop: send disconnect: Broken pipe\nscp: Connection closed",
            SessionRefused,
        ),
    ];
    for (id, stage, status, stderr, expected) in table {
        assert_eq!(
            cause(*stage, Some(*status), stderr, ""),
            Cause::Breaks(*expected),
            "{id}"
        );
    }
    let dropped = format!("{RESET}\nscp: Connection closed");
    assert_eq!(cause(Connected, Some(255), &dropped, ""), Cause::Dropped);
    let denied = format!("{DENIED}\nscp: Connection closed");
    assert_eq!(cause(Offered, Some(255), &denied, ""), Cause::Refused);
    assert_eq!(
        cause(Ended, Some(1), "scp: dest open \"/x\": Failure", ""),
        Cause::Remote(1)
    );
}

/// The texts that Nova and libvirt keep of ssh's and scp's stderr, without `-v`.
#[test]
fn a_text_alone_says_what_it_can() {
    use Cause::{Breaks, Dropped, Refused};
    use Reason::*;
    let table: &[(&str, Option<Step>, Cause)] = &[
        (
            "Host key verification failed.\r\n",
            Some(Step::HostKey),
            Breaks(HostKeyUnknown),
        ),
        (
            "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
            Some(Step::HostKey),
            Breaks(HostKeyChanged),
        ),
        (
            "No ED25519 host key is known for X and you have requested strict checking.\nHost key verification failed.",
            Some(Step::HostKey),
            Breaks(HostKeyUnknown),
        ),
        (
            "nova@h: Permission denied (publickey,gssapi-keyex,gssapi-with-mic).",
            Some(Step::Login),
            Refused,
        ),
        (
            "nova@h: Permission denied (publickey).\nlost connection",
            Some(Step::Login),
            Refused,
        ),
        (
            "nova@h: Permission denied (publickey).\nscp: Connection closed",
            Some(Step::Login),
            Refused,
        ),
        (
            "This account is currently not available.",
            Some(Step::Command),
            Breaks(AccountNologin),
        ),
        (
            "scp: Received message too long 1416128883",
            Some(Step::Command),
            Breaks(AccountNologin),
        ),
        (
            "ssh: connect to host h port 22: Connection refused",
            Some(Step::Connect),
            Breaks(ConnectionRefused),
        ),
        (
            "ssh: connect to host h port 22: Connection timed out",
            Some(Step::Connect),
            Breaks(ConnectionTimedOut),
        ),
        (
            "ssh: connect to host h port 22: No route to host",
            Some(Step::Connect),
            Breaks(NoRoute),
        ),
        (
            "ssh: Could not resolve hostname h: Name or service not known",
            Some(Step::Resolve),
            Breaks(NameUnresolvable),
        ),
        (
            "Bad owner or permissions on /var/lib/nova/.ssh/config",
            Some(Step::Resolve),
            Breaks(ClientConfigUnsafe),
        ),
        (
            "@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\nnova@h: Permission denied (publickey).",
            Some(Step::Login),
            Breaks(IdentityModes),
        ),
        (
            "Connection closed by 10.0.0.1 port 22",
            Some(Step::Connect),
            Dropped,
        ),
        (
            "kex_exchange_identification: Connection closed by remote host",
            Some(Step::Connect),
            Dropped,
        ),
        (
            "subsystem request failed on channel 0\nscp: Connection closed",
            Some(Step::Copy),
            Breaks(SftpMissing),
        ),
        (
            "unix_listener: cannot bind to path /run/x: Permission denied",
            Some(Step::Connect),
            Breaks(ControlMasterFailed),
        ),
        (
            "/etc/ssh/x: line 1: Bad configuration option: x",
            Some(Step::Resolve),
            Breaks(ClientConfigInvalid),
        ),
        (
            "operation failed: Failed to connect to remote libvirt URI qemu+ssh://H/system: Cannot recv data: Host key verification failed.: Connection reset by peer",
            Some(Step::HostKey),
            Breaks(HostKeyUnknown),
        ),
        (
            "Cannot recv data: nova@h: Permission denied (publickey).: Connection reset by peer",
            Some(Step::Login),
            Refused,
        ),
        ("", None, Cause::Unexplained),
    ];
    for (text, step, expected) in table {
        let cause = explain_text(text);
        assert_eq!(cause, *expected, "{text}");
        assert_eq!(cause.step(), *step, "{text}");
    }
}

#[test]
fn whatever_the_far_end_prints_after_login_does_not_panic() {
    for stdout in [
        "\u{0}",
        "\u{fffd}\u{fffd}",
        "Permission denied (",
        "Received message too long x",
    ] {
        for stage in [Stage::Started, Stage::Ended] {
            let _ = cause(stage, Some(255), stdout, stdout);
            let _ = cause(stage, None, stdout, stdout);
        }
    }
}
