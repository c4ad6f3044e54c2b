//! `barkeep export AAPL m15 --format csv`: stored bars, unadjusted or adjusted.

use std::{
    io::{ErrorKind, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use market::{Adjustment, Range, Ticker, Timeframe};
use serde::Serialize;
use store::{bars::StoredBar, market_sessions};

use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
};
use store::{
    adjusted::{self, AdjustedQuery},
    directory::suggest,
};

#[derive(Args, Debug)]
pub(super) struct Export {
    /// Symbol to export, such as AAPL or BTC-USD
    symbol: Ticker,
    /// Timeframe to export: m1, m5, m15, m30, h1, h4, d1 or w1
    timeframe: Timeframe,
    /// Output format [default: csv, or json with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Export bars that start at this instant or later [default: all]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    from: Option<Timestamp>,
    /// Export bars that start before this instant [default: all]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    to: Option<Timestamp>,
    /// Adjust prices: raw (unadjusted), splits, or all (splits and dividends)
    #[arg(long, value_name = "ADJUSTMENT", default_value = "raw")]
    adjustment: Adjustment,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Json,
}

impl Export {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let range = match (self.from, self.to) {
            (None, None) => None,
            (from, to) => Some(Range::new(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX))?),
        };
        let query = AdjustedQuery {
            ticker: &self.symbol,
            timeframe: self.timeframe,
            range,
            limit: i64::MAX,
            adjustment: self.adjustment,
        };
        let handle = DatabaseHandle::open(&Config::load(common)?, 2).await?;
        let read = async {
            handle.migrate_if_private().await?;
            let calendars = market_sessions::read(&mut handle.database.begin().await?).await?.calendars;
            match adjusted::read(&handle.database, None, &calendars, query).await? {
                Some(bars) => Ok(bars),
                None => {
                    let hint = suggest::sentence(&handle.database, &self.symbol).await;
                    bail!("{0} isn't tracked: fetch it with `barkeep backfill {0}`{hint}", self.symbol)
                }
            }
        }
        .await;
        let closed = handle.close().await;
        let bars = read?;
        closed?;
        let format = self.format.unwrap_or(if common.json { Format::Json } else { Format::Csv });
        match &self.output {
            Some(path) => {
                let file =
                    std::fs::File::create(path).with_context(|| format!("{} can't be written", path.display()))?;
                write(format, std::io::BufWriter::new(file), &bars)?;
            }
            None => match write(format, std::io::BufWriter::new(std::io::stdout().lock()), &bars) {
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                written => written?,
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn write(format: Format, mut into: impl Write, bars: &[StoredBar]) -> std::io::Result<()> {
    match format {
        Format::Csv => write_csv(&mut into, bars).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(io) => io,
            other => std::io::Error::other(format!("{other:?}")),
        })?,
        Format::Json => serde_json::to_writer(&mut into, &bars.iter().map(ExportedBar::from).collect::<Vec<_>>())?,
    }
    into.flush()
}

/// A bar with the field names of CSV and HTTP.
#[derive(Serialize)]
struct ExportedBar<'a> {
    ts: Timestamp,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
    vwap: Option<f64>,
    trade_count: Option<i64>,
    provider: &'a str,
    #[serde(rename = "final")]
    is_final: bool,
}

impl<'a> From<&'a StoredBar> for ExportedBar<'a> {
    fn from(StoredBar { bar, provider, is_final }: &'a StoredBar) -> Self {
        Self {
            ts: bar.start,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            vwap: bar.vwap,
            trade_count: bar.trade_count,
            provider,
            is_final: *is_final,
        }
    }
}

/// `ts` is the bar's start in UTC. Numbers have as many digits as reading them back exactly needs.
fn write_csv(into: impl Write, bars: &[StoredBar]) -> Result<(), csv::Error> {
    let mut csv = csv::Writer::from_writer(into);
    csv.write_record(["ts", "open", "high", "low", "close", "volume", "vwap", "trade_count", "provider", "final"])?;
    for StoredBar { bar, provider, is_final } in bars {
        csv.write_record([
            bar.start.to_string(),
            bar.open.to_string(),
            bar.high.to_string(),
            bar.low.to_string(),
            bar.close.to_string(),
            bar.volume.to_string(),
            bar.vwap.map(|v| v.to_string()).unwrap_or_default(),
            bar.trade_count.map(|n| n.to_string()).unwrap_or_default(),
            provider.clone(),
            is_final.to_string(),
        ])?;
    }
    csv.flush()?;
    Ok(())
}
