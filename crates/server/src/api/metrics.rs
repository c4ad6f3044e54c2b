//! `GET /metrics`: Prometheus metrics of this process, and gauges read from the database. They name no symbol and no user, and need
//! no token.

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use metrics::{describe_gauge, gauge};
use store::{budget, overview, processes, scheduler};

use crate::{app::App, error::ApiError};

pub(crate) async fn metrics(State(app): State<App>) -> Result<Response, ApiError> {
    let totals = overview::totals(&app.database, None).await?;
    let ready = scheduler::readiness(&app.database).await?;
    describe_gauge!("barkeep_runs", "Runs by status");
    for (status, count) in
        [("queued", totals.queued), ("running", totals.running), ("failed", totals.failed), ("lost", totals.lost)]
    {
        gauge!("barkeep_runs", "status" => status).set(count as f64);
    }
    describe_gauge!("barkeep_runs_queued_by_interest", "Queued runs requested by users");
    gauge!("barkeep_runs_queued_by_interest").set(totals.queued_by_interest as f64);
    describe_gauge!("barkeep_waiting_seconds", "Age of the oldest queued run requested by a user");
    let waiting = totals.waiting_since.map_or(0.0, |since| jiff::Timestamp::now().duration_since(since).as_secs_f64());
    gauge!("barkeep_waiting_seconds").set(waiting.max(0.0));
    describe_gauge!("barkeep_series", "Series that are tracked, due for planning, or suspended");
    for (state, count) in [("kept", totals.series), ("due", totals.due), ("suspended", totals.suspended)] {
        gauge!("barkeep_series", "state" => state).set(count as f64);
    }
    describe_gauge!("barkeep_scheduler_seen_seconds_ago", "Seconds since the scheduler was last seen; -1: never");
    gauge!("barkeep_scheduler_seen_seconds_ago").set(ready.scheduler_seen_secs_ago.map_or(-1.0, |secs| secs as f64));
    describe_gauge!("barkeep_processes", "Processes at work, by part");
    let alive: Vec<_> = processes::all(&app.database).await?.into_iter().filter(|process| process.alive).collect();
    for part in ["serve", "plan", "work"] {
        let count = alive.iter().filter(|process| process.parts.iter().any(|p| p == part)).count();
        gauge!("barkeep_processes", "part" => part).set(count as f64);
    }
    describe_gauge!("barkeep_budget_left", "Requests that the provider's account allows now");
    describe_gauge!("barkeep_budget_limit", "Requests a minute that the provider's account allows");
    for budget in budget::account_budgets(&app.database).await? {
        let account = budget.account;
        gauge!("barkeep_budget_left", "account" => account.clone()).set(f64::from(budget.left));
        gauge!("barkeep_budget_limit", "account" => account).set(f64::from(budget.requests_per_minute));
    }
    let text = app.metrics.render();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
