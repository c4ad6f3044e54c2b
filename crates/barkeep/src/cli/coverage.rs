//! `barkeep coverage [SYMBOL]`.

use std::process::ExitCode;

use clap::Args;
use market::Ticker;
use serde::Serialize;
use store::coverage::{self, SeriesCoverage};

use super::{Common, say, table};
use crate::{config::Config, home::Home};

#[derive(Args, Debug)]
pub(super) struct Coverage {
    /// One symbol [default: all that anybody wants]
    symbol: Option<Ticker>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct OfSymbol {
    symbol: Ticker,
    #[serde(flatten)]
    series: SeriesCoverage,
}

impl Coverage {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let home = Home::open(&Config::load(common)?, 2).await?;
        let found = async {
            home.migrate_own().await?;
            let tickers = match self.symbol {
                Some(ticker) => vec![ticker],
                None => coverage::wanted_symbols(&home.database).await?,
            };
            let mut found = Vec::new();
            for ticker in tickers {
                let series = coverage::of_symbol(&home.database, None, &ticker).await?;
                found.extend(series.into_iter().map(|series| OfSymbol { symbol: ticker.clone(), series }));
            }
            anyhow::Ok(found)
        }
        .await;
        let closed = home.close().await;
        let found = found?;
        closed?;
        if self.json {
            say(serde_json::to_string_pretty(&found)?)?;
        } else {
            say(render(&found))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn render(found: &[OfSymbol]) -> String {
    let rows: Vec<_> = found
        .iter()
        .map(|OfSymbol { symbol, series: s }| {
            [
                symbol.to_string(),
                s.timeframe.to_string(),
                s.expected.to_string(),
                s.stored.to_string(),
                (s.expected - s.stored - s.missing).max(0).to_string(),
                s.missing.to_string(),
                s.latest.map_or_else(String::new, |at| at.to_string()),
                s.state.clone(),
                s.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table::render(
        ["symbol", "tf", "expected", "stored", "no trade", "missing", "newest bar", "state", "reason"],
        [false, false, true, true, true, true, false, false, false],
        &rows,
    )
}
