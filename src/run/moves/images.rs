//! Which images Glance still has.

use std::collections::{HashMap, HashSet};

use crate::moves::ImageState;
use crate::nova::Session;
use crate::openstack::compute::{Image, Server};

/// What Nova has found in Glance, image by image.
#[derive(Debug, Default)]
pub(super) struct Images {
    known: HashMap<String, ImageState>,
}

impl Images {
    /// Asks about the images of servers, once for each and of at most so many. What cannot be learnt is not known, even if it
    /// was before.
    pub(super) async fn ask<'s>(
        &mut self,
        session: &Session,
        servers: impl IntoIterator<Item = &'s Server>,
        most: usize,
    ) {
        let mut asked = HashSet::new();
        for id in servers.into_iter().filter_map(|it| it.image.as_ref()) {
            if asked.len() == most {
                return;
            }
            if asked.insert(id) {
                let state = match session.image(id).await {
                    Ok(found) => state(found),
                    Err(_) => ImageState::Unknown,
                };
                self.known.insert(id.clone(), state);
            }
        }
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
