//! `barkeep db url`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use cluster::Cluster;
use serde_json::json;

use super::output::say;
use crate::{
    config::{Common, Config},
    home,
};

#[derive(Debug, Subcommand)]
pub(super) enum Db {
    /// Prints a URL that psql takes, while the database runs
    Url,
}

impl Db {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let Self::Url = self;
        let config = Config::load(common)?;
        let told = |url: &str| {
            let url = if common.json { json!({ "url": url }).to_string() } else { url.to_owned() };
            say(url).map(|()| ExitCode::SUCCESS)
        };
        if let Some(url) = &config.database_url {
            return told(&url.0);
        }
        let Some(address) = Cluster::running(&home::cluster_settings(&config)).await? else {
            bail!(
                "the database of {} is not running: start it with `barkeep up`, or name another with --data-dir or \
                 DATABASE_URL",
                config.data_dir.display()
            );
        };
        told(&address.url(&home::database_name(&config)))
    }
}
