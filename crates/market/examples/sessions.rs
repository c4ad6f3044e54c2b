//! Prints sessions as CSV, for comparison with other calendars:
//! `cargo run -q -p market --example sessions -- XNYS 2026-11-20 2026-12-01` (the second date is not included).

use std::{
    error::Error,
    io::{self, Write as _},
};

use jiff::civil::Date;
use market::Calendar;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [calendar, from, to] = arguments.as_slice() else {
        return Err("three arguments are expected: CALENDAR FROM TO, such as XNYS 2026-11-20 2026-12-01".into());
    };
    let sessions = calendar.parse::<Calendar>()?.by_rules().sessions(from.parse::<Date>()?, to.parse()?);
    let mut out = io::stdout().lock();
    writeln!(out, "date,open_utc,close_utc,early")?;
    for session in sessions {
        writeln!(out, "{},{},{},{}", session.date, session.open, session.close, u8::from(session.early))?;
    }
    Ok(())
}
