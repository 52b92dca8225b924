//! Where text goes: the result to stdout, everything else to stderr, both injected.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::paint::{ColorChoice, Paint};
use super::render::View;
use crate::system::Terminal;

/// Columns where nobody says how many there are.
const DEFAULT_WIDTH: u16 = 100;

/// A writer that several threads may use; each write is whole. A reader that has gone away is no failure: what nobody
/// wants to read is dropped, and the command goes on to its exit code.
#[derive(Clone)]
pub(super) struct Stream(Arc<Mutex<Box<dyn Write + Send>>>);

impl Stream {
    /// A stream that writes there.
    pub(super) fn new(writer: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Box::new(writer))))
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stream")
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unless_gone(writer.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut writer = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        unless_gone(writer.flush(), ())
    }
}

fn unless_gone<T>(result: io::Result<T>, dropped: T) -> io::Result<T> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(dropped),
        result => result,
    }
}

/// The two streams of a command, and how they want to be written to.
#[derive(Debug, Clone)]
pub(super) struct Console {
    /// The result.
    pub(super) out: Stream,
    /// Progress, warnings, errors.
    pub(super) err: Stream,
    /// What is known of the terminal.
    pub(super) terminal: Terminal,
    /// `--color`.
    pub(super) color: ColorChoice,
    /// `--verbose`.
    pub(super) verbose: bool,
    /// `--quiet`.
    pub(super) quiet: bool,
}

impl Console {
    /// The process's own streams.
    pub(super) fn standard(terminal: Terminal) -> Self {
        Self {
            out: Stream::new(io::BufWriter::new(io::stdout())),
            err: Stream::new(io::LineWriter::new(io::stderr())),
            terminal,
            color: ColorChoice::Auto,
            verbose: false,
            quiet: false,
        }
    }

    /// How results are looked at.
    pub(super) fn view(&self) -> View {
        View {
            paint: Paint::new(self.color, self.terminal, self.terminal.stdout),
            width: self.terminal.columns.unwrap_or(DEFAULT_WIDTH).into(),
            verbose: self.verbose,
        }
    }

    /// The colours of stderr.
    pub(super) fn err_paint(&self) -> Paint {
        Paint::new(self.color, self.terminal, self.terminal.stderr)
    }

    /// A line for the operator that is neither result nor error. What cannot be told is not worth failing for.
    pub(super) fn note(&self, text: impl fmt::Display) {
        if !self.quiet {
            let _ = writeln!(self.err.clone(), "{text}");
        }
    }
}
