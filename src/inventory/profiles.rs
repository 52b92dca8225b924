//! The table of profiles: those that come with clearway and those of the inventory.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::chain::{drawn, follow};
use super::deployment::{Apply, Draft};
use super::document::{self, Document};
use super::layer::{Key, Layer, Origin, Shared};
use super::problem::{Fault, Faults, Mark};
use super::values::{did_you_mean, listed, name};
use crate::domain;

/// All profiles by name.
pub(super) struct Profiles<'d> {
    /// The name of the profile that is used where none is named.
    pub(super) default: &'d str,
    table: BTreeMap<&'d str, Profile<'d>>,
}

struct Profile<'d> {
    mark: Mark,
    label: Arc<str>,
    raw: &'d document::Profile,
}

/// A profile with everything that it extends, and where each property comes from.
#[derive(Clone, Default)]
pub(super) struct Built {
    pub(super) draft: Draft,
    pub(super) origins: Vec<(Key, Origin)>,
}

impl<'d> Profiles<'d> {
    /// Reads the profiles of all files; the embedded ones come first.
    pub(super) fn read(documents: &'d [Document], shared: &Shared, faults: &mut Faults) -> Self {
        let mut profiles = Self {
            default: "",
            table: BTreeMap::new(),
        };
        for (file, document) in documents.iter().enumerate() {
            let entries = document
                .profiles
                .iter()
                .flat_map(|entries| &entries.value.0);
            for (key, raw) in entries {
                let at = key.mark(file);
                if faults.keep(name(at, &key.value)).is_none() {
                    continue;
                }
                if profiles.default.is_empty() {
                    profiles.default = &key.value;
                }
                let label = Arc::from(format!("profile {}", key.value));
                let profile = Profile {
                    mark: at,
                    label,
                    raw,
                };
                if let Some(first) = profiles.table.get(key.value.as_str()) {
                    faults.add(
                        Fault::new(at, format!("there is a profile `{}` already", key.value))
                            .expected("each profile once")
                            .hint(format!("give it another name and `extends: {}`", key.value))
                            .also(first.mark, "it is defined here"),
                    );
                } else {
                    profiles.table.insert(&key.value, profile);
                }
            }
        }
        for (name, profile) in &profiles.table {
            if let Some(built) = profiles.build(name, shared, faults)
                && let Err(missing) = built.draft.finish(name)
            {
                let extends = format!("`extends: {}` brings all of them", profiles.default);
                faults.add(
                    Fault::new(profile.mark, format!("the profile `{name}` is incomplete"))
                        .expected(format!("also {}", listed(missing)))
                        .hint(extends),
                );
            }
        }
        profiles
    }

    /// Whether there is such a profile.
    pub(super) fn check(&self, mark: Mark, name: &str) -> Result<(), Fault> {
        if self.table.contains_key(name) {
            return Ok(());
        }
        let known = || self.table.keys().copied();
        Err(Fault::new(mark, format!("unknown profile `{name}`"))
            .expected(listed(known()))
            .hint(did_you_mean(name, known())))
    }

    /// The profile with everything that it extends; `None` when that leads nowhere, which is reported.
    pub(super) fn build(&self, name: &str, shared: &Shared, faults: &mut Faults) -> Option<Built> {
        let extends = |name: &str| self.table.get(name)?.raw.extends.as_ref();
        let chain = follow(name, |name| extends(name).map(|text| text.value.as_str()));
        let chain = faults.keep(chain.map_err(|circle| {
            let at = self.table.get(circle[0]).map(|profile| profile.mark);
            let message = format!("profiles extend each other in a circle: {}", drawn(&circle));
            Fault::new(at.unwrap_or(Mark::file(0)), message)
                .expected("a chain of profiles that ends")
        }))?;
        let chain: Vec<&Profile<'d>> = chain
            .iter()
            .map_while(|name| self.table.get(name))
            .collect();
        for profile in &chain {
            if let Some(extends) = &profile.raw.extends {
                let at = extends.mark(profile.mark.file);
                faults.keep(self.check(at, &extends.value))?;
            }
        }
        let mut built = Built::default();
        for profile in chain.into_iter().rev() {
            Apply {
                draft: &mut built.draft,
                file: profile.mark.file,
                faults,
                note: &mut |key, mark| {
                    built
                        .origins
                        .push((key, shared.origin(&profile.label, false, mark)))
                },
            }
            .apply(profile.raw.deployment());
        }
        Some(built)
    }
}

/// The profile of some nodes with the overrides of their layers, and where each property comes from.
#[derive(Clone)]
pub(super) struct Effective {
    pub(super) profile: Arc<domain::Profile>,
    pub(super) origins: Arc<[(Key, Origin)]>,
}

/// Effective profiles, made once for all nodes that come to the same.
#[derive(Default)]
pub(super) struct Pool {
    known: HashSet<Arc<domain::Profile>>,
    /// The last one made, with what it was made of: the next entry is mostly in the same groups.
    last: Option<(String, Vec<Arc<str>>, Effective)>,
}

impl Pool {
    /// The profile of that name with the overrides of every layer; `None` when something is wrong with it, which is
    /// reported.
    pub(super) fn effective(
        &mut self,
        name: &str,
        layers: &[Layer<'_>],
        (profiles, shared): (&Profiles<'_>, &Shared),
        faults: &mut Faults,
    ) -> Option<Effective> {
        let overriding: Vec<&Layer<'_>> = layers
            .iter()
            .filter(|layer| !layer.properties.deployment.is_empty())
            .collect();
        let labels = || overriding.iter().map(|layer| &layer.label);
        if let Some((last_name, last_labels, effective)) = &self.last
            && last_name == name
            && labels().eq(last_labels)
        {
            return Some(effective.clone());
        }
        let mut built = profiles.build(name, shared, faults)?;
        for layer in &overriding {
            Apply {
                draft: &mut built.draft,
                file: layer.file,
                faults,
                note: &mut |key, mark| {
                    built
                        .origins
                        .push((key, shared.origin(&layer.label, layer.is_entry, mark)));
                },
            }
            .apply(layer.properties.deployment);
        }
        // What an incomplete profile lacks is reported where the profile is.
        let profile = Arc::new(built.draft.finish(name).ok()?);
        let profile = match self.known.get(&profile) {
            Some(same) => Arc::clone(same),
            None => {
                self.known.insert(Arc::clone(&profile));
                profile
            }
        };
        let effective = Effective {
            profile,
            origins: built.origins.into(),
        };
        let labels = labels().cloned().collect();
        self.last = Some((name.to_owned(), labels, effective.clone()));
        Some(effective)
    }
}
