//! `clearway completions` and `clearway man`: made from the definition of the arguments.

use std::fs::File;
use std::io;
use std::path::Path;

use clap::Command;
use clap_mangen::Man as Page;

use super::session::Session;
use crate::cli::args::{Completions, Man};
use crate::cli::error::CliError;
use crate::cli::help;
use crate::report::exit;

pub(in crate::cli) fn completions(
    session: &Session,
    arguments: &Completions,
) -> Result<u8, CliError> {
    let mut out = session.console.out.clone();
    clap_complete::generate(arguments.shell, &mut help::command(), "clearway", &mut out);
    Ok(exit::WELL)
}

pub(in crate::cli) fn man(session: &Session, arguments: &Man) -> Result<u8, CliError> {
    let directory = &arguments.directory;
    let mut command = help::command();
    // Gives every command its full name: clearway-inventory-show.
    command.build();
    let written = write_pages(&command, directory).map_err(|error| {
        let directory = directory.display();
        CliError::usage(format!("cannot write man pages to `{directory}`: {error}"))
            .hint("name an existing directory that you may write to")
    })?;
    session.console.note(format!(
        "wrote {written} man pages to {}",
        directory.display()
    ));
    Ok(exit::WELL)
}

/// Writes the page of a command and those of its commands; how many.
fn write_pages(command: &Command, directory: &Path) -> io::Result<usize> {
    let mut written = 1;
    for inner in command.get_subcommands() {
        written += write_pages(inner, directory)?;
    }
    let page = Page::new(command.clone());
    let mut file = File::create(directory.join(page.get_filename()))?;
    page.render(&mut file)?;
    Ok(written)
}
