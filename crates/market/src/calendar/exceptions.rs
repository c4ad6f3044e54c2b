//! Exceptions to the calendar that neither the rules nor the built-in list contain: days on which a market closes, or closes early.
//!
//! In: the text of a CSV file. Out: [`Exceptions`], which change the sessions. Holds: one change per day, and none without effect,
//! such as an early close on a Sunday.
//!
//! All parts of a process must use the same sessions: it has one set of exceptions at a time, in [`super::Calendars`], which is
//! passed to everything that computes sessions.

use std::collections::BTreeMap;

use jiff::civil::{Date, Time};

use super::{
    Calendar, InvalidCalendar,
    change::{Change, StockHours},
    xnys,
};

/// Days that differ from the rules, by calendar, and which stock hours count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    days: BTreeMap<(Calendar, Date), Change>,
    hours: StockHours,
}

/// The text isn't a valid list of exceptions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct InvalidExceptions {
    /// Counted from 1, including the header.
    pub line: usize,
    pub why: String,
}

impl Exceptions {
    /// Reads `calendar,date,change[,close]` with that header: change is `closed` or `early`, close the New York time of
    /// an early close (`HH:MM`; by default that of the year's other half days). Empty lines and those that begin
    /// with `#` are ignored.
    ///
    /// # Errors
    /// The first invalid line, with its number.
    pub fn parse(text: &str) -> Result<Self, InvalidExceptions> {
        let mut exceptions = Self::default();
        let mut header_seen = false;
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let invalid = |why| InvalidExceptions { line: index + 1, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let columns: Vec<&str> = line.split(',').map(str::trim).collect();
            if !header_seen {
                if !matches!(columns[..], ["calendar", "date", "change"] | ["calendar", "date", "change", "close"]) {
                    return Err(invalid(format!("expected the header calendar,date,change,close, not '{line}'")));
                }
                header_seen = true;
                continue;
            }
            exceptions.add(&columns).map_err(invalid)?;
        }
        match header_seen {
            true => Ok(exceptions),
            // So that an empty, half-written file doesn't remove exceptions.
            false => Err(InvalidExceptions { line: 1, why: "the header calendar,date,change,close is missing".into() }),
        }
    }

    fn add(&mut self, columns: &[&str]) -> Result<(), String> {
        let (calendar, date, change, close) = match *columns {
            [calendar, date, change] => (calendar, date, change, ""),
            [calendar, date, change, close] => (calendar, date, change, close),
            _ => return Err(format!("expected 3 or 4 columns, not {}", columns.len())),
        };
        let calendar: Calendar = calendar.parse().map_err(|error: InvalidCalendar| error.to_string())?;
        let date: Date = date.parse().map_err(|_| format!("'{date}' isn't a valid date: write it like 2026-11-27"))?;
        let change = match (change, close) {
            ("closed", "") => Change::Closed,
            ("closed", _) => return Err("a closed day can't have a closing time".to_owned()),
            ("early", "") => Change::Early(xnys::early_close(date.year())),
            ("early", close) => Change::Early(hour_and_minute(close)?),
            (other, _) => return Err(format!("'{other}' isn't a valid change: use closed or early")),
        };
        self.insert(calendar, date, change)
    }

    /// Adds one day.
    ///
    /// # Errors
    /// The reason, if the day already has a change or this one is invalid.
    pub fn insert(&mut self, calendar: Calendar, date: Date, change: Change) -> Result<(), String> {
        if calendar == Calendar::AlwaysOpen {
            return Err(format!("{calendar} never closes"));
        }
        match (xnys::by_rule(date), change) {
            (None, Change::Early(_)) => return Err(format!("{date} has no session that could close early")),
            (None, Change::Closed) if xnys::is_weekend(date) => return Err(format!("{date} is on a weekend")),
            (Some(hours), Change::Early(close)) if close <= hours.open || close >= xnys::CLOSE => {
                return Err("an early close must be between 09:30 and 16:00".to_owned());
            }
            // The base bars last up to 30 minutes, and a bar that lasts beyond the close can't be cut.
            (_, Change::Early(close)) if close.minute() % 30 != 0 => {
                return Err("an early close must be at a full or half hour".to_owned());
            }
            _ => {}
        }
        match self.days.insert((calendar, date), change) {
            None => Ok(()),
            Some(_) => Err(format!("{calendar} {date} already has a change")),
        }
    }

