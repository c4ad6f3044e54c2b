//! Cuts the gaps of a symbol's series into slices: by session, at most a page each, the newest slice short, and all
//! series at the same places, so that one request can serve them.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use market::{Calendar, Range, Sessions, Timeframe};

/// Sessions of the newest slice: few enough to arrive at once, and enough for a first view of the chart.
fn newest_sessions(base: Timeframe) -> usize {
    match base {
        Timeframe::M1 => 1,
        Timeframe::M5 => 2,
        Timeframe::M15 | Timeframe::M30 => 5,
        Timeframe::H1 | Timeframe::H4 => 10,
        Timeframe::D1 | Timeframe::W1 => 250,
    }
}

/// The most rows that one session has, extended hours included.
fn rows_per_session(base: Timeframe, calendar: Calendar) -> usize {
    let minutes = match calendar {
        // From 04:00 to 20:00 New York.
        Calendar::Xnys => 16 * 60,
        Calendar::AlwaysOpen => 24 * 60,
    };
    base.minutes().map_or(1, |step| usize::try_from(minutes / step).unwrap_or(1))
}

/// A series and its gaps.
#[derive(Clone, Debug)]
pub struct Missing {
    pub timeframe: Timeframe,
    /// The base timeframe that is fetched for it.
    pub base: Timeframe,
    /// Oldest first.
    pub gaps: Vec<Range>,
}

/// Cuts the gaps of one symbol's series; returns the slices of each, in the order of `missing`, oldest first. They
/// tile the gaps exactly. Each begins with its gap or at a session's open and has at most a page of rows of its base,
/// unless a single session is longer than a page. The newest is short. Where series overlap that can be fetched
/// together, a cut of one is a cut of all.
pub fn slices(missing: &[Missing], sessions: &Sessions, rows_per_page: usize) -> Vec<Vec<Range>> {
    let calendar = sessions.calendar();
    let mut order: Vec<usize> = (0..missing.len()).collect();
    // Finer bars can serve coarser series where they overlap, never the other way round.
    order.sort_by_key(|index| {
        let series = &missing[*index];
        let length: SignedDuration = series.gaps.iter().map(Range::duration).sum();
        (series.base, length, series.timeframe)
    });
    let mut cut = vec![Vec::new(); missing.len()];
    let mut shared: BTreeSet<Timestamp> = BTreeSet::new();
    let mut of_days: BTreeSet<Timestamp> = BTreeSet::new();
    for index in order {
        let series = &missing[index];
        // A stock's daily bars can't be resampled from shorter ones.
        let alone = calendar == Calendar::Xnys && series.base == Timeframe::D1;
        let places = if alone { &mut of_days } else { &mut shared };
        let mut made = Vec::new();
        for gap in &series.gaps {
            made.extend(cut_gap(*gap, sessions, series, rows_per_page, places));
        }
        places.extend(made.iter().flat_map(|slice: &Range| [slice.from(), slice.to()]));
        cut[index] = made;
    }
    cut
}

/// Where a gap may be cut: at the opens of its sessions; for weekly bars at the first open of each week.
fn openings(gap: Range, sessions: &Sessions, timeframe: Timeframe) -> Vec<Timestamp> {
    let opens = sessions.sessions_in(gap).into_iter().map(|session| session.open).filter(|open| *open > gap.from());
    match timeframe {
        Timeframe::W1 => opens
            .filter(|open| {
                sessions
                    .previous_session(*open)
                    .is_none_or(|before| monday_of(before.date) != monday_of(sessions.calendar().date_of(*open)))
            })
            .collect(),
        _ => opens.collect(),
    }
}

fn cut_gap(
    gap: Range,
    sessions: &Sessions,
    series: &Missing,
    rows_per_page: usize,
    places: &BTreeSet<Timestamp>,
) -> Vec<Range> {
    let calendar = sessions.calendar();
    let openings = openings(gap, sessions, series.timeframe);
    let sessions_per_opening = match (series.timeframe, calendar) {
        (Timeframe::W1, Calendar::Xnys) => 5,
        (Timeframe::W1, Calendar::AlwaysOpen) => 7,
        _ => 1,
    };
    let per_page = (rows_per_page / rows_per_session(series.base, calendar) / sessions_per_opening).max(1);
    let newest = (newest_sessions(series.base) / sessions_per_opening).clamp(1, per_page);
    // The cuts of the series that can be fetched with this one; without any, its own newest slice.
    let mut fixed: BTreeSet<usize> = (0..openings.len()).filter(|at| places.contains(&openings[*at])).collect();
    if fixed.is_empty() && openings.len() >= newest {
        fixed.insert(openings.len() - newest);
    }
    let mut bounds = vec![gap.to()];
    let mut end = openings.len();
    for at in fixed.into_iter().rev() {
        bounds.extend(pages(&openings[at..end], per_page));
        bounds.push(openings[at]);
        end = at;
    }
    bounds.extend(pages(&openings[..end], per_page));
    bounds.push(gap.from());
    bounds.reverse();
    bounds.windows(2).filter_map(|pair| Range::new(pair[0], pair[1]).ok()).collect()
}

/// Cuts between the first of `openings` and the end of the gap, newest first, so that no slice is longer than a page.
fn pages(openings: &[Timestamp], per_page: usize) -> Vec<Timestamp> {
    let mut left = openings;
    let mut cuts = Vec::new();
    while left.len() > per_page {
        let at = left.len() - per_page;
        cuts.push(left[at]);
        left = &left[..at];
    }
    cuts
}

fn monday_of(date: jiff::civil::Date) -> jiff::civil::Date {
    let back = i64::from(date.weekday().to_monday_zero_offset()) * 24;
    date.checked_sub(SignedDuration::from_hours(back)).unwrap_or(date)
}

#[cfg(test)]
#[path = "slices_tests.rs"]
mod tests;
