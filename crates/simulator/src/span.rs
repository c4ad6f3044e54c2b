//! Alpaca's timeframes, and the bars that minutes add up to.
//!
//! In: `15Min`, `4Hour`, `3Month` and minutes, day by day. Out: bars identified by their start. Holds: bars of up to
//! a day lie within one day of their market, so that days can be processed in any order; stocks use New York's clock,
//! crypto UTC.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, time},
};
use market::{Calendar, Grid, Timeframe};

use crate::minute::Minute;

/// The length of a bar in Alpaca's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    Minutes(i64),
    Hours(i64),
    Day,
    Week,
    Months(i64),
}

/// The text is not one of Alpaca's timeframes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSpan;

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or(InvalidSpan)?;
        let (number, unit) = text.split_at(unit);
        let number = if number.starts_with('0') { Err(InvalidSpan) } else { number.parse().map_err(|_| InvalidSpan) }?;
        match (number, unit) {
            (1..=59, "Min" | "T") => Ok(Self::Minutes(number)),
            (1..=23, "Hour" | "H") => Ok(Self::Hours(number)),
            (1, "Day" | "D") => Ok(Self::Day),
            (1, "Week" | "W") => Ok(Self::Week),
            (1 | 2 | 3 | 4 | 6 | 12, "Month" | "M") => Ok(Self::Months(number)),
            _ => Err(InvalidSpan),
        }
    }
}

impl Span {
    /// The length of its bars, of months and longer about.
    pub(crate) fn seconds(self) -> i64 {
        const DAY: i64 = 24 * 60 * 60;
        match self {
            Self::Minutes(n) => n * 60,
            Self::Hours(n) => n * 60 * 60,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Months(n) => n * 31 * DAY,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Minutes(n) => write!(f, "{n}Min"),
            Self::Hours(n) => write!(f, "{n}Hour"),
            Self::Day => f.write_str("1Day"),
            Self::Week => f.write_str("1Week"),
            Self::Months(n) => write!(f, "{n}Month"),
        }
    }
}

/// Whole days, `[from, to)` in the market's time zone; nothing outside adds to their bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days {
    pub(crate) from: Date,
    pub(crate) to: Date,
}

impl Days {
    pub(crate) fn dates(self) -> impl Iterator<Item = Date> {
        std::iter::successors(Some(self.from), |date| date.tomorrow().ok()).take_while(move |date| *date < self.to)
    }
}

impl Span {
    /// The days that the bar or bars of `date` are made of; `None` beyond the years that jiff knows.
    pub(crate) fn days(self, date: Date) -> Option<Days> {
        let (from, to) = match self {
            Self::Minutes(_) | Self::Hours(_) | Self::Day => (date, date.tomorrow().ok()?),
            Self::Week => {
                let monday = date.checked_sub(i64::from(date.weekday().to_monday_zero_offset()).days()).ok()?;
                (monday, monday.checked_add(1.week()).ok()?)
            }
            Self::Months(n) => {
                let before = (i64::from(date.month()) - 1) % n;
                let first = date.first_of_month().checked_sub(before.months()).ok()?;
                (first, first.checked_add(n.months()).ok()?)
            }
        };
        Some(Days { from, to })
    }

    /// `[from, to)` of the bar to which a minute that begins at `at` (unix seconds) belongs.
    fn bucket(self, calendar: Calendar, days: Days, at: i64) -> Option<(i64, i64)> {
        let seconds = |instant: Timestamp| instant.as_second();
        let minutes = match self {
            Self::Minutes(n) => n,
            Self::Hours(n) => 60 * n,
            Self::Day | Self::Week | Self::Months(_) => {
                return Some((seconds(calendar.midnight(days.from)?), seconds(calendar.midnight(days.to)?)));
            }
        };
        let at = Timestamp::from_second(at).ok()?;
        if let Some(timeframe) = Timeframe::ALL.into_iter().find(|timeframe| timeframe.minutes() == Some(minutes)) {
            let bucket = grid(calendar).bucket_of(timeframe, at)?;
            return Some((seconds(bucket.from()), seconds(bucket.to())));
        }
        let zone = calendar.time_zone();
        let clock = zone.to_datetime(at);
        let first = (i64::from(clock.hour()) * 60 + i64::from(clock.minute())) / minutes * minutes;
        let instant = |minute: i64| match (i8::try_from(minute / 60), i8::try_from(minute % 60)) {
            (Ok(hour @ 0..=23), Ok(minute)) => {
                zone.to_timestamp(clock.date().to_datetime(time(hour, minute, 0, 0))).ok()
            }
            _ => calendar.midnight(clock.date().tomorrow().ok()?),
        };
        Some((seconds(instant(first)?), seconds(instant(first + minutes)?)))
    }
}

