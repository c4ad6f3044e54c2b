//! `barkeep refetch AAPL`: fetches what is stored anew, replaces it, and reports what has changed.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use engine::calendar_exceptions;
use jiff::{SignedDuration, Timestamp};
use market::{Bar, Calendar, Range, RangeSet, Ticker, Timeframe, grid::Grid};
use serde::Serialize;
use store::{
    Database,
    bars::{self, StoredBar},
    clock, coverage,
    market_sessions::SharedCalendars,
    refetch::{self, SetAside},
};

use super::{
    backfill::{Backfill, CONNECTIONS},
    output::print_line,
};
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
    instance::Instance,
    shutdown::stop_on_signal,
    simulate,
};

/// Differences that are printed for each timeframe; the rest is only counted.
const LISTED: usize = 5;

#[derive(Args, Debug)]
pub(super) struct Refetch {
    /// Symbol whose stored bars are fetched again
    symbol: Ticker,
    /// Timeframes to fetch again [default: all that are stored]
    #[arg(long, value_delimiter = ',', value_name = "TIMEFRAMES")]
    timeframes: Vec<Timeframe>,
    /// Fetch bars again from this instant [default: the first stored one]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    from: Option<Timestamp>,
    /// Fetch bars again up to this instant [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    to: Option<Timestamp>,
    /// Give up when no provider has answered for this long; what is missing then is put back
    #[arg(long, value_name = "DURATION", value_parser = super::duration::parse, default_value = "5m")]
    patience: SignedDuration,
}

/// What has become of the bars of one timeframe.
#[derive(Debug, Default, Serialize)]
struct Report {
    timeframe: Option<Timeframe>,
    /// Bars that were stored.
    before: usize,
    changed: usize,
    added: usize,
    /// Bars that the provider doesn't have any more.
    removed: usize,
    /// Bars that could not be fetched, and are as they were.
    kept: u64,
    differences: Vec<Difference>,
}

#[derive(Debug, Serialize)]
struct Difference {
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Bar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Bar>,
}

/// A series and what was set aside of it.
struct Part {
    timeframe: Timeframe,
    range: Range,
    aside: SetAside,
}

