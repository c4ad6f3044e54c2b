//! `/jobs`: the queue and why each run is in it, what is being fetched, what the providers allow, what failed and why.

use axum::{Form, extract::State, http::HeaderMap, response::Response};
use jiff::{SignedDuration, Timestamp};
use market::Ticker;
use maud::{Markup, html};
use serde::Deserialize;
use store::{
    budget::{self, Standing},
    runs,
    show::{self, Run, Totals, Which},
};

use super::{
    failure::Failure,
    format,
    layout::{self, Page, csrf_field},
    visitor::Visitor,
};
use crate::{app::App, error::ApiError};

/// Rows of each table: what is further back changes before anybody reads it.
const LISTED: i64 = 50;

pub(super) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let now = now(&app, &visitor).await?;
    let body = html! {
        h1 { "Jobs" }
        section #jobs aria-live="off" hx-get="/jobs/now" hx-trigger="barkeep:work from:body, barkeep:bars from:body throttle:1s, every 15s"
            hx-swap="innerMorph" { (now) }
    };
    Ok(Page { title: "Jobs", place: "/jobs", script: None, body }.shown(&app, &visitor.csrf))
}

pub(super) async fn fragment(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    Ok(layout::fragment(now(&app, &visitor).await?))
}

#[derive(Debug, Deserialize)]
pub(super) struct Again {
    /// All where empty.
    #[serde(default)]
    symbol: String,
}

pub(super) async fn retry(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(again): Form<Again>,
) -> Result<Response, Failure> {
    let mut tickers = show::tracked(&app.database, visitor.user).await?;
    if !again.symbol.is_empty() {
        let ticker: Ticker = again.symbol.parse().map_err(ApiError::invalid)?;
        if !tickers.contains(&ticker) {
            return Err(ApiError::not_found(format!("{ticker} is nothing that you track")).into());
        }
        tickers = vec![ticker];
    }
    runs::retry_failed(&app.database, Some(&tickers)).await?;
    app.tell_queued();
    app.signals.ended_here();
    Ok(layout::done(&headers, "/jobs"))
}

async fn now(app: &App, visitor: &Visitor) -> Result<Markup, Failure> {
    let (database, user) = (&app.database, visitor.user);
    let listed = async |statuses: &[&str]| {
        show::runs(database, Some(user), &Which { statuses, tickers: None, limit: LISTED }).await
    };
    let standings = budget::standings(database).await?;
    let pace = show::pace(database, user).await?;
    let (running, queued, failed) =
        (listed(&["running"]).await?, listed(&["queued"]).await?, listed(&["failed"]).await?);
    let totals = show::totals(database, Some(user)).await?;
    let clock = Timestamp::now();
    Ok(html! {
        dl.figures {
            div { dt { "Fetching" } dd { (format::count(totals.running)) } }
            div { dt { "Queued" } dd { (format::count(totals.queued)) } }
            div { dt { "Failed" } dd class=[(totals.failed > 0).then_some("bad")] { (format::count(totals.failed)) } }
            div { dt { "Bars within the hour" } dd { (format::count(totals.rows_last_hour)) } }
            div { dt { "Time to empty" } dd { (to_empty(&totals, pace)) } }
        }
        h2 { "Provider budgets" }
        @if standings.is_empty() { p.empty { "No provider has been asked for anything yet." } }
        ul.gauges { @for standing in &standings { (gauge(standing)) } }
        @if !failed.is_empty() {
            h2 { "Failed" }
            (failures(&failed, totals.failed, &visitor.csrf))
        }
        h2 { "Being fetched" }
        @if running.is_empty() { p.empty { "Nothing at this moment." } } @else { (running_table(&running, clock)) }
        h2 { "Queued" }
        @if queued.is_empty() {
            p.empty { "Nothing waits. What you watch is kept up by itself: series are due again when their next bar is final." }
        } @else { (queue(&queued, totals.queued, clock)) }
    })
}

/// By the pace of the last minutes; what nobody has begun has no pace yet.
fn to_empty(totals: &Totals, per_minute: f64) -> String {
    let open = totals.queued + totals.running;
    if open == 0 {
        return "empty".to_owned();
    }
    if per_minute <= 0.0 {
        return "not known yet".to_owned();
    }
    let minutes = open as f64 / per_minute;
    format!("about {}", format::roughly(SignedDuration::from_secs((minutes * 60.0).ceil() as i64)))
}

