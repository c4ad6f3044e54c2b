//! `/chart/AAPL?tf=m15`: the page, the data that its script draws, and the same as a table.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use market::{Adjustment, AssetClass, Ticker, Timeframe};
use maud::{Markup, PreEscaped, html};
use serde::Deserialize;
use store::{show, tracking::Source};

use super::{
    chart_data::{self, Data, Part},
    failure::{self, Failure},
    format,
    layout::{self, Page, csrf_field},
    visitor::Visitor,
    watchlist::edit::TIMEFRAMES,
};
use crate::{
    app::App,
    error::ApiError,
    interest::{self, Wanted},
};

/// More than a screen shows.
const AT_FIRST: i64 = 600;

/// Of a table: what somebody reads through.
const IN_TABLE: i64 = 200;

/// Texts, so that what is wrong can be named.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Question {
    tf: Option<String>,
    adjust: Option<String>,
    before: Option<i64>,
    from: Option<i64>,
    limit: Option<i64>,
}

impl Question {
    fn timeframe(&self) -> Result<Timeframe, ApiError> {
        self.tf.as_deref().map_or(Ok(Timeframe::M15), str::parse).map_err(ApiError::invalid)
    }

    fn adjustment(&self) -> Result<Adjustment, ApiError> {
        self.adjust.as_deref().map_or(Ok(Adjustment::default()), str::parse).map_err(ApiError::invalid)
    }

    fn part(&self) -> Result<Part, ApiError> {
        let instant = |secs| Timestamp::from_second(secs).map_err(ApiError::invalid);
        let limit = self.limit.unwrap_or(AT_FIRST).clamp(1, 10_000);
        Ok(match (self.before, self.from) {
            (Some(before), _) => Part::Before(instant(before)?, limit),
            (None, Some(from)) => Part::From(instant(from)?),
            (None, None) => Part::Newest(limit),
        })
    }
}

pub(super) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    let Ok(ticker) = symbol.parse::<Ticker>() else {
        return Ok(failure::page(
            StatusCode::NOT_FOUND,
            "That is no symbol: tickers are written AAPL, BRK.B or BTC-USD",
        ));
    };
    let timeframe = question.timeframe().unwrap_or(Timeframe::M15);
    let adjustment = question.adjustment().unwrap_or_default();
    let data = chart_data::read(
        &app.database,
        &app.calendars.current(),
        visitor.user,
        &ticker,
        timeframe,
        adjustment,
        Part::Newest(AT_FIRST),
    )
    .await?;
    let listed = app.directory.search(visitor.user, ticker.as_str(), 6).await?;
    let known = listed.iter().find(|found| found.ticker == ticker);
    // Somebody may have mistyped it: nothing is asked for before they say so.
    if data.is_none() && known.is_none() {
        let body = nobody_lists(&ticker, &listed, &visitor.csrf);
        return Ok(Page { title: ticker.as_str(), place: "", script: None, body }.shown(&app, &visitor.csrf));
    }
    let name = known.map(|found| found.description.as_str()).unwrap_or_default();
    let is_watched = show::watchlist(&app.database, visitor.user).await?.iter().any(|watched| watched.symbol == ticker);
    let state = data.as_ref().map_or_else(|| chart_data::state(None), |data| data.state().clone());
    let body = html! {
        article #chart-page data-symbol=(ticker) data-timeframe=(timeframe) data-adjust=(adjusted(adjustment)) data-zone=(zone(&ticker)) {
            header.chart-head {
                h1 { (ticker) " " span.name { (name) } }
                div #legend aria-live="off" { (PreEscaped("&nbsp;")) }
            }
            div.toolbar role="toolbar" aria-label="Chart" {
                div.group role="group" aria-label="Timeframe" {
                    @for (n, of) in TIMEFRAMES.iter().enumerate() {
                        button type="button" data-timeframe=(of) aria-pressed=(if *of == timeframe { "true" } else { "false" })
                            aria-keyshortcuts=(n + 1) title={ "Key " (n + 1) } { (of) }
                    }
                }
                @if ticker.asset_class() == AssetClass::Stock {
                    label { input #raw type="checkbox" checked[adjustment == Adjustment::Raw]; " As traded" }
                }
                span #chip class={ "chip " (state.class) } title=(state.sentence) { (state.label) }
                span #source { }
                (watch(&ticker, is_watched, &visitor.csrf))
            }
            div.canvas {
                div #chart role="img" tabindex="0" aria-label={ "Chart of " (ticker) ": arrows move, plus and minus zoom; the table below holds the same bars" } {}
                p #empty hidden[data.as_ref().is_some_and(|data| !data.bars.is_empty())] role="status" { "Asked for. The first bars are here in a moment." }
            }
            details #table {
                summary { "The bars as a table" }
                div #table-rows {}
            }
            script #first type="application/json" { (PreEscaped(inline(data.as_ref()))) }
        }
    };
    Ok(Page { title: ticker.as_str(), place: "", script: Some("chart.js"), body }.shown(&app, &visitor.csrf))
}

