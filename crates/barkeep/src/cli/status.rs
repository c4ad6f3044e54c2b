//! `barkeep status`: processes, the queue and request budgets.

use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use store::{
    budget::{self, AccountBudget},
    clock,
    overview::{self, Totals},
    processes::{self, Process},
    provider_health::{self, FAILING, ProviderHealth},
    scheduler,
    scheduler::Readiness,
};

use super::{query, table};
use crate::config::CommonOptions;

#[derive(Args, Debug)]
pub(super) struct Status {}

#[derive(Debug, Serialize)]
struct StatusReport {
    scheduler: Scheduler,
    /// The market clock, and the instant from which it was started; null if it is the wall clock.
    market_now: Timestamp,
    market_as_of: Option<Timestamp>,
    queue: Totals,
    processes: Vec<Process>,
    budgets: Vec<AccountBudget>,
    providers: Vec<ProviderHealth>,
}

#[derive(Debug, Serialize)]
struct Scheduler {
    status: String,
    message: Option<String>,
    seen_seconds_ago: Option<i64>,
    rounds: i64,
}

impl Status {
    pub(super) async fn run(self, common: &CommonOptions) -> anyhow::Result<ExitCode> {
        query::run(
            common,
            async |handle| {
                let database = &handle.database;
                let Readiness { scheduler_seen_secs_ago, scheduler_status, scheduler_message } =
                    scheduler::readiness(database).await?;
                let clock = clock::read(database).await?;
                Ok(StatusReport {
                    scheduler: Scheduler {
                        status: scheduler_status,
                        message: scheduler_message.filter(|message| !message.is_empty()),
                        seen_seconds_ago: scheduler_seen_secs_ago,
                        rounds: scheduler::last_round(database).await?.number,
                    },
                    market_now: clock.now(),
                    market_as_of: clock.as_of,
                    queue: overview::totals(database, None).await?,
                    processes: processes::all(database).await?,
                    budgets: budget::account_budgets(database).await?,
                    providers: provider_health::all(database).await?,
                })
            },
            render,
        )
        .await
    }
}

fn render(report: &StatusReport) -> String {
    let StatusReport { scheduler, queue, .. } = report;
    let seen =
        scheduler.seen_seconds_ago.map_or("no heartbeat yet".to_owned(), |secs| format!("last heartbeat {secs} s ago"));
    let message = scheduler.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
    let mut lines = vec![format!("scheduler   {} ({seen}){message}", scheduler.status)];
    let as_of = report.market_as_of.map(|as_of| format!(", started from {as_of}")).unwrap_or_default();
    lines.push(format!("market      {:.0}{as_of}", report.market_now));
    let waiting = queue.waiting_since.map(|since| format!(", waiting since {since:.0}")).unwrap_or_default();
    lines.push(format!(
        "queue       {} queued ({} for users{waiting}), {} running, {} failed",
        queue.queued, queue.queued_by_interest, queue.running, queue.failed
    ));
    lines.push(format!(
        "last hour   {} runs succeeded, {} failed, {} bars written",
        queue.success_last_hour, queue.failed_last_hour, queue.rows_last_hour
    ));
    lines.push(format!("series      {} tracked, {} due, {} suspended", queue.series, queue.due, queue.suspended));
    for standing in &report.budgets {
        lines.push(format!("budget      {}", describe_budget(standing)));
    }
    for health in report.providers.iter().filter(|health| health.failures >= FAILING) {
        let reason = health.last_error.as_deref().unwrap_or_default();
        let since = health.failing_since.map_or_else(String::new, |since| format!(" since {since}"));
        lines.push(format!(
            "provider    {} FAILING{since} ({} times in a row): {reason}",
            health.provider, health.failures
        ));
    }
    if report.processes.is_empty() {
        lines.push("processes   none: start one with `barkeep up`".to_owned());
        return lines.join("\n");
    }
    let rows: Vec<_> = report
        .processes
        .iter()
        .map(|process| {
            [
                process.parts.join("+"),
                process.host.clone(),
                process.pid.to_string(),
                process.address.clone().unwrap_or_default(),
                if process.slots > 0 { process.slots.to_string() } else { String::new() },
                if process.alive { "alive".to_owned() } else { format!("last heartbeat {:.0}", process.last_seen) },
            ]
        })
        .collect();
    lines.push(String::new());
    lines.push(table::render(
        ["process", "host", "pid", "address", "slots", "state"],
        [false, false, true, false, true, false],
        &rows,
    ));
    lines.join("\n")
}

fn describe_budget(standing: &AccountBudget) -> String {
    let AccountBudget { account, left, requests_per_minute, .. } = standing;
    match (&standing.blocked_until, &standing.blocked_message) {
        (Some(until), Some(message)) => format!("{account}: paused until {until:.0} ({message})"),
        (Some(until), None) => format!("{account}: paused until {until:.0} (the provider asked to wait)"),
        (None, _) => format!("{account}: {left} of {requests_per_minute} requests left this minute"),
    }
}
