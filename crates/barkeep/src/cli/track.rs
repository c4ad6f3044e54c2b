//! `barkeep track` and `untrack`: interest from the command line, into the database or through a running server.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use market::{Ticker, Timeframe};
use serde_json::json;
use store::tracking::{self, Source, Synced};

use super::{output::say, server::Server, user};
use crate::{
    config::{Common, Config},
    home::Home,
};
use server::interest::{self, USUAL_TIMEFRAMES, Wanted};

#[derive(Args, Debug)]
pub(super) struct Track {
    /// Symbols: AAPL, BRK.B, BTC-USD
    #[arg(required = true, value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Why: watchlist, chart_view or recent_search
    #[arg(long, default_value = "watchlist")]
    source: Source,
    /// In which timeframes [default: m15,h1,h4]
    #[arg(long, value_delimiter = ',', value_name = "TIMEFRAMES")]
    timeframes: Vec<Timeframe>,
    #[command(flatten)]
    to: To,
}

#[derive(Args, Debug)]
pub(super) struct Untrack {
    #[arg(required = true, value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Only interest from there: watchlist, chart_view or recent_search [default: all; through a server: watchlist]
    #[arg(long)]
    source: Option<Source>,
    #[command(flatten)]
    to: To,
}

/// Where to, and as whom.
#[derive(Args, Debug)]
struct To {
    /// Whose interest it is [default: the local user's]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// Through a running server instead of to the database [default: SUPABASE_URL with SUPABASE_ANON_KEY, where both are
    /// set]
    #[arg(long, value_name = "URL", conflicts_with = "user")]
    server: Option<String>,
}

impl To {
    /// `None`: the database. A user that is named is one of the database's.
    fn server(&self, config: &Config) -> anyhow::Result<Option<Server>> {
        if self.user.is_some() {
            return Ok(None);
        }
        Server::chosen(self.server.as_deref(), config)
    }
}

impl Track {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let timeframes = if self.timeframes.is_empty() { USUAL_TIMEFRAMES.to_vec() } else { self.timeframes };
        let wanted = Wanted { tickers: self.symbols, source: self.source, timeframes };
        let config = Config::load(common)?;
        let (synced, through) = match self.to.server(&config)? {
            Some(server) => (server.track(&wanted).await?, format!(", through {}", server.url)),
            None => (into_database(&config, &self.to, &wanted).await?, String::new()),
        };
        if common.json {
            say(serde_json::to_string(&synced)?)?;
        } else {
            say(format!(
                "{} symbols tracked at priority {} ({}), {} series{through}",
                synced.symbols_tracked, synced.priority, synced.source, synced.jobs_updated
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn into_database(config: &Config, to: &To, wanted: &Wanted) -> anyhow::Result<Synced> {
    let home = Home::open(config, 2).await?;
    let synced = async {
        home.migrate_own().await?;
        let user = user::of(&home, to.user.as_deref()).await?;
        anyhow::Ok(interest::take(&home.database, user, wanted).await?)
    }
    .await;
    let closed = home.close().await;
    let synced = synced?;
    closed?;
    Ok(synced)
}

impl Untrack {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let config = Config::load(common)?;
        let gone = match self.to.server(&config)? {
            Some(_) if self.source.is_some_and(|source| source != Source::Watchlist) => {
                bail!("through a server only watchlist interest can be taken back: leave --source out")
            }
            Some(server) => server.untrack(&self.symbols).await?,
            None => self.in_database(&config).await?,
        };
        if gone == 0 {
            bail!("none of these symbols was tracked by that user");
        }
        if common.json {
            say(json!({ "symbols_untracked": gone }))?;
        } else {
            say(format!("{gone} symbols are no longer tracked by that user"))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn in_database(&self, config: &Config) -> anyhow::Result<i64> {
        let home = Home::open(config, 2).await?;
        let gone = async {
            home.migrate_own().await?;
            let user = user::of(&home, self.to.user.as_deref()).await?;
            anyhow::Ok(tracking::untrack(&home.database, user, &self.symbols, self.source).await?)
        }
        .await;
        let closed = home.close().await;
        let gone = gone?;
        closed?;
        Ok(gone)
    }
}
