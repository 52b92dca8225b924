//! Which images Glance still has.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::moves::ImageState;
use crate::nova::Session;
use crate::openstack::compute::{Image, Server};

/// How long all answers together may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What Nova has found in Glance, image by image.
#[derive(Debug, Default)]
pub(super) struct Images {
    known: HashMap<String, ImageState>,
}

impl Images {
    /// The images of servers, each once, and at most so many.
    pub(super) fn distinct<'s>(
        servers: impl IntoIterator<Item = &'s Server>,
        most: usize,
    ) -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for id in servers.into_iter().filter_map(|it| it.image.as_ref()) {
            if ids.len() == most {
                break;
            }
            ids.insert(id.clone());
        }
        ids
    }

    /// Asks about images, for a bounded time. What cannot be learnt in it is not known.
    pub(super) async fn ask(session: &Session, ids: BTreeSet<String>) -> Self {
        let unknown = ids.iter().map(|id| (id.clone(), ImageState::Unknown));
        let mut known: HashMap<String, ImageState> = unknown.collect();
        let mut asking = JoinSet::new();
        for id in ids {
            let session = session.clone();
            asking.spawn(async move {
                let found = session.image(&id).await;
                (id, found)
            });
        }
        let answers = async {
            while let Some(answered) = asking.join_next().await {
                if let Ok((id, Ok(found))) = answered {
                    known.insert(id, state(found));
                }
            }
        };
        // What is late is asked for again, or counts as not known.
        let _ = tokio::time::timeout(PATIENCE, answers).await;
        Self { known }
    }

    /// What was learnt later counts.
    pub(super) fn update(&mut self, later: Self) {
        self.known.extend(later.known);
    }

    /// Of a server's image.
    pub(super) fn of(&self, server: &Server) -> ImageState {
        let known = server.image.as_ref().and_then(|id| self.known.get(id));
        known.copied().unwrap_or(ImageState::Unknown)
    }
}

/// A kernel or a ramdisk may be gone when the image itself is not, and one that is not active cannot be fetched either.
fn state(found: Option<Image>) -> ImageState {
    match found {
        None => ImageState::Gone,
        Some(image) if image.is_active && !image.needs_others => ImageState::Present,
        Some(_) => ImageState::Unknown,
    }
}
