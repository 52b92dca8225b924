//! Nova's settings that decide what is dialled, from nova.conf with oslo.config's rules.

mod ini;
mod order;
mod settings;
#[cfg(test)]
mod tests;

pub(super) use ini::IniFile;
pub(super) use order::settings_in_order;
pub(super) use settings::Surroundings;
#[cfg(test)]
use settings::settings;
pub use settings::{NovaSettings, Undecided};
