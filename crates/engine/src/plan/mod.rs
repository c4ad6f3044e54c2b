//! Compares what definitions want with what is covered, and queues the difference.
//! In: `job_definitions`, `coverage_status`, the calendar. Out: `job_runs`. Safe to run twice, or twice at once.

mod announce;
mod reach;
mod slices;

use std::{collections::HashMap, time::Duration};

use market::{AssetClass, Calendar, Range, Ticker, Timeframe, calendar::StockHours};
use metrics::{counter, histogram};
use providers::Limits;
use serde::Serialize;
use store::{
    StoreError, budget, coverage, definitions,
    definitions::Definition,
    runs::{self, Slices},
    scheduler, tracking,
};
use uuid::Uuid;

pub use self::{
    announce::announce,
    slices::{Missing, slices},
};
use crate::{bases::base_of, calendar_exceptions, engine::Engine, market_now::Market};

/// How often the planner runs: without a signal, and where signals can't be received.
const TICK: Duration = Duration::from_secs(60);
const TICK_ALONE: Duration = Duration::from_secs(5);

/// Symbols planned in one transaction, before newly due series are considered.
const BATCH: i64 = 20;

/// Result of one round of planning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Definitions that were due.
    pub scanned: usize,
    #[serde(rename = "slices_created")]
    pub slices: usize,
}

/// Plans on every signal and every tick, until stopped.
pub async fn run(engine: Engine) {
    let mut woken = engine.signals.wake.clone();
    woken.mark_changed();
    loop {
        let tick = tokio::time::sleep(engine.signals.period(TICK, TICK_ALONE));
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tick => {}
            changed = woken.changed() => if changed.is_err() {
                return;
            }
        }
        let began = std::time::Instant::now();
        // Series are due by the database's clock; this process uses the same one to fetch.
        if let Ok(clock) = store::clock::read(&engine.database).await {
            engine.clock.set(clock);
        }
        let (status, message, errors) = match plan_due(&engine, None, None).await {
            Ok((planned, errors)) => {
                let message = format!("{} series due, {} slices queued", planned.scanned, planned.slices);
                let status = if errors.is_empty() { "ok" } else { "failing" };
                (status, message, (planned, errors))
            }
            Err(error) => {
                tracing::error!(%error, "Planning failed; the next tick tries again");
                let message = "planning failed, see the log".to_owned();
                ("failing", message, (Planned::default(), vec![error.to_string()]))
            }
        };
        let (planned, errors) = errors;
        counter!("barkeep_plan_rounds_total", "status" => status).increment(1);
        counter!("barkeep_plan_slices_total").increment(planned.slices as u64);
        histogram!("barkeep_plan_round_seconds").record(began.elapsed());
        let results = scheduler::PlanningRound {
            scanned: planned.scanned as i64,
            slices_created: planned.slices as i64,
            duration_ms: i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX),
            errors,
        };
        if let Err(error) = scheduler::record_round(&engine.database, status, &message, &results).await {
            tracing::warn!(%error, "The planner's heartbeat could not be stored");
        }
    }
}

/// A range of the past that is planned instead of the definitions' windows.
#[derive(Clone, Debug)]
pub struct Clip {
    pub range: Range,
    /// Empty: all timeframes.
    pub timeframes: Vec<Timeframe>,
    /// How many days ago the range begins, or more.
    pub window_days: i32,
}

