//! Every session from 1990 to 2030, bar by bar, against arithmetic that knows neither the calendar nor a time zone.
//!
//! Where a session begins and ends is taken from the calendar, which `calendar.rs` holds against what an independent
//! one says; that it is 09:30 and 16:00 (13:00, before 1993 14:00) in New York is computed here from the law on
//! daylight saving time. So are the buckets: by counting minutes.

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Weekday, date},
};
use market::{Calendar, Grid, Range, Timeframe};

use crate::golden;

fn grid() -> Grid {
    Grid::by_rules(Calendar::Xnys)
}

/// Minutes of UTC that New York is behind: by the Uniform Time Act as it stood in that year.
fn behind(day: Date) -> i64 {
    let (begins, ends) = match day.year() {
        // From 1987 on: the first Sunday of April, the last of October.
        ..=2006 => (sunday(day.year(), 4, 1), sunday(day.year(), 10, 25)),
        // The second Sunday of March, the first of November.
        _ => (sunday(day.year(), 3, 8), sunday(day.year(), 11, 1)),
    };
    // At two in the morning, long before the open.
    if begins <= day && day < ends { 4 * 60 } else { 5 * 60 }
}

/// The first Sunday on or after that day.
fn sunday(year: i16, month: i8, from: i8) -> Date {
    let mut day = date(year, month, from);
    while day.weekday() != Weekday::Sunday {
        day = day.tomorrow().expect("a day");
    }
    day
}

/// The instant of a time of day in New York, in minutes since 1970.
fn minute(day: Date, hour: i64, minute: i64) -> i64 {
    // Days since 1970 by counting, as the civil calendar does.
    let days = i64::from(date(1970, 1, 1).until(day).expect("days").get_days());
    days * 1440 + hour * 60 + minute + behind(day)
}

fn minutes_of(at: Timestamp) -> i64 {
    assert_eq!(at.as_second() % 60, 0);
    at.as_second() / 60
}

/// The buckets of a session from `open` to `close` (minutes), by counting on from the open.
fn counted(open: i64, close: i64, step: i64) -> Vec<(i64, i64)> {
    let mut buckets = Vec::new();
    let mut from = open;
    while from < close {
        let to = if from + step < close { from + step } else { close };
        buckets.push((from, to));
        from = to;
    }
    buckets
}

fn ours(timeframe: Timeframe, range: Range) -> Vec<(i64, i64)> {
    grid().buckets(timeframe, range).iter().map(|b| (minutes_of(b.from()), minutes_of(b.to()))).collect()
}

#[test]
fn every_session_from_1990_to_2030_is_cut_at_its_close_into_bars_anchored_at_its_open() {
    let sessions = Calendar::Xnys.by_rules().sessions(date(1990, 1, 1), date(2031, 1, 1));
    // 41 years of 251 to 254 days.
    assert!((10_250..10_400).contains(&sessions.len()), "{}", sessions.len());
    let (mut half_days, mut summer) = (0, 0);
    for session in &sessions {
        let day = session.date;
        let closes = match (session.early, day.year()) {
            (false, _) => 16,
            (true, ..=1992) => 14,
            (true, _) => 13,
        };
        half_days += usize::from(session.early);
        summer += usize::from(behind(day) == 240);
        let (open, close) = (minute(day, 9, 30), minute(day, closes, 0));
        assert_eq!((minutes_of(session.open), minutes_of(session.close)), (open, close), "{day}");
        let counts: &[(Timeframe, i64, usize)] = match closes {
            16 => &[(Timeframe::M15, 15, 26), (Timeframe::H1, 60, 7), (Timeframe::H4, 240, 2)],
            14 => &[(Timeframe::M15, 15, 18), (Timeframe::H1, 60, 5), (Timeframe::H4, 240, 2)],
            _ => &[(Timeframe::M15, 15, 14), (Timeframe::H1, 60, 4), (Timeframe::H4, 240, 1)],
        };
        for (timeframe, step, count) in counts {
            let buckets = ours(*timeframe, session.range());
            assert_eq!(buckets, counted(open, close, *step), "{day} {timeframe}");
            assert_eq!(buckets.len(), *count, "{day} {timeframe}");
        }
        // A minute of the session belongs to the bucket that counting puts it in: the first, the last, one between.
        for timeframe in [Timeframe::H1, Timeframe::H4] {
            let step = timeframe.minutes().expect("minutes");
            for at in [open, open + step - 1, open + step, close - 1].into_iter().filter(|at| *at < close) {
                let (from, to) = counted(open, close, step)[usize::try_from((at - open) / step).expect("an index")];
                let instant = Timestamp::from_second(at * 60 + 59).expect("an instant");
                let bucket = grid().bucket_of(timeframe, instant).expect("a bucket");
                assert_eq!((minutes_of(bucket.from()), minutes_of(bucket.to())), (from, to), "{day} {timeframe}");
            }
            for outside in [open * 60 - 1, close * 60] {
                assert_eq!(grid().bucket_of(timeframe, Timestamp::from_second(outside).expect("an instant")), None);
            }
        }
    }
    assert!((70..150).contains(&half_days), "{half_days} half days");
    assert!(summer > sessions.len() / 2, "{summer} of {} in summer time", sessions.len());
}

