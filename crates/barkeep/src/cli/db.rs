//! `barkeep db url`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use store::cluster::Cluster;

use super::{Common, say};
use crate::{config::Config, home};

#[derive(Debug, Subcommand)]
pub(super) enum Db {
    /// Prints a URL that psql takes, while the database runs
    Url,
}

impl Db {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let Self::Url = self;
        let config = Config::load(common)?;
        if let Some(url) = &config.database_url {
            say(&url.0)?;
            return Ok(ExitCode::SUCCESS);
        }
        let Some(address) = Cluster::running(&home::cluster_settings(&config)).await? else {
            bail!(
                "the database of {} is not running: start it with `barkeep up`, or name another with --data-dir or \
                 DATABASE_URL",
                config.data_dir.display()
            );
        };
        say(address.url(&home::database_name(&config)))?;
        Ok(ExitCode::SUCCESS)
    }
}
