//! Flavors: what a server can be resized to.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::error::{ReadError, read};
use super::page::{Link, Page, has_next};
use super::server::Flavor;
use super::version::NEEDED;
use crate::openstack::call::with_query;
use crate::openstack::{Answer, Call};

/// A flavor of the cloud, as it is now. A server keeps a copy of what its flavor was when it got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WantedFlavor {
    /// Its id.
    pub id: String,
    /// What a server gets with it.
    pub flavor: Flavor,
}

/// All flavors, those of single projects too, in pages.
#[must_use]
pub fn flavors(marker: Option<&str>, limit: u32) -> Call {
    let limit = limit.to_string();
    let mut query = vec![("is_public", "None"), ("limit", limit.as_str())];
    query.extend(marker.map(|marker| ("marker", marker)));
    Call::get(with_query("/flavors/detail", &query), NEEDED)
}

/// Reads a page of flavors.
///
/// # Errors
/// It is none.
pub fn read_flavors(answer: &Answer) -> Result<Page<WantedFlavor>, ReadError> {
    #[derive(Deserialize)]
    struct Body {
        flavors: Vec<Row>,
        #[serde(default)]
        flavors_links: Vec<Link>,
    }
    #[derive(Deserialize)]
    struct Row {
        id: String,
        name: String,
        vcpus: u64,
        ram: u64,
        disk: u64,
        #[serde(rename = "OS-FLV-EXT-DATA:ephemeral", default)]
        ephemeral: u64,
        // Left out where the right to see them is missing.
        #[serde(default)]
        extra_specs: BTreeMap<String, String>,
    }
    let body: Body = read("list of flavors", answer)?;
    let last = body.flavors.last().map(|row| row.id.clone());
    Ok(Page {
        next: last.filter(|_| has_next(&body.flavors_links)),
        rows: body
            .flavors
            .into_iter()
            .map(|row| WantedFlavor {
                id: row.id,
                flavor: Flavor {
                    name: row.name,
                    vcpus: row.vcpus,
                    ram_mib: row.ram,
                    disk_gib: row.disk,
                    ephemeral_gib: row.ephemeral,
                    extra: row.extra_specs,
                },
            })
            .collect(),
    })
}
