//! Compares what definitions want with what is covered, and queues the difference.
//! In: `job_definitions`, `coverage_status`, the calendar. Out: `job_runs`. Safe to run twice, or twice at once.

mod slices;

use std::time::Duration;

use market::{AssetClass, Calendar, Range, Ticker, Timeframe, grid::Grid};
use providers::Limits;
use store::{StoreError, coverage, definitions, definitions::Definition, health, runs, symbols, tracking};

pub(crate) use self::slices::base_of;
use crate::engine::Engine;

/// Without a signal the planner looks this often.
const TICK: Duration = Duration::from_secs(60);

/// Second looks at symbols that no provider knew are due once a day.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(600);

/// Definitions planned between two looks at the stop sign.
const BATCH: i64 = 100;

/// What one round of planning did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Definitions that were due.
    pub(crate) scanned: usize,
    pub(crate) slices: usize,
}

/// Plans on every signal and every tick, until stopped.
pub(crate) async fn run(engine: Engine) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut woken = engine.signals.wake.clone();
    loop {
        tokio::select! {
            () = engine.stop.cancelled() => return,
            _ = tick.tick() => {}
            changed = woken.changed() => if changed.is_err() {
                // Nobody listens any more: the tick goes on alone.
                tokio::select! {
                    () = engine.stop.cancelled() => return,
                    _ = tick.tick() => {}
                }
            }
        }
        let (status, message) = match round(&engine, None, None).await {
            Ok(planned) => ("ok", format!("{} series due, {} slices queued", planned.scanned, planned.slices)),
            Err(error) => {
                tracing::error!(%error, "Planning failed; the next tick tries again");
                ("failing", "planning failed, and the log says why".to_owned())
            }
        };
        if let Err(error) = health::beat(&engine.database, health::SCHEDULER, status, &message).await {
            tracing::warn!(%error, "The planner could not report that it lives");
        }
    }
}

/// A part of the past that is planned instead of the definitions' windows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clip {
    pub(crate) range: Range,
    /// How many days ago it begins, or more.
    pub(crate) window_days: i32,
}

/// Plans everything that is due; `tickers` narrows it to theirs, `clip` to a part of the past.
pub(crate) async fn round(
    engine: &Engine,
    tickers: Option<&[Ticker]>,
    clip: Option<Clip>,
) -> Result<Planned, StoreError> {
    let mut planned = Planned::default();
    tracking::expire(&engine.database).await?;
    runs::release(&engine.database, None).await?;
    if runs::readmit_failed(&engine.database).await? > 0 {
        engine.queued.notify_waiters();
    }
    loop {
        let due = definitions::due(&engine.database, tickers, BATCH).await?;
        for definition in &due {
            match plan_one(engine, definition, clip).await {
                Ok(slices) => planned.slices += slices,
                Err(error) if error.is_unreachable() => return Err(error),
                // One series that can't be planned must not keep the others from it.
                Err(error) => {
                    tracing::error!(
                        symbol = %definition.ticker, timeframe = %definition.timeframe, %error,
                        "{} {} could not be planned", definition.ticker, definition.timeframe
                    );
                    definitions::put_off(&engine.database, definition).await?;
                }
            }
        }
        planned.scanned += due.len();
        if due.is_empty() || engine.stop.is_cancelled() {
            break;
        }
    }
    if planned.slices > 0 {
        tracing::info!(series = planned.scanned, slices = planned.slices, "Queued what is missing");
        engine.queued.notify_waiters();
    }
    Ok(planned)
}

