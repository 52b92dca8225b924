//! Which cloud a command talks to.

use std::io::IsTerminal as _;

use super::session::Session;
use crate::cli::error::CliError;
use crate::cli::moves_args::WhichCloud;
use crate::files::{load_authorities, load_clouds};
use crate::nova::Patience;
use crate::openstack::cloud;
use crate::run::moves::CloudAccess;
use crate::system;

impl Session {
    /// The cloud that is meant, and what is needed to talk to it.
    pub(super) fn cloud(&self, which: &WhichCloud) -> Result<CloudAccess, CliError> {
        let variables = system::variables("OS_");
        let home = self.environment.home.as_deref();
        let files = load_clouds(&variables, home)?;
        let cloud = cloud::find(which.os_cloud.as_deref(), &files, &variables)?;
        let authorities = cloud
            .ca_file
            .as_deref()
            .map(|path| load_authorities(path, home))
            .transpose()?;
        Ok(CloudAccess {
            cloud,
            authorities,
            patience: Patience::default(),
        })
    }
}

/// Whether a question can be asked: never without a terminal.
pub(super) fn can_ask(session: &Session) -> bool {
    session.console.terminal.stdin
        && session.console.terminal.stderr
        && std::io::stdin().is_terminal()
}
