//! `/coverage`: how complete everything is, symbols by timeframes, and of each series which sessions are missing.

use std::collections::BTreeSet;

use axum::{
    Form,
    extract::{Path, Query, State},
    response::{IntoResponse, Redirect, Response},
};
use market::{Range, Sessions, Ticker, Timeframe, grid::Grid};
use maud::{Markup, html};
use serde::Deserialize;
use store::{
    coverage::{self, SeriesCoverage},
    definitions, runs,
    show::{self, Gap},
    symbols,
    tracking::Source,
};

use super::{
    failure::Failure,
    format::{self, Fill},
    layout::{self, Page, csrf_field},
    visitor::Visitor,
    watchlist::edit::TIMEFRAMES,
};
use crate::{
    app::App,
    error::ApiError,
    interest::{self, Wanted},
};

/// Symbols of a page.
const ROWS: usize = 100;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Question {
    #[serde(default)]
    skip: usize,
}

pub(super) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    let map = map(&app, &visitor, question.skip).await?;
    let body = html! {
        h1 { "Coverage" }
        p.dim { "Of the bars that the exchange's calendar expects in each series' window, how many are accounted for. Choose a cell for the sessions that are missing." }
        section #map aria-live="off" hx-get={ "/coverage/now?skip=" (question.skip) } hx-trigger="barkeep:bars from:body throttle:1s, every 30s"
            hx-swap="innerMorph" { (map) }
    };
    Ok(Page { title: "Coverage", place: "/coverage", script: None, body }.shown(&app, &visitor.csrf))
}

pub(super) async fn fragment(
    State(app): State<App>,
    visitor: Visitor,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    Ok(layout::fragment(map(&app, &visitor, question.skip).await?))
}

async fn map(app: &App, visitor: &Visitor, skip: usize) -> Result<Markup, Failure> {
    let tracked = show::tracked(&app.database, visitor.user).await?;
    if tracked.is_empty() {
        return Ok(
            html! { p.empty { "Nothing is kept for you yet. " a href="/" { "Watch a symbol" } ", and it appears here." } },
        );
    }
    let shown: Vec<Ticker> = tracked.iter().skip(skip).take(ROWS).cloned().collect();
    let found = coverage::of_symbols(&app.database, Some(visitor.user), &shown).await?;
    let kept: BTreeSet<Timeframe> = found
        .iter()
        .flat_map(|(_, series)| series)
        .filter(|series| series.state != "not tracked")
        .map(|series| series.timeframe)
        .chain(TIMEFRAMES)
        .collect();
    Ok(html! {
        div.scroll tabindex="0" role="region" aria-label="Coverage by symbol and timeframe" {
            table.heat {
                thead { tr { th scope="col" { "Symbol" } @for timeframe in &kept { th.cell scope="col" { (timeframe) } } } }
                tbody { @for (symbol, series) in &found {
                    tr id={ "row-" (symbol) } {
                        th scope="row" { a href={ "/chart/" (symbol) } { (symbol) } }
                        @for timeframe in &kept { (cell(symbol, *timeframe, series.iter().find(|series| series.timeframe == *timeframe))) }
                    }
                } }
            }
        }
        @if skip > 0 || tracked.len() > skip + ROWS {
            nav.pages aria-label="Pages of the map" {
                @if skip > 0 { a href={ "/coverage?skip=" (skip.saturating_sub(ROWS)) } { "Before" } }
                span { (skip + 1) " to " ((skip + ROWS).min(tracked.len())) " of " (tracked.len()) }
                @if tracked.len() > skip + ROWS { a href={ "/coverage?skip=" (skip + ROWS) } { "Further" } }
            }
        }
        p.legend aria-hidden="true" {
            span.complete { "complete" } span.filling { "filling" } span.held-back { "held back" } span.failing { "failing" } span.unknown { "unknown" } span.idle { "not kept" }
        }
    })
}

fn cell(symbol: &Ticker, timeframe: Timeframe, series: Option<&SeriesCoverage>) -> Markup {
    let Some(series) = series.filter(|series| series.state != "not tracked") else {
        return html! { td.cell.idle { "–" } };
    };
    let fill = Fill::of(series);
    let decile = format::percent(series) / 10;
    html! {
        td class={ "cell " (fill.class()) " d" (decile) } title=(format::sentence(series)) {
            a href={ "/coverage/" (symbol) "/" (timeframe) } {
                span.hidden { (symbol) " " (timeframe) ": " }
                strong { (format::percent(series)) " %" }
                span { (format::count(series.stored)) "/" (format::count(series.expected)) }
                span.hidden { ", " (format::sentence(series)) }
            }
        }
    }
}

