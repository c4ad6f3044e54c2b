//! Sessions, day by day.

use market::{Calendar, Session};

use crate::golden::{self, SessionRow};

#[test]
fn new_york_sessions_of_38_years_are_exact() {
    for (from, to, expected) in golden::sessions() {
        let ours: Vec<SessionRow> = Calendar::Xnys.by_rules().sessions(from, to).iter().map(as_row).collect();
        let differing: Vec<_> = expected.iter().filter(|row| !ours.contains(row)).collect();
        assert!(differing.is_empty(), "missing here: {differing:#?}");
        assert_eq!(ours, expected);
    }
}

/// As published by the exchange, in words of our own: what no rule says, and what rules get wrong easily.
#[test]
fn days_that_follow_no_rule_are_among_the_golden_ones() {
    let (_, _, sessions) = golden::sessions().swap_remove(0);
    let of = |day: &str| sessions.iter().find(|row| row[0] == day).map(|row| (row[2].as_str(), row[3].as_str()));
    for closed in ["1994-04-27", "2001-09-11", "2001-09-14", "2012-10-29", "2018-12-05", "2022-06-20", "2025-01-09"] {
        assert_eq!(of(closed), None, "{closed}");
    }
    assert_eq!(
        of("2010-12-31"),
        Some(("2010-12-31T21:00:00Z", "0")),
        "New Year's Day on a Saturday is not made up for"
    );
    assert_eq!(of("2024-11-29"), Some(("2024-11-29T18:00:00Z", "1")));
    assert_eq!(sessions.len(), 9_569);
}

fn as_row(session: &Session) -> SessionRow {
    let early = u8::from(session.early).to_string();
    [session.date.to_string(), session.open.to_string(), session.close.to_string(), early]
}
