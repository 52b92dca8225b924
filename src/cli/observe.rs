//! What happens during a run, told while it happens: in a line that moves, in a log, or as JSON lines.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{Event, Observer, Progress};

/// Tells what happens, in one way.
pub(super) trait Teller: Send {
    /// Something happened.
    fn event(&mut self, event: &Event);

    /// Something is being waited for.
    fn progress(&mut self, progress: &Progress);

    /// A line for the operator.
    fn say(&mut self, line: &str);

    /// Nothing more comes; whatever moves must stop and go away.
    fn finish(&mut self);
}

/// Several tellers as one observer. Events reach them one after the other, whatever thread they come from.
pub(super) struct Tellers(Mutex<Vec<Box<dyn Teller>>>);

impl Tellers {
    /// All of these.
    pub(super) fn new(tellers: Vec<Box<dyn Teller>>) -> Self {
        Self(Mutex::new(tellers))
    }

    /// A line for the operator.
    pub(super) fn say(&self, line: &str) {
        for teller in self.each().iter_mut() {
            teller.say(line);
        }
    }

    /// Ends them all, and lets these go on.
    pub(super) fn replace(&self, tellers: Vec<Box<dyn Teller>>) {
        self.finish();
        self.each().extend(tellers);
    }

    /// Ends them all.
    pub(super) fn finish(&self) {
        for mut teller in self.each().drain(..) {
            teller.finish();
        }
    }

    fn each(&self) -> MutexGuard<'_, Vec<Box<dyn Teller>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Tellers {
    fn event(&self, event: &Event) {
        for teller in self.each().iter_mut() {
            teller.event(event);
        }
    }

    fn progress(&self, progress: &Progress) {
        for teller in self.each().iter_mut() {
            teller.progress(progress);
        }
    }
}
