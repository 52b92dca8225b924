//! From the command line to the exit code.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use super::args::{Arguments, Command};
use super::commands::{self, Session};
use super::console::Console;
use super::error::CliError;
use super::help;
use crate::report::exit;
use crate::system::{self, Environment};

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    system::raise_open_files();
    let environment = Environment::read();
    let console = Console::standard(environment.terminal);
    ExitCode::from(run(system::command_line(), environment, console))
}

/// Runs one command line to its exit code.
pub(super) fn run(words: Vec<OsString>, environment: Environment, mut console: Console) -> u8 {
    let parsed = help::command()
        .try_get_matches_from(words)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match parsed {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error, &console),
    };
    console.color = arguments.global.color;
    console.quiet = arguments.global.quiet;
    console.verbose = arguments.global.verbose;
    let session = Session {
        global: arguments.global,
        environment,
        console: console.clone(),
    };
    let done = dispatch(&session, &arguments.command);
    let flushed = console.out.flush().map_err(CliError::from);
    match done.and_then(|code| flushed.map(|()| code)) {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to be told when stderr is closed.
            let _ = error.write(&console);
            error.code
        }
    }
}

fn dispatch(session: &Session, command: &Command) -> Result<u8, CliError> {
    match command {
        Command::Check(arguments) => commands::check(session, arguments),
        Command::Trace(arguments) => commands::trace(session, arguments),
        Command::Repair(arguments) => commands::repair(session, arguments),
        Command::Servers(arguments) => commands::servers(session, arguments),
        Command::Migrate(arguments) => commands::migrate(session, arguments),
        Command::Drain(arguments) => commands::drain(session, arguments),
        Command::Moves(command) => commands::under_way(session, command),
        Command::Resume(arguments) => commands::resume(session, arguments),
        Command::Watch(arguments) => commands::watch(session, arguments),
        Command::Diagnose(arguments) => commands::diagnose(session, arguments),
        Command::Reasons(arguments) => commands::reasons(session, arguments),
        Command::Runs(arguments) => commands::runs(session, arguments),
        Command::Show(arguments) => commands::show(session, arguments),
        Command::Keys(command) => commands::keys(session, command),
        Command::Inventory(command) => commands::inventory(session, command),
        Command::Completions(arguments) => commands::completions(session, arguments),
        Command::Man(arguments) => commands::man(session, arguments),
    }
}

/// Help and version are results; everything else that the parser says is an error.
fn not_parsed(error: &clap::Error, console: &Console) -> u8 {
    let text = error.render();
    let asked = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    let (mut stream, colours, code) = if asked {
        (
            console.out.clone(),
            console.view().paint.is_on(),
            exit::WELL,
        )
    } else {
        (
            console.err.clone(),
            console.err_paint().is_on(),
            exit::USAGE,
        )
    };
    let text = if colours {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.flush();
    code
}
