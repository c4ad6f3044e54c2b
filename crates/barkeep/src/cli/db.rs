//! `barkeep db url`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Subcommand;
use cluster::Cluster;
use serde_json::json;

use super::output::print_line;
use crate::{
    config::{CommonOptions, Config},
    database,
};

#[derive(Debug, Subcommand)]
pub(super) enum Db {
    /// Print a URL for psql, while the database is running
    Url,
}

impl Db {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let Self::Url = self;
        let config = Config::load(common)?;
        let print_url = |url: &str| {
            let url = if common.json { json!({ "url": url }).to_string() } else { url.to_owned() };
            print_line(url).map(|()| ExitCode::SUCCESS)
        };
        if let Some(url) = &config.database_url {
            return print_url(&url.0);
        }
        let Some(address) = Cluster::running(&database::cluster_settings(&config)).await? else {
            bail!(
                "the database in {} isn't running: start it with `barkeep up`, or choose another one with --data-dir or \
                 DATABASE_URL",
                config.data_dir.display()
            );
        };
        print_url(&address.url(&database::database_name(&config)))
    }
}