#[test]
fn bars_of_a_whole_year_are_those_of_its_sessions_and_no_others() {
    for year in 1990..=2030 {
        let (from, to) = (date(year, 1, 1), date(year + 1, 1, 1));
        let midnight = |day: Date| Calendar::Xnys.midnight(day).expect("midnight");
        let range = Range::new(midnight(from), midnight(to)).expect("a year");
        let sessions = Calendar::Xnys.by_rules().sessions(from, to);
        for (timeframe, step) in [(Timeframe::M15, 15), (Timeframe::H1, 60), (Timeframe::H4, 240)] {
            let by_session: Vec<_> =
                sessions.iter().flat_map(|s| counted(minutes_of(s.open), minutes_of(s.close), step)).collect();
            assert_eq!(ours(timeframe, range), by_session, "{year} {timeframe}");
        }
    }
}

#[test]
fn in_the_weeks_in_which_clocks_change_bars_stay_at_the_same_times_in_new_york() {
    // Springs and autumns under the laws of 1987 and 2007, by the Monday after.
    for (monday, utc_before, utc_after) in [
        (date(1990, 4, 2), "14:30", "13:30"),
        (date(2006, 10, 30), "13:30", "14:30"),
        (date(2007, 3, 12), "14:30", "13:30"),
        (date(2026, 11, 2), "13:30", "14:30"),
        (date(2030, 3, 11), "14:30", "13:30"),
    ] {
        let friday = monday.checked_sub(3.days()).expect("a Friday");
        for (day, expected) in [(friday, utc_before), (monday, utc_after)] {
            let session = Calendar::Xnys.by_rules().session_on(day).expect("a session");
            assert_eq!(session.open.strftime("%H:%M").to_string(), expected, "{day}");
            for (timeframe, starts) in [
                (Timeframe::H1, &["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"][..]),
                (Timeframe::H4, &["09:30", "13:30"][..]),
            ] {
                let zone = Calendar::Xnys.time_zone();
                let told: Vec<String> = grid()
                    .buckets(timeframe, session.range())
                    .iter()
                    .map(|b| zone.to_datetime(b.from()).strftime("%H:%M").to_string())
                    .collect();
                assert_eq!(told, starts, "{day} {timeframe}");
            }
        }
    }
}

#[test]
fn bars_of_an_independent_calendars_sessions_are_ours() {
    for row in golden::sessions().iter().flat_map(|(_, _, rows)| rows) {
        let at = |column: usize| row[column].parse::<Timestamp>().expect("an instant");
        let (open, close) = (at(1), at(2));
        // Around it, so that nothing of it could come from the range.
        let around = Range::new(open - 2.hours(), close + 2.hours()).expect("a range");
        for (timeframe, step) in [(Timeframe::M15, 15), (Timeframe::H1, 60), (Timeframe::H4, 240)] {
            let expected = counted(minutes_of(open), minutes_of(close), step);
            assert_eq!(ours(timeframe, around), expected, "{} {timeframe}", row[0]);
        }
    }
}
