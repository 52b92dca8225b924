//! A console whose text can be read.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::console::{Console, Stream};
use super::paint::ColorChoice;
use crate::system::Terminal;

/// What was written to one stream.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A console without a terminal, its stdout and its stderr.
pub(super) fn captured() -> (Console, Captured, Captured) {
    let (out, err) = (Captured::default(), Captured::default());
    let console = Console {
        out: Stream::new(out.clone()),
        err: Stream::new(err.clone()),
        terminal: Terminal::default(),
        color: ColorChoice::Auto,
        verbose: false,
        quiet: false,
    };
    (console, out, err)
}
