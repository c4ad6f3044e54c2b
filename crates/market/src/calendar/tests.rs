#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails may panic")]

use jiff::civil::date;
use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn xnys(year: i16, month: i8, day: i8) -> Option<Session> {
    Calendar::Xnys.by_rules().session_on(date(year, month, day))
}

#[test]
fn a_half_day_closes_at_13_and_before_1993_at_14() {
    let session = xnys(2026, 11, 27).expect("the day after Thanksgiving");
    assert_eq!((session.open, session.close), (at("2026-11-27T14:30:00Z"), at("2026-11-27T18:00:00Z")));
    assert!(session.early);
    assert_eq!(xnys(1992, 12, 24).map(|session| session.close), Some(at("1992-12-24T19:00:00Z")));
}

#[test]
fn the_session_follows_new_york_through_a_change_of_clocks() {
    let opens = |day| xnys(2026, 3, day).map(|session| session.open);
    assert_eq!(opens(6), Some(at("2026-03-06T14:30:00Z")));
    assert_eq!(opens(9), Some(at("2026-03-09T13:30:00Z")));
}

#[test]
fn holidays_came_and_moved_as_they_did() {
    for (closed, year, month, day) in [
        // Martin Luther King's birthday, since 1998.
        (false, 1997, 1, 20),
        (true, 1998, 1, 19),
        // Juneteenth, since 2022; on a Sunday, on a Saturday.
        (false, 2021, 6, 18),
        (true, 2022, 6, 20),
        (true, 2027, 6, 18),
        // New Year's Day on a Saturday, on a Sunday.
        (false, 2021, 12, 31),
        (true, 2023, 1, 2),
        // Christmas on a Saturday, on a Sunday.
        (true, 2021, 12, 24),
        (true, 2022, 12, 26),
        // Good Friday, also in March; Columbus Day is a trading day.
        (true, 2024, 3, 29),
        (true, 2026, 4, 3),
        (false, 2026, 10, 12),
        // Independence Day on a Saturday.
        (true, 2026, 7, 3),
        // Mourning for Presidents George H. W. Bush and Carter.
        (true, 2018, 12, 5),
        (true, 2025, 1, 9),
    ] {
        assert_eq!(xnys(year, month, day).is_none(), closed, "{year}-{month}-{day}");
    }
}

#[test]
fn the_eve_of_independence_day_is_short_by_the_rule_of_its_year() {
    for (early, year, month, day) in [
        (false, 1991, 7, 3),
        (true, 1995, 7, 3),
        (false, 1996, 7, 3),
        (true, 1996, 7, 5),
        (true, 2013, 7, 3),
        (false, 2013, 7, 5),
        (true, 2024, 7, 3),
        (false, 2024, 7, 5),
        (true, 2025, 7, 3),
    ] {
        assert_eq!(xnys(year, month, day).map(|session| session.early), Some(early), "{year}-{month}-{day}");
    }
}

#[test]
fn every_day_of_a_market_that_never_closes_is_a_session() {
    let sessions = Calendar::AlwaysOpen.by_rules().sessions(date(2026, 12, 24), date(2026, 12, 27));
    assert_eq!(sessions.len(), 3);
    assert!(sessions.windows(2).all(|pair| pair[0].close == pair[1].open && !pair[0].early));
    assert_eq!(sessions[1].range(), Range::ordered(at("2026-12-25T00:00:00Z"), at("2026-12-26T00:00:00Z")));
}

#[test]
fn the_neighbours_of_the_longest_close_are_found() {
    let closed = at("2001-09-12T12:00:00Z");
    assert_eq!(Calendar::Xnys.by_rules().session_at(closed), None);
    assert_eq!(Calendar::Xnys.by_rules().previous_session(closed), xnys(2001, 9, 10));
    assert_eq!(Calendar::Xnys.by_rules().next_session(closed), xnys(2001, 9, 17));
}

#[test]
fn names_come_back_as_they_were_and_others_are_refused() {
    for calendar in Calendar::ALL {
        assert_eq!(calendar.to_string().parse(), Ok(calendar));
    }
    assert_eq!("xnys".parse(), Ok(Calendar::Xnys));
    assert_eq!("XLON".parse::<Calendar>(), Err(InvalidCalendar("XLON".to_owned())));
}

#[test]
fn the_first_and_last_days_that_jiff_knows_are_no_panic() {
    for calendar in Calendar::ALL {
        for (from, to) in [(Date::MIN, date(-9999, 1, 9)), (date(9999, 12, 20), Date::MAX)] {
            calendar.by_rules().sessions(from, to);
            calendar.by_rules().session_on(to);
        }
        for instant in [Timestamp::MIN, Timestamp::MAX] {
            calendar.by_rules().session_at(instant);
            calendar.by_rules().next_session(instant);
            calendar.by_rules().previous_session(instant);
        }
    }
}

proptest! {
    #[test]
    fn sessions_in_a_range_are_those_that_overlap_it(
        calendar in prop::sample::select(&Calendar::ALL[..]),
        from in 631_152_000i64..1_900_000_000,
        seconds in 1i64..2_000_000,
    ) {
        let instant = |second| Timestamp::from_second(second).expect("an instant");
        let range = Range::ordered(instant(from), instant(from + seconds));
        let mut expected = calendar.by_rules().sessions(date(1989, 12, 1), date(2031, 1, 1));
        expected.retain(|session| session.open < range.to() && session.close > range.from());
        prop_assert_eq!(calendar.by_rules().sessions_in(range), expected);
    }

    #[test]
    fn an_instant_lies_within_a_session_or_between_two_neighbours(second in 631_152_000i64..1_900_000_000) {
        let at = Timestamp::from_second(second).expect("an instant");
        let (before, after) = (Calendar::Xnys.by_rules().previous_session(at), Calendar::Xnys.by_rules().next_session(at));
        let (before, after) = (before.expect("a session before"), after.expect("a session after"));
        prop_assert!(before.close <= at && at <= after.open);
        let between = Calendar::Xnys.by_rules().sessions(before.date.tomorrow().expect("a day"), after.date);
        prop_assert_eq!(between, Vec::from_iter(Calendar::Xnys.by_rules().session_at(at).filter(|s| s.open < at)));
    }
}
