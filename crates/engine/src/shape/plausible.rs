//! Finds bars that are valid one by one and impossible together: prices in cents, local time sent as UTC.
//!
//! In: the bars of one symbol as sent, oldest first. Out: the implausible ones, with the reason. Holds: a real move,
//! a split or an illiquid stock is never reported.

use jiff::{Timestamp, civil::time};
use market::{Bar, Calendar, Sessions};

/// A few bars with prices this many times those before and after are an error: no stock moves like that and back.
const MANY_TIMES: f64 = 10.0;

/// How many bars on either side must agree, with one another and with the other side, to rule out those between.
const WITNESSES: usize = 3;
const AGREE: f64 = 2.0;

/// Such errors come in a few bars; a longer run is a new price level.
const LONGEST_SPIKE: usize = 5;

/// Fewer bars, or sessions, are not enough to judge their clock.
const ENOUGH_BARS: usize = 20;
const ENOUGH_DAYS: usize = 2;

/// The implausible bars, by index in `bars`, which are in order without duplicates. `daily`: bars of a day or longer.
pub(super) fn implausible(bars: &[Bar], sessions: &Sessions, daily: bool) -> Vec<(usize, String)> {
    if !daily && let Some(reason) = wrong_clock(bars, sessions) {
        return (0..bars.len()).map(|index| (index, reason.clone())).collect();
    }
    spikes(bars)
}

/// Runs of a few bars between two groups of witnesses. At the ends of a response an error can't be told from a split.
fn spikes(bars: &[Bar]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut index = WITNESSES;
    while index + WITNESSES < bars.len() {
        let spike = (1..=LONGEST_SPIKE).find(|length| is_spike(bars, index, *length));
        let Some(length) = spike else {
            index += 1;
            continue;
        };
        for place in index..index + length {
            if let (Some(bar), Some(usual)) = (bars.get(place), bars.get(index - 1)) {
                let times = bar.close / usual.close;
                found.push((
                    place,
                    format!("its close of {} is {times:.2} times that of the bars around it", bar.close),
                ));
            }
        }
        index += length;
    }
    found
}

fn is_spike(bars: &[Bar], from: usize, length: usize) -> bool {
    let (before, after) = (from.checked_sub(WITNESSES), from + length);
    let parts = before.and_then(|before| {
        Some((bars.get(before..from)?, bars.get(from..after)?, bars.get(after..after + WITNESSES)?))
    });
    let Some((before, between, after)) = parts else { return false };
    let extremes = |least: f64, most: f64, bar: &Bar| (least.min(bar.low), most.max(bar.high));
    let (least, most) =
        before.iter().chain(after).fold((f64::INFINITY, 0.0), |(least, most), bar| extremes(least, most, bar));
    let witnesses_agree = least > 0.0 && most / least <= AGREE;
    witnesses_agree && between.iter().all(|bar| bar.low >= most * MANY_TIMES || bar.high <= least / MANY_TIMES)
}

/// Local time of New York sent as UTC: the session's morning appears before the open, and the afternoon is missing
/// every day.
fn wrong_clock(bars: &[Bar], sessions: &Sessions) -> Option<String> {
    let calendar = sessions.calendar();
    if calendar == Calendar::AlwaysOpen || bars.len() < ENOUGH_BARS {
        return None;
    }
    let zone = calendar.time_zone();
    let clock = |at: Timestamp| zone.to_datetime(at).time();
    let early = bars.iter().filter(|bar| clock(bar.start) < time(9, 30, 0, 0)).count();
    let afternoon = bars.iter().any(|bar| {
        let at = clock(bar.start);
        at >= time(12, 0, 0, 0) && at < time(16, 0, 0, 0)
    });
    let mut days: Vec<_> = bars.iter().map(|bar| calendar.date_of(bar.start)).collect();
    days.dedup();
    // A session in progress may have no afternoon yet: two others must lack theirs.
    let full = days.iter().filter(|day| sessions.session_on(**day).is_some()).count() > ENOUGH_DAYS;
    (full && !afternoon && early * 5 >= bars.len())
        .then(|| "its time looks like New York time sent as UTC: no day has an afternoon".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use jiff::SignedDuration;

    use super::*;

    fn bar(start: Timestamp, close: f64) -> Bar {
        Bar { start, open: close, high: close, low: close, close, volume: 1.0, vwap: None, trade_count: None }
    }

    /// 15-minute bars of three sessions, shifted by `hours`.
    fn sessions(hours: i64) -> Vec<Bar> {
        let mut bars = Vec::new();
        for day in ["2026-06-15", "2026-06-16", "2026-06-17"] {
            let session = Calendar::Xnys.by_rules().session_on(day.parse().unwrap()).unwrap();
            for n in 0..26 {
                bars.push(bar(session.open + SignedDuration::from_mins(15 * n + 60 * hours), 100.0));
            }
        }
        bars
    }

    #[test]
    fn prices_in_cents_among_dollars_are_found_and_a_split_is_not() {
        let mut bars = sessions(0);
        for index in [10, 40, 41] {
            let bar = &mut bars[index];
            (bar.open, bar.high, bar.low, bar.close) =
                (bar.open * 100.0, bar.high * 100.0, bar.low * 100.0, bar.close * 100.0);
        }
        let found: Vec<usize> =
            implausible(&bars, &Calendar::Xnys.by_rules(), false).into_iter().map(|(index, _)| index).collect();
        assert_eq!(found, [10, 40, 41]);
        // A split anywhere in the response, among its last bars too.
        for at in 1..78 {
            let mut split = sessions(0);
            for bar in &mut split[at..] {
                (bar.open, bar.high, bar.low, bar.close) = (5.0, 5.0, 5.0, 5.0);
            }
            assert_eq!(implausible(&split, &Calendar::Xnys.by_rules(), false), [], "{at}");
        }
    }

    #[test]
    fn local_time_called_utc_is_found_whatever_its_distance() {
        for hours in [-4, -5] {
            assert_eq!(implausible(&sessions(hours), &Calendar::Xnys.by_rules(), false).len(), 78, "{hours}");
        }
        assert_eq!(implausible(&sessions(0), &Calendar::Xnys.by_rules(), false), []);
        // Daily bars start at midnight.
        let days: Vec<Bar> = (0..40)
            .map(|n| {
                bar("2026-03-02T05:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * n), 9.0)
            })
            .collect();
        assert_eq!(implausible(&days, &Calendar::Xnys.by_rules(), true), []);
    }

    #[test]
    fn a_quiet_stock_and_one_that_trades_in_the_morning_alone_are_left_alone() {
        let few: Vec<Bar> = sessions(0).into_iter().step_by(9).collect();
        assert_eq!(implausible(&few, &Calendar::Xnys.by_rules(), false), []);
        let mornings: Vec<Bar> = sessions(0).chunks(26).flat_map(|day| day[..8].to_vec()).collect();
        assert_eq!(implausible(&mornings, &Calendar::Xnys.by_rules(), false), []);
        assert_eq!(implausible(&[], &Calendar::Xnys.by_rules(), false), []);
    }
}
