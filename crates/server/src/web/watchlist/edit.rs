//! What people do with their lists. Scripts get no content and ask for the list again; a plain form goes back to its page.

use axum::{
    Form,
    extract::State,
    http::HeaderMap,
    response::{IntoResponse, Redirect, Response},
};
use market::{Ticker, Timeframe};
use serde::Deserialize;
use store::watchlists;
use uuid::Uuid;

use super::super::{failure::Failure, layout, visitor::Visitor};
use crate::{app::App, error::ApiError};

/// What the chart shows.
pub(crate) const TIMEFRAMES: [Timeframe; 5] =
    [Timeframe::M15, Timeframe::H1, Timeframe::H4, Timeframe::D1, Timeframe::W1];

#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    #[serde(default)]
    symbols: String,
    list: Option<Uuid>,
}

/// As people write lists: with spaces, commas or both.
fn tickers(text: &str) -> Result<Vec<Ticker>, ApiError> {
    let words = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|word| !word.is_empty());
    let tickers: Vec<Ticker> = words.map(str::parse).collect::<Result<_, _>>().map_err(ApiError::invalid)?;
    if tickers.is_empty() {
        return Err(ApiError::bad_request("Which symbol? Write a ticker, such as AAPL or BTC-USD"));
    }
    Ok(tickers)
}

/// Begins to watch symbols.
pub(crate) async fn add(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(named): Form<Named>,
) -> Result<Response, Failure> {
    let tickers = tickers(&named.symbols)?;
    let _waits = app.foreground.enter();
    let synced = watchlists::add(&app.database, visitor.user, named.list, &tickers, &TIMEFRAMES).await?;
    tracing::info!(symbols = synced.symbols_tracked, "Somebody watches {} symbols", synced.symbols_tracked);
    app.signals.wake_here();
    Ok(done(&app, &headers, named.list))
}

#[derive(Debug, Deserialize)]
pub(crate) struct OfList {
    list: Uuid,
    #[serde(default)]
    symbol: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    order: String,
}

/// Takes a symbol off a list.
pub(crate) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(of): Form<OfList>,
) -> Result<Response, Failure> {
    let ticker: Ticker = of.symbol.parse().map_err(ApiError::invalid)?;
    watchlists::remove(&app.database, visitor.user, of.list, &ticker).await?;
    Ok(done(&app, &headers, Some(of.list)))
}

/// Puts a list in order.
pub(crate) async fn order(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(of): Form<OfList>,
) -> Result<Response, Failure> {
    watchlists::reorder(&app.database, visitor.user, of.list, &tickers(&of.order)?).await?;
    Ok(done(&app, &headers, Some(of.list)))
}

#[derive(Debug, Deserialize)]
pub(crate) struct New {
    name: String,
}

/// Makes a list and shows it.
pub(crate) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Form(new): Form<New>,
) -> Result<Response, Failure> {
    let id = watchlists::create(&app.database, visitor.user, &new.name).await?;
    app.signals.ended_here();
    Ok(Redirect::to(&format!("/?list={id}")).into_response())
}

/// Gives a list another name.
pub(crate) async fn rename(
    State(app): State<App>,
    visitor: Visitor,
    Form(of): Form<OfList>,
) -> Result<Response, Failure> {
    watchlists::rename(&app.database, visitor.user, of.list, &of.name).await?;
    app.signals.ended_here();
    Ok(Redirect::to(&format!("/?list={}", of.list)).into_response())
}

/// Removes a list with what is on no other.
pub(crate) async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Form(of): Form<OfList>,
) -> Result<Response, Failure> {
    watchlists::delete(&app.database, visitor.user, of.list).await?;
    app.signals.ended_here();
    Ok(Redirect::to("/").into_response())
}

/// Tells the other tabs, and answers.
fn done(app: &App, headers: &HeaderMap, list: Option<Uuid>) -> Response {
    app.signals.ended_here();
    layout::done(headers, &list.map_or_else(|| "/".to_owned(), |list| format!("/?list={list}")))
}
