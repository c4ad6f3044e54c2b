//! A split that no provider has listed: noticed where newly sent bars overlap stored ones.
//!
//! In: bars as sent, unadjusted for all known splits, and the stored bars of the sessions before a run's slice. Out: the
//! split that turns the ones into the others. Holds: a difference that fits no split is left for `verify` to find.

use jiff::civil::Date;
use market::{Action, ActionKind, Bar, action::ratio_near};
use store::{StoreError, bars, runs::ClaimedRun};

use crate::{
    engine::Engine,
    fetch::{FetchResult, sessions_before},
    shape::{CheckedBars, ShapeContext, shape},
};

/// Adjusted prices differ from stored ones by rounding only, or by a split.
const ROUNDING: f64 = 0.01;
const NO_ROUNDING: f64 = 0.1;

/// A split that shows between the stored and the newly sent bars of the sessions before the run's slice. It takes
/// effect in the session after those.
pub(super) async fn detect_split(
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
    let closes: Vec<(f64, f64)> =
        shape(&CheckedBars::new(raw, &sessions, fetched.request.timeframe, fetched.asked_at), &frame)
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
