//! From the bytes that a node answered to its facts, strictly.

mod client;
mod host;
mod labels;
mod part;
mod paths;
mod server;
mod stream;
mod text;

pub use stream::{Survey, SurveyError, parse};
