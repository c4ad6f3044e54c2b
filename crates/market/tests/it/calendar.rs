//! Sessions, day by day.

use jiff::civil::date;
use market::{Calendar, Session};

use crate::golden;

#[test]
fn new_york_sessions_of_27_years_are_exact() {
    let Some(rows) = golden::rows("XNYS_sessions_1990_2016.csv") else { return };
    let expected: Vec<String> = rows.iter().map(|row| row.iter().collect::<Vec<_>>().join(",")).collect();
    let sessions = Calendar::Xnys.by_rules().sessions(date(1990, 1, 1), date(2017, 1, 1));
    let ours: Vec<String> = sessions.iter().map(as_row).collect();
    let differing: Vec<_> = expected.iter().filter(|row| !ours.contains(row)).collect();
    assert!(differing.is_empty(), "missing here: {differing:#?}");
    assert_eq!(ours, expected);
}

fn as_row(session: &Session) -> String {
    format!("{},{},{},{}", session.date, session.open, session.close, u8::from(session.early))
}
