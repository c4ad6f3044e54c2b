//! What neither the rules nor this version's list know: single days on which a market closes, or closes early.
//!
//! In: text in the form of a CSV file. Out: [`Exceptions`], and the sessions that follow from them. What holds: one
//! change a day, and none that changes nothing by its own nature, such as an early close on a Sunday.
//!
//! A process has one set in force, which everything in this crate goes by: what a session is must not depend on who
//! asks. It is the only thing here that can be set; without it the crate's answers are those of the rules.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use jiff::civil::{Date, Time};

use super::{
    Calendar, Session,
    change::{Change, StockHours},
    days_from, xnys,
};

static IN_FORCE: RwLock<Exceptions> = RwLock::new(Exceptions { days: BTreeMap::new(), hours: StockHours::Regular });

impl StockHours {
    /// Those that this process goes by.
    pub fn in_force() -> Self {
        IN_FORCE.read().unwrap_or_else(PoisonError::into_inner).hours
    }
}

/// Days that differ from the rules, by calendar, and which hours count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exceptions {
    days: BTreeMap<(Calendar, Date), Change>,
    hours: StockHours,
}

/// The text isn't a list of exceptions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct InvalidExceptions {
    /// From 1 on, the header's included.
    pub line: usize,
    pub why: String,
}

