//! What a line that stops the client means at the stage that was reached, rung by rung.

use super::Cause;
use crate::domain::Reason;
use crate::openssh::stages::{Sharing, Stage, Trace};

/// `strerror` of connect(2).
pub(super) fn connect(trace: &Trace<'_>, why: &str) -> Cause {
    // What `BindAddress` and `BindInterface` ask for is not to be had (sshconnect.c `ssh_create_socket`, which has said why).
    let bound = ["bind ", "getaddrinfo: ", "getifaddrs: "];
    let is_bound = |line: &&str| bound.iter().any(|text| line.starts_with(text));
    Cause::Breaks(match why {
        "failure" if trace.said.iter().any(is_bound) => Reason::ClientConfigInvalid,
        "Connection refused" => Reason::ConnectionRefused,
        "Connection timed out" | "Operation timed out" => Reason::ConnectionTimedOut,
        // EACCES: a prohibit route; EPERM: a rule on output.
        "Permission denied" | "Operation not permitted" => Reason::LocalFirewall,
        // EINVAL: a blackhole route.
        "No route to host"
        | "Network is unreachable"
        | "Network is down"
        | "Host is down"
        | "Invalid argument"
        | "Cannot assign requested address"
        | "Address family not supported by protocol" => Reason::NoRoute,
        // Accepted and reset before ssh could say a word.
        "Connection reset by peer" => return Cause::Dropped,
        _ => return Cause::Unexplained,
    })
}

/// What sshd says in place of its banner to a connection that it throttles, if it came through: such a connection is
/// reset right after, and what was said may be lost with it.
#[must_use]
pub fn throttling<'a>(trace: &Trace<'a>) -> Option<&'a str> {
    // sshd.c since 9.8 says the second for MaxStartups, PerSourceMaxStartups and PerSourcePenalties alike.
    let says = ["Exceeded MaxStartups", "Not allowed at this time"];
    let is_one = |line: &&str| says.iter().any(|text| line.starts_with(text));
    trace.before_banner.iter().copied().find(is_one)
}

pub(super) fn dropped(trace: &Trace<'_>) -> Cause {
    if throttling(trace).is_some() {
        Cause::Throttled
    } else if !trace.before_banner.is_empty()
        || trace.says("banner exchange: ") && trace.says("invalid format")
        || trace.says("identification: banner line ")
    {
        Cause::Breaks(Reason::NotSsh)
    } else {
        Cause::Dropped
    }
}

pub(super) fn closed(trace: &Trace<'_>) -> Cause {
    match trace.stage {
        Stage::Started | Stage::Resolved | Stage::Connected => dropped(trace),
        Stage::Banner | Stage::KeyExchange | Stage::HostKey => {
            Cause::Breaks(Reason::KeyExchangeFailed)
        }
        Stage::Encrypted | Stage::Offered | Stage::Accepted => Cause::Refused,
        Stage::Authenticated | Stage::Commanded | Stage::Ended => {
            Cause::Breaks(Reason::SessionRefused)
        }
    }
}

pub(super) fn cut_off(trace: &Trace<'_>) -> Cause {
    if trace.proxied && trace.stage < Stage::Banner {
        return Cause::Breaks(Reason::ProxyFailed);
    }
    if trace.shared == Sharing::Asked && trace.stage == Stage::Started {
        return Cause::Breaks(Reason::ControlMasterFailed);
    }
    match trace.stage {
        Stage::Resolved => Cause::Breaks(Reason::ConnectionTimedOut),
        Stage::Connected => Cause::Breaks(Reason::BannerTimeout),
        Stage::Banner | Stage::KeyExchange | Stage::HostKey => {
            Cause::Breaks(Reason::KeyExchangeStalled)
        }
        _ => Cause::TimedOut,
    }
}