/// Plans everything that is due; `tickers` restricts it to their series, `clip` to a range of the past. Also returns
/// the errors of single series, which are planned again in five minutes.
pub async fn plan_due(
    engine: &Engine,
    tickers: Option<&[Ticker]>,
    clip: Option<&Clip>,
) -> Result<(Planned, Vec<String>), StoreError> {
    let (mut planned, mut errors) = (Planned::default(), Vec::new());
    tracking::expire(&engine.database).await?;
    let back = runs::release(&engine.database, None).await? + runs::readmit_failed(&engine.database).await?;
    if back > 0 {
        engine.notify_queued();
    }
    budget::forget_unused(&engine.database).await?;
    loop {
        let due = definitions::due(&engine.database, tickers, BATCH).await?;
        if due.is_empty() {
            break;
        }
        // Foreground series are planned separately, so that they need not wait for the rest.
        let is_foreground = |series: &Vec<&Definition>| series.iter().any(|definition| definition.by_interest);
        let symbols = by_symbol(&due);
        let by_interest = is_foreground(&symbols[0]);
        let batch: Vec<Definition> = symbols
            .iter()
            .take_while(|series| is_foreground(series) == by_interest)
            .flatten()
            .copied()
            .cloned()
            .collect();
        let slices = plan_batch(engine, &batch, clip, &mut errors).await?;
        planned.slices += slices;
        planned.scanned += batch.len();
        if slices > 0 && by_interest {
            engine.notify_queued();
        }
        if engine.stop.is_cancelled() {
            break;
        }
    }
    if planned.slices > 0 {
        tracing::info!(series = planned.scanned, slices = planned.slices, "Queued missing slices");
        engine.notify_queued();
    }
    Ok((planned, errors))
}

/// Queues the gaps of some series, one by one if they can't be planned together, and returns the number of slices.
async fn plan_batch(
    engine: &Engine,
    batch: &[Definition],
    clip: Option<&Clip>,
    errors: &mut Vec<String>,
) -> Result<usize, StoreError> {
    match queue_gaps(engine, batch, clip).await {
        Err(error) if !error.is_unreachable() => {}
        done => return done,
    }
    // A series that can't be planned must not block the others.
    let mut slices = 0;
    for definition in batch {
        match queue_gaps(engine, std::slice::from_ref(definition), clip).await {
            Ok(queued) => slices += queued,
            Err(error) if error.is_unreachable() => return Err(error),
            Err(error) => {
                let (symbol, timeframe) = (&definition.ticker, definition.timeframe);
                tracing::error!(%symbol, %timeframe, %error, "{symbol} {timeframe} could not be planned");
                errors.push(format!("{symbol} {timeframe} could not be planned: {error}"));
                definitions::postpone(&engine.database, definition).await?;
            }
        }
    }
    Ok(slices)
}

/// Queues the gaps of some series in one transaction.
async fn queue_gaps(engine: &Engine, batch: &[Definition], clip: Option<&Clip>) -> Result<usize, StoreError> {
    let mut tx = engine.database.begin().await?;
    let edition = calendar_exceptions::lock_edition(&mut tx, &engine.calendars).await?;
    let market = Market { now: engine.clock.now(), calendars: edition.calendars };
    let due = definitions::lock_due(&mut tx, batch).await?;
    if due.is_empty() {
        return Ok(0);
    }
    let gaps = coverage::gaps(&mut tx, &due, clip.map(|clip| clip.window_days)).await?;
    let mut wanted = Vec::new();
    for series in by_symbol(&due) {
        let class = series[0].ticker.asset_class();
        let (limits, name) = (engine.routes.limits(class), engine.routes.name(class));
        // Without any provider of the class nothing is learnt about its bars.
        if limits.is_empty() {
            continue;
        }
        let planned = plan_symbol(&series, &gaps, clip, &limits, &name, &market);
        for Unavailable { definition, range, reason } in planned.unavailable {
            coverage::mark_unavailable(&mut tx, definition, range, &reason).await?;
        }
        for (definition, slices) in planned.slices.into_iter().filter(|(_, slices)| !slices.is_empty()) {
            let triggered_by = if definition.by_interest { "interest" } else { "schedule" };
            wanted.push(Slices { definition, slices, triggered_by });
        }
    }
    let queued = if wanted.is_empty() { 0 } else { runs::enqueue(&mut tx, &wanted).await? };
    definitions::mark_planned(&mut tx, &due).await?;
    tx.commit().await?;
    Ok(usize::try_from(queued).unwrap_or(usize::MAX))
}

