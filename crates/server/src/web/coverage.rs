//! `/coverage`: the coverage of symbols by timeframe, and the missing sessions of each series.

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
    definitions,
    overview::{self, Gap},
    runs, symbols,
    tracking::Source,
};

use super::{
    format::{self, CoverageStatus},
    layout::{self, Page, csrf_field},
    page_error::PageError,
    visitor::Visitor,
    watchlist::edit::TIMEFRAMES,
};
use crate::{
    app::App,
    error::ApiError,
    interest::{self, SymbolInterest},
};

/// Symbols per page.
const ROWS: usize = 100;

#[derive(Debug, Default, Deserialize)]
pub(super) struct CoverageQuery {
    #[serde(default)]
    skip: usize,
}

pub(super) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<CoverageQuery>,
) -> Result<Response, PageError> {
    let table = coverage_table(&app, &visitor, query.skip).await?;
    let body = html! {
        h1 { "Coverage" }
        p.dim { "The share of the bars expected by the exchange calendar that are stored or known not to exist. Select a cell to see its missing sessions." }
        section #map aria-live="off" hx-get={ "/coverage/now?skip=" (query.skip) } hx-trigger="barkeep:bars from:body throttle:1s, every 30s"
            hx-swap="innerMorph" { (table) }
    };
    Ok(Page { title: "Coverage", nav: "/coverage", script: None, body }.render(&app, &visitor.csrf).await)
}

pub(super) async fn fragment(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<CoverageQuery>,
) -> Result<Response, PageError> {
    Ok(layout::fragment(coverage_table(&app, &visitor, query.skip).await?))
}

async fn coverage_table(app: &App, visitor: &Visitor, skip: usize) -> Result<Markup, PageError> {
    let tracked = overview::tracked(&app.database, visitor.user).await?;
    if tracked.is_empty() {
        return Ok(
            html! { p.empty { "No symbols yet. " a href="/" { "Add one to your watchlist" } " to see its coverage here." } },
        );
    }
    let shown: Vec<Ticker> = tracked.iter().skip(skip).take(ROWS).cloned().collect();
    let found = coverage::of_symbols(&app.database, Some(visitor.user), &shown).await?;
    let timeframes: BTreeSet<Timeframe> = found
        .iter()
        .flat_map(|(_, series)| series)
        .filter(|series| series.state != "not tracked")
        .map(|series| series.timeframe)
        .chain(TIMEFRAMES)
        .collect();
    Ok(html! {
        div.scroll tabindex="0" role="region" aria-label="Coverage by symbol and timeframe" {
            table.heat {
                thead { tr { th scope="col" { "Symbol" } @for timeframe in &timeframes { th.cell scope="col" { (timeframe) } } } }
                tbody { @for (symbol, series) in &found {
                    tr id={ "row-" (symbol) } {
                        th scope="row" { a href={ "/chart/" (symbol) } { (symbol) } }
                        @for timeframe in &timeframes { (cell(symbol, *timeframe, series.iter().find(|series| series.timeframe == *timeframe))) }
                    }
                } }
            }
        }
        @if skip > 0 || tracked.len() > skip + ROWS {
            nav.pages aria-label="Pagination" {
                @if skip > 0 { a href={ "/coverage?skip=" (skip.saturating_sub(ROWS)) } { "Previous" } }
                span { (skip + 1) " to " ((skip + ROWS).min(tracked.len())) " of " (tracked.len()) }
                @if tracked.len() > skip + ROWS { a href={ "/coverage?skip=" (skip + ROWS) } { "Next" } }
            }
        }
        p.legend aria-hidden="true" {
            span.complete { "complete" } span.filling { "backfilling" } span.held-back { "limited by plan" } span.failing { "failing" } span.unknown { "unknown symbol" } span.idle { "not tracked" }
        }
    })
}

fn cell(symbol: &Ticker, timeframe: Timeframe, series: Option<&SeriesCoverage>) -> Markup {
    let Some(series) = series.filter(|series| series.state != "not tracked") else {
        return html! { td.cell.idle { "–" } };
    };
    let status = CoverageStatus::new(series);
    let decile = format::percent(series) / 10;
    html! {
        td class={ "cell " (status.class()) " d" (decile) } title=(format::description(series)) {
            a href={ "/coverage/" (symbol) "/" (timeframe) } {
                span.hidden { (symbol) " " (timeframe) ": " }
                strong { (format::percent(series)) "%" }
                span { (format::count(series.stored)) "/" (format::count(series.expected)) }
                span.hidden { ", " (format::description(series)) }
            }
        }
    }
}