/// Queues the gaps of one series and returns how many slices that made.
async fn plan_one(engine: &Engine, definition: &Definition, clip: Option<Clip>) -> Result<usize, StoreError> {
    let limits = engine.source.limits(definition.ticker.asset_class());
    let mut tx = engine.database.begin().await?;
    let mut gaps = coverage::gaps_locked(&mut tx, definition, clip.map(|clip| clip.window_days)).await?;
    if let Some(clip) = clip {
        gaps = gaps.iter().filter_map(|gap| whole_bars(definition, gap, &clip.range)).collect();
    }
    let mut queued = 0;
    if let Some(base) = base_of(definition.timeframe, definition.calendar, &limits) {
        let mut wanted = Vec::new();
        for gap in gaps {
            let Some(gap) = within_reach(&mut tx, definition, gap, &limits).await? else { continue };
            wanted.extend(slices::slices(gap, definition.calendar, definition.timeframe, base, limits.rows_per_page));
        }
        if !wanted.is_empty() {
            let by = if definition.by_interest { "interest" } else { "schedule" };
            queued = usize::try_from(runs::enqueue(&mut tx, definition, &wanted, by).await?).unwrap_or(0);
        }
    } else {
        let reason = format!("{} has no bars that {} could be made of", engine.provider(), definition.timeframe);
        for gap in gaps {
            coverage::mark_unavailable(&mut tx, definition, gap, &reason).await?;
        }
    }
    definitions::planned(&mut tx, definition).await?;
    tx.commit().await?;
    Ok(queued)
}

/// The part of `gap` in `clip`, widened to whole bars: a part of one could not be told from a true one.
fn whole_bars(definition: &Definition, gap: &Range, clip: &Range) -> Option<Range> {
    let grid = Grid::Session(definition.calendar);
    let part = gap.intersection(clip)?;
    let from = grid.bucket_of(definition.timeframe, part.from()).map_or(part.from(), |bucket| bucket.from());
    let to = match grid.bucket_of(definition.timeframe, part.to()) {
        Some(bucket) if bucket.from() < part.to() => bucket.to(),
        _ => part.to(),
    };
    Range::new(from.max(gap.from()), to.min(gap.to())).ok()
}

/// The part of `gap` that the endpoint has; the rest is noted as unavailable, with the reason.
async fn within_reach(
    tx: &mut store::ServiceTx,
    definition: &Definition,
    gap: Range,
    limits: &Limits,
) -> Result<Option<Range>, StoreError> {
    if gap.from() >= limits.earliest {
        return Ok(Some(gap));
    }
    // Whole sessions only: one that begins before the provider's history does can't be had in full.
    let mut first = definition.calendar.next_session(limits.earliest).map_or(gap.to(), |session| session.open);
    if definition.timeframe == Timeframe::W1 {
        // And whole weeks: one that had begun by then goes on to its end.
        let grid = Grid::Session(definition.calendar);
        while let Some(week) = grid.bucket_of(Timeframe::W1, first)
            && week.from() < limits.earliest
            && let Some(next) = definition.calendar.next_session(week.to())
        {
            first = next.open;
        }
    }
    let reason = format!("the provider's history begins on {}", limits.earliest.strftime("%Y-%m-%d"));
    if let Ok(too_old) = Range::new(gap.from(), first.min(gap.to())) {
        coverage::mark_unavailable(tx, definition, too_old, &reason).await?;
    }
    Ok(Range::new(first, gap.to()).ok())
}

/// Looks symbols that no provider knew up once more, a day after the last time. Apart from planning, which must not wait
/// for a provider.
pub(crate) async fn look_again(engine: Engine) {
    loop {
        match symbols::due_for_a_second_look(&engine.database).await {
            Ok(tickers) => {
                for ticker in tickers {
                    if engine.stop.is_cancelled() {
                        return;
                    }
                    if let Err(error) = crate::dispatch::look_up(&engine, &ticker).await {
                        tracing::warn!(symbol = %ticker, %error, "What was learnt of {ticker} could not be kept");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "Could not see which symbols to look up again"),
        }
        tokio::select! {
            () = engine.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_AGAIN_EVERY) => {}
        }
    }
}

/// How long a calendar's bars may still change here, told to the database, which computes what is final. With
/// `only_more` what another process has learnt of the same provider stays.
pub(crate) async fn settle_grace(engine: &Engine, only_more: bool) -> Result<(), StoreError> {
    for class in [AssetClass::Stock, AssetClass::Crypto] {
        let grace = engine.source.limits(class).grace;
        if store::clock::set_grace(&engine.database, Calendar::for_class(class), grace, only_more).await? {
            tracing::info!(?class, grace_secs = grace.as_secs(), "Bars count as final this long after their end");
        }
    }
    Ok(())
}
