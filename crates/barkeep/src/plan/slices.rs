//! Cuts gaps into slices: by session, a page each, the newest stretch by itself.

use jiff::SignedDuration;
use market::{Calendar, Range, Timeframe};
use providers::Limits;

/// Sessions of the newest slice: small enough to be there at once, and enough for a first look at the chart.
fn newest_sessions(timeframe: Timeframe) -> usize {
    match timeframe {
        Timeframe::M1 => 1,
        Timeframe::M5 => 2,
        Timeframe::M15 | Timeframe::M30 => 5,
        Timeframe::H1 => 10,
        Timeframe::H4 => 20,
        Timeframe::D1 | Timeframe::W1 => 250,
    }
}

/// The timeframe that is fetched for `wanted`: the finest of the provider's that fits the sessions' own grid.
///
/// A provider's hours and longer are multiples of the clock and mix the time before the open in; 15 and 30 minutes fit
/// both grids. Days are asked for as days where sessions end with an auction, which no shorter bar holds.
/// `None`: nothing that this provider has can be made into it.
pub(crate) fn base_of(wanted: Timeframe, calendar: Calendar, limits: &Limits) -> Option<Timeframe> {
    let candidates: &[Timeframe] = match (wanted, calendar) {
        (Timeframe::H1, Calendar::Xnys) => &[Timeframe::M30, Timeframe::M15, Timeframe::M5, Timeframe::M1],
        (Timeframe::H4, Calendar::Xnys) => &[Timeframe::M30, Timeframe::M15, Timeframe::M5, Timeframe::M1],
        (Timeframe::D1 | Timeframe::W1, Calendar::Xnys) => &[Timeframe::D1],
        // A crypto provider's day may begin at another midnight than UTC's.
        (Timeframe::H4 | Timeframe::D1 | Timeframe::W1, Calendar::AlwaysOpen) => {
            &[Timeframe::H1, Timeframe::M30, Timeframe::M15]
        }
        (Timeframe::H1, Calendar::AlwaysOpen) => &[Timeframe::H1, Timeframe::M30, Timeframe::M15],
        (Timeframe::M1, _) => &[Timeframe::M1],
        (Timeframe::M5, _) => &[Timeframe::M5, Timeframe::M1],
        (Timeframe::M15, _) => &[Timeframe::M15, Timeframe::M5, Timeframe::M1],
        (Timeframe::M30, _) => &[Timeframe::M30, Timeframe::M15, Timeframe::M5, Timeframe::M1],
    };
    candidates.iter().copied().find(|candidate| limits.timeframes.contains(candidate))
}

/// Rows that one session brings at most, extended hours included.
fn rows_per_session(base: Timeframe, calendar: Calendar) -> usize {
    let minutes = match calendar {
        // From 04:00 to 20:00 New York.
        Calendar::Xnys => 16 * 60,
        Calendar::AlwaysOpen => 24 * 60,
    };
    base.minutes().map_or(1, |step| usize::try_from(minutes / step).unwrap_or(1))
}

/// Cuts `gap` into slices that tile it exactly, oldest first. Each begins with the gap or at a session's open and
/// brings at most a page of rows of `base`, but for a session that is longer than a page. The newest is short, so that
/// there is something to see at once.
pub(crate) fn slices(
    gap: Range,
    calendar: Calendar,
    timeframe: Timeframe,
    base: Timeframe,
    rows_per_page: usize,
) -> Vec<Range> {
    let opens: Vec<_> =
        calendar.sessions_in(gap).into_iter().map(|session| session.open).filter(|open| *open > gap.from()).collect();
    // Weeks must not be cut in the middle: a slice of w1 begins where its week does.
    let cuts: Vec<_> = match timeframe {
        Timeframe::W1 => opens
            .into_iter()
            .filter(|open| {
                calendar
                    .previous_session(*open)
                    .is_none_or(|before| monday_of(before.date) != monday_of(calendar.date_of(*open)))
            })
            .collect(),
        _ => opens,
    };
    let sessions_per_cut = match (timeframe, calendar) {
        (Timeframe::W1, Calendar::Xnys) => 5,
        (Timeframe::W1, Calendar::AlwaysOpen) => 7,
        _ => 1,
    };
    let per_page = (rows_per_page / rows_per_session(base, calendar) / sessions_per_cut).max(1);
    let newest = (newest_sessions(timeframe) / sessions_per_cut).clamp(1, per_page);

    let mut bounds = vec![gap.to()];
    let mut left = cuts.as_slice();
    let mut take = newest;
    // The slice that ends at the last bound begins `take` sessions before it; the first session begins with the gap.
    while left.len() >= take {
        let at = left.len() - take;
        bounds.push(left[at]);
        left = &left[..at];
        take = per_page;
    }
    bounds.push(gap.from());
    bounds.reverse();
    bounds.windows(2).filter_map(|pair| Range::new(pair[0], pair[1]).ok()).collect()
}