    /// All of them, by calendar and day.
    pub fn iter(&self) -> impl Iterator<Item = (Calendar, Date, Change)> {
        self.days.iter().map(|((calendar, date), change)| (*calendar, *date, *change))
    }

    pub fn len(&self) -> usize {
        self.days.len()
    }

    pub fn is_empty(&self) -> bool {
        self.days.is_empty()
    }

    /// The change of that day.
    pub(super) fn on(&self, calendar: Calendar, date: Date) -> Option<Change> {
        self.days.get(&(calendar, date)).copied()
    }

    /// The same days with other hours.
    #[must_use]
    pub fn with_hours(self, hours: StockHours) -> Self {
        Self { hours, ..self }
    }

    pub fn hours(&self) -> StockHours {
        self.hours
    }
}

fn hour_and_minute(text: &str) -> Result<Time, String> {
    let parse = || {
        let (hour, minute) = text.split_once(':')?;
        let two_digits = |part: &str| match part.as_bytes() {
            [a, b] if a.is_ascii_digit() && b.is_ascii_digit() => part.parse::<i8>().ok(),
            _ => None,
        };
        Time::new(two_digits(hour)?, two_digits(minute)?, 0, 0).ok()
    };
    parse().ok_or_else(|| format!("'{text}' isn't a valid time: write it like 13:00"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use jiff::civil::{date, time};

    use super::*;
    use crate::calendar::{Calendars, Sessions};

    fn parse(rows: &str) -> Result<Exceptions, String> {
        Exceptions::parse(&format!("calendar,date,change,close\n{rows}")).map_err(|error| error.to_string())
    }

    fn sessions(exceptions: &Exceptions, calendar: Calendar) -> Sessions {
        Calendars::new(exceptions.clone()).sessions_of(calendar)
    }

    fn close(exceptions: &Exceptions, day: Date) -> Option<String> {
        sessions(exceptions, Calendar::Xnys).session_on(day).map(|session| session.close.to_string())
    }

    #[test]
    fn a_day_is_closed_or_ends_when_the_list_says_so_and_others_are_as_they_were() {
        let list = "# mourning\nXNYS,2026-11-23,closed\r\n\nxnys,2026-11-24,early\nXNYS,2026-11-25,early,12:30\n";
        let exceptions = parse(list).unwrap();
        assert_eq!(close(&exceptions, date(2026, 11, 23)), None);
        assert_eq!(close(&exceptions, date(2026, 11, 24)).as_deref(), Some("2026-11-24T18:00:00Z"));
        assert_eq!(close(&exceptions, date(2026, 11, 25)).as_deref(), Some("2026-11-25T17:30:00Z"));
        assert!(sessions(&exceptions, Calendar::Xnys).session_on(date(2026, 11, 25)).unwrap().early);
        let others = |exceptions: &Exceptions| {
            sessions(exceptions, Calendar::Xnys).sessions(date(2026, 11, 26), date(2027, 1, 1))
        };
        assert_eq!(others(&exceptions), others(&Exceptions::default()));
        assert_eq!(close(&Exceptions::default(), date(2026, 11, 23)).as_deref(), Some("2026-11-23T21:00:00Z"));
    }

    #[test]
    fn extended_hours_begin_at_four_and_end_four_hours_after_the_close() {
        let exceptions = parse("XNYS,2026-11-25,early,12:30").unwrap().with_hours(StockHours::Extended);
        let hours = |day| {
            let session = sessions(&exceptions, Calendar::Xnys).session_on(day).unwrap();
            (session.open.to_string(), session.close.to_string())
        };
        // In winter, on a half day by rule, on one by the list, and in summer.
        assert_eq!(hours(date(2026, 11, 24)), ("2026-11-24T09:00:00Z".into(), "2026-11-25T01:00:00Z".into()));
        assert_eq!(hours(date(2026, 11, 27)), ("2026-11-27T09:00:00Z".into(), "2026-11-27T22:00:00Z".into()));
        assert_eq!(hours(date(2026, 11, 25)), ("2026-11-25T09:00:00Z".into(), "2026-11-25T21:30:00Z".into()));
        assert_eq!(hours(date(2026, 7, 1)), ("2026-07-01T08:00:00Z".into(), "2026-07-02T00:00:00Z".into()));
        assert_eq!(sessions(&exceptions, Calendar::Xnys).session_on(date(2026, 11, 26)), None, "a holiday stays one");
        let always = sessions(&exceptions, Calendar::AlwaysOpen).session_on(date(2026, 7, 1));
        assert_eq!(always, sessions(&Exceptions::default(), Calendar::AlwaysOpen).session_on(date(2026, 7, 1)));
    }

    #[test]
    fn an_early_close_without_an_hour_is_that_of_its_year() {
        let exceptions = parse("XNYS,1991-03-05,early\nXNYS,2026-11-23,early").unwrap();
        let changes: Vec<_> = exceptions.iter().map(|(_, _, change)| change).collect();
        assert_eq!(changes, [Change::Early(time(14, 0, 0, 0)), Change::Early(time(13, 0, 0, 0))]);
    }

    #[test]
    fn a_half_day_by_rule_can_be_closed_or_end_at_another_hour() {
        let exceptions = parse("XNYS,2026-11-27,early,12:00\nXNYS,2026-12-24,closed").unwrap();
        assert_eq!(close(&exceptions, date(2026, 11, 27)).as_deref(), Some("2026-11-27T17:00:00Z"));
        assert_eq!(close(&exceptions, date(2026, 12, 24)), None);
    }

    #[test]
    fn invalid_lines_are_rejected_with_their_number() {
        for (rows, why) in [
            (
                "XLON,2026-11-23,closed",
                "line 2: 'XLON' isn't a valid calendar: use XNYS (New York Stock Exchange) or 24x7",
            ),
            ("24x7,2026-11-23,closed", "line 2: 24x7 never closes"),
            ("\n#\nXNYS,23.11.2026,closed", "line 4: '23.11.2026' isn't a valid date"),
            ("XNYS,2026-11-23,open", "line 2: 'open' isn't a valid change"),
            ("XNYS,2026-11-23", "line 2: expected 3 or 4 columns, not 2"),
            ("XNYS,2026-11-23,early,1:00", "line 2: '1:00' isn't a valid time"),
            ("XNYS,2026-11-23,early,16:00", "line 2: an early close must be between 09:30 and 16:00"),
            ("XNYS,2026-11-23,early,12:45", "line 2: an early close must be at a full or half hour"),
            ("XNYS,2026-11-23,early,09:30", "line 2: an early close must be between"),
            ("XNYS,2026-11-23,closed,13:00", "line 2: a closed day can't have a closing time"),
            ("XNYS,2026-11-22,closed", "line 2: 2026-11-22 is on a weekend"),
            ("XNYS,2026-12-25,early", "line 2: 2026-12-25 has no session that could close early"),
            ("XNYS,2026-11-23,closed\nXNYS,2026-11-23,early", "line 3: XNYS 2026-11-23 already has a change"),
        ] {
            let error = parse(rows).unwrap_err();
            assert!(error.starts_with(why), "{rows}: {error}");
        }
        for text in ["", "\n# nothing\n", "XNYS,2026-11-23,closed\n"] {
            assert!(Exceptions::parse(text).unwrap_err().to_string().contains("header"), "{text}");
        }
    }

    #[test]
    fn a_list_of_a_header_alone_changes_nothing() {
        assert_eq!(parse(""), Ok(Exceptions::default()));
        assert_eq!(Exceptions::parse("calendar,date,change\n"), Ok(Exceptions::default()));
    }
}
