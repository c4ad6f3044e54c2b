//! Checks stored bars by themselves, and against one another.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use market::{Bar, RangeSet, Sessions, Timeframe, grid::Grid, resample::resample};
use store::bars::StoredBar;

use super::{FINAL_BY, Finding, Kind, bucket, difference};

/// Checks each bar by itself: possible prices, a start on the grid, final in time.
pub(super) fn check_each(
    stored: &[StoredBar],
    timeframe: Timeframe,
    sessions: &Sessions,
    now: Timestamp,
    grace: SignedDuration,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for StoredBar { bar, is_final, .. } in stored {
        let mut find = |kind, message| findings.push(Finding { kind, at: bar.start, message });
        if let Err(defect) = bar.check() {
            find(Kind::Impossible, defect.to_string());
        }
        match bucket(sessions, timeframe, bar.start) {
            None => find(Kind::OffGrid, format!("no {timeframe} bar of {} starts at this time", sessions.calendar())),
            Some(bucket) if !is_final => {
                let by = bucket.to().checked_add(grace).and_then(|end| end.checked_add(FINAL_BY));
                if by.is_ok_and(|by| by < now) {
                    find(Kind::NeverFinal, format!("ended at {} and is still provisional", bucket.to()));
                }
            }
            Some(_) => {}
        }
    }
    findings
}

/// Whether `timeframe` can be summed from whole bars of `shorter`. Daily bars include an auction that shorter bars
/// don't.
pub(super) fn can_be_made_of(timeframe: Timeframe, shorter: Timeframe) -> bool {
    match (timeframe, shorter) {
        (Timeframe::W1, Timeframe::D1) => true,
        (Timeframe::W1 | Timeframe::D1, _) | (_, Timeframe::W1 | Timeframe::D1) => false,
        (long, short) => short < long,
    }
}

/// Compares bars with those resampled from `shorter`, where final bars of the same feed cover all of the range.
pub(super) fn check_sums(
    stored: &[StoredBar],
    timeframe: Timeframe,
    shorter: &[StoredBar],
    covered: &RangeSet,
    sessions: &Sessions,
) -> Vec<Finding> {
    let grid = Grid::Session(sessions.clone());
    let parts: Vec<Bar> = shorter.iter().filter(|part| part.is_final).map(|part| part.bar).collect();
    let own: HashMap<Timestamp, &StoredBar> = stored.iter().map(|bar| (bar.bar.start, bar)).collect();
    let mut findings = Vec::new();
    for made in resample(&parts, &grid, timeframe) {
        let Some(mine) = own.get(&made.bar.start).filter(|mine| mine.is_final) else { continue };
        let first = shorter.partition_point(|part| part.bar.start < made.range.from());
        let after = shorter.partition_point(|part| part.bar.start < made.range.to());
        let parts = shorter.get(first..after).unwrap_or_default();
        if parts.iter().all(|part| part.is_final && part.provider == mine.provider)
            && covered.encloses(&made.range)
            && let Some(difference) = difference(&mine.bar, &made.bar)
        {
            let message = format!("resampled from {} shorter bars: {difference}", parts.len());
            findings.push(Finding { kind: Kind::NotTheSum, at: mine.bar.start, message });
        }
    }
    findings
}
