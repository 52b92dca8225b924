//! Which system the nodes run.

use std::path::{Path, PathBuf};

use crate::apt::{self, Release};
use crate::privilege::Privilege;

/// The system that a lab's nodes run. All nodes of a lab run the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Image {
    /// This machine's own release of Debian or Ubuntu; Debian 12 elsewhere.
    #[default]
    Distribution,
    /// Debian 13, with OpenSSH 10.0: what came with OpenSSH 9.8 and later (`PerSourcePenalties`, a program of its own
    /// for each session, ML-KEM) can only be seen there.
    Newer,
    /// The same release as [`Distribution`](Self::Distribution), with libvirt, QEMU, and RabbitMQ for the hub: servers can
    /// really run and move there. A node runs the real libvirt daemon.
    Compute,
}

impl Image {
    /// Where the image is kept: `lab/base` in cargo's target directory, or `$CLEARWAY_LAB_CACHE/base`, and the others
    /// beside it. Who is not root has one beside these, `base-of-user`, because its files belong to subordinate ids.
    #[must_use]
    pub fn location(self) -> PathBuf {
        let target = || {
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(
                || {
                    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
                    workspace.unwrap_or(Path::new("/")).join("target")
                },
                PathBuf::from,
            )
        };
        let cache = std::env::var_os("CLEARWAY_LAB_CACHE")
            .map_or_else(|| target().join("lab"), PathBuf::from);
        let release = match self {
            Self::Distribution => String::new(),
            Self::Newer => format!("-{}", self.release().codename),
            Self::Compute => "-compute".to_owned(),
        };
        let suffix = Privilege::detect().map_or("", Privilege::image_suffix);
        cache.join(format!("base{release}{suffix}"))
    }

    pub(crate) fn release(self) -> Release {
        match self {
            Self::Distribution | Self::Compute => Release::of_this_machine(),
            Self::Newer => Release {
                distribution: "debian".into(),
                codename: "trixie".into(),
            },
        }
    }

    /// The mirror to install from; None leaves debootstrap its default.
    pub(crate) fn mirror(self) -> Option<String> {
        let (own, wanted) = (Release::of_this_machine(), self.release());
        apt::mirror(&wanted).or_else(|| {
            // A mirror of one release of Debian has the others too.
            (own.distribution == wanted.distribution)
                .then(|| apt::mirror(&own))
                .flatten()
        })
    }
}