fn gauge(standing: &Standing) -> Markup {
    let limit = standing.requests_per_minute.max(1);
    html! {
        li {
            span.provider { (standing.provider) }
            meter min="0" max=(limit) low=(limit / 5) value=(standing.left.clamp(0, limit))
                aria-label={ "Requests that " (standing.provider) " allows now" } { (standing.left) }
            span { (standing.left) " of " (standing.requests_per_minute) " a minute left; background work may use " (standing.left_for_background.max(0)) }
            @if let Some(until) = standing.blocked_until {
                span.bad { "nothing before " (format::instant(until)) @if let Some(message) = &standing.blocked_message { ": " (message) } }
            }
            @if standing.turned_away > 0 { span.dim { (standing.turned_away) " turned away so far" } }
        }
    }
}

fn failures(failed: &[Run], all: i64, csrf: &str) -> Markup {
    html! {
        form method="post" action="/jobs/retry" hx-post="/jobs/retry" hx-swap="none" { (csrf_field(csrf)) button { "Try all " (format::count(all)) " again" } }
        div.scroll tabindex="0" role="region" aria-label="Failed runs" {
            table {
                thead { tr { th scope="col" { "Series" } th scope="col" { "From" } th scope="col" { "To" } th.n scope="col" { "Tries" } th scope="col" { "Why" } th scope="col" { "" } } }
                tbody { @for run in failed {
                    tr id={ "run-" (run.id) } {
                        th scope="row" { (series(run)) }
                        td { (format::instant(run.slice_from)) } td { (format::instant(run.slice_to)) }
                        td.n { (run.failures) }
                        td.wrap.bad { (run.error_message.as_deref().unwrap_or("no reason given")) }
                        td {
                            button hx-post="/jobs/retry" hx-swap="none" hx-vals={ "{\"symbol\":\"" (run.symbol) "\"}" }
                                aria-label={ "Try " (run.symbol) " again" } { "Retry" }
                        }
                    }
                } }
            }
        }
    }
}

fn running_table(running: &[Run], clock: Timestamp) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Runs being fetched" {
            table {
                thead { tr { th scope="col" { "Series" } th scope="col" { "Wanted by" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Progress" } th.n scope="col" { "Bars" } th.n scope="col" { "For" } } }
                tbody { @for run in running {
                    tr id={ "run-" (run.id) } {
                        th scope="row" { (series(run)) }
                        td { (wanted_by(run)) }
                        td { (format::instant(run.slice_from)) } td { (format::instant(run.slice_to)) }
                        td { progress max="100" value=(run.progress_percent) aria-label={ "Progress of " (run.symbol) " " (run.timeframe) } { (run.progress_percent) " %" } }
                        td.n { (format::count(run.rows_written)) }
                        td.n { @if let Some(started) = run.started_at { (format::roughly(clock.duration_since(started))) } }
                    }
                } }
            }
        }
    }
}

fn queue(queued: &[Run], all: i64, clock: Timestamp) -> Markup {
    let more = all - i64::try_from(queued.len()).unwrap_or(all);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Queued runs" {
            table {
                thead { tr { th.n scope="col" { "#" } th scope="col" { "Series" } th scope="col" { "Wanted by" } th.n scope="col" { "Priority" } th scope="col" { "From" } th scope="col" { "To" } th scope="col" { "Waits for" } } }
                tbody { @for (n, run) in queued.iter().enumerate() {
                    tr id={ "run-" (run.id) } {
                        td.n { (n + 1) }
                        th scope="row" { (series(run)) }
                        td { (wanted_by(run)) }
                        td.n { (run.priority) }
                        td { (format::instant(run.slice_from)) } td { (format::instant(run.slice_to)) }
                        td.wrap { (waits_for(run, clock)) }
                    }
                } }
            }
        }
        @if more > 0 { p.dim { "and " (format::count(more)) " more behind them" } }
    }
}

fn series(run: &Run) -> Markup {
    html! { a href={ "/chart/" (run.symbol) "?tf=" (run.timeframe) } { (run.symbol) } " " (run.timeframe) }
}

/// Why it is wanted, in the words of what somebody did.
fn wanted_by(run: &Run) -> &'static str {
    match (run.by_interest, run.priority) {
        (true, 300) => "a watchlist",
        (true, 200) => "an open chart",
        (true, _) => "a search",
        (false, _) => "background upkeep",
    }
}

fn waits_for(run: &Run, clock: Timestamp) -> String {
    let pause = run.run_after.duration_since(clock);
    match (&run.error_message, pause > SignedDuration::ZERO) {
        (Some(message), true) => format!("{} more: {message}", format::roughly(pause)),
        (None, true) => format!("{} more", format::roughly(pause)),
        (_, false) => "its turn".to_owned(),
    }
}
