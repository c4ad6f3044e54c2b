//! `barkeep calendar XNYS --from 2026-11-20 --to 2026-12-01`.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use super::output::print_line;
use crate::config::{CommonOptions, Config};
use engine::calendar_exceptions;
use market::Calendars;

#[derive(Args, Debug)]
pub(super) struct Calendar {
    /// Calendar: XNYS or 24x7
    calendar: market::Calendar,
    /// First day to print
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// Day after the last to print
    #[arg(long, value_name = "DATE")]
    to: Date,
}

impl Calendar {
    pub(super) fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(self.from < self.to, "--to must be after --from: it is the day after the last");
        // From the settings alone, so that no database is needed.
        let exceptions = Config::load(common)?.calendar_exceptions;
        let days = exceptions.file.as_deref().map(calendar_exceptions::read).transpose()?.unwrap_or_default();
        let calendars = Calendars::new(days.with_hours(exceptions.hours.unwrap_or_default()));
        let sessions = calendars.sessions_of(self.calendar).sessions(self.from, self.to);
        if common.json {
            print_line(serde_json::to_string(&sessions)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        print_line("date,open_utc,close_utc,early")?;
        for session in sessions {
            print_line(format!("{},{},{},{}", session.date, session.open, session.close, u8::from(session.early)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