fn grid(calendar: Calendar) -> Grid {
    match calendar {
        Calendar::Xnys => Grid::ClockNewYork,
        Calendar::AlwaysOpen => Grid::Epoch,
    }
}

/// Resamples minutes to the bars of one [`Days`].
#[derive(Debug)]
pub(crate) struct Sum {
    span: Span,
    calendar: Calendar,
    days: Days,
    /// Where the last bar ends.
    until: i64,
    pub(crate) bars: Vec<Minute>,
}

impl Sum {
    pub(crate) fn new(span: Span, calendar: Calendar, days: Days) -> Self {
        Self { span, calendar, days, until: i64::MIN, bars: Vec::new() }
    }

    /// Adds minutes, oldest first.
    pub(crate) fn add(&mut self, minutes: &[Minute]) {
        for minute in minutes {
            if let Some(bar) = self.bars.last_mut().filter(|_| minute.start < self.until) {
                bar.add(minute);
            } else if let Some((from, to)) = self.span.bucket(self.calendar, self.days, minute.start) {
                self.until = to;
                self.bars.push(Minute { start: from, ..*minute });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

    use jiff::civil::date;

    use super::*;

    #[test]
    fn alpacas_timeframes_are_read_and_others_refused() {
        for (text, span) in [
            ("1Min", Span::Minutes(1)),
            ("59T", Span::Minutes(59)),
            ("23H", Span::Hours(23)),
            ("4Hour", Span::Hours(4)),
            ("1D", Span::Day),
            ("1Week", Span::Week),
            ("12M", Span::Months(12)),
        ] {
            assert_eq!(text.parse(), Ok(span), "{text}");
            assert_eq!(span.to_string().parse(), Ok(span));
        }
        for text in ["", "1", "Min", "0Min", "01Min", "60Min", "24Hour", "2Day", "5Month", "1min", "30Sec", "1Min "] {
            assert_eq!(text.parse::<Span>(), Err(InvalidSpan), "{text}");
        }
    }

    #[test]
    fn weeks_begin_on_monday_and_months_where_the_year_is_divided() {
        let days = |span: Span, day| span.days(day).unwrap();
        assert_eq!(days(Span::Week, date(2026, 11, 29)), Days { from: date(2026, 11, 23), to: date(2026, 11, 30) });
        assert_eq!(days(Span::Months(4), date(2026, 8, 31)), Days { from: date(2026, 5, 1), to: date(2026, 9, 1) });
        assert_eq!(days(Span::Months(12), date(2026, 8, 31)), Days { from: date(2026, 1, 1), to: date(2027, 1, 1) });
    }

    #[test]
    fn hours_that_do_not_divide_the_day_start_afresh_at_midnight_in_new_york() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
        let bucket = |span: Span, text| span.bucket(Calendar::Xnys, span.days(date(2026, 11, 24)).unwrap(), at(text));
        let expected = |from, to| Some((at(from), at(to)));
        let evening = "2026-11-25T03:59:00Z";
        assert_eq!(bucket(Span::Hours(5), evening), expected("2026-11-25T01:00:00Z", "2026-11-25T05:00:00Z"));
        assert_eq!(
            bucket(Span::Hours(4), "2026-11-24T14:30:00Z"),
            expected("2026-11-24T13:00:00Z", "2026-11-24T17:00:00Z")
        );
        assert_eq!(
            bucket(Span::Minutes(7), "2026-11-24T05:13:00Z"),
            expected("2026-11-24T05:07:00Z", "2026-11-24T05:14:00Z")
        );
        assert_eq!(bucket(Span::Day, evening), expected("2026-11-24T05:00:00Z", "2026-11-25T05:00:00Z"));
    }
}
