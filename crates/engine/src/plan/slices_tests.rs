//! Slices tile their gaps, fit on pages, and are cut at the same places.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn range(from: &str, to: &str) -> Range {
    Range::new(instant(from), instant(to)).unwrap()
}

fn stock(timeframe: Timeframe, gap: Range) -> Missing {
    let base = match timeframe {
        Timeframe::H1 | Timeframe::H4 => Timeframe::M30,
        Timeframe::W1 => Timeframe::D1,
        other => other,
    };
    Missing { timeframe, base, gaps: vec![gap] }
}

fn alone(missing: Missing, page: usize) -> Vec<Range> {
    slices(&[missing], &Calendar::Xnys.by_rules(), page).remove(0)
}

#[test]
fn the_newest_stretch_is_a_slice_of_its_own_and_the_rest_fills_pages() {
    let cut = alone(stock(Timeframe::H4, range("2025-11-24T14:30:00Z", "2026-11-23T21:00:00Z")), 10_000);
    assert_eq!(cut.len(), 2, "251 sessions of 32 rows fit a page: {cut:?}");
    let newest = Calendar::Xnys.by_rules().sessions_in(cut[1]);
    assert_eq!(newest.len(), 5);
    assert_eq!(cut[1].from(), newest[0].open);
}

#[test]
fn a_gap_of_a_few_bars_is_one_slice() {
    let gap = range("2026-11-23T20:45:00Z", "2026-11-23T21:00:00Z");
    assert_eq!(alone(stock(Timeframe::M15, gap), 10_000), [gap]);
}

#[test]
fn weeks_are_not_cut() {
    for slice in alone(stock(Timeframe::W1, range("2024-11-25T14:30:00Z", "2026-11-20T21:00:00Z")), 60) {
        let first = Calendar::Xnys.by_rules().sessions_in(slice)[0];
        let before = Calendar::Xnys.by_rules().previous_session(first.open).unwrap();
        assert_ne!(monday_of(first.date), monday_of(before.date), "{slice}");
    }
}

#[test]
fn a_fresh_symbols_series_are_cut_in_the_same_places() {
    let to = "2026-11-23T21:00:00Z";
    let cut = slices(
        &[
            stock(Timeframe::H4, range("2025-11-24T14:30:00Z", to)),
            stock(Timeframe::M15, range("2026-10-26T13:30:00Z", to)),
            stock(Timeframe::H1, range("2026-08-26T13:30:00Z", to)),
            stock(Timeframe::D1, range("2024-11-25T14:30:00Z", to)),
        ],
        &Calendar::Xnys.by_rules(),
        10_000,
    );
    let (h4, m15, h1) = (&cut[0], &cut[1], &cut[2]);
    assert_eq!((m15.len(), h1.len(), h4.len()), (2, 3, 4));
    assert_eq!(h1[1..], m15[..], "the hours of m15's window with m15");
    assert_eq!(h4[1..], h1[..]);
    assert_eq!(cut[3].len(), 2, "daily bars are cut independently: {:?}", cut[3]);
}

proptest! {
    #[test]
    fn slices_tile_the_gaps_exactly(
        from in 946_684_800_i64..1_800_000_000,
        minutes in prop::collection::vec((0_i64..60_000, 1_i64..400_000, 0_usize..8), 1..5),
        page in 1_usize..20_000,
        always_open: bool,
    ) {
        let calendar = if always_open { Calendar::AlwaysOpen } else { Calendar::Xnys };
        let missing: Vec<Missing> = minutes
            .iter()
            .map(|(later, length, which)| {
                let timeframe = Timeframe::ALL[*which];
                let from = Timestamp::from_second(from).unwrap() + SignedDuration::from_mins(*later);
                let gap = Range::new(from, from + SignedDuration::from_mins(*length)).unwrap();
                let base = timeframe.minutes().map_or(Timeframe::D1, |_| Timeframe::M15);
                Missing { timeframe, base, gaps: vec![gap] }
            })
            .collect();
        let cut = slices(&missing, &calendar.by_rules(), page);
        prop_assert_eq!(cut.len(), missing.len());
        for (series, cut) in missing.iter().zip(&cut) {
            prop_assert_eq!(cut[0].from(), series.gaps[0].from());
            prop_assert_eq!(cut[cut.len() - 1].to(), series.gaps[0].to());
            for pair in cut.windows(2) {
                prop_assert_eq!(pair[0].to(), pair[1].from());
            }
            let per_session = rows_per_session(series.base, calendar);
            for slice in cut {
                let sessions = calendar.by_rules().sessions_in(*slice).len();
                // A session or week longer than a page can't be cut; nor can the time before a gap's first open.
                let uncuttable = if series.timeframe == Timeframe::W1 { 14 } else { 2 };
                prop_assert!(sessions <= uncuttable || (sessions - 1) * per_session <= page, "{sessions} sessions");
            }
        }
    }

    #[test]
    fn series_that_can_be_fetched_together_are_cut_together(
        from in 1_500_000_000_i64..1_800_000_000,
        lengths in prop::collection::vec((2_i64..400, 0_usize..4), 2..4),
    ) {
        let to = Timestamp::from_second(from).unwrap();
        let timeframes = [Timeframe::M15, Timeframe::M30, Timeframe::H1, Timeframe::H4];
        let missing: Vec<Missing> = lengths
            .iter()
            .map(|(days, which)| {
                let gap = Range::new(to - SignedDuration::from_hours(24 * days), to).unwrap();
                stock(timeframes[*which], gap)
            })
            .collect();
        let cut = slices(&missing, &Calendar::Xnys.by_rules(), 10_000);
        for (finer, cuts) in missing.iter().zip(&cut) {
            for (coarser, others) in missing.iter().zip(&cut) {
                if (coarser.base, coarser.gaps[0].duration()) <= (finer.base, finer.gaps[0].duration()) {
                    continue;
                }
                let inner: Vec<_> = cuts.iter().skip(1).map(Range::from).collect();
                let other_starts: Vec<_> = others.iter().map(Range::from).collect();
                for at in inner.iter().filter(|at| **at > coarser.gaps[0].from()) {
                    prop_assert!(other_starts.contains(at), "{at} of {} not in {}", finer.timeframe, coarser.timeframe);
                }
            }
        }
    }
}
