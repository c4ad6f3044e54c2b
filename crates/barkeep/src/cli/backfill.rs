//! `barkeep backfill AAPL MSFT`: fetches missing bars and waits until they are stored.

use std::{process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use market::{Range, Ticker, Timeframe};
use serde::Serialize;
use store::{
    backfill_progress::{self, Progress},
    budget, clock,
    clock::SharedClock,
    coverage, definitions, events,
    events::{Notifier, Signals},
    processes::{self, Role},
    runs,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{
    output::{print_line, print_note},
    progress::ProgressDisplay,
};
use crate::{
    config::{CommonOptions, Config},
    database::DatabaseHandle,
    heartbeat,
    instance::Instance,
    shutdown::stop_on_signal,
    simulate,
};
use engine::{
    Engine, calendar_exceptions, dispatch,
    foreground::Foreground,
    plan::{self, Clip},
    providers::connect,
    splits::{corporate_actions, seen_adjusted::SeenAdjusted},
};
use server::interest::DEFAULT_TIMEFRAMES;

pub(super) const CONNECTIONS: u32 = 16;
const SLOTS: u16 = 5;

/// Between two looks at the progress: while it changes, and the longest while it doesn't.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Planning rounds at most: with bars of a minute another one is always due.
const MAX_ROUNDS: usize = 5;

/// Before every window.
const EARLIEST_FROM: Timestamp = Timestamp::UNIX_EPOCH;

#[derive(Args, Debug)]
pub(super) struct Backfill {
    /// Symbols to fetch, such as AAPL, BRK.B or BTC-USD [default: all tracked series]
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// Timeframes to fetch [default: m15,h1,h4; without symbols all that are tracked]
    #[arg(long, value_delimiter = ',', value_name = "TIMEFRAMES", requires = "symbols")]
    timeframes: Vec<Timeframe>,
    /// Fetch bars from this instant, for this run only [default: each timeframe's own window]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant, conflicts_with = "days")]
    from: Option<Timestamp>,
    /// Fetch bars up to this instant [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    to: Option<Timestamp>,
    /// Fetch this many days, and keep them from now on
    #[arg(long, value_name = "N", requires = "symbols", value_parser = clap::value_parser!(i32).range(1..=36_600))]
    days: Option<i32>,
    /// Give up when no provider has answered for this long
    #[arg(long, value_name = "DURATION", value_parser = super::duration::parse, default_value = "1h")]
    patience: SignedDuration,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    requests: i64,
    /// How many of them were answered with 429.
    throttled: i64,
    seconds: f64,
    rows: i64,
    incomplete: Vec<Incomplete>,
    /// Stocks whose splits and dividends could not be fetched: adjusted, their bars may be wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions_missing: Vec<Ticker>,
    /// Stocks whose splits and dividends no configured provider lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    actions_unlisted: Vec<Ticker>,
}

#[derive(Debug, Serialize)]
struct Incomplete {
    symbol: Ticker,
    timeframe: Timeframe,
    missing_bars: i64,
    state: String,
    reason: Option<String>,
}

impl Backfill {
    pub(super) async fn run(mut self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        let all = self.symbols.is_empty();
        if self.timeframes.is_empty() && !all {
            self.timeframes = DEFAULT_TIMEFRAMES.to_vec();
        }
        self.symbols.sort();
        self.symbols.dedup();
        let mut config = Config::load(common)?;
        let stop = stop_on_signal()?;
        if !config.may_fetch() {
            bail!("{}", simulate::NO_PROVIDER);
        }
        // If `up` runs on the same data directory, its market clock applies, and its workers help.
        let instance = Instance::acquire(&config.data_dir)?;
        let handle = DatabaseHandle::open_to_fetch(&mut config, CONNECTIONS, instance.is_some()).await?;
        let outcome = self.fill(&mut config, instance.as_ref(), &handle, &stop, common.json).await;
        stop.cancel();
        let closed = handle.close().await;
        let summary = outcome?;
        closed?;
        if common.json {
            print_line(serde_json::to_string(&summary)?)?;
        } else {
            print(&summary)?;
        }
        let is_complete = summary.incomplete.is_empty() && summary.actions_missing.is_empty();
        Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The bars of a symbol in a range.
    pub(super) fn of(
        symbol: &Ticker,
        timeframes: Vec<Timeframe>,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        patience: SignedDuration,
    ) -> Self {
        Self { symbols: vec![symbol.clone()], timeframes, from, to, days: None, patience }
    }

    /// Fetches, and returns what came of it.
    pub(super) async fn fill(
        &mut self,
        config: &mut Config,
        instance: Option<&Instance>,
        handle: &DatabaseHandle,
        stop: &CancellationToken,
        json: bool,
    ) -> anyhow::Result<Summary> {
        handle.migrate().await?;
        let calendars = calendar_exceptions::start(&handle.database, &config.calendar_exceptions).await?;
        handle.import_simulated_interest(config).await?;
        let worker: Arc<str> =
            instance.map_or_else(|| format!("backfill/{}", Uuid::new_v4().simple()).into(), Instance::worker_name);
        if let Some(instance) = instance {
            processes::deregister(&handle.database, &instance.name).await?;
            runs::release(&handle.database, Some(&instance.name)).await?;
        }
        let alone = instance.is_some() && !processes::others_running(&handle.database, &worker).await?;
        let clock = if alone {
            clock::start(&handle.database, config.as_of).await?
        } else {
            let running = clock::read(&handle.database).await?;
            if config.as_of.is_some() && config.as_of != running.as_of {
                bail!(
                    "another barkeep runs on this database with another market clock: stop it first, or leave --as-of out"
                );
            }
            running
        };
        let clip = self.clip(clock.now())?;
        // Stopped after everything that sends requests to it.
        let stop_simulator = CancellationToken::new();
        let _stop_at_end = stop_simulator.clone().drop_guard();
        simulate::start_if_no_provider(config, clock, &calendars, &stop_simulator).await?;
        let clock = SharedClock::new(clock);
        let routes = connect::connect(&config.providers, &handle.database, &clock).await?;
        let engine = Engine {
            database: handle.database.clone(),
            routes,
            clock,
            calendars,
            signals: if config.notify {
                events::listen(&handle.database, stop.clone())
            } else {
                Signals::without_notifications()
            },
            notifier: if config.notify {
                Notifier::start(&handle.database, stop.clone())
            } else {
                Notifier::disabled()
            },
            foreground: Foreground::default(),
            seen_adjusted: SeenAdjusted::default(),
            worker,
            stop: stop.clone(),
        };
        plan::announce(&engine, !alone).await?;
        dispatch::retry_waiting(&engine).await?;

        let throttled_before = throttled_requests(&engine).await?;
        let started_at = Timestamp::now();
        let started = std::time::Instant::now();
        if self.symbols.is_empty() {
            self.symbols = coverage::wanted_symbols(&handle.database).await?;
        } else {
            definitions::ensure_background(&handle.database, &self.symbols, &self.timeframes, self.days).await?;
        }
        runs::retry_failed(&handle.database, Some(&self.symbols)).await?;

        let tasks = TaskTracker::new();
        let heartbeat_engine = engine.clone();
        tasks.spawn(async move {
            let process = heartbeat::process_info(&heartbeat_engine.worker, vec![Role::Backfill], SLOTS, None);
            heartbeat::run(
                &heartbeat_engine.database,
                &process,
                &heartbeat_engine.clock,
                &heartbeat_engine.signals,
                &heartbeat_engine.stop,
            )
            .await;
        });
        let (actions_engine, stocks) = (engine.clone(), self.symbols.clone());
        let actions = tasks.spawn(async move { corporate_actions::fetch_all(&actions_engine, &stocks).await });
        let waiting = dispatch::Scope::Symbols(self.symbols.clone());
        tasks.spawn(dispatch::run(engine.clone(), usize::from(SLOTS), waiting));
        let filled = self.fill_until_complete(&engine, clip.as_ref(), started_at, json).await;
        if filled.is_err() {
            stop.cancel();
        }
        let outstanding = actions.await.context("asking for splits and dividends broke off")?;
        if clip.is_some() {
            // Bars outside of it were not looked at.
            definitions::make_due(&engine.database, &self.symbols).await?;
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        processes::deregister(&handle.database, &engine.worker).await?;
        let (progress, outstanding) = (filled?, outstanding?);
        Ok(Summary {
            requests: progress.requests,
            throttled: throttled_requests(&engine).await? - throttled_before,
            seconds: (started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            rows: progress.rows,
            incomplete: self.incomplete(&engine, clip.as_ref()).await?,
            actions_missing: outstanding.failed,
            actions_unlisted: outstanding.unlisted,
        })
    }

    /// The range that `--from` and `--to` ask for instead of the windows.
    fn clip(&self, now: Timestamp) -> anyhow::Result<Option<Clip>> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        let range = Range::new(self.from.unwrap_or(EARLIEST_FROM), self.to.unwrap_or(now).min(now))
            .context("--from must be before --to, and before now")?;
        let window_days = self.from.map_or(0, |from| whole_days(now.duration_since(from)));
        Ok(Some(Clip { range, window_days, timeframes: self.timeframes.clone() }))
    }

    /// Plans and waits until planning finds nothing more: meanwhile the next bar may have come due.
    async fn fill_until_complete(
        &self,
        engine: &Engine,
        clip: Option<&Clip>,
        since: Timestamp,
        json: bool,
    ) -> anyhow::Result<Progress> {
        for _ in 0..MAX_ROUNDS {
            definitions::make_due(&engine.database, &self.symbols).await?;
            let (planned, _) = plan::plan_due(engine, Some(&self.symbols), clip).await?;
            let progress = self.wait_for_runs(engine, since, json).await?;
            if planned.slices == 0 || engine.stop.is_cancelled() {
                return Ok(progress);
            }
        }
        Ok(backfill_progress::for_symbols(&engine.database, &self.symbols, since).await?)
    }

    /// Waits until nothing is queued or running, and shows the progress.
    async fn wait_for_runs(&self, engine: &Engine, since: Timestamp, json: bool) -> anyhow::Result<Progress> {
        let display = ProgressDisplay::new(json);
        let (mut before, mut pause) = (Progress::default(), SHORTEST_PAUSE);
        loop {
            let progress = backfill_progress::for_symbols(&engine.database, &self.symbols, since).await?;
            if progress.queued + progress.running == 0 {
                display.finish();
                return Ok(progress);
            }
            if progress.queued == progress.postponed && progress.running == 0 {
                display.finish();
                print_note(progress.waiting_for.as_deref().unwrap_or("The rest can be had later"));
                return Ok(progress);
            }
            if progress.refused {
                display.finish();
                bail!("{}", progress.waiting_for.as_deref().unwrap_or("the provider rejects the credentials"));
            }
            if let Some(down) = engine.routes.down_for(&engine.database, self.patience).await? {
                display.finish();
                print_note(format_args!("{down}: given up"));
                engine.stop.cancel();
                return Ok(progress);
            }
            display.update(&progress);
            // Where all of them wait for the provider, nothing is missed by looking less often.
            pause = if progress == before { (pause * 2).min(LONGEST_PAUSE) } else { SHORTEST_PAUSE };
            before = progress;
            tokio::select! {
                () = engine.stop.cancelled() => {
                    display.finish();
                    bail!("stopped before it was complete; run the same command again to continue");
                }
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn incomplete(&self, engine: &Engine, clip: Option<&Clip>) -> anyhow::Result<Vec<Incomplete>> {
        let mut incomplete = Vec::new();
        for ticker in &self.symbols {
            for series in coverage::of_symbol(&engine.database, None, ticker).await? {
                // By default all that are tracked.
                if series.priority == 0 || !(self.timeframes.is_empty() || self.timeframes.contains(&series.timeframe))
                {
                    continue;
                }
                let missing = match clip {
                    None => series.missing,
                    Some(Clip { range, window_days, .. }) => {
                        let days = (*window_days).max(1);
                        coverage::missing_in(&engine.database, ticker, series.timeframe, *range, days).await?
                    }
                };
                let known = !matches!(series.state.as_str(), "unknown" | "unchecked" | "not tracked");
                let fine = missing == 0 && known && (clip.is_some() || series.state != "failing");
                if !fine {
                    incomplete.push(Incomplete {
                        symbol: ticker.clone(),
                        timeframe: series.timeframe,
                        missing_bars: missing,
                        state: series.state,
                        reason: series.reason,
                    });
                }
            }
        }
        Ok(incomplete)
    }
}

/// How many requests the providers have answered with 429 so far, of all processes.
async fn throttled_requests(engine: &Engine) -> anyhow::Result<i64> {
    let mut total = 0;
    for source in engine.routes.all() {
        let standing = budget::account_budget(&engine.database, source.account()).await?;
        total += standing.map_or(0, |standing| standing.turned_away);
    }
    Ok(total)
}

fn whole_days(span: SignedDuration) -> i32 {
    i32::try_from(span.as_hours() / 24 + 1).unwrap_or(36_600).clamp(1, 36_600)
}

fn print(summary: &Summary) -> anyhow::Result<()> {
    let throttled = match summary.throttled {
        0 => String::new(),
        n => format!(" ({n} of them answered with 429)"),
    };
    let Summary { rows, requests, seconds, .. } = summary;
    print_line(format!("{rows} bars written with {requests} requests{throttled} in {seconds:.1} s"))?;
    if !summary.actions_unlisted.is_empty() {
        let stocks = join_tickers(&summary.actions_unlisted);
        print_line(format!("No configured provider lists splits and dividends, so none are known of {stocks}"))?;
    }
    if !summary.actions_missing.is_empty() {
        let stocks = join_tickers(&summary.actions_missing);
        print_line(format!(
            "Splits and dividends could not be fetched of {stocks}: run the same command again before using adjusted bars"
        ))?;
    }
    if summary.incomplete.is_empty() {
        return print_line("Every series is complete");
    }
    let mut symbols: Vec<_> = summary.incomplete.iter().map(|i| i.symbol.clone()).collect();
    symbols.dedup();
    print_line(format!("{} series are still incomplete ({}):", summary.incomplete.len(), join_tickers(&symbols)))?;
    for series in &summary.incomplete {
        print_line(format!(
            "  {} {}: {}, {} bars missing{}",
            series.symbol,
            series.timeframe,
            series.state,
            series.missing_bars,
            series.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default()
        ))?;
    }
    Ok(())
}

/// Tickers with commas between them.
fn join_tickers(tickers: &[Ticker]) -> String {
    tickers.iter().map(Ticker::as_str).collect::<Vec<_>>().join(", ")
}