impl Refetch {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let mut config = Config::load(common)?;
        let stop = stop_on_signal()?;
        if !config.may_fetch() {
            bail!("{}", simulate::NO_PROVIDER);
        }
        let instance = Instance::acquire(&config.data_dir)?;
        let handle = DatabaseHandle::open_to_fetch(&mut config, CONNECTIONS, instance.is_some()).await?;
        let reports = async {
            handle.migrate_if_private().await?;
            let parts = self.set_aside(&handle.database).await?;
            let from = parts.iter().map(|part| part.range.from()).min();
            let mut backfill = Backfill::of(
                &self.symbol,
                parts.iter().map(|part| part.timeframe).collect(),
                (from, self.to),
                self.patience,
            );
            let filled = backfill.fill(&mut config, instance.as_ref(), &handle, &stop, common.json).await;
            let mut reports = Vec::new();
            for part in &parts {
                reports.push(self.put_back(&handle.database, part).await?);
            }
            filled?;
            anyhow::Ok(reports)
        }
        .await;
        stop.cancel();
        let closed = handle.close().await;
        let reports = reports?;
        closed?;
        match common.json {
            true => print_line(serde_json::to_string(&reports)?)?,
            false => print(&self.symbol, &reports)?,
        }
        Ok(if reports.iter().all(|report| report.kept == 0) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Sets the stored bars of the range aside, in whole bars.
    async fn set_aside(&self, database: &Database) -> anyhow::Result<Vec<Part>> {
        let symbol = &self.symbol;
        let now = clock::read(database).await?.now();
        let calendars = SharedCalendars::by_rules();
        calendar_exceptions::follow(database, &calendars).await?;
        let sessions = calendars.current().sessions_of(Calendar::for_class(symbol.asset_class()));
        let grid = Grid::Session(sessions);
        let mut ranges = Vec::new();
        for series in coverage::of_symbol(database, None, symbol).await? {
            let is_wanted = self.timeframes.is_empty() || self.timeframes.contains(&series.timeframe);
            let Some(earliest) = series.earliest.filter(|_| is_wanted) else { continue };
            let (from, to) = (self.from.unwrap_or(earliest).max(earliest), self.to.unwrap_or(now).min(now));
            let from = grid.bucket_of(series.timeframe, from).map_or(from, |bucket| bucket.from());
            let to = match grid.bucket_of(series.timeframe, to) {
                Some(bucket) if bucket.from() < to => bucket.to(),
                _ => to,
            };
            if let Ok(range) = Range::new(from, to) {
                ranges.push((series.timeframe, range));
            }
        }
        if ranges.is_empty() {
            bail!("nothing of {symbol} is stored there: `barkeep backfill {symbol}` fetches it");
        }
        let mut parts = Vec::new();
        for (timeframe, range) in ranges {
            match refetch::set_aside(database, symbol, timeframe, range).await {
                Ok(aside) => parts.push(Part { timeframe, range, aside }),
                Err(error) => {
                    for part in &parts {
                        self.put_back(database, part).await?;
                    }
                    return Err(error).with_context(|| format!("{timeframe} of {symbol} could not be set aside"));
                }
            }
        }
        Ok(parts)
    }

    /// Puts back what could not be fetched, and compares.
    async fn put_back(&self, database: &Database, part: &Part) -> anyhow::Result<Report> {
        let Part { timeframe, range, aside } = part;
        let covered: RangeSet = coverage::covered(database, &self.symbol, *timeframe).await?;
        let missing = aside.covered.subtract(&covered);
        let kept = refetch::put_back(database, &self.symbol, *timeframe, aside, &missing).await?;
        let after = bars::read(database, None, &self.symbol, *timeframe, Some(*range), i64::MAX).await?;
        let mut report = compare(&aside.bars, &after.unwrap_or_default());
        (report.timeframe, report.kept) = (Some(*timeframe), kept);
        Ok(report)
    }
}

/// Both oldest first. Bars that are still forming are left out: they change anyway.
fn compare(before: &[StoredBar], after: &[StoredBar]) -> Report {
    let mut report = Report { before: before.len(), ..Report::default() };
    let starts: std::collections::BTreeSet<Timestamp> = before.iter().chain(after).map(|bar| bar.bar.start).collect();
    for at in starts {
        let of = |bars: &[StoredBar]| {
            let place = bars.binary_search_by_key(&at, |bar| bar.bar.start).ok();
            place.and_then(|place| bars.get(place)).filter(|bar| bar.is_final).map(|bar| bar.bar)
        };
        let (old, new) = (of(before), of(after));
        let count = match (&old, &new) {
            (Some(old), Some(new)) if differences(old, new).is_empty() => continue,
            (None, None) => continue,
            (Some(_), Some(_)) => &mut report.changed,
            (None, Some(_)) => &mut report.added,
            (Some(_), None) => &mut report.removed,
        };
        *count += 1;
        if report.differences.len() < LISTED {
            report.differences.push(Difference { at, before: old, after: new });
        }
    }
    report
}

/// What differs of two bars. The last digits of sums and averages depend on the bars that they are made of.
fn differences(before: &Bar, after: &Bar) -> Vec<String> {
    let near = |one: f64, other: f64| (one - other).abs() <= 1e-6 + 1e-9 * one.abs();
    let vwap = |bar: &Bar| bar.vwap.unwrap_or_default();
    [
        ("open", before.open, after.open),
        ("high", before.high, after.high),
        ("low", before.low, after.low),
        ("close", before.close, after.close),
        ("volume", before.volume, after.volume),
        ("vwap", vwap(before), vwap(after)),
    ]
    .into_iter()
    .filter(|(_, one, other)| !near(*one, *other))
    .map(|(name, one, other)| format!("{name} {one} is now {other}"))
    .collect()
}

fn print(symbol: &Ticker, reports: &[Report]) -> anyhow::Result<()> {
    for report in reports {
        let Report { timeframe, before, changed, added, removed, kept, differences: listed } = report;
        let timeframe = timeframe.map_or_else(String::new, |timeframe| timeframe.to_string());
        let kept =
            if *kept > 0 { format!("; {kept} could not be fetched and are as they were") } else { String::new() };
        print_line(format!(
            "{symbol} {timeframe}: of {before} bars {changed} changed, {removed} are gone, {added} are new{kept}"
        ))?;
        for Difference { at, before, after } in listed {
            print_line(match (before, after) {
                (Some(before), Some(after)) => format!("  {at}: {}", differences(before, after).join(", ")),
                (Some(before), None) => format!("  {at}: gone, with a close of {}", before.close),
                (None, after) => format!("  {at}: new, with a close of {}", after.map_or(f64::NAN, |bar| bar.close)),
            })?;
        }
    }
    Ok(())
}
