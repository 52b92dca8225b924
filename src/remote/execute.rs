//! Running one program on an open connection, within its limits.

use std::future::pending;
use std::ops::ControlFlow;
use std::time::Duration;

use russh::client::Msg;
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::time::{Instant, sleep_until, timeout};

use super::error::{Failure, printable};
use super::hop::Hop;
use super::program::{Exit, Limits, ProgramEnd, Stderr, command, envelope, sudo_refusal};
use crate::domain::Why;

/// How long a node may take to close the channel of a program that has ended. A process that the program left behind
/// can hold the channel open for ever.
const AFTER_EXIT: Duration = Duration::from_secs(3);

/// Closes the channel of a program that is not wanted any more, also when the future that runs it is dropped.
///
/// No signal is sent before: sshd passes none on for root logins, nor to what sudo started, and logs an error instead.
struct Stop(Option<ChannelWriteHalf<Msg>>);

impl Stop {
    /// The program has ended by itself.
    fn disarm(&mut self) {
        self.0 = None;
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if let Some(channel) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                // An error means that the connection is gone, and with it the channel.
                let _ = channel.close().await;
            });
        }
    }
}

/// Runs `script`, and hands its standard output to `on_stdout` as it comes.
pub(super) async fn execute(
    hop: &Hop,
    sudo: bool,
    script: &[u8],
    limits: &Limits,
    on_stdout: impl FnMut(&[u8]) -> ControlFlow<String>,
) -> Result<ProgramEnd, Failure> {
    let end = Instant::now() + limits.deadline;
    let channel = match timeout(limits.deadline, hop.handle.channel_open_session()).await {
        Ok(Ok(channel)) => channel,
        Ok(Err(russh::Error::ChannelOpenFailure(refusal))) => {
            return Err(Failure::new(
                Why::ControlDenied,
                format!("the server opens no session: {}", refusal.description()),
            ));
        }
        Ok(Err(error)) => return Err(lost(hop).because(error)),
        Err(_) => return Err(too_slow("the server opened no session", limits.deadline)),
    };
    let (read, write) = channel.split();
    let mut run = Run {
        read,
        limits,
        on_stdout,
        stdout: 0,
        stderr: Stderr::default(),
        exit: None,
        refused: false,
    };
    let mut stop = Stop(Some(write));
    let outcome = {
        let feeding = feed(stop.0.as_ref(), sudo, script);
        run.until_closed(end, feeding).await
    };
    if outcome.is_ok() {
        stop.disarm();
    }
    outcome?;
    run.finish(hop, sudo)
}

/// Requests the command and sends the script without waiting for the answer in between.
async fn feed(
    channel: Option<&ChannelWriteHalf<Msg>>,
    sudo: bool,
    script: &[u8],
) -> Result<(), russh::Error> {
    if let Some(channel) = channel {
        channel.exec(true, command(sudo)).await?;
        channel.data_bytes(envelope(script)).await?;
        channel.eof().await?;
    }
    Ok(())
}

struct Run<'a, F> {
    read: ChannelReadHalf,
    limits: &'a Limits,
    on_stdout: F,
    stdout: u64,
    stderr: Stderr,
    exit: Option<Exit>,
    refused: bool,
}

