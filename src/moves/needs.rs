//! Which lanes a move needs.

use crate::domain::{Lane, MoveKind};
use crate::openstack::Microversion;

/// Where a server's root disk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// On a volume: no disk and no image of the host's is needed.
    Volume,
    /// On the host; whether that is shared between hosts is not visible through the API.
    Host,
}

/// Whether Glance still has a server's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageState {
    /// It does.
    Present,
    /// It does not: the destination fetches it from the source.
    Gone,
    /// Nobody asked.
    Unknown,
}

/// What a move needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The lanes, in the order of [`Lane::ALL`], with why.
    pub legs: Vec<NeededLeg>,
}

/// A lane that a move needs, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeededLeg {
    /// The lane.
    pub lane: Lane,
    /// Why, in words.
    pub why: &'static str,
}

/// Until 2024.2 (30.0.0) a block live migration fetched the config drive's ISO from the source (removed by commit
/// 5827c01246, 31.0.0); 31.0.0 is the first release that speaks 2.97 and later.
const LAST_WITH_CONFIG_DRIVE_COPY: Microversion = Microversion(96);

/// The lanes that a move needs; those that a deployment does not use turn out as not needed when they are proven.
///
/// What is not known counts as needed: a leg that was proven for nothing costs a second, one that was not proven costs a
/// server.
#[must_use]
pub fn needs(
    kind: MoveKind,
    storage: Storage,
    image: ImageState,
    config_drive: bool,
    newest: Microversion,
) -> Needs {
    let mut legs = Vec::new();
    let mut need = |lane, why| legs.push(NeededLeg { lane, why });
    let fetches_image = storage == Storage::Host && image != ImageState::Present;
    match kind {
        MoveKind::Cold | MoveKind::Resize => {
            need(
                Lane::ColdPush,
                "the source makes the directory on the destination and copies the disks (also with shared storage)",
            );
            if fetches_image {
                need(
                    Lane::ColdPull,
                    "the destination fetches the base image from the source when Glance does not have it",
                );
            }
        }
        MoveKind::Live => {
            if fetches_image {
                need(
                    Lane::ColdPull,
                    "the destination fetches the base image from the source when Glance does not have it",
                );
            } else if config_drive && newest <= LAST_WITH_CONFIG_DRIVE_COPY {
                need(
                    Lane::ColdPull,
                    "until 2024.2 the destination fetches the config drive from the source",
                );
            }
            need(
                Lane::Live,
                "libvirt on the source logs in to the destination",
            );
        }
    }
    Needs { legs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_follow_from_kind_storage_image_and_release() {
        use ImageState::{Gone, Present, Unknown};
        use Lane::{ColdPull, ColdPush, Live};
        let (old, new) = (Microversion(96), Microversion(100));
        for (kind, storage, image, drive, newest, lanes) in [
            (
                MoveKind::Cold,
                Storage::Host,
                Unknown,
                false,
                new,
                &[ColdPush, ColdPull][..],
            ),
            (
                MoveKind::Cold,
                Storage::Host,
                Gone,
                false,
                new,
                &[ColdPush, ColdPull],
            ),
            (
                MoveKind::Cold,
                Storage::Host,
                Present,
                true,
                old,
                &[ColdPush],
            ),
            (
                MoveKind::Cold,
                Storage::Volume,
                Unknown,
                true,
                old,
                &[ColdPush],
            ),
            (
                MoveKind::Resize,
                Storage::Host,
                Unknown,
                false,
                new,
                &[ColdPush, ColdPull],
            ),
            (
                MoveKind::Live,
                Storage::Host,
                Unknown,
                false,
                new,
                &[ColdPull, Live],
            ),
            (MoveKind::Live, Storage::Host, Present, false, old, &[Live]),
            (
                MoveKind::Live,
                Storage::Volume,
                Unknown,
                true,
                old,
                &[ColdPull, Live],
            ),
            (MoveKind::Live, Storage::Volume, Unknown, true, new, &[Live]),
        ] {
            let needed: Vec<Lane> = needs(kind, storage, image, drive, newest)
                .legs
                .iter()
                .map(|leg| leg.lane)
                .collect();
            assert_eq!(
                needed, lanes,
                "{kind} {storage:?} {image:?} {drive} {newest}"
            );
        }
    }
}
