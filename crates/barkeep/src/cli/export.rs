//! `barkeep export AAPL m15 --format csv`: stored bars, raw.

use std::{io::Write, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use market::{Range, Ticker, Timeframe};
use store::bars::{self, StoredBar};

use super::Common;
use crate::{config::Config, home::Home};

#[derive(Args, Debug)]
pub(super) struct Export {
    symbol: Ticker,
    timeframe: Timeframe,
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// First instant [default: the oldest bar's]
    #[arg(long, value_name = "INSTANT", value_parser = super::instant)]
    from: Option<Timestamp>,
    /// Bars that start before it [default: all]
    #[arg(long, value_name = "INSTANT", value_parser = super::instant)]
    to: Option<Timestamp>,
    /// Into a file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Csv,
}

impl Export {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        let range = match (self.from, self.to) {
            (None, None) => None,
            (from, to) => Some(Range::new(from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX))?),
        };
        let home = Home::open(&Config::load(common)?, 2).await?;
        let found = async {
            home.migrate_own().await?;
            anyhow::Ok(bars::read(&home.database, None, &self.symbol, self.timeframe, range, i64::MAX).await?)
        }
        .await;
        let closed = home.close().await;
        let Some(found) = found? else {
            bail!("nobody has asked for {0} yet: `barkeep backfill {0}` fetches it", self.symbol);
        };
        closed?;
        let Format::Csv = self.format;
        match &self.output {
            Some(path) => {
                let file =
                    std::fs::File::create(path).with_context(|| format!("{} can't be written", path.display()))?;
                write_csv(std::io::BufWriter::new(file), &found)?;
            }
            None => match write_csv(std::io::stdout().lock(), &found) {
                Err(error) if is_broken_pipe(&error) => {}
                written => written?,
            },
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// `ts` is the bar's start in UTC, prices are as traded, numbers have as many digits as they need to be read back the
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

fn is_broken_pipe(error: &csv::Error) -> bool {
    matches!(error.kind(), csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::BrokenPipe)
}
