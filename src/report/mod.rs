//! What a run found out, as data that every output format is made from and that the ledger keeps.

mod model;

pub use model::{
    Counts, FindingReport, FoldedLegs, LegReport, NodeReport, Report, SCHEMA_VERSION, Settings,
    Summary,
};
