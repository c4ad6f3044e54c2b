//! `barkeep track` and `untrack`: add and remove a user's interest in symbols, in the database or through a running server.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use market::{Ticker, Timeframe};
use serde_json::json;
use store::tracking::{self, Source, Synced};

use super::{output::print_line, server_client::ServerClient, target_user};
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
};
use server::interest::{self, DEFAULT_TIMEFRAMES, SymbolInterest};

#[derive(Args, Debug)]
pub(super) struct Track {
    /// Symbols to add, such as AAPL, BRK.B or BTC-USD
    #[arg(required = true, value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Reason for the interest, which decides the priority: watchlist, chart_view or recent_search
    #[arg(long, default_value = "watchlist")]
    source: Source,
    /// Timeframes to keep [default: m15,h1,h4]
    #[arg(long, value_delimiter = ',', value_name = "TIMEFRAMES")]
    timeframes: Vec<Timeframe>,
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(super) struct Untrack {
    /// Symbols to remove, such as AAPL, BRK.B or BTC-USD
    #[arg(required = true, value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Remove only interest of this kind: watchlist, chart_view or recent_search [default: all; through a server:
    /// watchlist]
    #[arg(long)]
    source: Option<Source>,
    #[command(flatten)]
    target: Target,
}

/// The user, and whether to go through a server.
#[derive(Args, Debug)]
struct Target {
    /// Change the symbols of this user [default: the local user]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Use this running server instead of the database [default: SUPABASE_URL with SUPABASE_ANON_KEY, if both are set]
    #[arg(long, value_name = "URL", conflicts_with = "user")]
    server: Option<String>,
}

impl Target {
    /// `None`: use the database, as always with `--user`.
    fn server(&self, config: &Config) -> anyhow::Result<Option<ServerClient>> {
        if self.user.is_some() {
            return Ok(None);
        }
        ServerClient::from_option(self.server.as_deref(), config)
    }
}

impl Track {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let timeframes = if self.timeframes.is_empty() { DEFAULT_TIMEFRAMES.to_vec() } else { self.timeframes };
        let interest = SymbolInterest { tickers: self.symbols, source: self.source, timeframes };
        let config = Config::load(common)?;
        let (synced, through) = match self.target.server(&config)? {
            Some(server) => (server.track(&interest).await?, format!(", through {}", server.url)),
            None => (track_in_database(&config, &self.target, &interest).await?, String::new()),
        };
        if common.json {
            print_line(serde_json::to_string(&synced)?)?;
        } else {
            print_line(format!(
                "Tracking {} symbols at priority {} ({}), {} series{through}",
                synced.symbols_tracked, synced.priority, synced.source, synced.jobs_updated
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn track_in_database(config: &Config, target: &Target, interest: &SymbolInterest) -> anyhow::Result<Synced> {
    let handle = DatabaseHandle::open(config, 2).await?;
    let synced = async {
        handle.migrate_if_private().await?;
        let user = target_user::resolve(&handle, target.user.as_deref()).await?;
        anyhow::Ok(interest::record(&handle.database, user, interest).await?)
    }
    .await;
    let closed = handle.close().await;
    let synced = synced?;
    closed?;
    Ok(synced)
}

impl Untrack {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let removed = match self.target.server(&config)? {
            Some(_) if self.source.is_some_and(|source| source != Source::Watchlist) => {
                bail!("a server removes only symbols on the watchlist: leave --source out")
            }
            Some(server) => server.untrack(&self.symbols).await?,
            None => self.untrack_in_database(&config).await?,
        };
        if removed == 0 {
            bail!("the user tracks none of these symbols");
        }
        if common.json {
            print_line(json!({ "symbols_untracked": removed }))?;
        } else {
            print_line(format!("Removed {removed} symbols"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn untrack_in_database(&self, config: &Config) -> anyhow::Result<i64> {
        let handle = DatabaseHandle::open(config, 2).await?;
        let removed = async {
            handle.migrate_if_private().await?;
            let user = target_user::resolve(&handle, self.target.user.as_deref()).await?;
            anyhow::Ok(tracking::untrack(&handle.database, user, &self.symbols, self.source).await?)
        }
        .await;
        let closed = handle.close().await;
        let removed = removed?;
        closed?;
        Ok(removed)
    }
}
