//! What a run found out, as data that every output format is made from and that the ledger keeps.

pub mod escape;
pub mod exit;
mod groups;
mod matrix;
mod model;
mod moves;
mod overview;
mod remedy;
mod told;

pub use groups::{LegGroup, group_legs};
pub use matrix::{Cell, Matrix};
pub use model::{
    Counts, FindingReport, FoldedLegs, LeftReport, LegReport, NodeReport, ProvenEarlier,
    RepairReport, RepairedNode, Report, SCHEMA_VERSION, Settings, Summary,
};
pub use moves::{
    DiagnosisReport, MOVES_SCHEMA_VERSION, MoveRow, MovesReport, ServerRow, ServersReport,
    ServiceRow, StayRow, SteeredRow, UnseenRow, WayRow,
};
pub use overview::{FindingGroup, LostNodes, Overview};
pub use remedy::Remedy;

#[cfg(test)]
pub(crate) mod sample;