/// Groups the series by symbol, in the order of the symbols.
pub(crate) fn by_symbol(definitions: &[Definition]) -> Vec<Vec<&Definition>> {
    let mut symbols: Vec<Vec<&Definition>> = Vec::new();
    let mut places: HashMap<&Ticker, usize> = HashMap::new();
    for definition in definitions {
        let place = *places.entry(&definition.ticker).or_insert_with(|| {
            symbols.push(Vec::new());
            symbols.len() - 1
        });
        symbols[place].push(definition);
    }
    symbols
}

/// The slices to queue for a symbol, and what is unavailable.
#[derive(Debug)]
pub struct SymbolPlan<'a> {
    pub slices: Vec<(&'a Definition, Vec<Range>)>,
    pub unavailable: Vec<Unavailable<'a>>,
}

/// A range that the provider can't supply.
#[derive(Debug)]
pub struct Unavailable<'a> {
    pub definition: &'a Definition,
    pub range: Range,
    pub reason: String,
}

/// Plans the series of one symbol together, so that one request can serve several of them.
pub fn plan_symbol<'a>(
    series: &[&'a Definition],
    gaps: &HashMap<Uuid, Vec<Range>>,
    clip: Option<&Clip>,
    limits: &[Limits],
    provider: &str,
    market: &Market,
) -> SymbolPlan<'a> {
    let mut plan = SymbolPlan { slices: Vec::new(), unavailable: Vec::new() };
    let (mut definitions, mut missing) = (Vec::new(), Vec::new());
    for definition in series.iter().copied() {
        let sessions = &market.sessions_of(definition.calendar);
        let mut gaps = gaps.get(&definition.id).cloned().unwrap_or_default();
        if let Some(clip) = clip {
            if !clip.timeframes.is_empty() && !clip.timeframes.contains(&definition.timeframe) {
                continue;
            }
            gaps = gaps.iter().filter_map(|gap| reach::whole_bars(definition, sessions, gap, &clip.range)).collect();
        }
        if clip.is_none() {
            gaps = gaps.into_iter().map(|gap| reach::with_late_bars(definition, sessions, gap, market.now)).collect();
        }
        let base_of = |limits: &Limits| base_of(definition.timeframe, sessions, limits);
        // The first provider that has them determines the slices; the one with the longest history determines what is
        // unavailable.
        let Some(base) = limits.iter().find_map(base_of) else {
            let hours = match sessions.stock_hours() {
                StockHours::Extended if definition.calendar == Calendar::Xnys => " in extended hours",
                _ => "",
            };
            let reason = format!("{provider} has no bars that {} could be resampled from{hours}", definition.timeframe);
            let unavailable = |range| Unavailable { definition, range, reason: reason.clone() };
            plan.unavailable.extend(gaps.into_iter().map(unavailable));
            continue;
        };
        let earliest = limits.iter().filter_map(|l| Some(l.earliest_of(base_of(l)?, market.now))).min();
        let mut within = Vec::new();
        for gap in gaps {
            let (too_old, rest) =
                reach::within_reach(definition, sessions, gap, earliest.unwrap_or(jiff::Timestamp::MIN));
            plan.unavailable.extend(too_old);
            within.extend(rest);
        }
        definitions.push(definition);
        missing.push(Missing { timeframe: definition.timeframe, base, gaps: within });
    }
    if let Some(first) = definitions.first() {
        let rows_per_page = limits.first().map_or(1, |limits| limits.rows_per_page);
        let cut = slices(&missing, &market.sessions_of(first.calendar), rows_per_page);
        plan.slices = definitions.into_iter().zip(cut).collect();
    }
    plan
}

/// Publishes to the database how long after their end a calendar's bars may still change; the database computes what
/// is final. With `only_more` a longer grace that another process has published is kept.
pub async fn publish_grace(engine: &Engine, only_more: bool) -> Result<(), StoreError> {
    for class in [AssetClass::Stock, AssetClass::Crypto] {
        let grace = engine.routes.grace(class);
        if store::clock::set_grace(&engine.database, Calendar::for_class(class), grace, only_more).await? {
            tracing::info!(
                ?class,
                grace_secs = grace.as_secs(),
                "Published how long after their end bars become final"
            );
        }
    }
    Ok(())
}
