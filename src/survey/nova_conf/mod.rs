//! Nova's settings that decide what is dialled, from nova.conf with oslo.config's rules.

mod ini;
mod settings;
#[cfg(test)]
mod tests;

pub(super) use ini::IniFile;
pub use settings::NovaSettings;
pub(super) use settings::{Surroundings, settings};