fn monday_of(date: jiff::civil::Date) -> jiff::civil::Date {
    let back = i64::from(date.weekday().to_monday_zero_offset()) * 24;
    date.checked_sub(SignedDuration::from_hours(back)).unwrap_or(date)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn instant(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_stretch_is_a_slice_of_its_own_and_the_rest_fills_pages() {
        let gap = Range::new(instant("2025-11-24T14:30:00Z"), instant("2026-11-23T21:00:00Z")).unwrap();
        let cut = slices(gap, Calendar::Xnys, Timeframe::H4, Timeframe::M30, 10_000);
        assert_eq!(cut.len(), 2, "251 sessions of 32 rows fit a page: {cut:?}");
        let newest = Calendar::Xnys.sessions_in(cut[1]);
        assert_eq!(newest.len(), 20);
        assert_eq!(cut[1].from(), newest[0].open);
    }

    #[test]
    fn a_gap_of_a_few_bars_is_one_slice() {
        let gap = Range::new(instant("2026-11-23T20:45:00Z"), instant("2026-11-23T21:00:00Z")).unwrap();
        assert_eq!(slices(gap, Calendar::Xnys, Timeframe::M15, Timeframe::M15, 10_000), [gap]);
    }

    #[test]
    fn weeks_are_not_cut() {
        let gap = Range::new(instant("2024-11-25T14:30:00Z"), instant("2026-11-20T21:00:00Z")).unwrap();
        for slice in slices(gap, Calendar::Xnys, Timeframe::W1, Timeframe::D1, 60) {
            let first = Calendar::Xnys.sessions_in(slice)[0];
            let before = Calendar::Xnys.previous_session(first.open).unwrap();
            assert_ne!(monday_of(first.date), monday_of(before.date), "{slice}");
        }
    }

    proptest! {
        #[test]
        fn slices_tile_the_gap_exactly(
            from in 946_684_800_i64..1_800_000_000,
            minutes in 1_i64..800_000,
            page in 1_usize..20_000,
            which in 0_usize..8,
            always_open: bool,
        ) {
            let calendar = if always_open { Calendar::AlwaysOpen } else { Calendar::Xnys };
            let timeframe = Timeframe::ALL[which];
            let from = Timestamp::from_second(from).unwrap();
            let gap = Range::new(from, from + SignedDuration::from_mins(minutes)).unwrap();
            let base = timeframe.minutes().map_or(Timeframe::D1, |_| Timeframe::M15);
            let cut = slices(gap, calendar, timeframe, base, page);
            prop_assert_eq!(cut[0].from(), gap.from());
            prop_assert_eq!(cut[cut.len() - 1].to(), gap.to());
            for pair in cut.windows(2) {
                prop_assert_eq!(pair[0].to(), pair[1].from());
            }
            let per_session = rows_per_session(base, calendar);
            for slice in &cut {
                let sessions = calendar.sessions_in(*slice).len();
                // A session or week longer than a page can't be cut.
                let whole = if timeframe == Timeframe::W1 { 7 } else { 1 };
                prop_assert!(sessions <= whole || sessions * per_session <= page, "{} rows", sessions * per_session);
            }
        }
    }
}
