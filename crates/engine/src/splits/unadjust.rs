//! Unadjusts bars that a provider sends adjusted for splits: back to prices as traded.
//!
//! In: bars as sent, the stock's known splits, and the stored bars of the sessions before. Out: bars as traded.
//! Holds: a split that no provider has listed is detected in the overlap with stored bars, and stored; a difference
//! that fits no split is left for `verify` to find.

use jiff::civil::Date;
use market::{Action, ActionKind, Adjustment, Bar, Ticker, action, action::ratio_near};
use providers::BarSource;
use store::{StoreError, adjusted::steps, bars, corporate_actions, runs::ClaimedRun};

use super::corporate_actions::{Lookup, fetch_actions};
use crate::{
    engine::Engine,
    fetch::{FetchResult, sessions_before},
    shape::{CheckedBars, ShapeContext, shape},
};

/// Adjusted prices differ from stored ones by rounding only, or by a split.
const ROUNDING: f64 = 0.01;
const NO_ROUNDING: f64 = 0.1;

/// For so long known splits will do: providers list them before their day.
const KNOWN_FOR_DAYS: i32 = 3;

/// Why bars can't be unadjusted.
#[derive(Debug)]
pub enum SplitsUnknown {
    /// The stocks' splits could not be fetched now.
    Now,
    /// No configured provider lists splits.
    Ever,
}

/// Unadjusts the bars, if the provider adjusts the requested timeframe. `Some`: the splits are unknown, and the bars
/// must not be stored.
///
/// # Errors
/// If the database is unreachable.
pub async fn unadjust(
    engine: &Engine,
    source: &dyn BarSource,
    runs: &[&ClaimedRun],
    fetched: &mut FetchResult<'_>,
) -> Result<Option<SplitsUnknown>, StoreError> {
    let limits = source.limits(fetched.request.asset_class);
    if !limits.split_adjusted.contains(&fetched.request.timeframe) {
        return Ok(None);
    }
    let tickers: Vec<Ticker> = fetched.bars.keys().cloned().collect();
    let unknown = corporate_actions::unknown(&engine.database, &tickers, KNOWN_FOR_DAYS).await?;
    if !unknown.is_empty() {
        match fetch_actions(engine, &unknown).await? {
            Lookup::Known => {}
            Lookup::TryLater | Lookup::Wait(_) => return Ok(Some(SplitsUnknown::Now)),
            Lookup::NoSource => return Ok(Some(SplitsUnknown::Ever)),
        }
    }
    for ticker in tickers {
        let Some(sent) = fetched.bars.get(&ticker).cloned() else { continue };
        let mut raw = without_splits(engine, &ticker, &sent).await?;
        let run = runs.iter().find(|run| run.ticker == ticker);
        if let Some(run) = run
            && let Some(split) = detect_split(engine, run, fetched, &raw).await?
        {
            tracing::warn!(
                symbol = %ticker, ex_date = %split.ex_date,
                "{ticker} has split on {} according to its bars, though no provider has listed it", split.ex_date
            );
            let day = (split.ex_date, split.ex_date);
            corporate_actions::store(&engine.database, &ticker, corporate_actions::NOTICED, day, &[split]).await?;
            raw = without_splits(engine, &ticker, &sent).await?;
        }
        fetched.bars.insert(ticker, raw);
    }
    Ok(None)
}

async fn without_splits(engine: &Engine, ticker: &Ticker, sent: &[Bar]) -> Result<Vec<Bar>, StoreError> {
    let steps = steps(&engine.database, None, ticker, Adjustment::Splits).await?;
    let mut raw = sent.to_vec();
    action::undo(&mut raw, &steps);
    if !steps.is_empty() {
        // Removes the digits beyond those of prices that the multiplication has left.
        for bar in &mut raw {
            for price in [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close] {
                *price = (*price * 1e4).round() / 1e4;
            }
        }
    }
    Ok(raw)
}

/// A split that shows between the stored and the newly sent bars of the sessions before the run's slice. It takes
/// effect in the session after those.
async fn detect_split(
    engine: &Engine,
    run: &ClaimedRun,
    fetched: &FetchResult<'_>,
    raw: &[Bar],
) -> Result<Option<Action>, StoreError> {
    let sessions = fetched.calendars.calendars.sessions_of(run.calendar);
    let Some(before) = sessions.previous_session(run.slice.from()) else { return Ok(None) };
    let Some(overlap) = sessions_before(&sessions, run.slice.from()) else { return Ok(None) };
    let frame = ShapeContext {
        sessions: sessions.clone(),
        timeframe: run.timeframe,
        answered: overlap,
        asked_at: fetched.asked_at,
        grace: jiff::SignedDuration::ZERO,
    };
    let stored = bars::read(&engine.database, None, &run.ticker, run.timeframe, Some(overlap), i64::MAX).await?;
    let stored = stored.unwrap_or_default();
    let closes: Vec<(f64, f64)> = shape(&CheckedBars::new(raw, &sessions, fetched.request.timeframe), &frame)
        .bars
        .iter()
        .filter_map(|now| {
            let then = stored.iter().find(|bar| bar.is_final && bar.bar.start == now.bar.start)?;
            Some((then.bar.close, now.bar.close))
        })
        .collect();
    let ex_date = sessions.next_session(before.close).map(|session| session.date);
    Ok(ex_date.and_then(|ex_date| split_between(&closes, ex_date)))
}

/// The split that turns each first price into the second.
fn split_between(closes: &[(f64, f64)], ex_date: Date) -> Option<Action> {
    let mut ratios: Vec<f64> = closes.iter().map(|(then, now)| then / now).filter(|ratio| ratio.is_finite()).collect();
    ratios.sort_by(f64::total_cmp);
    let middle = *ratios.get(ratios.len() / 2)?;
    let steady = ratios.iter().all(|ratio| (ratio / middle - 1.0).abs() < ROUNDING);
    if ratios.len() < 2 || !steady || (middle - 1.0).abs() < NO_ROUNDING {
        return None;
    }
    let (new, old) = ratio_near(middle)?;
    Some(Action { ex_date, kind: ActionKind::Split { new: f64::from(new), old: f64::from(old) } })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const DAY: Date = date(2014, 6, 9);

    #[test]
    fn prices_that_all_differ_by_one_ratio_show_a_split() {
        let seven = [(644.0, 92.0), (645.57, 92.2243), (647.35, 92.4786)];
        let split = split_between(&seven, DAY).map(|action| action.kind);
        assert_eq!(split, Some(ActionKind::Split { new: 7.0, old: 1.0 }));
        let one_for_ten = [(1.0, 10.0), (1.1, 11.0)];
        let split = split_between(&one_for_ten, DAY).map(|action| action.kind);
        assert_eq!(split, Some(ActionKind::Split { new: 1.0, old: 10.0 }));
    }

    #[test]
    fn rounding_a_single_bar_and_prices_that_differ_this_way_and_that_show_none() {
        for closes in [
            &[(100.0, 100.01), (101.0, 101.0)][..],
            &[(644.0, 92.0)],
            &[(100.0, 50.0), (100.0, 48.0)],
            &[(100.0, 0.0), (0.0, 0.0)],
            &[],
        ] {
            assert_eq!(split_between(closes, DAY), None, "{closes:?}");
        }
    }
}
