//! `barkeep track` and `untrack`: interest from the command line.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use market::{Ticker, Timeframe};
use store::{
    tracking::{self, Source},
    users,
};
use uuid::Uuid;

use super::{Common, say};
use crate::{
    config::Config,
    home::Home,
    interest::{self, USUAL_TIMEFRAMES, Wanted},
};

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
    /// Who wants them [default: the local user]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
    /// As one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Untrack {
    #[arg(required = true, value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Only interest from there: watchlist, chart_view or recent_search [default: all]
    #[arg(long)]
    source: Option<Source>,
    /// Whose interest [default: the local user's]
    #[arg(long, value_name = "EMAIL")]
    user: Option<String>,
}

impl Track {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let timeframes = if self.timeframes.is_empty() { USUAL_TIMEFRAMES.to_vec() } else { self.timeframes };
        let wanted = Wanted { tickers: self.symbols, source: self.source, timeframes };
        let home = Home::open(&Config::load(common)?, 2).await?;
        let synced = async {
            home.migrate_own().await?;
            let user = user(&home, self.user.as_deref()).await?;
            anyhow::Ok(interest::take(&home.database, user, &wanted).await?)
        }
        .await;
        let closed = home.close().await;
        let synced = synced?;
        closed?;
        if self.json {
            say(serde_json::to_string(&synced)?)?;
        } else {
            say(format!(
                "{} symbols tracked at priority {} ({}), {} series",
                synced.symbols_tracked, synced.priority, synced.source, synced.jobs_updated
            ))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Untrack {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let home = Home::open(&Config::load(common)?, 2).await?;
        let gone = async {
            home.migrate_own().await?;
            let user = user(&home, self.user.as_deref()).await?;
            anyhow::Ok(tracking::untrack(&home.database, user, &self.symbols, self.source).await?)
        }
        .await;
        let closed = home.close().await;
        let gone = gone?;
        closed?;
        if gone == 0 {
            bail!("none of these symbols was tracked by that user");
        }
        say(format!("{gone} symbols are no longer tracked by that user"))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn user(home: &Home, email: Option<&str>) -> anyhow::Result<Uuid> {
    match email {
        Some(email) => Ok(users::by_email(&home.database, email).await?),
        None if users::exists(&home.database, users::LOCAL).await? => Ok(users::LOCAL),
        None => bail!("this database's users are its own: say who with --user EMAIL"),
    }
}
