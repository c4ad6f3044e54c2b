//! `barkeep gaps [SYMBOL...]`: gaps in the stored bars, and whether they are being filled.

use std::process::ExitCode;

use clap::Args;
use market::Ticker;
use store::overview::{self, Gap};

use super::{query, table};
use crate::config::CommonOptions;

#[derive(Args, Debug)]
pub(super) struct Gaps {
    /// Show only these symbols [default: all tracked symbols]
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Show at most this many gaps
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(i64).range(1..=100_000))]
    limit: i64,
}

impl Gaps {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        query::run(
            common,
            async |handle| {
                let tickers = (!self.symbols.is_empty()).then_some(self.symbols.as_slice());
                query::warn_untracked(handle, &self.symbols).await?;
                Ok(overview::gaps(&handle.database, tickers, self.limit).await?)
            },
            |gaps| render(gaps),
        )
        .await
    }
}

fn render(gaps: &[Gap]) -> String {
    if gaps.is_empty() {
        return "No gaps: nothing is missing".to_owned();
    }
    let rows: Vec<_> = gaps
        .iter()
        .map(|gap| {
            [
                gap.symbol.to_string(),
                gap.timeframe.to_string(),
                gap.range.from().to_string(),
                gap.range.to().to_string(),
                format!("{:.2}", gap.hours),
                gap.bars.to_string(),
                gap.state.clone(),
                gap.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    table::render(
        ["symbol", "tf", "from", "to", "open hours", "bars", "state", "reason"],
        [false, false, false, false, true, true, false, false],
        &rows,
    )
}
