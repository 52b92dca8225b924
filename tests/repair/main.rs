//! Repair on real nodes: files and keys are made, put back and kept whole whatever happens.

mod apply;
mod binary;
mod broken_off;
mod kills;
mod support;
mod undo;
mod whole;
mod wrapped;
