//! Limits a gap to what is requested: whole bars of a range of the past, within the provider's history.

use jiff::Timestamp;
use market::{Range, Sessions, Timeframe, grid::Grid};
use store::definitions::Definition;

use super::Unavailable;

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
