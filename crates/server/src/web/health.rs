//! `/health`: the scheduler, the providers, the processes, and problems that need action.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use store::{
    diagnostics::{self, Diagnostics},
    overview::{self, Totals},
    processes::{self, Process},
    provider_health::{self, FAILING},
    scheduler::{self, LastRound, Readiness},
    verification,
};

use super::{
    format,
    layout::{self, Page},
    outage,
    page_error::PageError,
    visitor::Visitor,
};
use crate::{
    app::{App, ProviderState},
    readiness::is_alive,
};

pub(super) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, PageError> {
    let report = report(&app, &visitor).await?;
    let body = html! {
        h1 { "Health" }
        section #health aria-live="off" hx-get="/health/now" hx-trigger="every 10s" hx-swap="innerMorph" { (report) }
    };
    Ok(Page { title: "Health", nav: "/health", script: None, body }.render(&app, &visitor.csrf).await)
}

pub(super) async fn fragment(State(app): State<App>, visitor: Visitor) -> Result<Response, PageError> {
    Ok(layout::fragment(report(&app, &visitor).await?))
}

/// The banner of all pages.
pub(super) async fn outage(State(app): State<App>, _visitor: Visitor) -> Response {
    layout::fragment(outage::banner(&app.database).await)
}

async fn report(app: &App, visitor: &Visitor) -> Result<Markup, PageError> {
    let database = &app.database;
    let ready = scheduler::readiness(database).await?;
    let round = scheduler::last_round(database).await?;
    let totals = overview::totals(database, Some(visitor.user)).await?;
    let facts = diagnostics::collect(database).await?;
    let suspicious = verification::with_findings(database).await?;
    let processes = processes::all(database).await?;
    let state = app.provider.borrow().clone();
    let now = Timestamp::now();
    let alerts = alerts(&ready, &state, &totals, &facts, suspicious.len());
    Ok(html! {
        @if alerts.is_empty() { p.good { "No problems found." } }
        @else { div role="alert" { ul.alerts { @for alert in &alerts { li { (alert) } } } } }
        h2 { "Scheduler" }
        (scheduler(&ready, &round, now))
        h2 { "Providers" }
        (providers_table(database, now).await?)
        h2 { "Processes" }
        (processes_table(&processes, now))
        h2 { "Database" }
        dl.figures {
            div { dt { "PostgreSQL" } dd { (facts.server_version) } }
            div { dt { "Symbols" } dd { (format::count(facts.symbols)) } }
            div { dt { "Your series" } dd { (format::count(totals.series)) } }
            div { dt { "Quarantined bars" } dd { (format::count(facts.quarantined)) } }
            @if let Some(as_of) = facts.as_of { div { dt { "Market clock set to" } dd { (format::instant(as_of)) } } }
        }
    })
}

/// Problems that need action, with what to do.
fn alerts(
    ready: &Readiness,
    state: &ProviderState,
    totals: &Totals,
    facts: &Diagnostics,
    suspicious: usize,
) -> Vec<Markup> {
    let mut alerts = Vec::new();
    if !is_alive(ready) {
        alerts.push(html! { "The scheduler is not running, so no new jobs are planned. Start " code { "barkeep up" } " or " code { "barkeep plan" } "." });
    }
    if matches!(state, ProviderState::Missing) {
        alerts.push(html! { "No data provider is set up: nothing is fetched. See " a href="/welcome" { "how to connect one" } "." });
    }
    if let ProviderState::Connecting(error) = state {
        alerts.push(html! { "Can't reach the data provider: " (error) ". Check the network and the API key, or run " code { "barkeep doctor" } "." });
    }
    if totals.failed > 0 {
        alerts.push(html! { (format::count(totals.failed)) " jobs failed: see " a href="/jobs" { "Jobs" } " for the errors and to retry." });
    }
    if totals.lost > 0 {
        alerts.push(
            html! { (format::count(totals.lost)) " jobs lost their worker: another one takes over within 90 s." },
        );
    }
    if !facts.unknown_symbols.is_empty() {
        alerts.push(html! { "Unknown symbols: " (facts.unknown_symbols.join(", ")) ". Check the spelling, or remove them from your watchlist." });
    }
    if suspicious > 0 {
        alerts.push(
            html! { (suspicious) " series failed the nightly check: run " code { "barkeep verify" } " for details." },
        );
    }
    for (n, what) in [
        (
            facts.wrong_priorities + facts.wrong_ranks + facts.overlaps + facts.definitions_missing,
            "inconsistent rows in the queue",
        ),
        (
            i64::try_from(facts.triggers_missing.len() + facts.open_tables.len() + facts.broken_functions.len())
                .unwrap_or(0),
            "problems in the database schema",
        ),
    ] {
        if n > 0 {
            alerts.push(
                html! { (format::count(n)) " " (what) ": run " code { "barkeep doctor" } " for details and fixes." },
            );
        }
    }
    alerts
}