/// One series: its numbers, and what is missing by session.
pub(super) async fn series(
    State(app): State<App>,
    visitor: Visitor,
    Path((symbol, timeframe)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let timeframe: Timeframe = timeframe.parse().map_err(ApiError::invalid)?;
    let all = coverage::of_symbol(&app.database, Some(visitor.user), &ticker).await?;
    let Some(series) = all.iter().find(|series| series.timeframe == timeframe && series.state != "not tracked") else {
        return Err(ApiError::not_found(format!("{ticker} {timeframe} is nothing that you have asked for")).into());
    };
    let gaps = show::gaps(&app.database, Some(std::slice::from_ref(&ticker)), 2_000).await?;
    let gaps: Vec<Gap> = gaps.into_iter().filter(|gap| gap.timeframe == timeframe).collect();
    let calendar = symbols::calendar(&app.database, &ticker).await?;
    let address = format!("/coverage/{ticker}/{timeframe}");
    let body = html! { section #series hx-get=(address) hx-select="#series" hx-swap="outerMorph" hx-trigger="barkeep:bars from:body throttle:1s, every 30s" {
        h1 { (ticker) " " (timeframe) }
        p class={ "chip " (Fill::of(series).class()) } { (format::sentence(series)) }
        dl.figures {
            div { dt { "Expected" } dd { (format::count(series.expected)) } }
            div { dt { "Stored" } dd { (format::count(series.stored)) } }
            div { dt { "Nothing traded" } dd { (format::count(series.no_trade)) } }
            div { dt { "Missing" } dd { (format::count(series.missing)) } }
            div { dt { "No provider gives" } dd { (format::count(series.unavailable)) } }
            div { dt { "Known until" } dd { @match series.fresh_to { Some(at) => (format::instant(at)), None => "–" } } }
        }
        form method="post" action="/coverage/fill" {
            (csrf_field(&visitor.csrf))
            input type="hidden" name="symbol" value=(ticker);
            input type="hidden" name="timeframe" value=(timeframe);
            button { "Fill now" }
            " " a href={ "/chart/" (ticker) "?tf=" (timeframe) } { "To the chart" }
        }
        h2 { "Missing" }
        @if gaps.is_empty() { p.empty { "Nothing: every expected bar is accounted for." } }
        @else { (missing(&gaps, &app.calendars.current().sessions_of(calendar), timeframe)) }
    } };
    let title = format!("{ticker} {timeframe}");
    Ok(Page { title: &title, place: "/coverage", script: None, body }.shown(&app, &visitor.csrf))
}

/// By session; sessions that are wholly missing one after the other stand together.
fn missing(gaps: &[Gap], sessions: &Sessions, timeframe: Timeframe) -> Markup {
    const MOST: usize = 400;
    let grid = Grid::Session(sessions.clone());
    let mut lines: Vec<(String, Range, usize, &Gap)> = Vec::new();
    for gap in gaps {
        for session in sessions.sessions_in(gap.range) {
            let Some(part) = session.range().intersection(&gap.range) else { continue };
            let bars = grid.buckets(timeframe, part).len();
            lines.push((session.date.to_string(), part, bars, gap));
        }
    }
    lines.reverse();
    let more = lines.len().saturating_sub(MOST);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Missing sessions" {
            table {
                thead { tr { th scope="col" { "Session" } th scope="col" { "From" } th scope="col" { "To" } th.n scope="col" { "Bars" } th scope="col" { "What is done" } } }
                tbody { @for (date, part, bars, gap) in lines.iter().take(MOST) {
                    tr {
                        th scope="row" { (date) }
                        td { (format::instant(part.from())) } td { (format::instant(part.to())) }
                        td.n { (bars) }
                        td.wrap { (gap.state) @if let Some(reason) = &gap.reason { ": " (reason) } }
                    }
                } }
            }
        }
        @if more > 0 { p.dim { "and " (more) " older sessions" } }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Which {
    symbol: String,
    timeframe: String,
}

/// Somebody looks at it and wants it: that is `chart_view` interest. What failed is tried again, and the planner looks at once.
pub(super) async fn fill(
    State(app): State<App>,
    visitor: Visitor,
    Form(which): Form<Which>,
) -> Result<Response, Failure> {
    let ticker: Ticker = which.symbol.parse().map_err(ApiError::invalid)?;
    let timeframe: Timeframe = which.timeframe.parse().map_err(ApiError::invalid)?;
    let wanted = Wanted { tickers: vec![ticker.clone()], source: Source::ChartView, timeframes: vec![timeframe] };
    let _waits = app.foreground.enter();
    interest::take(&app.database, visitor.user, &wanted).await?;
    definitions::make_due(&app.database, std::slice::from_ref(&ticker)).await?;
    runs::retry_failed(&app.database, Some(std::slice::from_ref(&ticker))).await?;
    app.tell_queued();
    app.signals.wake_here();
    Ok(Redirect::to(&format!("/coverage/{ticker}/{timeframe}")).into_response())
}
