//! Repair on real nodes: files and keys are made, put back and kept whole whatever happens.
#![expect(
    clippy::disallowed_methods,
    reason = "a test waits for the processes that it starts"
)]

mod apply;
mod binary;
mod broken_off;
mod clocks;
mod contained;
mod forget;
mod kills;
mod labels;
mod places;
mod races;
mod reinstalled;
mod revoke;
mod rotate;
mod selinux;
mod shared;
mod strict;
mod support;
mod undo;
mod way_back;
mod whole;
mod wrapped;
