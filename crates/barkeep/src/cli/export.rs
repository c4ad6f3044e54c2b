//! `barkeep export AAPL m15 --format csv`: stored bars, as traded or adjusted.

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
use store::{bars::StoredBar, sessions};

use crate::{
    config::{Common, Config},
    home::Home,
};
use store::{
    adjusted::{self, Wanted},
    directory::suggest,
};

#[derive(Args, Debug)]
pub(super) struct Export {
    symbol: Ticker,
    timeframe: Timeframe,
    /// [default: csv, or json with --json]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// First instant [default: the oldest bar's]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    from: Option<Timestamp>,
    /// Bars that start before it [default: all]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    to: Option<Timestamp>,
    /// raw: as traded; splits: in today's shares; all: and dividends reinvested
    #[arg(long, value_name = "ADJUSTMENT", default_value = "raw")]
    adjustment: Adjustment,
    /// Into a file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
    Json,
}

impl Export {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let range = match (self.from, self.to) {
            (None, None) => None,
            (from, to) => Some(Range::new(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX))?),
        };
        let wanted = Wanted {
            ticker: &self.symbol,
            timeframe: self.timeframe,
            range,
            limit: i64::MAX,
            adjustment: self.adjustment,
        };
        let home = Home::open(&Config::load(common)?, 2).await?;
        let found = async {
            home.migrate_own().await?;
            let calendars = sessions::read(&mut home.database.begin().await?).await?.calendars;
            let found = adjusted::read(&home.database, None, &calendars, wanted).await?;
            match found {
                Some(found) => Ok(found),
                None => {
                    let hint = suggest::sentence(&home.database, &self.symbol).await;
                    bail!("nobody has asked for {0} yet: `barkeep backfill {0}` fetches it{hint}", self.symbol)
                }
            }
        }
        .await;
        let closed = home.close().await;
        let found = found?;
        closed?;
        let format = self.format.unwrap_or(if common.json { Format::Json } else { Format::Csv });
        match &self.output {
            Some(path) => {
                let file =
                    std::fs::File::create(path).with_context(|| format!("{} can't be written", path.display()))?;
                write(format, std::io::BufWriter::new(file), &found)?;
            }
            None => match write(format, std::io::BufWriter::new(std::io::stdout().lock()), &found) {
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
        Format::Json => serde_json::to_writer(&mut into, &bars.iter().map(Exported::from).collect::<Vec<_>>())?,
    }
    into.flush()
}

/// A bar under the names that CSV and HTTP have for its parts.
#[derive(Serialize)]
struct Exported<'a> {
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

impl<'a> From<&'a StoredBar> for Exported<'a> {
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

/// `ts` is the bar's start in UTC, prices as asked for, numbers have as many digits as they need to be read back the
/// same.
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