/// One series: its counts, and its gaps by session.
pub(super) async fn series(
    State(app): State<App>,
    visitor: Visitor,
    Path((symbol, timeframe)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let timeframe: Timeframe = timeframe.parse().map_err(ApiError::invalid)?;
    let all = coverage::of_symbol(&app.database, Some(visitor.user), &ticker).await?;
    let Some(series) = all.iter().find(|series| series.timeframe == timeframe && series.state != "not tracked") else {
        return Err(
            ApiError::not_found(format!("{ticker} {timeframe} isn't tracked: add {ticker} to your watchlist")).into()
        );
    };
    let gaps = overview::gaps(&app.database, Some(std::slice::from_ref(&ticker)), 2_000).await?;
    let gaps: Vec<Gap> = gaps.into_iter().filter(|gap| gap.timeframe == timeframe).collect();
    let calendar = symbols::calendar(&app.database, &ticker).await?;
    let address = format!("/coverage/{ticker}/{timeframe}");
    let body = html! { section #series hx-get=(address) hx-select="#series" hx-swap="outerMorph" hx-trigger="barkeep:bars from:body throttle:1s, every 30s" {
        h1 { (ticker) " " (timeframe) }
        p class={ "chip " (CoverageStatus::new(series).class()) } { (format::description(series)) }
        dl.figures {
            div { dt { "Expected" } dd { (format::count(series.expected)) } }
            div { dt { "Stored" } dd { (format::count(series.stored)) } }
            div { dt { "No trades" } dd { (format::count(series.no_trade)) } }
            div { dt { "Missing" } dd { (format::count(series.missing)) } }
            div { dt { "Unavailable" } dd { (format::count(series.unavailable)) } }
            div { dt { "Covered to" } dd { @match series.fresh_to { Some(at) => (format::instant(at)), None => "–" } } }
        }
        form method="post" action="/coverage/fill" {
            (csrf_field(&visitor.csrf))
            input type="hidden" name="symbol" value=(ticker);
            input type="hidden" name="timeframe" value=(timeframe);
            button { "Backfill now" }
            " " a href={ "/chart/" (ticker) "?tf=" (timeframe) } { "Open chart" }
        }
        h2 { "Missing" }
        @if gaps.is_empty() { p.empty { "No gaps: every expected bar is accounted for." } }
        @else { (gaps_table(&gaps, &app.calendars.current().sessions_of(calendar), timeframe)) }
    } };
    let title = format!("{ticker} {timeframe}");
    Ok(Page { title: &title, nav: "/coverage", script: None, body }.render(&app, &visitor.csrf).await)
}

/// One row per session and gap, newest first.
fn gaps_table(gaps: &[Gap], sessions: &Sessions, timeframe: Timeframe) -> Markup {
    const MAX_ROWS: usize = 400;
    let grid = Grid::Session(sessions.clone());
    let mut rows: Vec<(String, Range, usize, &Gap)> = Vec::new();
    for gap in gaps {
        for session in sessions.sessions_in(gap.range) {
            let Some(range) = session.range().intersection(&gap.range) else { continue };
            let bars = grid.buckets(timeframe, range).len();
            rows.push((session.date.to_string(), range, bars, gap));
        }
    }
    rows.reverse();
    let more = rows.len().saturating_sub(MAX_ROWS);
    html! {
        div.scroll tabindex="0" role="region" aria-label="Missing sessions" {
            table {
                thead { tr { th scope="col" { "Session" } th scope="col" { "From" } th scope="col" { "To" } th.n scope="col" { "Bars" } th scope="col" { "Status" } } }
                tbody { @for (date, range, bars, gap) in rows.iter().take(MAX_ROWS) {
                    tr {
                        th scope="row" { (date) }
                        td { (format::instant(range.from())) } td { (format::instant(range.to())) }
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
pub(super) struct SeriesForm {
    symbol: String,
    timeframe: String,
}

/// Backfills a series now: records `chart_view` interest, retries failed runs and wakes the planner.
pub(super) async fn backfill(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<SeriesForm>,
) -> Result<Response, PageError> {
    let ticker: Ticker = form.symbol.parse().map_err(ApiError::invalid)?;
    let timeframe: Timeframe = form.timeframe.parse().map_err(ApiError::invalid)?;
    let wanted =
        SymbolInterest { tickers: vec![ticker.clone()], source: Source::ChartView, timeframes: vec![timeframe] };
    let _foreground = app.foreground.enter();
    interest::record(&app.database, visitor.user, &wanted).await?;
    definitions::make_due(&app.database, std::slice::from_ref(&ticker)).await?;
    runs::retry_failed(&app.database, Some(std::slice::from_ref(&ticker))).await?;
    app.notify_queued();
    app.signals.wake_here();
    Ok(Redirect::to(&format!("/coverage/{ticker}/{timeframe}")).into_response())
}
