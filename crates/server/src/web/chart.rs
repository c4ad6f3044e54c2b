//! `/chart/AAPL?tf=m15`: the page, the data for its script, and the bars as a table.

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
use store::{overview, tracking::Source};

use super::{
    chart_data::{self, ChartData, Selection},
    format,
    layout::{self, Page, csrf_field},
    page_error::{PageError, error_page},
    visitor::Visitor,
    watchlist::edit::TIMEFRAMES,
};
use crate::{
    app::App,
    error::ApiError,
    interest::{self, SymbolInterest},
};

/// More than fit on a screen.
const INITIAL_BARS: i64 = 600;

/// Rows of the table.
const TABLE_BARS: i64 = 200;

/// `tf` and `adjust` are strings, so that errors can name an invalid value.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ChartQuery {
    tf: Option<String>,
    adjust: Option<String>,
    before: Option<i64>,
    from: Option<i64>,
    limit: Option<i64>,
}

impl ChartQuery {
    fn timeframe(&self) -> Result<Timeframe, ApiError> {
        self.tf.as_deref().map_or(Ok(Timeframe::M15), str::parse).map_err(ApiError::invalid)
    }

    fn adjustment(&self) -> Result<Adjustment, ApiError> {
        self.adjust.as_deref().map_or(Ok(Adjustment::default()), str::parse).map_err(ApiError::invalid)
    }

    fn selection(&self) -> Result<Selection, ApiError> {
        let instant = |secs| Timestamp::from_second(secs).map_err(ApiError::invalid);
        let limit = self.limit.unwrap_or(INITIAL_BARS).clamp(1, 10_000);
        Ok(match (self.before, self.from) {
            (Some(before), _) => Selection::Before(instant(before)?, limit),
            (None, Some(from)) => Selection::From(instant(from)?),
            (None, None) => Selection::Newest(limit),
        })
    }
}

pub(super) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
    Query(query): Query<ChartQuery>,
) -> Result<Response, PageError> {
    let Ok(ticker) = symbol.parse::<Ticker>() else {
        return Ok(error_page(
            StatusCode::NOT_FOUND,
            &format!("'{symbol}' isn't a valid ticker: write it like AAPL, BRK.B or BTC-USD"),
        ));
    };
    let timeframe = query.timeframe().unwrap_or(Timeframe::M15);
    let adjustment = query.adjustment().unwrap_or_default();
    let data = chart_data::read(
        &app.database,
        &app.calendars.current(),
        visitor.user,
        &ticker,
        timeframe,
        adjustment,
        Selection::Newest(INITIAL_BARS),
    )
    .await?;
    let matches = app.directory.search(visitor.user, ticker.as_str(), 6).await?;
    let known = matches.iter().find(|found| found.ticker == ticker);
    // It may be a typo: an unknown symbol is requested only after confirmation.
    if data.is_none() && known.is_none() {
        let body = unknown_symbol(&ticker, &matches, &visitor.csrf);
        return Ok(Page { title: ticker.as_str(), nav: "", script: None, body }.render(&app, &visitor.csrf).await);
    }
    let name = known.map(|found| found.description.as_str()).unwrap_or_default();
    let is_watched =
        overview::watchlist(&app.database, visitor.user).await?.iter().any(|watched| watched.symbol == ticker);
    let state = data.as_ref().map_or_else(|| chart_data::series_state(None), |data| data.state().clone());
    let body = html! {
        article #chart-page data-symbol=(ticker) data-timeframe=(timeframe) data-adjust=(adjustment_name(adjustment)) data-zone=(zone(&ticker)) {
            header.chart-head {
                h1 { (ticker) " " span.name { (name) } }
                div #legend aria-live="off" { (PreEscaped("&nbsp;")) }
            }
            div.toolbar role="toolbar" aria-label="Chart" {
                div.group role="group" aria-label="Timeframe" {
                    @for (n, option) in TIMEFRAMES.iter().enumerate() {
                        button type="button" data-timeframe=(option) aria-pressed=(if *option == timeframe { "true" } else { "false" })
                            aria-keyshortcuts=(n + 1) title={ "Key " (n + 1) } { (option) }
                    }
                }
                @if ticker.asset_class() == AssetClass::Stock {
                    label { input #raw type="checkbox" checked[adjustment == Adjustment::Raw]; " Unadjusted" }
                }
                span #chip class={ "chip " (state.class) } title=(state.sentence) { (state.label) }
                span #source { }
                (watchlist_button(&ticker, is_watched, &visitor.csrf))
            }
            div.canvas {
                div #chart role="img" tabindex="0" aria-label={ "Chart of " (ticker) ". Arrow keys scroll, plus and minus zoom. The table below lists the same bars." } {}
                p #empty hidden[data.as_ref().is_some_and(|data| !data.bars.is_empty())] role="status" { "Loading the first bars…" }
            }
            details #table {
                summary { "Show as table" }
                div #table-rows {}
            }
            script #first type="application/json" { (PreEscaped(inline_json(data.as_ref()))) }
        }
    };
    Ok(Page { title: ticker.as_str(), nav: "", script: Some("chart.js"), body }.render(&app, &visitor.csrf).await)
}

