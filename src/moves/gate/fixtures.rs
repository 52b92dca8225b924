//! Servers for tests.

use std::collections::{BTreeMap, BTreeSet};

use crate::openstack::compute::{Address, Flavor, Server, Status};

/// `web-N`, active on a host.
pub(crate) fn server(number: u32, host: &str) -> Server {
    Server {
        id: format!("a0eebc99-9c0b-4ef8-bb6d-{number:012}")
            .parse()
            .unwrap(),
        name: format!("web-{number}"),
        project: "p1".to_owned(),
        status: Status {
            status: "ACTIVE".to_owned(),
            vm_state: "active".to_owned(),
            task: None,
            power: 1,
        },
        host: Some(host.parse().unwrap()),
        zone: Some("nova".to_owned()),
        pinned_zone: None,
        locked: false,
        flavor: Flavor {
            name: "tiny".to_owned(),
            vcpus: 1,
            ram_mib: 64,
            disk_gib: 1,
            ephemeral_gib: 0,
            extra: BTreeMap::new(),
        },
        image: Some("155d900f-4e14-4e4c-a73d-069cbf4541e6".to_owned()),
        config_drive: false,
        addresses: BTreeMap::from([(
            "private".to_owned(),
            BTreeSet::from([Address {
                addr: "10.0.0.3".to_owned(),
                kind: "fixed".to_owned(),
                mac: "fa:16:3e:00:00:01".to_owned(),
            }]),
        )]),
        metadata: BTreeMap::from([("role".to_owned(), "web".to_owned())]),
        volumes: BTreeSet::new(),
        security_groups: BTreeSet::from(["default".to_owned()]),
        key_name: Some("ops".to_owned()),
        tags: BTreeSet::from(["blue".to_owned()]),
        fault: None,
    }
}
