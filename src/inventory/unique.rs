//! What no two nodes may share.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::entry::Resolved;
use super::problem::{Fault, Faults, Mark};
use crate::domain::fold;

/// Remembers who has what.
#[derive(Default)]
pub(super) struct Unique {
    names: HashMap<String, Mark>,
    taken: HashMap<(&'static str, String), (String, Mark)>,
    clashes: BTreeMap<(Mark, Mark, &'static str), Vec<Clash>>,
}

/// A node that has what an earlier one has.
struct Clash {
    name: String,
    first: String,
    value: String,
}

/// The sort of clash in which the name itself is taken.
const NAME: &str = "name";

impl Unique {
    /// Enters a node. `name` is where its name is written.
    pub(super) fn add(&mut self, resolved: &Resolved, name: Mark) {
        let node = &resolved.node;
        let text = node.name.as_str();
        if let Some(&first) = self.names.get(text) {
            self.clash(NAME, text, (name, first), text, text.to_owned());
            return;
        }
        self.names.insert(text.to_owned(), name);
        let control = &node.control;
        let mut way = with_port(&control.address, control.port);
        for hop in control.jump.iter().rev() {
            way.push_str(" through ");
            way.push_str(&with_port(&hop.address, hop.port));
        }
        self.claim("control address", text, Some(way), Some(resolved.control));
        let stated = |value: &Option<String>| value.as_deref().map(normal);
        let (service, migration, live) = (
            stated(&node.service_host),
            stated(&node.migration_address),
            stated(&node.live_address),
        );
        self.claim("service host", text, service, resolved.service_host);
        self.claim(
            "migration address",
            text,
            migration,
            resolved.migration_address,
        );
        self.claim("live address", text, live, resolved.live_address);
    }

    fn claim(&mut self, what: &'static str, name: &str, value: Option<String>, mark: Option<Mark>) {
        let (Some(value), Some(mark)) = (value, mark) else {
            return;
        };
        let key = (what, value);
        match self.taken.get(&key) {
            Some((first, first_mark)) => {
                let (first, first_mark) = (first.clone(), *first_mark);
                self.clash(what, name, (mark, first_mark), &first, key.1);
            }
            None => {
                self.taken.insert(key, (name.to_owned(), mark));
            }
        }
    }

    fn clash(
        &mut self,
        what: &'static str,
        name: &str,
        (mark, first_mark): (Mark, Mark),
        first: &str,
        value: String,
    ) {
        let clash = Clash {
            name: name.to_owned(),
            first: first.to_owned(),
            value,
        };
        let clashes = self.clashes.entry((mark, first_mark, what)).or_default();
        clashes.push(clash);
    }

    /// Reports all clashes, one problem for each pair of places.
    pub(super) fn report(self, faults: &mut Faults) {
        for ((mark, first_mark, what), clashes) in self.clashes {
            let names = fold(clashes.iter().map(|clash| &clash.name));
            let firsts = fold(clashes.iter().map(|clash| &clash.first));
            let values = fold(clashes.iter().map(|clash| &clash.value));
            faults.add(if what == NAME {
                Fault::new(mark, format!("`{names}` is in the inventory already"))
                    .expected("each node once")
                    .also(first_mark, "it is part of this")
            } else if mark == first_mark {
                Fault::new(mark, format!("several nodes get the {what} `{values}`"))
                    .expected("a value with `{name}` in it, or one value for each node")
            } else {
                let problem = format!("`{names}` has the {what} of `{firsts}`: `{values}`");
                Fault::new(mark, problem)
                    .expected(format!("a {what} that no other node has"))
                    .also(first_mark, format!("`{firsts}` has it from here"))
            });
        }
    }
}

fn with_port(address: &str, port: u16) -> String {
    format!("{} port {port}", normal(address))
}

/// One spelling for each address: IP addresses in their shortest form, names in lower case.
fn normal(address: &str) -> String {
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => address.to_ascii_lowercase(),
    }
}
