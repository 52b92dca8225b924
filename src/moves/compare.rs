//! The same server before and after: everything that its owner would miss.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::openstack::compute::{Flavor, Server, WantedFlavor};

/// A server as its owner knows it: each property as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Portrait(BTreeMap<String, String>);

/// A property that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which property.
    pub property: String,
    /// What it was; `None` when it was not there.
    pub before: Option<String>,
    /// What it is.
    pub after: Option<String>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        write!(
            f,
            "{} was {}, is {}",
            self.property,
            shown(&self.before),
            shown(&self.after)
        )
    }
}

/// Longest value that is kept of a property.
const LONGEST: usize = 1_000;

impl Portrait {
    /// Takes it.
    #[must_use]
    pub fn of(server: &Server) -> Self {
        let mut values = BTreeMap::new();
        let mut set = |property: String, value: String| {
            values.insert(property, value.chars().take(LONGEST).collect());
        };
        set("id".to_owned(), server.id.to_string());
        set("name".to_owned(), server.name.clone());
        set("project".to_owned(), server.project.clone());
        set("status".to_owned(), server.status.status.clone());
        set("power state".to_owned(), server.status.power.to_string());
        set("locked".to_owned(), server.locked.to_string());
        if let Some(key) = &server.key_name {
            set("key pair".to_owned(), key.clone());
        }
        if let Some(image) = &server.image {
            set("image".to_owned(), image.clone());
        }
        set("flavor".to_owned(), flavor(&server.flavor));
        for (key, value) in &server.flavor.extra {
            set(format!("flavor property {key}"), value.clone());
        }
        for (network, addresses) in &server.addresses {
            let addresses: Vec<String> = addresses
                .iter()
                .map(|it| {
                    format!("{} {} {}", it.addr, it.kind, it.mac)
                        .trim_end()
                        .to_owned()
                })
                .collect();
            set(format!("addresses in {network}"), addresses.join(", "));
        }
        for (key, value) in &server.metadata {
            set(format!("metadata {key}"), value.clone());
        }
        for volume in &server.volumes {
            let fate = if volume.delete_on_termination {
                "deleted with it"
            } else {
                "kept"
            };
            set(format!("volume {}", volume.id), fate.to_owned());
        }
        for group in &server.security_groups {
            set(format!("security group {group}"), "member".to_owned());
        }
        for tag in &server.tags {
            set(format!("tag {tag}"), "set".to_owned());
        }
        Self(values)
    }

    /// What it becomes by a resize: the flavor is the new one, all else stays.
    #[must_use]
    pub fn resized(&self, wanted: &WantedFlavor) -> Self {
        let mut values = self.0.clone();
        values.retain(|property, _| !property.starts_with("flavor property "));
        let mut set = |property: String, value: String| {
            values.insert(property, value.chars().take(LONGEST).collect());
        };
        set("flavor".to_owned(), flavor(&wanted.flavor));
        for (key, value) in &wanted.flavor.extra {
            set(format!("flavor property {key}"), value.clone());
        }
        Self(values)
    }

    /// Without what a confirmation or a reversal changes by its nature: the state and, for a reversal of a resize whose
    /// beginning nobody looked at, the flavor. What is not in it is not compared.
    #[must_use]
    pub fn unsettled(&self, flavor_changes: bool) -> Self {
        let mut values = self.0.clone();
        values.retain(|property, _| {
            let is_state = matches!(property.as_str(), "status" | "power state");
            let changes = flavor_changes && property.starts_with("flavor");
            !is_state && !changes
        });
        Self(values)
    }

    /// What differs from an earlier one.
    #[must_use]
    pub fn differences(&self, before: &Self) -> Vec<Difference> {
        let unseen = |property: &str| {
            let part = if property.starts_with("flavor") {
                "flavor"
            } else {
                property
            };
            matches!(part, "status" | "power state" | "flavor") && !before.0.contains_key(part)
        };
        let all = before.0.keys().chain(self.0.keys());
        let mut properties: Vec<&String> = all.collect();
        properties.sort();
        properties.dedup();
        properties
            .into_iter()
            .filter(|property| !unseen(property))
            .filter(|property| before.0.get(*property) != self.0.get(*property))
            .map(|property| Difference {
                property: property.clone(),
                before: before.0.get(property).cloned(),
                after: self.0.get(property).cloned(),
            })
            .collect()
    }
}

