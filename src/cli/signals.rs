//! Interrupts: the first one asks, the second one leaves.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use super::observe::Tellers;
use crate::report::exit;
use crate::run::Canceller;
use crate::system;

const FIRST: &str =
    "interrupted: nothing new is started, what runs is finished; interrupt again to leave at once";

/// Listens for SIGINT and SIGTERM until the handle is aborted. Needs a tokio runtime.
///
/// # Errors
/// The handlers cannot be installed.
pub(super) fn listen(
    canceller: Canceller,
    tellers: Arc<Tellers>,
) -> std::io::Result<JoinHandle<()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        canceller.cancel();
        tellers.say(FIRST);
        either(&mut interrupt, &mut terminate).await;
        tellers.finish();
        system::leave_now(exit::INTERRUPTED);
    }))
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