fn scheduler(ready: &Readiness, round: &LastRound, now: Timestamp) -> Markup {
    html! {
        dl.figures {
            div { dt { "Status" } dd class=(if is_alive(ready) { "good" } else { "bad" }) { (ready.scheduler_status) } }
            div { dt { "Last heartbeat" } dd { @match round.seen { Some(at) => (format::ago(at, now)), None => "never" } } }
            @if let Some(results) = &round.results {
                div { dt { "Checked in last tick" } dd { (format::count(results.scanned)) " series" } }
                div { dt { "Queued in last tick" } dd { (format::count(results.slices_created)) " jobs" } }
                div { dt { "Last tick took" } dd { (results.duration_ms) " ms" } }
            }
        }
        @if let Some(message) = &ready.scheduler_message { @if !message.is_empty() { p.dim { (message) } } }
        @if let Some(results) = &round.results { @for error in &results.errors { p.bad { (error) } } }
    }
}

async fn providers_table(database: &store::Database, now: Timestamp) -> Result<Markup, PageError> {
    let all = provider_health::all(database).await?;
    if all.is_empty() {
        return Ok(html! { p.empty { "No provider has been used yet." } });
    }
    Ok(html! {
        div.scroll tabindex="0" role="region" aria-label="Providers" { table {
            thead { tr { th scope="col" { "Provider" } th scope="col" { "Status" } th scope="col" { "Last success" } th scope="col" { "Last failure" } } }
            tbody { @for health in &all {
                tr {
                    th scope="row" { (health.provider) }
                    @match health.failures {
                        n if n >= FAILING => td.bad { "failing" @if let Some(since) = health.failing_since { " since " (format::instant(since)) } @if let Some(until) = health.resting_until { ", paused until " (format::instant(until)) } },
                        n if n > 0 => td.warn { (n) " consecutive failures" },
                        _ => td.good { "healthy" },
                    }
                    td { @if let Some(at) = health.last_good_at { (format::ago(at, now)) } }
                    td.wrap { @if let Some(at) = health.last_failed_at { (format::ago(at, now)) } @if let Some(error) = &health.last_error { ": " (error) } }
                }
            } }
        } }
    })
}

fn processes_table(processes: &[Process], now: Timestamp) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Processes" { table {
            thead { tr { th scope="col" { "Process" } th scope="col" { "Roles" } th scope="col" { "Version" } th scope="col" { "Last seen" } th scope="col" { "Notifications" } } }
            tbody { @for process in processes {
                tr {
                    th scope="row" title=(process.name) { (process.host) " (" (process.pid) ")" }
                    td { (process.parts.join(", ")) }
                    td { (process.version) }
                    td class=(if process.alive { "good" } else { "bad" }) { (format::ago(process.last_seen, now)) }
                    td { (match process.hears { Some(true) => "yes", Some(false) => "no: polling", None => "unknown" }) }
                }
            } }
        } }
    }
}