impl<F: FnMut(&[u8]) -> ControlFlow<String>> Run<'_, F> {
    async fn until_closed(
        &mut self,
        end: Instant,
        feeding: impl Future<Output = Result<(), russh::Error>>,
    ) -> Result<(), Failure> {
        let limits = self.limits;
        // Errors of the sending side show as the end of the channel on the receiving side, which says more.
        let feeding = async {
            let _ = feeding.await;
            pending::<()>().await;
        };
        tokio::pin!(feeding);
        let mut quiet_until = Instant::now() + limits.idle;
        let first_until = Instant::now() + limits.first;
        loop {
            let is_mute = self.stdout == 0 && self.exit.is_none();
            let mut wake = quiet_until.min(end);
            if is_mute {
                wake = wake.min(first_until);
            }
            let message = tokio::select! {
                message = self.read.wait() => message,
                () = &mut feeding => None,
                () = sleep_until(wake) => {
                    if self.exit.is_some() {
                        return Ok(());
                    }
                    return Err(if is_mute && wake == first_until {
                        too_slow("the program said nothing", limits.first)
                    } else if end <= quiet_until {
                        too_slow("the program did not end", limits.deadline)
                    } else {
                        too_slow("the program was silent and did not end", limits.idle)
                    });
                }
            };
            match message {
                None | Some(ChannelMsg::Close) => return Ok(()),
                Some(message) => self.take(message)?,
            }
            quiet_until = match self.exit {
                None => Instant::now() + limits.idle,
                Some(_) => quiet_until.min(Instant::now() + AFTER_EXIT),
            };
        }
    }

    fn take(&mut self, message: ChannelMsg) -> Result<(), Failure> {
        match message {
            ChannelMsg::Data { data } => {
                self.stdout += data.len() as u64;
                if self.stdout > self.limits.stdout {
                    return Err(too_much("standard output", self.limits.stdout));
                }
                if let ControlFlow::Break(reason) = (self.on_stdout)(&data) {
                    return Err(Failure::new(Why::ControlGarbage, reason));
                }
            }
            ChannelMsg::ExtendedData { data, .. } => {
                self.stderr.push(&data);
                if self.stderr.total() > self.limits.stderr {
                    return Err(too_much("standard error", self.limits.stderr));
                }
            }
            ChannelMsg::ExitStatus { exit_status } => {
                self.exit.get_or_insert(Exit::Status(exit_status));
            }
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.exit
                    .get_or_insert_with(|| Exit::Signal(signal_text(&signal_name)));
            }
            ChannelMsg::Failure => self.refused = true,
            _ => {}
        }
        Ok(())
    }

    fn finish(self, hop: &Hop, sudo: bool) -> Result<ProgramEnd, Failure> {
        let Self {
            stderr,
            exit,
            refused,
            ..
        } = self;
        if refused && exit.is_none() {
            return Err(Failure::new(
                Why::ControlDenied,
                "the server runs no commands for this account",
            ));
        }
        if exit.is_none() && (hop.handle.is_closed() || hop.farewell.get().is_some()) {
            return Err(lost(hop));
        }
        let exit = exit.unwrap_or(Exit::Unknown);
        if !stderr.started() && !exit.is_success() {
            return Err(not_started(sudo, &exit, stderr.tail()));
        }
        Ok(ProgramEnd {
            exit,
            stderr_tail: stderr.into_tail(),
        })
    }
}

/// A login that works and a program that does not start: sudo, or a login shell that is none.
fn not_started(sudo: bool, exit: &Exit, stderr: &[u8]) -> Failure {
    if sudo && let Some(line) = sudo_refusal(stderr) {
        return Failure::new(Why::SudoRefused, printable(line, 300));
    }
    let said = match printable(stderr, 300) {
        said if said.is_empty() => String::new(),
        said => format!(": {said}"),
    };
    Failure::new(
        Why::ControlDenied,
        format!("the login shell did not start the program ({exit}){said}"),
    )
}

fn signal_text(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => printable(name.as_bytes(), 32),
        known => format!("{known:?}"),
    }
}

fn too_slow(what: &str, limit: Duration) -> Failure {
    Failure::new(
        Why::ControlTimedOut,
        format!("{what} within {} s", limit.as_secs_f32()),
    )
}

fn too_much(what: &str, limit: u64) -> Failure {
    Failure::new(
        Why::ControlGarbage,
        format!("the program wrote more than {limit} bytes to {what}"),
    )
}

fn lost(hop: &Hop) -> Failure {
    let said = hop
        .farewell
        .get()
        .map_or_else(String::new, |said| format!(": {said}"));
    Failure::new(Why::ControlLost, format!("the connection broke off{said}"))
}
