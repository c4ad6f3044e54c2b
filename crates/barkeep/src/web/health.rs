//! `/health`: whether the scheduler lives, how the providers fare, which processes there are, and what needs a person.

use axum::{extract::State, response::Response};
use jiff::Timestamp;
use maud::{Markup, html};
use store::{
    health::{self, LastRound, Readiness},
    inspection::{self, Facts},
    processes::{self, Process},
    providers::{self, FAILING},
    show::{self, Totals},
    verification,
};

use super::{
    failure::Failure,
    layout::{self, Page},
    visitor::Visitor,
    words,
};
use crate::api::{App, ProviderState, is_alive};

pub(super) async fn page(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    let now = now(&app, &visitor).await?;
    let body = html! {
        h1 { "Health" }
        section #health aria-live="off" hx-get="/health/now" hx-trigger="every 10s" hx-swap="innerMorph" { (now) }
    };
    Ok(Page { title: "Health", place: "/health", script: None, body }.shown(&app, &visitor))
}

pub(super) async fn fragment(State(app): State<App>, visitor: Visitor) -> Result<Response, Failure> {
    Ok(layout::fragment(now(&app, &visitor).await?))
}

async fn now(app: &App, visitor: &Visitor) -> Result<Markup, Failure> {
    let database = &app.database;
    let ready = health::readiness(database).await?;
    let round = health::last_round(database).await?;
    let totals = show::totals(database, Some(visitor.user)).await?;
    let facts = inspection::inspect(database).await?;
    let suspicious = verification::with_findings(database).await?;
    let processes = processes::all(database).await?;
    let state = app.provider.borrow().clone();
    let clock = Timestamp::now();
    let alerts = alerts(&ready, &state, &totals, &facts, suspicious.len());
    Ok(html! {
        @if alerts.is_empty() { p.good { "All is well." } }
        @else { div role="alert" { ul.alerts { @for alert in &alerts { li { (alert) } } } } }
        h2 { "Scheduler" }
        (scheduler(&ready, &round, clock))
        h2 { "Providers" }
        (providers_table(database, clock).await?)
        h2 { "Processes" }
        (processes_table(&processes, clock))
        h2 { "Database" }
        dl.figures {
            div { dt { "PostgreSQL" } dd { (facts.server_version) } }
            div { dt { "Symbols" } dd { (words::count(facts.symbols)) } }
            div { dt { "Series kept for you" } dd { (words::count(totals.series)) } }
            div { dt { "Bars set apart" } dd { (words::count(facts.quarantined)) } }
            @if let Some(as_of) = facts.as_of { div { dt { "The market's clock runs from" } dd { (words::instant(as_of)) } } }
        }
    })
}

/// What somebody should look at, with what to do about it.
fn alerts(ready: &Readiness, state: &ProviderState, totals: &Totals, facts: &Facts, suspicious: usize) -> Vec<Markup> {
    let mut alerts = Vec::new();
    if !is_alive(ready) {
        alerts.push(html! { "The scheduler is not running: nothing new is planned. Start " code { "barkeep up" } " or " code { "barkeep plan" } "." });
    }
    if let ProviderState::Connecting(why) = state {
        alerts.push(html! { "The provider can't be reached: " (why) ". Check the network and the key; " code { "barkeep doctor" } " tries it." });
    }
    if totals.failed > 0 {
        alerts.push(html! { a href="/jobs" { (words::count(totals.failed)) " runs have failed" } ": their reasons stand there, with a button to try again." });
    }
    if totals.lost > 0 {
        alerts.push(
            html! { (words::count(totals.lost)) " runs have lost their worker; another takes them over within 90 s." },
        );
    }
    if !facts.unknown_symbols.is_empty() {
        alerts.push(html! { "No provider knows " (facts.unknown_symbols.join(", ")) ". Take them off the watchlist, or check the spelling." });
    }
    if suspicious > 0 {
        alerts.push(
            html! { (suspicious) " series look wrong to the nightly check: " code { "barkeep verify" } " says how." },
        );
    }
    for (n, what) in [
        (
            facts.wrong_priorities + facts.wrong_ranks + facts.overlaps + facts.definitions_missing,
            "rows of the queue are not in order",
        ),
        (
            i64::try_from(facts.triggers_missing.len() + facts.open_tables.len() + facts.broken_functions.len())
                .unwrap_or(0),
            "parts of the schema are not in order",
        ),
    ] {
        if n > 0 {
            alerts.push(html! { (words::count(n)) " " (what) ": " code { "barkeep doctor" } " says which and how to mend them." });
        }
    }
    alerts
}

fn scheduler(ready: &Readiness, round: &LastRound, clock: Timestamp) -> Markup {
    html! {
        dl.figures {
            div { dt { "State" } dd class=(if is_alive(ready) { "good" } else { "bad" }) { (ready.scheduler_status) } }
            div { dt { "Last heartbeat" } dd { @match round.seen { Some(at) => (words::ago(at, clock)), None => "never" } } }
            @if let Some(results) = &round.results {
                div { dt { "Last tick looked at" } dd { (words::count(results.scanned)) " series" } }
                div { dt { "and queued" } dd { (words::count(results.slices_created)) " runs" } }
                div { dt { "in" } dd { (results.duration_ms) " ms" } }
            }
        }
        @if let Some(message) = &ready.scheduler_message { @if !message.is_empty() { p.dim { (message) } } }
        @if let Some(results) = &round.results { @for error in &results.errors { p.bad { (error) } } }
    }
}

async fn providers_table(database: &store::Database, clock: Timestamp) -> Result<Markup, Failure> {
    let all = providers::all(database).await?;
    if all.is_empty() {
        return Ok(html! { p.empty { "None has been asked yet." } });
    }
    Ok(html! {
        div.scroll tabindex="0" role="region" aria-label="Providers" { table {
            thead { tr { th scope="col" { "Provider" } th scope="col" { "State" } th scope="col" { "Last good answer" } th scope="col" { "Last failure" } } }
            tbody { @for of in &all {
                tr {
                    th scope="row" { (of.provider) }
                    @match of.failures {
                        n if n >= FAILING => td.bad { "failing" @if let Some(until) = of.resting_until { ", rests until " (words::instant(until)) } },
                        n if n > 0 => td.warn { (n) " failures in a row" },
                        _ => td.good { "good" },
                    }
                    td { @if let Some(at) = of.last_good_at { (words::ago(at, clock)) } }
                    td.wrap { @if let Some(at) = of.last_failed_at { (words::ago(at, clock)) } @if let Some(error) = &of.last_error { ": " (error) } }
                }
            } }
        } }
    })
}

fn processes_table(processes: &[Process], clock: Timestamp) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Processes" { table {
            thead { tr { th scope="col" { "Process" } th scope="col" { "Does" } th scope="col" { "Version" } th scope="col" { "Last seen" } th scope="col" { "Hears notifications" } } }
            tbody { @for process in processes {
                tr {
                    th scope="row" title=(process.name) { (process.host) " (" (process.pid) ")" }
                    td { (process.parts.join(", ")) }
                    td { (process.version) }
                    td class=(if process.alive { "good" } else { "bad" }) { (words::ago(process.last_seen, clock)) }
                    td { (match process.hears { Some(true) => "yes", Some(false) => "no: looks by itself", None => "not known yet" }) }
                }
            } }
        } }
    }
}