pub(super) fn host_key(trace: &Trace<'_>) -> Reason {
    if trace.says("REVOKED HOST KEY DETECTED")
        || trace.says(" is marked as revoked.")
        || trace.says(" revoked by file ")
    {
        return Reason::HostKeyRevoked;
    }
    if trace.says("Error checking host key ") {
        return Reason::RevokedHostKeysUnreadable;
    }
    // sshkey.c sshkey_cert_check_authority
    let invalid = [
        (
            "Certificate invalid: expired",
            Reason::HostCertificateExpired,
        ),
        (
            "Certificate invalid: not yet valid",
            Reason::HostCertificateNotYetValid,
        ),
        (
            "Certificate invalid: not a host certificate",
            Reason::HostCertificateWrongType,
        ),
        (
            "Certificate invalid: name is not a listed principal",
            Reason::HostCertificateWrongPrincipal,
        ),
        (
            "Certificate lacks principal list",
            Reason::HostCertificateWrongPrincipal,
        ),
    ];
    if let Some((_, reason)) = invalid.into_iter().find(|(text, _)| trace.says(text)) {
        return reason;
    }
    if trace.says("IDENTIFICATION HAS CHANGED")
        || trace.says(" differs from the key for the IP address ")
        // Known for the name and refused all the same: CheckHostIP found another key for the address.
        || trace.host_key_known
    {
        return Reason::HostKeyChanged;
    }
    if trace.says("hostkeys_foreach failed for ") {
        return Reason::KnownHostsUnreadable;
    }
    if trace.served.is_some_and(|key| key.authority.is_some()) {
        return Reason::HostCertificateUnknownAuthority;
    }
    Reason::HostKeyUnknown
}

pub(super) fn denied(trace: &Trace<'_>, methods: &str) -> Cause {
    if trace.partial || trace.says(" with partial success.") {
        return Cause::Breaks(Reason::MoreAuthenticationNeeded);
    }
    if !methods.split(',').any(|method| method == "publickey") {
        return Cause::Breaks(Reason::PublickeyDisabledServer);
    }
    let key_trouble = identity(trace);
    match trace.stage {
        // The far end would take it, but the client could not sign: without any message, only a passphrase does that.
        Stage::Accepted => Cause::Breaks(key_trouble.unwrap_or(Reason::IdentityPassphrase)),
        // A key was offered and not taken: what is wrong with others does not matter.
        Stage::Offered => Cause::Refused,
        _ if !trace.verbose => key_trouble.map_or(Cause::Refused, Cause::Breaks),
        _ if !trace.tried_public_keys => Cause::Breaks(Reason::PublickeyDisabledClient),
        _ => Cause::Breaks(key_trouble.unwrap_or(
            if trace.candidates.is_empty() && !trace.skipped {
                Reason::IdentityMissing
            } else {
                // There is a key, and it was left out: PubkeyAcceptedAlgorithms, RequiredRSASize.
                Reason::KeyAlgorithmRefused
            },
        )),
    }
}

/// What ssh complains of in its own keys.
fn identity(trace: &Trace<'_>) -> Option<Reason> {
    if trace.says("UNPROTECTED PRIVATE KEY FILE") || trace.says(": bad permissions") {
        return Some(Reason::IdentityModes);
    }
    if trace.says("no mutual signature ") || trace.says("corresponding algo not in PubkeyAccepted")
    {
        return Some(Reason::KeyAlgorithmRefused);
    }
    if trace.says(" contents do not match public") {
        return Some(Reason::IdentityInvalid);
    }
    if trace.says("no such identity: ") {
        return Some(Reason::IdentityMissing);
    }
    let load = trace
        .said
        .iter()
        .find(|line| line.starts_with("Load key "))?;
    Some(if load.ends_with(": Permission denied") {
        Reason::IdentityUnreadable
    } else if load.contains("incorrect passphrase") {
        Reason::IdentityPassphrase
    } else if load.ends_with(": Invalid key length") {
        Reason::KeyAlgorithmRefused
    } else {
        Reason::IdentityInvalid
    })
}

/// The far end's half of a copy went away without a word of its own.
pub(super) fn copy_ended(trace: &Trace<'_>) -> Cause {
    if trace.verbose && trace.stage < Stage::Authenticated {
        return closed(trace);
    }
    Cause::Breaks(match trace.exit_status {
        // The shell did not find the subsystem's program.
        Some(127 | 126) => Reason::SftpMissing,
        // sftp has spoken, and could not write.
        _ if trace.says("scp: write remote ") => Reason::CopyFailed,
        // A start-up file ended the shell.
        Some(status) if status > 0 => Reason::CopyFailed,
        _ => Reason::SftpMissing,
    })
}
