//! What the inventory states of a node and its nova.conf does not.

use super::find::on;
use super::fleet::Seen;
use crate::domain::{Dial, Evidence, Finding, FindingCode, Lane};
use crate::trust::legs::Address;

pub(super) fn find(seen: &Seen<'_>, found: &mut Vec<Finding>) {
    let ways = [
        ("migration_address", Dial::MigrationAddress),
        ("service_host", Dial::ServiceHost),
        ("live_address", Dial::LiveAddress),
    ];
    for (id, name, _) in &seen.nodes {
        for (key, dial) in &ways {
            let Some(stated) = seen.legs.overruled(*id, dial) else {
                continue;
            };
            let is_dialled = seen.scope.nodes().iter().any(|&client| {
                let used = |lane| seen.legs.used(client, lane);
                client != *id
                    && Lane::ALL
                        .into_iter()
                        .filter_map(used)
                        .any(|it| it.dial == *dial)
            });
            let (announced, origin) = match seen.legs.address(*id, dial) {
                Address::Known { name, origin } => (&**name, origin),
                Address::Unusable { value, origin } => (value.as_str(), origin),
                _ => continue,
            };
            if is_dialled {
                let fact = |text| Evidence::Fact {
                    node: Some((*name).to_owned()),
                    text,
                };
                found.push(on(
                    name,
                    FindingCode::InventoryDiffers,
                    format!("{key} is `{stated}` in the inventory, and nova.conf announces `{announced}`"),
                    vec![
                        fact(format!("`{stated}` from {key} of the inventory")),
                        fact(format!("`{announced}` from {origin} in nova.conf")),
                    ],
                ));
            }
        }
    }
}