fn flavor(it: &Flavor) -> String {
    format!(
        "{} ({} vCPU, {} MiB, {} GiB, {} GiB ephemeral)",
        it.name, it.vcpus, it.ram_mib, it.disk_gib, it.ephemeral_gib
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moves::gate::fixtures::server;
    use crate::openstack::compute::{Address, Volume};

    type Change = fn(&mut Server);

    #[test]
    fn every_property_that_an_owner_would_miss_is_compared() {
        let changes: &[(&str, Change)] = &[
            ("name was web-1, is web-2", |it| {
                it.name = "web-2".to_owned()
            }),
            ("status was ACTIVE, is SHUTOFF", |it| {
                it.status.status = "SHUTOFF".to_owned()
            }),
            ("power state was 1, is 4", |it| it.status.power = 4),
            ("metadata role was web, is nothing", |it| {
                it.metadata.clear()
            }),
            ("tag blue was set, is nothing", |it| it.tags.clear()),
            ("key pair was ops, is nothing", |it| it.key_name = None),
            ("security group default was member, is nothing", |it| {
                it.security_groups.clear()
            }),
            ("volume v2 was nothing, is kept", |it| {
                it.volumes.insert(Volume {
                    id: "v2".to_owned(),
                    delete_on_termination: false,
                });
            }),
            (
                "flavor was tiny (1 vCPU, 64 MiB, 1 GiB, 0 GiB ephemeral), is tiny (2 vCPU, 64 MiB, 1 GiB, 0 GiB ephemeral)",
                |it| it.flavor.vcpus = 2,
            ),
            (
                "addresses in private was 10.0.0.3 fixed fa:16:3e:00:00:01, is 10.0.0.4 fixed fa:16:3e:00:00:01",
                |it| {
                    it.addresses.insert(
                        "private".to_owned(),
                        [Address {
                            addr: "10.0.0.4".to_owned(),
                            kind: "fixed".to_owned(),
                            mac: "fa:16:3e:00:00:01".to_owned(),
                        }]
                        .into(),
                    );
                },
            ),
        ];
        let before = Portrait::of(&server(1, "cmp001"));
        for (said, change) in changes {
            let mut after = server(1, "cmp002");
            change(&mut after);
            let differences: Vec<String> = Portrait::of(&after)
                .differences(&before)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(differences, [*said]);
        }
    }

    #[test]
    fn a_move_changes_the_host_and_that_is_no_difference() {
        let before = Portrait::of(&server(1, "cmp001"));
        let after = Portrait::of(&server(1, "cmp002"));
        assert_eq!(after.differences(&before), []);
    }

    #[test]
    fn a_resize_changes_the_flavor_to_the_one_that_was_asked_for_and_nothing_else() {
        let before = Portrait::of(&server(1, "cmp001"));
        let mut after = server(1, "cmp002");
        after.flavor.name = "small".to_owned();
        after.flavor.ram_mib = 128;
        let wanted = WantedFlavor {
            id: "2".to_owned(),
            flavor: after.flavor.clone(),
        };
        let expected = before.resized(&wanted);
        assert_eq!(Portrait::of(&after).differences(&expected), []);
        let said = |it: &Server| {
            let found = Portrait::of(it).differences(&expected);
            found.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(
            said(&server(1, "cmp002")),
            [
                "flavor was small (1 vCPU, 128 MiB, 1 GiB, 0 GiB ephemeral), is tiny (1 vCPU, 64 MiB, 1 GiB, 0 GiB ephemeral)"
            ],
            "it has kept the old one"
        );
        after.tags.clear();
        assert_eq!(said(&after), ["tag blue was set, is nothing"]);
    }

    #[test]
    fn what_a_reversal_changes_by_its_nature_is_not_compared() {
        let mut waiting = server(1, "cmp002");
        waiting.status.status = "VERIFY_RESIZE".to_owned();
        waiting.flavor.ram_mib = 128;
        let mut back = server(1, "cmp001");
        let compared = |back: &Server, flavor_changes| {
            let before = Portrait::of(&waiting).unsettled(flavor_changes);
            Portrait::of(back).differences(&before).len()
        };
        assert_eq!(compared(&back, true), 0);
        assert_eq!(compared(&back, false), 1, "the flavor");
        back.metadata.clear();
        assert_eq!(compared(&back, true), 1, "all else is");
    }

    #[test]
    fn a_portrait_survives_the_ledger() {
        let portrait = Portrait::of(&server(1, "cmp001"));
        let json = serde_json::to_string(&portrait).unwrap();
        assert_eq!(serde_json::from_str::<Portrait>(&json).unwrap(), portrait);
    }
}
