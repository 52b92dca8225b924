//! How reasons found in files relate to reasons seen on the wire.

use crate::domain::{Reason, Step};

/// Whether `cause`, found in files, is what lies behind `symptom`, as the client saw it: the client often cannot know
/// better, and fails later than at the rung where the fault lies.
pub(super) fn explains(cause: Reason, symptom: Reason) -> bool {
    use Reason as R;
    match cause {
        // Whatever answers there, and whatever it says, is not the node that was meant.
        R::NameResolvesElsewhere | R::AddressLoopback | R::SharedAddress => {
            symptom.step() > Step::Resolve
        }
        R::ClientConfigUnsafe => symptom == R::ClientConfigInvalid,
        R::HostKeyTypeGap => matches!(
            symptom,
            R::HostKeyChanged | R::HostKeyUnknown | R::NoCommonAlgorithm
        ),
        R::KnownHostsUnreadable => symptom == R::HostKeyUnknown,
        R::HostCertificateExpired
        | R::HostCertificateNotYetValid
        | R::HostCertificateWrongPrincipal
        | R::HostCertificateUnknownAuthority
        | R::HostCertificateWrongType => {
            matches!(symptom, R::HostKeyUnknown | R::HostKeyChanged)
        }
        R::AccountExpired | R::LoginsDisabled | R::AccountMissing | R::AccountLocked => {
            matches!(symptom, R::PamRefused | R::LoginRefused)
        }
        R::AccountNologin => {
            matches!(symptom, R::CommandFailed | R::ShellNoisy | R::CopyFailed)
        }
        R::PasswordChangeRequired => matches!(
            symptom,
            R::CommandFailed | R::SessionRefused | R::PamRefused
        ),
        R::ForcedCommandDenied => matches!(
            symptom,
            R::CommandFailed | R::WrongMachine | R::CopyFailed | R::ShellNoisy | R::SftpMissing
        ),
        // ssh is as silent about a private half that is not there as about one that it cannot decrypt.
        R::IdentityMissing => matches!(
            symptom,
            R::LoginRefused | R::TooManyKeys | R::IdentityPassphrase
        ),
        // A public half that is another key's is offered, and refused as what it is.
        R::IdentityInvalid => matches!(
            symptom,
            R::LoginRefused | R::TooManyKeys | R::KeyNotAuthorized
        ),
        // What the log says of the keys that come before the right one is true, and not the point.
        R::TooManyKeys => {
            symptom == R::LoginRefused || symptom == R::KeyNotAuthorized || is_of_one_key(symptom)
        }
        R::SftpMissing | R::CopyToolMissing => symptom == R::CopyFailed,
        _ => match cause.step() {
            Step::Login => matches!(symptom, R::LoginRefused | R::TooManyKeys),
            Step::Command => matches!(symptom, R::CommandFailed | R::CopyFailed),
            _ => false,
        },
    }
}

/// Whether it is about one key and the line that lists it.
fn is_of_one_key(reason: Reason) -> bool {
    use Reason as R;
    matches!(
        reason,
        R::KeyFromMismatch | R::KeyExpired | R::KeyRevoked | R::KeyOptionInvalid
    )
}

/// Whether the surveyed files would have shown this, so that it is a contradiction when they did not.
///
/// Firewalls, PAM modules, DNS, quotas and the like are in no file that the survey reads.
pub(super) fn shows_in_files(reason: Reason) -> bool {
    use Reason as R;
    match reason {
        R::ClientConfigInvalid
        | R::ClientConfigUnsafe
        | R::SshMissing
        | R::ContextFailed
        | R::HostKeyUnknown
        | R::HostKeyChanged
        | R::HostKeyRevoked
        | R::HostKeyTypeGap
        | R::KnownHostsUnreadable
        | R::HostCertificateExpired
        | R::HostCertificateNotYetValid
        | R::HostCertificateWrongPrincipal
        | R::HostCertificateUnknownAuthority
        | R::HostCertificateWrongType
        | R::AccountNologin
        | R::PasswordChangeRequired
        | R::InstancesPathMissing
        | R::InstancesPathNotWritable
        | R::ReadOnlyFilesystem
        | R::SftpMissing
        | R::CopyToolMissing => true,
        R::PamRefused => false,
        _ => reason.step() == Step::Login,
    }
}
