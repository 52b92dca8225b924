//! Images, as Nova finds them in Glance.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::{ReadError, read};
use crate::openstack::{Answer, Call, Microversion};

/// The last microversion in which Nova asks Glance for others (nova/api/openstack/compute/images.py,
/// `MAX_PROXY_API_SUPPORT_VERSION`).
const PROXY: Microversion = Microversion(35);
/// Longer ids are nobody's.
const LONGEST_ID: usize = 64;

/// What is asked of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Whether it can be downloaded.
    pub is_active: bool,
    /// Whether it needs a kernel or a ramdisk, which are images of their own.
    pub needs_others: bool,
}

/// One image; `None` where the id is none.
#[must_use]
pub fn image(id: &str) -> Option<Call> {
    let is_one = !id.is_empty()
        && id.len() <= LONGEST_ID
        && id
            .bytes()
            .all(|it| it.is_ascii_alphanumeric() || it == b'-');
    is_one.then(|| Call::get(format!("/images/{id}"), PROXY))
}

/// Reads an image.
///
/// # Errors
/// It is none.
pub fn read_image(answer: &Answer) -> Result<Image, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        image: Row,
    }
    #[derive(Deserialize)]
    struct Row {
        status: String,
        #[serde(default)]
        metadata: Map<String, Value>,
    }
    let Body { image } = read("image", answer)?;
    let is_named = |name: &&str| {
        let value = image.metadata.get(*name);
        value.is_some_and(|it| !it.is_null() && it != "")
    };
    Ok(Image {
        is_active: image.status == "ACTIVE",
        needs_others: ["kernel_id", "ramdisk_id"].iter().any(is_named),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(body: &Value) -> Image {
        read_image(&Answer::new(200, None, body.to_string().into_bytes())).unwrap()
    }

    #[test]
    fn an_id_that_is_none_is_not_asked_for() {
        let id = "155d900f-4e14-4e4c-a73d-069cbf4541e6";
        assert_eq!(image(id).unwrap().path, format!("/images/{id}"));
        for id in ["", "..", "a/b", "a?b", "a b", &"a".repeat(65)] {
            assert_eq!(image(id), None, "{id}");
        }
    }

    #[test]
    fn an_image_is_read_with_what_it_needs() {
        let plain = serde_json::json!({"image": {"id": "i", "status": "ACTIVE"}});
        let image = told(&plain);
        assert!(image.is_active && !image.needs_others);
        let parts = serde_json::json!({"image": {
            "status": "DELETED", "metadata": {"kernel_id": "k", "ramdisk_id": null},
        }});
        let image = told(&parts);
        assert!(!image.is_active && image.needs_others);
    }
}
