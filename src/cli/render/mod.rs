//! Results in every output format.

mod evidence;
mod json;
mod junit;
mod list;
mod matrix;
mod moves;
mod repair;
mod table;
mod trace;
mod view;
mod words;

pub(super) use json::{write as write_json, write_line as write_json_line};
pub(super) use junit::write as write_junit;
pub(super) use list::write as write_list;
pub(super) use moves::{write_diagnosis, write_moves, write_servers, write_steered};
pub(super) use repair::{
    write_left, write_notes as write_repair_notes, write_plan, write_undo_paths, write_way_back,
    write_way_back_notes,
};
pub(super) use table::write as write_table;
pub(super) use trace::write as write_trace;
pub(super) use view::{Kept, View};

#[cfg(test)]
mod tests;
