//! `barkeep status`: who is at work, how the queue stands, what the provider allows.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use store::{
    budget::{self, Standing},
    clock, health,
    health::Readiness,
    processes::{self, Process},
    providers::{self, FAILING, Health},
    show::{self, Totals},
};

use super::{read_only, table};
use crate::config::Common;

#[derive(Args, Debug)]
pub(super) struct Status {}

#[derive(Debug, Serialize)]
struct Found {
    scheduler: Scheduler,
    /// The market's clock, and the instant from which it was started; null on wall time.
    market_now: Timestamp,
    market_as_of: Option<Timestamp>,
    queue: Totals,
    processes: Vec<Process>,
    budgets: Vec<Standing>,
    providers: Vec<Health>,
}

#[derive(Debug, Serialize)]
struct Scheduler {
    status: String,
    message: Option<String>,
    seen_seconds_ago: Option<i64>,
    rounds: i64,
}

impl Status {
    pub(super) async fn run(self, common: &Common) -> anyhow::Result<ExitCode> {
        read_only::at(
            common,
            async |home| {
                let database = &home.database;
                let Readiness { scheduler_seen_secs_ago, scheduler_status, scheduler_message } =
                    health::readiness(database).await?;
                let clock = clock::read(database).await?;
                Ok(Found {
                    scheduler: Scheduler {
                        status: scheduler_status,
                        message: scheduler_message.filter(|message| !message.is_empty()),
                        seen_seconds_ago: scheduler_seen_secs_ago,
                        rounds: health::last_round(database).await?.number,
                    },
                    market_now: clock.now(),
                    market_as_of: clock.as_of,
                    queue: show::totals(database, None).await?,
                    processes: processes::all(database).await?,
                    budgets: budget::standings(database).await?,
                    providers: providers::all(database).await?,
                })
            },
            render,
        )
        .await
    }
}

fn render(found: &Found) -> String {
    let Found { scheduler, queue, .. } = found;
    let seen = scheduler.seen_seconds_ago.map_or("never seen".to_owned(), |secs| format!("seen {secs} s ago"));
    let said = scheduler.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let mut lines = vec![format!("scheduler   {} ({seen}){said}", scheduler.status)];
    let of = found.market_as_of.map(|as_of| format!(", run from {as_of}")).unwrap_or_default();
    lines.push(format!("market      {:.0}{of}", found.market_now));
    let waiting = queue.waiting_since.map(|since| format!(", the first since {since:.0}")).unwrap_or_default();
    lines.push(format!(
        "queue       {} queued ({} asked for{waiting}), {} running, {} failed",
        queue.queued, queue.queued_by_interest, queue.running, queue.failed
    ));
    lines.push(format!(
        "last hour   {} runs done, {} failed, {} bars",
        queue.success_last_hour, queue.failed_last_hour, queue.rows_last_hour
    ));
    lines.push(format!("series      {} kept, {} due, {} suspended", queue.series, queue.due, queue.suspended));
    for standing in &found.budgets {
        lines.push(format!("budget      {}", told(standing)));
    }
    for health in found.providers.iter().filter(|health| health.failures >= FAILING) {
        let why = health.last_error.as_deref().unwrap_or_default();
        lines.push(format!("provider    {} FAILS ({} times in a row): {why}", health.provider, health.failures));
    }
    if found.processes.is_empty() {
        lines.push("processes   none: start `barkeep up`".to_owned());
        return lines.join("\n");
    }
    let rows: Vec<_> = found
        .processes
        .iter()
        .map(|process| {
            [
                process.parts.join("+"),
                process.host.clone(),
                process.pid.to_string(),
                process.address.clone().unwrap_or_default(),
                if process.slots > 0 { process.slots.to_string() } else { String::new() },
                if process.alive { "alive".to_owned() } else { format!("last seen {:.0}", process.last_seen) },
            ]
        })
        .collect();
    lines.push(String::new());
    lines.push(table::render(
        ["process", "host", "pid", "address", "slots", ""],
        [false, false, true, false, true, false],
        &rows,
    ));
    lines.join("\n")
}

fn told(standing: &Standing) -> String {
    let Standing { account, left, requests_per_minute, .. } = standing;
    match (&standing.blocked_until, &standing.blocked_message) {
        (Some(until), Some(message)) => format!("{account}: nothing before {until:.0} ({message})"),
        (Some(until), None) => format!("{account}: nothing before {until:.0}, as the provider told us"),
        (None, _) => format!("{account}: {left} of {requests_per_minute} requests a minute left"),
    }
}
