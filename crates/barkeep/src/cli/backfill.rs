//! `barkeep backfill AAPL MSFT`: fetches what is missing, to completion.

use std::{io::IsTerminal as _, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use market::{Range, Ticker, Timeframe};
use serde::Serialize;
use store::{clock, coverage, definitions, events, runs, runs::Progress};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::{Common, say, up};
use crate::{
    config::Config,
    dispatch,
    engine::Engine,
    home::{self, Home},
    instance::Instance,
    interest::USUAL_TIMEFRAMES,
    plan::{self, Clip},
    provider::{self, listed},
};

const CONNECTIONS: u32 = 12;
const SLOTS: usize = 4;

/// With bars of a minute there is always another one due.
const MOST_ROUNDS: usize = 5;

/// Before every window.
const LONG_AGO: Timestamp = Timestamp::UNIX_EPOCH;

/// Without a terminal a line of progress comes this often.
const SAY_EVERY: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(super) struct Backfill {
    /// Symbols: AAPL, BRK.B, BTC-USD
    #[arg(required = true, value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// In which timeframes [default: m15,h1,h4]
    #[arg(long, value_delimiter = ',', value_name = "TIMEFRAMES")]
    timeframes: Vec<Timeframe>,
    /// From then on, this once [default: each timeframe's own window]
    #[arg(long, value_name = "INSTANT", value_parser = super::instant, conflicts_with = "days")]
    from: Option<Timestamp>,
    /// Up to then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = super::instant)]
    to: Option<Timestamp>,
    /// So many days back, from now on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=36_600))]
    days: Option<i32>,
    /// The summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    requests: i64,
    seconds: f64,
    rows: i64,
    incomplete: Vec<Incomplete>,
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
    pub(super) async fn run(mut self, common: &Common) -> anyhow::Result<ExitCode> {
        if self.timeframes.is_empty() {
            self.timeframes = USUAL_TIMEFRAMES.to_vec();
        }
        self.symbols.sort();
        self.symbols.dedup();
        let mut config = Config::load(common)?;
        let stop = up::stop_on_signal()?;
        // Where `up` runs on the same data, the market's clock is its own, and its workers help.
        let instance = Instance::acquire(&config.data_dir)?;
        if instance.is_some() {
            home::use_database(&config)?;
        }
        let home = Home::open(&config, CONNECTIONS).await?;
        let outcome = self.fill(&mut config, instance.as_ref(), &home, &stop).await;
        stop.cancel();
        let closed = home.close().await;
        let summary = outcome?;
        closed?;
        if self.json {
            say(serde_json::to_string(&summary)?)?;
        } else {
            print(&summary)?;
        }
        Ok(if summary.incomplete.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn fill(
        &self,
        config: &mut Config,
        instance: Option<&Instance>,
        home: &Home,
        stop: &CancellationToken,
    ) -> anyhow::Result<Summary> {
        home.migrate().await?;
        home.take_interest_along(config).await?;
        let alone = instance.is_some() && !home.is_run_by_another().await?;
        let clock = match instance {
            Some(instance) if alone => {
                runs::release(&home.database, Some(&instance.name)).await?;
                clock::start(&home.database, config.as_of).await?
            }
            _ => {
                let running = clock::read(&home.database).await?;
                if config.as_of.is_some() && config.as_of != running.as_of {
                    bail!(
                        "`barkeep up` runs on the same data with another market clock: stop it first, or leave --as-of out"
                    );
                }
                running
            }
        };
        let clip = self.clip(clock.now())?;
        // Stops after those who ask it.
        let stop_simulator = CancellationToken::new();
        let _stop_in_the_end = stop_simulator.clone().drop_guard();
        provider::simulate_if_none(config, clock, &stop_simulator).await?;
        let source = provider::connect(config, &home.database, clock).await?;
        let engine = Engine {
            database: home.database.clone(),
            source,
            clock,
            signals: events::listen(&home.database, stop.clone()),
            queued: Arc::new(Notify::new()),
            worker: instance.map_or_else(|| format!("backfill/{}", Uuid::new_v4()).into(), Instance::worker),
            stop: stop.clone(),
        };
        plan::settle_grace(&engine, !alone).await?;

        let began = Timestamp::now();
        let clock_began = std::time::Instant::now();
        definitions::keep_in_background(&home.database, &self.symbols, &self.timeframes, self.days).await?;
        runs::retry_failed(&home.database, Some(&self.symbols)).await?;
        runs::try_credentials_again(&home.database).await?;

        let tasks = TaskTracker::new();
        tasks.spawn(dispatch::run(engine.clone(), SLOTS, Some(self.symbols.clone())));
        let watched = self.until_nothing_is_missing(&engine, clip, began).await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        let progress = watched?;
        Ok(Summary {
            requests: progress.requests,
            seconds: (clock_began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            rows: progress.rows,
            incomplete: self.incomplete(&engine, clip).await?,
        })
    }

    /// What is asked for in place of the windows.
    fn clip(&self, now: Timestamp) -> anyhow::Result<Option<Clip>> {
        if self.from.is_none() && self.to.is_none() {
            return Ok(None);
        }
        let range = Range::new(self.from.unwrap_or(LONG_AGO), self.to.unwrap_or(now).min(now))
            .context("--from must be before --to, and before now")?;
        let window_days = self.from.map_or(0, |from| whole_days(now.duration_since(from)));
        Ok(Some(Clip { range, window_days }))
    }

    /// Plans and waits until planning finds nothing more: while one waits, the next bar may have come due.
    async fn until_nothing_is_missing(
        &self,
        engine: &Engine,
        clip: Option<Clip>,
        since: Timestamp,
    ) -> anyhow::Result<Progress> {
        for _ in 0..MOST_ROUNDS {
            definitions::make_due(&engine.database, &self.symbols).await?;
            let planned = plan::round(engine, Some(&self.symbols), clip).await?;
            let progress = self.watch(engine, since).await?;
            if planned.slices == 0 {
                return Ok(progress);
            }
        }
        Ok(runs::progress(&engine.database, &self.symbols, since).await?)
    }

    /// Waits until nothing is queued or running, telling how far it is.
    async fn watch(&self, engine: &Engine, since: Timestamp) -> anyhow::Result<Progress> {
        let shown = Shown::new(self.json);
        loop {
            let progress = runs::progress(&engine.database, &self.symbols, since).await?;
            if progress.queued + progress.running == 0 {
                shown.finish();
                return Ok(progress);
            }
            if progress.refused {
                shown.finish();
                bail!("{}", progress.waiting_for.as_deref().unwrap_or("the provider refuses our credentials"));
            }
            shown.update(&progress);
            tokio::select! {
                () = engine.stop.cancelled() => {
                    shown.finish();
                    bail!("stopped before it was complete; the same command goes on where this one left off");
                }
                () = tokio::time::sleep(Duration::from_millis(100)) => {}
            }
        }
    }

    async fn incomplete(&self, engine: &Engine, clip: Option<Clip>) -> anyhow::Result<Vec<Incomplete>> {
        let mut incomplete = Vec::new();
        for ticker in &self.symbols {
            for series in coverage::of_symbol(&engine.database, None, ticker).await? {
                if !self.timeframes.contains(&series.timeframe) {
                    continue;
                }
                let missing = match clip {
                    None => series.missing,
                    Some(Clip { range, window_days }) => {
                        let days = window_days.max(1);
                        coverage::missing_in(&engine.database, ticker, series.timeframe, range, days).await?
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

fn whole_days(span: SignedDuration) -> i32 {
    i32::try_from(span.as_hours() / 24 + 1).unwrap_or(36_600).clamp(1, 36_600)
}

fn print(summary: &Summary) -> anyhow::Result<()> {
    say(format!("{} bars written with {} requests in {:.1} s", summary.rows, summary.requests, summary.seconds))?;
    if summary.incomplete.is_empty() {
        return say("Every series is complete");
    }
    let mut symbols: Vec<_> = summary.incomplete.iter().map(|i| i.symbol.clone()).collect();
    symbols.dedup();
    say(format!("{} series stayed incomplete ({}):", summary.incomplete.len(), listed(&symbols)))?;
    for series in &summary.incomplete {
        say(format!(
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

/// Progress: a bar with rate and time left on a terminal, a line now and then elsewhere.
struct Shown {
    bar: ProgressBar,
    plain: Option<std::cell::Cell<std::time::Instant>>,
}

impl Shown {
    fn new(json: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:32} {pos}/{len} slices  {rate}  {eta} left  {wide_msg}") {
            let rate = |state: &ProgressState, line: &mut dyn std::fmt::Write| {
                // A line that can't be drawn is drawn next time.
                let _ = write!(line, "{:.1}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        let plain = (!terminal && !json).then(|| std::cell::Cell::new(std::time::Instant::now()));
        Self { bar, plain }
    }

    fn update(&self, progress: &Progress) {
        let done = progress.succeeded + progress.failed;
        let all = done + progress.queued + progress.running;
        self.bar.set_length(u64::try_from(all).unwrap_or(0));
        self.bar.set_position(u64::try_from(done).unwrap_or(0));
        let waiting = progress.waiting_for.clone().unwrap_or_default();
        self.bar.set_message(format!("{} bars  {waiting}", progress.rows));
        if let Some(last) = &self.plain
            && last.get().elapsed() >= SAY_EVERY
        {
            last.set(std::time::Instant::now());
            eprintln!("{done} of {all} slices, {} bars {waiting}", progress.rows);
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
