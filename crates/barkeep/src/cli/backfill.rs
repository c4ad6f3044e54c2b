//! `barkeep backfill AAPL MSFT`: fetches what is missing, to completion.

use std::{io::IsTerminal as _, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use market::{Range, Ticker, Timeframe};
use serde::Serialize;
use store::{
    budget, clock,
    clock::SharedClock,
    coverage, definitions, events,
    events::{Signals, Teller},
    processes::{self, Part},
    progress::{self, Progress},
    runs,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use super::output::{note, say};
use crate::{
    config::{Common, Config},
    heartbeat,
    home::{self, Home},
    instance::Instance,
    shutdown::stop_on_signal,
    simulate,
};
use engine::{
    Engine, calendar_exceptions, dispatch,
    foreground::Foreground,
    plan::{self, Clip},
    providers::connect,
    splits::corporate_actions,
};
use server::interest::USUAL_TIMEFRAMES;

const CONNECTIONS: u32 = 16;
const SLOTS: u16 = 5;

/// With bars of a minute there is always another one due.
const MOST_ROUNDS: usize = 5;

/// Before every window.
const LONG_AGO: Timestamp = Timestamp::UNIX_EPOCH;

/// Without a terminal a line of progress comes this often.
const SAY_EVERY: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub(super) struct Backfill {
    /// Symbols: AAPL, BRK.B, BTC-USD [default: every series that is kept]
    #[arg(value_name = "SYMBOL")]
    symbols: Vec<Ticker>,
    /// In which timeframes [default: m15,h1,h4; without symbols: those that are kept]
    #[arg(long, value_delimiter = ',', value_name = "TIMEFRAMES", requires = "symbols")]
    timeframes: Vec<Timeframe>,
    /// From then on, this once [default: each timeframe's own window]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant, conflicts_with = "days")]
    from: Option<Timestamp>,
    /// Up to then [default: now]
    #[arg(long, value_name = "INSTANT", value_parser = market::instant)]
    to: Option<Timestamp>,
    /// So many days back, from now on
    #[arg(long, value_name = "N", requires = "symbols", value_parser = clap::value_parser!(i32).range(1..=36_600))]
    days: Option<i32>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    requests: i64,
    /// Of them turned away with 429.
    throttled: i64,
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
        let all = self.symbols.is_empty();
        if self.timeframes.is_empty() && !all {
            self.timeframes = USUAL_TIMEFRAMES.to_vec();
        }
        self.symbols.sort();
        self.symbols.dedup();
        let mut config = Config::load(common)?;
        let stop = stop_on_signal()?;
        // Where `up` runs on the same data, the market's clock is its own, and its workers help.
        let instance = Instance::acquire(&config.data_dir)?;
        if instance.is_some() {
            home::use_database(&config)?;
        }
        let home = Home::open(&config, CONNECTIONS).await?;
        let outcome = self.fill(&mut config, instance.as_ref(), &home, &stop, common.json).await;
        stop.cancel();
        let closed = home.close().await;
        let summary = outcome?;
        closed?;
        if common.json {
            say(serde_json::to_string(&summary)?)?;
        } else {
            print(&summary)?;
        }
        Ok(if summary.incomplete.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn fill(
        &mut self,
        config: &mut Config,
        instance: Option<&Instance>,
        home: &Home,
        stop: &CancellationToken,
        json: bool,
    ) -> anyhow::Result<Summary> {
        home.migrate().await?;
        let calendars = calendar_exceptions::begin(&home.database, &config.sessions).await?;
        home.take_interest_along(config).await?;
        let worker: Arc<str> =
            instance.map_or_else(|| format!("backfill/{}", Uuid::new_v4().simple()).into(), Instance::worker);
        if let Some(instance) = instance {
            processes::ended(&home.database, &instance.name).await?;
            runs::release(&home.database, Some(&instance.name)).await?;
        }
        let alone = instance.is_some() && !processes::others_at_work(&home.database, &worker).await?;
        let clock = if alone {
            clock::start(&home.database, config.as_of).await?
        } else {
            let running = clock::read(&home.database).await?;
            if config.as_of.is_some() && config.as_of != running.as_of {
                bail!(
                    "another barkeep works on the same data with another market clock: stop it first, or leave --as-of out"
                );
            }
            running
        };
        let clip = self.clip(clock.now())?;
        // Stops after those who ask it.
        let stop_simulator = CancellationToken::new();
        let _stop_in_the_end = stop_simulator.clone().drop_guard();
        simulate::simulate_if_none(config, clock, &stop_simulator).await?;
        let clock = SharedClock::new(clock);
        let routes = connect::connect(&config.providers, &home.database, &clock).await?;
        let engine = Engine {
            database: home.database.clone(),
            routes,
            clock,
            calendars,
            signals: if config.notify { events::listen(&home.database, stop.clone()) } else { Signals::deaf() },
            teller: if config.notify { Teller::start(&home.database, stop.clone()) } else { Teller::silent() },
            foreground: Foreground::default(),
            worker,
            stop: stop.clone(),
        };
        plan::publish_grace(&engine, !alone).await?;
        dispatch::retry_credentials(&engine).await?;

        let turned_away_before = turned_away(&engine).await?;
        let began = Timestamp::now();
        let clock_began = std::time::Instant::now();
        if self.symbols.is_empty() {
            self.symbols = coverage::wanted_symbols(&home.database).await?;
        } else {
            definitions::keep_in_background(&home.database, &self.symbols, &self.timeframes, self.days).await?;
        }
        runs::retry_failed(&home.database, Some(&self.symbols)).await?;

        let tasks = TaskTracker::new();
        let living = engine.clone();
        tasks.spawn(async move {
            let process = heartbeat::introduction(&living.worker, vec![Part::Backfill], SLOTS, None);
            heartbeat::beat(&living.database, &process, &living.clock, &living.signals, &living.stop).await;
        });
        let asking = engine.clone();
        tasks.spawn(async move { corporate_actions::run_once(&asking).await });
        let waiting = dispatch::Scope::Symbols(self.symbols.clone());
        tasks.spawn(dispatch::run(engine.clone(), usize::from(SLOTS), waiting));
        let watched = self.until_nothing_is_missing(&engine, clip.as_ref(), began, json).await;
        if clip.is_some() {
            // What lies outside of it was not looked at.
            definitions::make_due(&engine.database, &self.symbols).await?;
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        processes::ended(&home.database, &engine.worker).await?;
        let progress = watched?;
        Ok(Summary {
            requests: progress.requests,
            throttled: turned_away(&engine).await? - turned_away_before,
            seconds: (clock_began.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
            rows: progress.rows,
            incomplete: self.incomplete(&engine, clip.as_ref()).await?,
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
        Ok(Some(Clip { range, window_days, timeframes: self.timeframes.clone() }))
    }

    /// Plans and waits until planning finds nothing more: while one waits, the next bar may have come due.
    async fn until_nothing_is_missing(
        &self,
        engine: &Engine,
        clip: Option<&Clip>,
        since: Timestamp,
        json: bool,
    ) -> anyhow::Result<Progress> {
        for _ in 0..MOST_ROUNDS {
            definitions::make_due(&engine.database, &self.symbols).await?;
            let (planned, _) = plan::plan_due(engine, Some(&self.symbols), clip).await?;
            let progress = self.watch(engine, since, json).await?;
            if planned.slices == 0 {
                return Ok(progress);
            }
        }
        Ok(progress::of(&engine.database, &self.symbols, since).await?)
    }

    /// Waits until nothing is queued or running, telling how far it is.
    async fn watch(&self, engine: &Engine, since: Timestamp, json: bool) -> anyhow::Result<Progress> {
        let shown = Shown::new(json);
        loop {
            let progress = progress::of(&engine.database, &self.symbols, since).await?;
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

    async fn incomplete(&self, engine: &Engine, clip: Option<&Clip>) -> anyhow::Result<Vec<Incomplete>> {
        let mut incomplete = Vec::new();
        for ticker in &self.symbols {
            for series in coverage::of_symbol(&engine.database, None, ticker).await? {
                // Without timeframes named: all that are kept.
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

/// Requests that the provider has turned away so far, whoever sent them.
async fn turned_away(engine: &Engine) -> anyhow::Result<i64> {
    let mut all = 0;
    for source in engine.routes.all() {
        let standing = budget::standing(&engine.database, source.account()).await?;
        all += standing.map_or(0, |standing| standing.turned_away);
    }
    Ok(all)
}

fn whole_days(span: SignedDuration) -> i32 {
    i32::try_from(span.as_hours() / 24 + 1).unwrap_or(36_600).clamp(1, 36_600)
}

fn print(summary: &Summary) -> anyhow::Result<()> {
    let throttled = match summary.throttled {
        0 => String::new(),
        n => format!(" ({n} of them turned away with 429)"),
    };
    let Summary { rows, requests, seconds, .. } = summary;
    say(format!("{rows} bars written with {requests} requests{throttled} in {seconds:.1} s"))?;
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
            note(format!("{done} of {all} slices, {} bars {waiting}", progress.rows));
        }
    }

    fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Tickers as an argument list takes them.
fn listed(tickers: &[Ticker]) -> String {
    tickers.iter().map(Ticker::as_str).collect::<Vec<_>>().join(", ")
}
