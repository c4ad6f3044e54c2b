//! `barkeep coverage [SYMBOL]`.

use std::process::ExitCode;

use clap::Args;
use market::Ticker;
use serde::Serialize;
use store::{
    coverage::{self, SeriesCoverage},
    overview,
};

use super::{output::print_note, query, table};
use crate::config::CommonOptions;
use store::directory::suggest;

#[derive(Args, Debug)]
pub(super) struct Coverage {
    /// Symbol to show [default: all tracked symbols]
    symbol: Option<Ticker>,
}

#[derive(Debug, Serialize)]
struct SymbolSeries {
    symbol: Ticker,
    #[serde(flatten)]
    series: SeriesCoverage,
}

impl Coverage {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        query::run(
            common,
            async |handle| {
                let database = &handle.database;
                let tickers = match self.symbol {
                    Some(ticker) => {
                        if overview::kept(database, std::slice::from_ref(&ticker)).await?.is_empty() {
                            let hint = suggest::sentence(database, &ticker).await;
                            print_note(format!("{ticker} isn't tracked: add it with `barkeep track {ticker}`{hint}"));
                        }
                        vec![ticker]
                    }
                    None => coverage::wanted_symbols(database).await?,
                };
                let mut found = Vec::new();
                for ticker in tickers {
                    let series = coverage::of_symbol(database, None, &ticker).await?;
                    found.extend(series.into_iter().map(|series| SymbolSeries { symbol: ticker.clone(), series }));
                }
                Ok(found)
            },
            |found| render(found),
        )
        .await
    }
}

fn render(found: &[SymbolSeries]) -> String {
    let rows: Vec<_> = found
        .iter()
        .map(|SymbolSeries { symbol, series: s }| {
            [
                symbol.to_string(),
                s.timeframe.to_string(),
                s.expected.to_string(),
                s.stored.to_string(),
                s.no_trade.to_string(),
                s.missing.to_string(),
                s.unavailable.to_string(),
                s.failed_runs.to_string(),
                s.fresh_to.map_or_else(String::new, |at| at.to_string()),
                s.state.clone(),
                s.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table::render(
        [
            "symbol",
            "tf",
            "expected",
            "stored",
            "no trade",
            "missing",
            "unavailable",
            "failing",
            "fresh to",
            "state",
            "reason",
        ],
        [false, false, true, true, true, true, true, true, false, false, false],
        &rows,
    )
}
