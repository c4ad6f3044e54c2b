//! `/jobs`: running, queued and failed runs, each with its reason, and the providers' rate limits.

use axum::{Form, extract::State, http::HeaderMap, response::Response};
use jiff::{SignedDuration, Timestamp};
use market::Ticker;
use maud::{Markup, html};
use serde::Deserialize;
use store::{
    budget::{self, AccountBudget},
    overview::{self, Run, RunFilter, Totals},
    runs,
};

use super::{
    format,
    layout::{self, Page, csrf_field},
    page_error::PageError,
    visitor::Visitor,
};
use crate::{app::App, error::ApiError};

/// Rows per table.
const ROWS: i64 = 50;

pub(super) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, PageError> {
    let tables = tables(&app, &visitor).await?;
    let body = html! {
        h1 { "Jobs" }
        section #jobs aria-live="off" hx-get="/jobs/now" hx-trigger="barkeep:work from:body, barkeep:bars from:body throttle:1s, every 15s"
            hx-swap="innerMorph" { (tables) }
    };
    Ok(Page { title: "Jobs", nav: "/jobs", script: None, body }.render(&app, &visitor.csrf).await)
}

pub(super) async fn fragment(State(app): State<App>, visitor: Visitor) -> Result<Response, PageError> {
    Ok(layout::fragment(tables(&app, &visitor).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct RetryForm {
    /// All symbols if empty.
    #[serde(default)]
    symbol: String,
}

pub(super) async fn retry(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<RetryForm>,
) -> Result<Response, PageError> {
    let mut tickers = overview::tracked(&app.database, visitor.user).await?;
    if !form.symbol.is_empty() {
        let ticker: Ticker = form.symbol.parse().map_err(ApiError::invalid)?;
        if !tickers.contains(&ticker) {
            return Err(ApiError::not_found(format!("{ticker} isn't tracked: add it to your watchlist")).into());
        }
        tickers = vec![ticker];
    }
    runs::retry_failed(&app.database, Some(&tickers)).await?;
    app.notify_queued();
    app.signals.changed_here();
    Ok(layout::write_succeeded(&headers, "/jobs"))
}

async fn tables(app: &App, visitor: &Visitor) -> Result<Markup, PageError> {
    let (database, user) = (&app.database, visitor.user);
    let runs = async |statuses: &[&str]| {
        overview::runs(database, Some(user), &RunFilter { statuses, tickers: None, limit: ROWS }).await
    };
    let budgets = budget::account_budgets(database).await?;
    let pace = overview::pace(database, user).await?;
    let (running, queued, failed) = (runs(&["running"]).await?, runs(&["queued"]).await?, runs(&["failed"]).await?);
    let totals = overview::totals(database, Some(user)).await?;
    let now = Timestamp::now();
    Ok(html! {
        dl.figures {
            div { dt { "Running" } dd { (format::count(totals.running)) } }
            div { dt { "Queued" } dd { (format::count(totals.queued)) } }
            div { dt { "Failed" } dd class=[(totals.failed > 0).then_some("bad")] { (format::count(totals.failed)) } }
            div { dt { "Bars in the last hour" } dd { (format::count(totals.rows_last_hour)) } }
            div { dt { "Time left" } dd { (time_left(&totals, pace)) } }
        }
        h2 { "Provider rate limits" }
        @if budgets.is_empty() { p.empty { "No provider has been used yet." } }
        ul.gauges { @for budget in &budgets { (rate_limit(budget)) } }
        @if !failed.is_empty() {
            h2 { "Failed" }
            (failed_table(&failed, totals.failed, &visitor.csrf))
        }
        h2 { "Running" }
        @if running.is_empty() { p.empty { "No jobs are running." } } @else { (running_table(&running, now)) }
        h2 { "Queued" }
        @if queued.is_empty() {
            p.empty { "The queue is empty. Your symbols update automatically, as soon as their next bar is final." }
        } @else { (queued_table(&queued, totals.queued, now)) }
    })
}

/// An estimate from the rate of the last minutes.
fn time_left(totals: &Totals, per_minute: f64) -> String {
    let open = totals.queued + totals.running;
    if open == 0 {
        return "none".to_owned();
    }
    if per_minute <= 0.0 {
        return "unknown".to_owned();
    }
    let minutes = open as f64 / per_minute;
    format!("about {}", format::duration(SignedDuration::from_secs((minutes * 60.0).ceil() as i64)))
}

fn rate_limit(budget: &AccountBudget) -> Markup {
    let limit = budget.requests_per_minute.max(1);
    html! {
        li {
            span.provider { (budget.provider) }
            meter min="0" max=(limit) low=(limit / 5) value=(budget.left.clamp(0, limit))
                aria-label={ "Requests left at " (budget.provider) } { (budget.left) }
            span { (budget.left) " of " (budget.requests_per_minute) " requests per minute left, " (budget.left_for_background.max(0)) " for background jobs" }
            @if let Some(until) = budget.blocked_until {
                span.bad { "blocked until " (format::instant(until)) @if let Some(message) = &budget.blocked_message { ": " (message) } }
            }
            @if budget.turned_away > 0 { span.dim { (budget.turned_away) " requests rejected so far" } }
        }
    }
}

fn failed_table(failed: &[Run], all: i64, csrf: &str) -> Markup {
    html! {
        form method="post" action="/jobs/retry" hx-post="/jobs/retry" hx-swap="none" { (csrf_field(csrf)) button { "Retry all " (format::count(all)) } }
        div.scroll tabindex="0" role="region" aria-label="Failed jobs" {
            table {
                thead { tr { th scope="col" { "Series" } th scope="col" { "From" } th scope="col" { "To" } th.n scope="col" { "Failures" } th scope="col" { "Error" } th scope="col" { "" } } }
                tbody { @for run in failed {
                    tr id={ "run-" (run.id) } {
                        th scope="row" { (series(run)) }
                        td { (format::instant(run.slice_from)) } td { (format::instant(run.slice_to)) }
                        td.n { (run.failures) }
                        td.wrap.bad { (run.error_message.as_deref().unwrap_or("no error message")) }
                        td {
                            button hx-post="/jobs/retry" hx-swap="none" hx-vals={ "{\"symbol\":\"" (run.symbol) "\"}" }
                                aria-label={ "Retry " (run.symbol) } { "Retry" }
                        }
                    }
                } }
            }
        }
    }
}

fn running_table(running: &[Run], now: Timestamp) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Running jobs" {
            table {
                thead { tr { th scope="col" { "Series" } th scope="col" { "Requested by" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Progress" } th.n scope="col" { "Bars" } th.n scope="col" { "Elapsed" } } }
                tbody { @for run in running {
                    tr id={ "run-" (run.id) } {
                        th scope="row" { (series(run)) }
                        td { (requested_by(run)) }
                        td { (format::instant(run.slice_from)) } td { (format::instant(run.slice_to)) }
                        td { progress max="100" value=(run.progress_percent) aria-label={ "Progress of " (run.symbol) " " (run.timeframe) } { (run.progress_percent) " %" } }
                        td.n { (format::count(run.rows_written)) }
                        td.n { @if let Some(started) = run.started_at { (format::duration(now.duration_since(started))) } }
                    }
                } }
            }
        }
    }
}

fn queued_table(queued: &[Run], all: i64, now: Timestamp) -> Markup {
    let more = all - i64::try_from(queued.len()).unwrap_or(all);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Queued jobs" {
            table {
                thead { tr { th.n scope="col" { "#" } th scope="col" { "Series" } th scope="col" { "Requested by" } th.n scope="col" { "Priority" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Status" } } }
                tbody { @for (n, run) in queued.iter().enumerate() {
                    tr id={ "run-" (run.id) } {
                        td.n { (n + 1) }
                        th scope="row" { (series(run)) }
                        td { (requested_by(run)) }
                        td.n { (run.priority) }
                        td { (format::instant(run.slice_from)) } td { (format::instant(run.slice_to)) }
                        td.wrap { (queue_status(run, now)) }
                    }
                } }
            }
        }
        @if more > 0 { p.dim { "and " (format::count(more)) " more" } }
    }
}

fn series(run: &Run) -> Markup {
    html! { a href={ "/chart/" (run.symbol) "?tf=" (run.timeframe) } { (run.symbol) } " " (run.timeframe) }
}

/// What the run was requested by.
fn requested_by(run: &Run) -> &'static str {
    match (run.by_interest, run.priority) {
        (true, 300) => "watchlist",
        (true, 200) => "chart",
        (true, _) => "search",
        (false, _) => "background",
    }
}

fn queue_status(run: &Run, now: Timestamp) -> String {
    let delay = run.run_after.duration_since(now);
    match (&run.error_message, delay > SignedDuration::ZERO) {
        (Some(message), true) => format!("retry in {}: {message}", format::duration(delay)),
        (None, true) => format!("starts in {}", format::duration(delay)),
        (_, false) => "waiting for a worker".to_owned(),
    }
}