/// JSON in a script element: it must not contain `</script>`.
fn inline_json(data: Option<&ChartData>) -> String {
    serde_json::to_string(&data).unwrap_or_else(|_| "null".to_owned()).replace('<', "\\u003c")
}

fn adjustment_name(adjustment: Adjustment) -> &'static str {
    match adjustment {
        Adjustment::Raw => "raw",
        Adjustment::Splits => "splits",
        Adjustment::All => "all",
    }
}

/// The time zone of the exchange.
fn zone(ticker: &Ticker) -> &'static str {
    match ticker.asset_class() {
        AssetClass::Stock => "America/New_York",
        AssetClass::Crypto => "UTC",
    }
}

fn watchlist_button(ticker: &Ticker, is_watched: bool, csrf: &str) -> Markup {
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

fn unknown_symbol(ticker: &Ticker, matches: &[store::directory::Found], csrf: &str) -> Markup {
    html! {
        h1 { "Unknown symbol " (ticker) }
        p { "It is in neither the provider's symbol list nor Barkeep's own." }
        @if !matches.is_empty() {
            p { "Did you mean " @for (n, found) in matches.iter().enumerate() {
                @if n > 0 { ", " }
                a href={ "/chart/" (found.ticker) } { (found.ticker) } @if !found.description.is_empty() { " (" (found.description) ")" }
            } "?" }
        }
        form method="post" action="/search/pick" {
            (csrf_field(csrf))
            button name="symbol" value=(ticker) { "Request " (ticker) " anyway" }
        }
    }
}

/// Records `chart_view` interest; the page's script calls it once.
pub(super) async fn record_view(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
) -> Result<Response, PageError> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let wanted = SymbolInterest { tickers: vec![ticker], source: Source::ChartView, timeframes: TIMEFRAMES.to_vec() };
    let _foreground = app.foreground.enter();
    interest::record(&app.database, visitor.user, &wanted).await?;
    app.signals.wake_here();
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn bars(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
    Query(query): Query<ChartQuery>,
) -> Result<Response, ApiError> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let (timeframe, adjustment, selection) = (query.timeframe()?, query.adjustment()?, query.selection()?);
    let data = chart_data::read(
        &app.database,
        &app.calendars.current(),
        visitor.user,
        &ticker,
        timeframe,
        adjustment,
        selection,
    )
    .await?
    .ok_or_else(|| ApiError::not_found(format!("No bars of {ticker} yet: add it to your watchlist first")))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(data)).into_response())
}

/// The newest bars as a table.
pub(super) async fn table(
    State(app): State<App>,
    visitor: Visitor,
    Path(symbol): Path<String>,
    Query(query): Query<ChartQuery>,
) -> Result<Response, PageError> {
    let ticker: Ticker = symbol.parse().map_err(ApiError::invalid)?;
    let (timeframe, adjustment) = (query.timeframe()?, query.adjustment()?);
    let data = chart_data::read(
        &app.database,
        &app.calendars.current(),
        visitor.user,
        &ticker,
        timeframe,
        adjustment,
        Selection::Newest(TABLE_BARS),
    )
    .await?;
    let rows = data.as_ref().map(|data| data.bars.as_slice()).unwrap_or_default();
    Ok(layout::fragment(html! {
        @if rows.is_empty() { p { "No bars stored yet." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label={ "Bars of " (ticker) } {
                table {
                    caption { (ticker) " " (timeframe) ": latest " (rows.len()) " bars, newest first" }
                    thead { tr {
                        th scope="col" { "Time" }
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
