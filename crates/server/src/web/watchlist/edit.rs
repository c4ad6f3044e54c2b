//! Changes to lists. Scripts get no content and reload the list; plain forms are redirected to it.

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

use super::super::{layout, page_error::PageError, visitor::Visitor};
use crate::{app::App, error::ApiError};

/// The timeframes of charts and lists.
pub(crate) const TIMEFRAMES: [Timeframe; 5] =
    [Timeframe::M15, Timeframe::H1, Timeframe::H4, Timeframe::D1, Timeframe::W1];

#[derive(Debug, Deserialize)]
pub(crate) struct AddForm {
    #[serde(default)]
    symbols: String,
    list: Option<Uuid>,
}

/// Parses tickers separated by spaces, commas or semicolons.
fn tickers(text: &str) -> Result<Vec<Ticker>, ApiError> {
    let words = text.split(|c: char| c == ',' || c == ';' || c.is_whitespace()).filter(|word| !word.is_empty());
    let tickers: Vec<Ticker> = words.map(str::parse).collect::<Result<_, _>>().map_err(ApiError::invalid)?;
    if tickers.is_empty() {
        return Err(ApiError::bad_request("No symbol given: enter a ticker, such as AAPL or BTC-USD"));
    }
    Ok(tickers)
}

/// Adds symbols to a list.
pub(crate) async fn add(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<AddForm>,
) -> Result<Response, PageError> {
    let tickers = tickers(&form.symbols)?;
    let _foreground = app.foreground.enter();
    let synced = watchlists::add(&app.database, visitor.user, form.list, &tickers, &TIMEFRAMES).await?;
    tracing::info!(symbols = synced.symbols_tracked, "Added {} symbols to a watchlist", synced.symbols_tracked);
    app.signals.wake_here();
    Ok(list_changed(&app, &headers, form.list))
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListForm {
    list: Uuid,
    #[serde(default)]
    symbol: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    order: String,
}

/// Removes a symbol from a list.
pub(crate) async fn remove(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<ListForm>,
) -> Result<Response, PageError> {
    let ticker: Ticker = form.symbol.parse().map_err(ApiError::invalid)?;
    watchlists::remove(&app.database, visitor.user, form.list, &ticker).await?;
    Ok(list_changed(&app, &headers, Some(form.list)))
}

/// Changes the order of a list.
pub(crate) async fn reorder(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<ListForm>,
) -> Result<Response, PageError> {
    watchlists::reorder(&app.database, visitor.user, form.list, &tickers(&form.order)?).await?;
    Ok(list_changed(&app, &headers, Some(form.list)))
}

#[derive(Debug, Deserialize)]
pub(crate) struct CreateForm {
    name: String,
}

/// Creates a list and redirects to it.
pub(crate) async fn create(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<CreateForm>,
) -> Result<Response, PageError> {
    let id = watchlists::create(&app.database, visitor.user, &form.name).await?;
    app.signals.changed_here();
    Ok(Redirect::to(&format!("/?list={id}")).into_response())
}

/// Renames a list.
pub(crate) async fn rename(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<ListForm>,
) -> Result<Response, PageError> {
    watchlists::rename(&app.database, visitor.user, form.list, &form.name).await?;
    app.signals.changed_here();
    Ok(Redirect::to(&format!("/?list={}", form.list)).into_response())
}

/// Deletes a list; symbols that are on no other list are no longer watched.
pub(crate) async fn delete(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<ListForm>,
) -> Result<Response, PageError> {
    watchlists::delete(&app.database, visitor.user, form.list).await?;
    app.signals.changed_here();
    Ok(Redirect::to("/").into_response())
}

/// Notifies the other tabs, and responds.
fn list_changed(app: &App, headers: &HeaderMap, list: Option<Uuid>) -> Response {
    app.signals.changed_here();
    layout::write_succeeded(headers, &list.map_or_else(|| "/".to_owned(), |list| format!("/?list={list}")))
}
