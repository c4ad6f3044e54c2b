//! `barkeep calendar XNYS --from 2026-11-20 --to 2026-12-01`.

use std::process::ExitCode;

use clap::Args;
use jiff::civil::Date;

use super::output::say;
use crate::config::{Common, Config};
use engine::calendar_exceptions;
use market::Calendars;

#[derive(Args, Debug)]
pub(super) struct Calendar {
    /// XNYS or 24x7
    calendar: market::Calendar,
    /// First day
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// The day after the last
    #[arg(long, value_name = "DATE")]
    to: Date,
}

impl Calendar {
    pub(super) fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        anyhow::ensure!(self.from < self.to, "--to must be after --from: it is the day after the last");
        // The database isn't asked: this is to be had without one.
        let wanted = Config::load(common)?.sessions;
        let days = wanted.file.as_deref().map(calendar_exceptions::read).transpose()?.unwrap_or_default();
        let calendars = Calendars::new(days.with_hours(wanted.hours.unwrap_or_default()));
        let sessions = calendars.sessions_of(self.calendar).sessions(self.from, self.to);
        if common.json {
            say(serde_json::to_string(&sessions)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        say("date,open_utc,close_utc,early")?;
        for session in sessions {
            say(format!("{},{},{},{}", session.date, session.open, session.close, u8::from(session.early)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
