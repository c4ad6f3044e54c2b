//! Limits a gap to what is requested: whole bars of a range of the past, within the provider's history.

use jiff::{SignedDuration, Timestamp};
use market::{Range, Sessions, Timeframe, grid::Grid};
use store::definitions::Definition;

use super::Unavailable;

/// How far back the newest bars are looked at again, at least one bar.
const LATE_WITHIN: SignedDuration = SignedDuration::from_hours(1);

/// The part of `gap` in `clip`, extended to whole bars: a bar made from part of its range would look complete.
pub(super) fn whole_bars(definition: &Definition, sessions: &Sessions, gap: &Range, clip: &Range) -> Option<Range> {
    let grid = Grid::Session(sessions.clone());
    let part = gap.intersection(clip)?;
    let from = grid.bucket_of(definition.timeframe, part.from()).map_or(part.from(), |bucket| bucket.from());
    let to = match grid.bucket_of(definition.timeframe, part.to()) {
        Some(bucket) if bucket.from() < part.to() => bucket.to(),
        _ => part.to(),
    };
    Range::new(from.max(gap.from()), to.min(gap.to())).ok()
}

/// The newest bars together with those just before them: a bar that was absent at the first look may have come late, and
/// looking again with the next ones costs no request of its own. Other gaps are returned as they are.
pub(super) fn with_late_bars(definition: &Definition, sessions: &Sessions, gap: Range, now: Timestamp) -> Range {
    let Some(length) = definition.timeframe.step() else { return gap };
    let is_newest = gap.duration() <= length * 2 && now.duration_since(gap.to()) <= length * 2;
    let before =
        gap.from().checked_sub(length.max(LATE_WITHIN)).ok().and_then(|from| Range::new(from, gap.from()).ok());
    let Some(before) = before.filter(|_| is_newest) else { return gap };
    let grid = Grid::Session(sessions.clone());
    let first =
        grid.buckets(definition.timeframe, before).iter().map(Range::from).find(|start| before.contains(*start));
    first.and_then(|first| Range::new(first, gap.to()).ok()).unwrap_or(gap)
}

/// Splits `gap` at `earliest`, before which no provider has bars: the unavailable part, and the part to fetch.
pub(super) fn within_reach<'a>(
    definition: &'a Definition,
    sessions: &Sessions,
    gap: Range,
    earliest: Timestamp,
) -> (Option<Unavailable<'a>>, Option<Range>) {
    if gap.from() >= earliest {
        return (None, Some(gap));
    }
    let first = first_available(definition.timeframe, sessions, earliest).unwrap_or(gap.to());
    let reason = format!("the provider's history begins on {}", earliest.strftime("%Y-%m-%d"));
    let too_old = Range::new(gap.from(), first.min(gap.to())).ok();
    (too_old.map(|range| Unavailable { definition, range, reason }), Range::new(first, gap.to()).ok())
}

/// The open of the first session whose bars are available in full, where history begins at `earliest`.
pub(super) fn first_available(timeframe: Timeframe, sessions: &Sessions, earliest: Timestamp) -> Option<Timestamp> {
    // One that starts before then is not.
    let mut first = sessions.next_session(earliest)?.open;
    if timeframe == Timeframe::W1 {
        // Whole weeks only: a week that started before then is skipped to its end.
        let grid = Grid::Session(sessions.clone());
        while let Some(week) = grid.bucket_of(Timeframe::W1, first)
            && week.from() < earliest
            && let Some(next) = sessions.next_session(week.to())
        {
            first = next.open;
        }
    }
    Some(first)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use market::Calendar;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_newest_bars_are_looked_at_again_with_the_next_ones_and_no_others_are() {
        let range = |from: &str, to: &str| Range::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        let planned = |ticker: &str, timeframe, gap: Range, now: &str| {
            let ticker: market::Ticker = ticker.parse().unwrap();
            let calendar = Calendar::for_class(ticker.asset_class());
            let definition = Definition { ticker, timeframe, calendar, ..definition() };
            with_late_bars(&definition, &calendar.by_rules(), gap, now.parse().unwrap())
        };
        let newest = range("2026-11-24T17:00:00Z", "2026-11-24T17:15:00Z");
        let with_an_hour = range("2026-11-24T16:00:00Z", "2026-11-24T17:15:00Z");
        assert_eq!(planned("KO", Timeframe::M15, newest, "2026-11-24T17:16:00Z"), with_an_hour);
        assert_eq!(planned("KO", Timeframe::M15, newest, "2026-11-24T19:16:00Z"), newest, "not the newest");
        let h4 = range("2026-11-24T12:00:00Z", "2026-11-24T16:00:00Z");
        let two = range("2026-11-24T08:00:00Z", "2026-11-24T16:00:00Z");
        assert_eq!(planned("BTC-USD", Timeframe::H4, h4, "2026-11-24T16:01:00Z"), two);
        // Nothing of the session is before the first bars.
        let first = range("2026-11-24T14:30:00Z", "2026-11-24T14:45:00Z");
        assert_eq!(planned("KO", Timeframe::M15, first, "2026-11-24T14:46:00Z"), first);
        let long = range("2026-11-20T14:30:00Z", "2026-11-24T17:15:00Z");
        assert_eq!(planned("KO", Timeframe::M15, long, "2026-11-24T17:16:00Z"), long);
        let day = range("2026-11-24T14:30:00Z", "2026-11-24T21:00:00Z");
        assert_eq!(planned("KO", Timeframe::D1, day, "2026-11-24T21:01:00Z"), day);
    }

    fn definition() -> Definition {
        Definition {
            id: Uuid::nil(),
            ticker: "KO".parse().unwrap(),
            timeframe: Timeframe::M15,
            calendar: Calendar::Xnys,
            by_interest: false,
            priority: 100,
            window_days: 90,
        }
    }
}