/// JSON within HTML: nothing in it may end the element.
fn inline(data: Option<&Data>) -> String {
    serde_json::to_string(&data).unwrap_or_else(|_| "null".to_owned()).replace('<', "\\u003c")
}

fn adjusted(adjustment: Adjustment) -> &'static str {
    match adjustment {
        Adjustment::Raw => "raw",
        Adjustment::Splits => "splits",
        Adjustment::All => "all",
    }
}

/// Whose clock the exchange goes by.
fn zone(ticker: &Ticker) -> &'static str {
    match ticker.asset_class() {
        AssetClass::Stock => "America/New_York",
        AssetClass::Crypto => "UTC",
    }
}

fn watch(ticker: &Ticker, is_watched: bool, csrf: &str) -> Markup {
    html! {
        @if is_watched {
            span.watched-mark { "On your watchlist" }
        } @else {
            form #watch method="post" action="/watchlist" hx-post="/watchlist" hx-swap="none" {
                (csrf_field(csrf))
                input type="hidden" name="symbols" value=(ticker);
                button { "Add to watchlist" }
            }
        }
    }
}

fn nobody_lists(ticker: &Ticker, listed: &[store::directory::Found], csrf: &str) -> Markup {
    html! {
        h1 { "Nobody lists " (ticker) }
        p { "It is neither on the provider's list of symbols nor on the one that Barkeep brings along." }
        @if !listed.is_empty() {
            p { "Did you mean " @for (n, found) in listed.iter().enumerate() {
                @if n > 0 { ", " }
                a href={ "/chart/" (found.ticker) } { (found.ticker) } @if !found.description.is_empty() { " (" (found.description) ")" }
            } "?" }
        }
        form method="post" action="/search/pick" {
            (csrf_field(csrf))
            button name="symbol" value=(ticker) { "Ask the providers for " (ticker) " all the same" }
        }
    }
}

/// Opening a chart is `chart_view` interest: the page says so once.
pub(super) async fn visit(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
) -> Result<Response, Failure> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let wanted = Wanted { tickers: vec![ticker], source: Source::ChartView, timeframes: TIMEFRAMES.to_vec() };
    let _waits = app.foreground.enter();
    interest::take(&app.database, visitor.user, &wanted).await?;
    app.signals.wake_here();
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn bars(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
    Query(question): Query<Question>,
) -> Result<Response, ApiError> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let (timeframe, adjustment, part) = (question.timeframe()?, question.adjustment()?, question.part()?);
    let data =
        chart_data::read(&app.database, &app.calendars.current(), visitor.user, &ticker, timeframe, adjustment, part)
            .await?
            .ok_or_else(|| ApiError::not_found(format!("Nobody has asked for {ticker} yet")))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(data)).into_response())
}

/// The newest bars for those who read rather than look.
pub(super) async fn table(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let (timeframe, adjustment) = (question.timeframe()?, question.adjustment()?);
    let data = chart_data::read(
        &app.database,
        &app.calendars.current(),
        visitor.user,
        &ticker,
        timeframe,
        adjustment,
        Part::Newest(IN_TABLE),
    )
    .await?;
    let rows = data.as_ref().map(|data| data.bars.as_slice()).unwrap_or_default();
    Ok(layout::fragment(html! {
        @if rows.is_empty() { p { "No bar is stored yet." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label={ "Bars of " (ticker) } {
                table {
                    caption { (ticker) " " (timeframe) ", the newest " (rows.len()) " bars, newest first" }
                    thead { tr {
                        th scope="col" { "Start" }
                        @for column in ["Open", "High", "Low", "Close", "Volume"] { th.n scope="col" { (column) } }
                        th scope="col" { "" }
                    } }
                    tbody {
                        @for (start, open, high, low, close, volume, provisional) in rows.iter().rev() {
                            tr {
                                th scope="row" { @if let Ok(start) = Timestamp::from_second(*start) { (format::instant(start)) } }
                                @for value in [open, high, low, close] { td.n { (format::price(*value)) } }
                                td.n { (volume) }
                                td { @if *provisional == 1 { "still forming" } }
                            }
                        }
                    }
                }
            }
        }
    }))
}
