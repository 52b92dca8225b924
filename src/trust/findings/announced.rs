//! Nodes whose nova.conf says another address than the inventory.

use super::find::on;
use super::fleet::Seen;
use crate::domain::{Dial, Evidence, Finding, FindingCode};
use crate::trust::legs::Address;

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    for (id, name, _) in &seen.nodes {
        for (dial, announced) in seen.legs.announced(*id) {
            let stated = seen.legs.address(*id, &dial).name();
            let (Some(stated), Address::Known { name: told, origin }) = (stated, announced) else {
                continue;
            };
            let key = match dial {
                Dial::MigrationAddress => "migration_address",
                Dial::ServiceHost => "service_host",
                Dial::LiveAddress => "live_address",
            };
            let evidence = Evidence::Fact {
                node: Some((*name).to_owned()),
                text: format!("`{told}` from {origin}"),
            };
            found.push(on(
                name,
                FindingCode::InventoryDiffers,
                format!(
                    "the inventory states {key} `{stated}`, Nova dials `{told}`, from {origin}"
                ),
                vec![evidence],
            ));
        }
    }
}