impl Exceptions {
    /// Reads `calendar,date,change[,close]` with that header: change is `closed` or `early`, close the New York time of
    /// an early one (`HH:MM`; that of the year's other half days where there is none). Empty lines and those that begin
    /// with `#` say nothing.
    ///
    /// # Errors
    /// For the first line that can't be meant, with its number.
    pub fn parse(text: &str) -> Result<Self, InvalidExceptions> {
        let mut exceptions = Self::default();
        let mut header_seen = false;
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let wrong = |why| InvalidExceptions { line: index + 1, why };
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let columns: Vec<&str> = line.split(',').map(str::trim).collect();
            if !header_seen {
                if !matches!(columns[..], ["calendar", "date", "change"] | ["calendar", "date", "change", "close"]) {
                    return Err(wrong(format!("the header calendar,date,change,close is expected, not '{line}'")));
                }
                header_seen = true;
                continue;
            }
            exceptions.add(&columns).map_err(wrong)?;
        }
        match header_seen {
            true => Ok(exceptions),
            // So that a file caught half written takes nothing back.
            false => Err(InvalidExceptions { line: 1, why: "the header calendar,date,change,close is missing".into() }),
        }
    }

    fn add(&mut self, columns: &[&str]) -> Result<(), String> {
        let (calendar, date, change, close) = match *columns {
            [calendar, date, change] => (calendar, date, change, ""),
            [calendar, date, change, close] => (calendar, date, change, close),
            _ => return Err(format!("3 or 4 columns are expected, not {}", columns.len())),
        };
        let calendar: Calendar = calendar.parse().map_err(|error: super::InvalidCalendar| error.to_string())?;
        let date: Date = date.parse().map_err(|_| format!("'{date}' is no date: write 2026-11-27"))?;
        let change = match (change, close) {
            ("closed", "") => Change::Closed,
            ("closed", _) => return Err("a closed day has no time of its close".to_owned()),
            ("early", "") => Change::Early(xnys::early_close(date.year())),
            ("early", close) => Change::Early(hour_and_minute(close)?),
            (other, _) => return Err(format!("'{other}' is no change: closed and early are")),
        };
        self.insert(calendar, date, change)
    }

    /// Adds one day.
    ///
    /// # Errors
    /// In words, where the day has a change already or this one can't be meant.
    pub fn insert(&mut self, calendar: Calendar, date: Date, change: Change) -> Result<(), String> {
        if calendar == Calendar::AlwaysOpen {
            return Err(format!("{calendar} never closes"));
        }
        match (xnys::by_rule(date), change) {
            (None, Change::Early(_)) => return Err(format!("{date} has no session that could end early")),
            (None, Change::Closed) if xnys::is_weekend(date) => return Err(format!("{date} is a weekend's day")),
            (Some(hours), Change::Early(close)) if close <= hours.open || close >= xnys::CLOSE => {
                return Err("an early close lies between 09:30 and 16:00".to_owned());
            }
            // Bars come in half hours at the coarsest, and one that lasts beyond the close can't be cut there.
            (_, Change::Early(close)) if close.minute() % 30 != 0 => {
                return Err("an early close is at a full or half hour".to_owned());
            }
            _ => {}
        }
        match self.days.insert((calendar, date), change) {
            None => Ok(()),
            Some(_) => Err(format!("{calendar} {date} has a change already")),
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

    /// The session of a day under these exceptions, whichever are in force.
    pub fn session_on(&self, calendar: Calendar, date: Date) -> Option<Session> {
        calendar.session_by(date, self.days.get(&(calendar, date)).copied(), self.hours)
    }

    /// The sessions of the days from `from` up to, not including, `to_exclusive`, oldest first.
    pub fn sessions(&self, calendar: Calendar, from: Date, to_exclusive: Date) -> Vec<Session> {
        let days = days_from(from).take_while(|date| *date < to_exclusive);
        days.filter_map(|date| self.session_on(calendar, date)).collect()
    }

    /// The same days with other hours.
    #[must_use]
    pub fn with_hours(self, hours: StockHours) -> Self {
        Self { hours, ..self }
    }

    pub fn hours(&self) -> StockHours {
        self.hours
    }

    /// Makes them those that this process goes by, in place of those before.
    pub fn put_in_force(self) {
        *IN_FORCE.write().unwrap_or_else(PoisonError::into_inner) = self;
    }
}

/// What is in force for that day.
pub(super) fn in_force(calendar: Calendar, date: Date) -> (Option<Change>, StockHours) {
    let in_force = IN_FORCE.read().unwrap_or_else(PoisonError::into_inner);
    (in_force.days.get(&(calendar, date)).copied(), in_force.hours)
}

/// How many are in force: so many days may be closed beyond those that the rules close.
pub(super) fn how_many() -> usize {
    IN_FORCE.read().unwrap_or_else(PoisonError::into_inner).len()
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
    parse().ok_or_else(|| format!("'{text}' is no time of day: write 13:00"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that fails may panic")]

    use jiff::civil::{date, time};

    use super::*;

    fn parse(rows: &str) -> Result<Exceptions, String> {
        Exceptions::parse(&format!("calendar,date,change,close\n{rows}")).map_err(|error| error.to_string())
    }

    fn close(exceptions: &Exceptions, day: Date) -> Option<String> {
        exceptions.session_on(Calendar::Xnys, day).map(|session| session.close.to_string())
    }

    #[test]
    fn a_day_is_closed_or_ends_when_the_list_says_so_and_others_are_as_they_were() {
        let list = "# mourning\nXNYS,2026-11-23,closed\r\n\nxnys,2026-11-24,early\nXNYS,2026-11-25,early,12:30\n";
        let exceptions = parse(list).unwrap();
        assert_eq!(close(&exceptions, date(2026, 11, 23)), None);
        assert_eq!(close(&exceptions, date(2026, 11, 24)).as_deref(), Some("2026-11-24T18:00:00Z"));
        assert_eq!(close(&exceptions, date(2026, 11, 25)).as_deref(), Some("2026-11-25T17:30:00Z"));
        assert!(exceptions.session_on(Calendar::Xnys, date(2026, 11, 25)).unwrap().early);
        let others =
            |exceptions: &Exceptions| exceptions.sessions(Calendar::Xnys, date(2026, 11, 26), date(2027, 1, 1));
        assert_eq!(others(&exceptions), others(&Exceptions::default()));
        assert_eq!(close(&Exceptions::default(), date(2026, 11, 23)).as_deref(), Some("2026-11-23T21:00:00Z"));
    }

    #[test]
    fn extended_hours_begin_at_four_and_end_four_hours_after_the_close() {
        let exceptions = parse("XNYS,2026-11-25,early,12:30").unwrap().with_hours(StockHours::Extended);
        let hours = |day| {
            let session = exceptions.session_on(Calendar::Xnys, day).unwrap();
            (session.open.to_string(), session.close.to_string())
        };
        // In winter, on a half day by rule, on one by the list, and in summer.
        assert_eq!(hours(date(2026, 11, 24)), ("2026-11-24T09:00:00Z".into(), "2026-11-25T01:00:00Z".into()));
        assert_eq!(hours(date(2026, 11, 27)), ("2026-11-27T09:00:00Z".into(), "2026-11-27T22:00:00Z".into()));
        assert_eq!(hours(date(2026, 11, 25)), ("2026-11-25T09:00:00Z".into(), "2026-11-25T21:30:00Z".into()));
        assert_eq!(hours(date(2026, 7, 1)), ("2026-07-01T08:00:00Z".into(), "2026-07-02T00:00:00Z".into()));
        assert_eq!(exceptions.session_on(Calendar::Xnys, date(2026, 11, 26)), None, "a holiday stays one");
        let always = exceptions.session_on(Calendar::AlwaysOpen, date(2026, 7, 1));
        assert_eq!(always, Exceptions::default().session_on(Calendar::AlwaysOpen, date(2026, 7, 1)));
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
    fn what_cannot_be_meant_is_refused_with_its_line() {
        for (rows, why) in [
            ("XLON,2026-11-23,closed", "line 2: 'XLON' is no calendar: XNYS (New York Stock Exchange) and 24x7"),
            ("24x7,2026-11-23,closed", "line 2: 24x7 never closes"),
            ("\n#\nXNYS,23.11.2026,closed", "line 4: '23.11.2026' is no date"),
            ("XNYS,2026-11-23,open", "line 2: 'open' is no change"),
            ("XNYS,2026-11-23", "line 2: 3 or 4 columns are expected, not 2"),
            ("XNYS,2026-11-23,early,1:00", "line 2: '1:00' is no time of day"),
            ("XNYS,2026-11-23,early,16:00", "line 2: an early close lies between 09:30 and 16:00"),
            ("XNYS,2026-11-23,early,12:45", "line 2: an early close is at a full or half hour"),
            ("XNYS,2026-11-23,early,09:30", "line 2: an early close lies between"),
            ("XNYS,2026-11-23,closed,13:00", "line 2: a closed day has no time of its close"),
            ("XNYS,2026-11-22,closed", "line 2: 2026-11-22 is a weekend's day"),
            ("XNYS,2026-12-25,early", "line 2: 2026-12-25 has no session that could end early"),
            ("XNYS,2026-11-23,closed\nXNYS,2026-11-23,early", "line 3: XNYS 2026-11-23 has a change already"),
        ] {
            let told = parse(rows).unwrap_err();
            assert!(told.starts_with(why), "{rows}: {told}");
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
