//! What every command starts from.

use std::path::PathBuf;

use tokio::runtime::{Builder, Runtime};

use crate::cli::args::Global;
use crate::cli::console::Console;
use crate::cli::error::CliError;
use crate::cli::render::Kept;
use crate::files::{LoadError, load_inventory};
use crate::inventory::{Context, Inventory};
use crate::system::Environment;

/// The global options, the machine and the streams.
pub(in crate::cli) struct Session {
    pub(in crate::cli) global: Global,
    pub(in crate::cli) environment: Environment,
    pub(in crate::cli) console: Console,
}

impl Session {
    /// Loads the inventory that was asked for.
    pub(super) fn inventory(&self) -> Result<Inventory, LoadError> {
        let context = Context {
            home: self.environment.home.clone(),
            user: self.environment.user.clone(),
        };
        load_inventory(&self.global.inventory, &context)
    }

    /// Where a run that was recorded is found again.
    pub(super) fn kept(&self) -> Kept<'_> {
        self.global.ledger.as_deref().map_or(Kept::Usual, Kept::In)
    }

    /// A command that works with the same inventory and ledger, as it is typed.
    pub(super) fn typed(&self, words: &str) -> String {
        let inventory = self.global.inventory.display().to_string();
        self.kept().typed(Some(&inventory), words)
    }

    /// The ledger's file: the one that was asked for, else the one in the state directory.
    pub(super) fn ledger_path(&self) -> Result<PathBuf, CliError> {
        match (&self.global.ledger, &self.environment.state_home) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(state)) => Ok(state.join("clearway/ledger.sqlite")),
            (None, None) => Err(CliError::usage(
                "there is no home directory that a ledger could be kept in",
            )
            .hint("name its file with `--ledger PATH`, or check without one: `--no-ledger`")),
        }
    }
}

/// A runtime on one thread. Talking to nodes is waiting, and handing each packet from one thread to another costs more
/// than what is done with it; what computes for long (the prediction) has threads of its own.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CliError::usage(format!("cannot start: {error}")))
}
