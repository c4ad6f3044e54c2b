//! The rules of the New York Stock Exchange (its Rule 7.2 and yearly notices), 1990 and after.
//!
//! In: a date in New York. Out: its opening hours, or none. Every rule looks at that one date alone, so a
//! question costs the same in any year.

use jiff::{
    ToSpan as _,
    civil::{Date, Time, Weekday, date, time},
};

use super::{
    adhoc,
    change::{Change, StockHours},
};

const OPEN: Time = time(9, 30, 0, 0);
pub(super) const CLOSE: Time = time(16, 0, 0, 0);

/// Where there are orders before the open, and for how long there are after the close.
const FIRST: Time = time(4, 0, 0, 0);
const AFTER_CLOSE_HOURS: i64 = 4;

/// Of one day, New York time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hours {
    pub(super) open: Time,
    pub(super) close: Time,
    pub(super) early: bool,
}

/// `None` on weekends, on holidays and where `change` says so.
pub(super) fn hours(date: Date, change: Option<Change>, which: StockHours) -> Option<Hours> {
    let hours = by_rule(date)?;
    let regular = match change {
        None => hours,
        Some(Change::Closed) => return None,
        Some(Change::Early(close)) => Hours { close, early: true, ..hours },
    };
    Some(match which {
        StockHours::Regular => regular,
        StockHours::Extended => {
            Hours { open: FIRST, close: regular.close.saturating_add(AFTER_CLOSE_HOURS.hours()), ..regular }
        }
    })
}

/// As far as the rules and this version's list know.
pub(super) fn by_rule(date: Date) -> Option<Hours> {
    if is_weekend(date) || is_holiday(date) || adhoc::CLOSED.contains(&date) {
        return None;
    }
    let early = is_half_day(date) || adhoc::EARLY.contains(&date);
    let close = if early { early_close(date.year()) } else { CLOSE };
    Some(Hours { open: OPEN, close, early })
}

pub(super) fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Whether a weekday is a holiday by rule.
///
/// A holiday on a Saturday is kept on the Friday before, one on a Sunday on the Monday after; except that New Year's
/// Day on a Saturday is not made up for, since that Friday ends the year.
fn is_holiday(date: Date) -> bool {
    let (year, day, weekday) = (date.year(), date.day(), date.weekday());
    let kept_for = |holiday: i8| {
        day == holiday
            || (day == holiday + 1 && weekday == Weekday::Monday)
            || (day == holiday - 1 && weekday == Weekday::Friday)
    };
    let third_monday = weekday == Weekday::Monday && (15..=21).contains(&day);
    match date.month() {
        // New Year's Day; Martin Luther King's birthday.
        1 => kept_for(1) || (year >= 1998 && third_monday),
        // Washington's birthday.
        2 => third_monday,
        3 | 4 => weekday == Weekday::Friday && is_good_friday(date),
        // Memorial Day: the last Monday.
        5 => weekday == Weekday::Monday && day >= 25,
        // Juneteenth.
        6 => year >= 2022 && kept_for(19),
        // Independence Day.
        7 => kept_for(4),
        // Labor Day: the first Monday.
        9 => weekday == Weekday::Monday && day <= 7,
        // Thanksgiving: the fourth Thursday.
        11 => weekday == Weekday::Thursday && (22..=28).contains(&day),
        // Christmas.
        12 => kept_for(25),
        _ => false,
    }
}

/// Whether a trading day closes early by rule.
fn is_half_day(date: Date) -> bool {
    use Weekday::{Friday, Monday, Thursday, Tuesday, Wednesday};
    let (year, weekday) = (date.year(), date.weekday());
    match (date.month(), date.day()) {
        // The day before Independence Day, since 1995; where that was a Wednesday, the Friday after instead until 2012.
        (7, 3) => {
            (year >= 1995 && matches!(weekday, Monday | Tuesday | Thursday)) || (year >= 2013 && weekday == Wednesday)
        }
        (7, 5) => (1995..=2012).contains(&year) && weekday == Friday,
        // The day after Thanksgiving, since 1992.
        (11, 23..=29) => year >= 1992 && weekday == Friday,
        // Christmas Eve; a Friday is the holiday itself, kept for a Christmas on Saturday.
        (12, 24) => matches!(weekday, Monday | Tuesday | Wednesday | Thursday),
        _ => false,
    }
}

/// When that year's half days end.
pub(super) fn early_close(year: i16) -> Time {
    if year < 1993 { time(14, 0, 0, 0) } else { time(13, 0, 0, 0) }
}

fn is_good_friday(friday: Date) -> bool {
    friday.checked_add(2.days()).is_ok_and(|sunday| sunday == easter(friday.year()))
}

/// Easter Sunday of the Gregorian calendar (the anonymous algorithm in the form of New Scientist, 30 March 1961).
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let a = y.rem_euclid(19);
    let (b, c) = (y.div_euclid(100), y.rem_euclid(100));
    let (d, e) = (b / 4, b.rem_euclid(4));
    let g = (8 * b + 13) / 25;
    let h = (19 * a + b - d - g + 15).rem_euclid(30);
    let (i, k) = (c / 4, c % 4);
    let l = (32 + 2 * e + 2 * i - h - k).rem_euclid(7);
    let m = (a + 11 * h + 19 * l) / 433;
    let month = (h + l - 7 * m + 90) / 25;
    let day = (h + l - 7 * m + 33 * month + 19).rem_euclid(32);
    // Both lie within 22 March to 25 April.
    date(year, month as i8, day as i8)
}
