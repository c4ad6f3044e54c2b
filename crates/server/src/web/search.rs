//! The symbol search: matches as the user types; picking one records interest and opens its chart.

use axum::{
    Form,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use market::Ticker;
use maud::{Markup, html};
use serde::Deserialize;
use store::{directory::Found, overview, tracking::Source};

use super::{
    layout::{self, Page},
    page_error::PageError,
    visitor::Visitor,
    watchlist::edit::TIMEFRAMES,
};
use crate::{
    app::App,
    error::ApiError,
    interest::{self, SymbolInterest},
};

/// As many as fit below the search field.
const MAX_RESULTS: usize = 12;

/// Longer queries are cut: no ticker and no word of a name is longer.
const MAX_QUERY_CHARS: usize = 64;

#[derive(Debug, Default, Deserialize)]
pub(super) struct SearchQuery {
    #[serde(default)]
    q: String,
    /// Only the options, for the combobox.
    #[serde(default)]
    options: bool,
}

/// Symbols that match the query, or recent searches if it is empty.
pub(super) async fn search(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<SearchQuery>,
) -> Result<Response, PageError> {
    let text: String = query.q.trim().chars().take(MAX_QUERY_CHARS).collect();
    let found = match text.is_empty() {
        true => recent_searches(&app, &visitor).await?,
        false => app.directory.search(visitor.user, &text, MAX_RESULTS).await?,
    };
    let list = options(&found, &text);
    if query.options {
        return Ok(layout::fragment(list));
    }
    // The form without scripts.
    let body = html! {
        h1 { "Search" }
        form.results method="post" action="/search/pick" {
            (layout::csrf_field(&visitor.csrf))
            @for found in &found {
                button name="symbol" value=(found.ticker) { (found.ticker) } " " (found.description) br;
            }
        }
        @if found.is_empty() { (no_results(&text)) }
    };
    Ok(Page { title: "Search", nav: "/search", script: None, body }.render(&app, &visitor.csrf).await)
}

async fn recent_searches(app: &App, visitor: &Visitor) -> Result<Vec<Found>, PageError> {
    let tickers = overview::recent_searches(&app.database, visitor.user, 8).await?;
    let mut found = Vec::new();
    for ticker in tickers {
        let first = app.directory.search(visitor.user, ticker.as_str(), 1).await?.into_iter().next();
        found.extend(first.filter(|found| found.ticker == ticker));
    }
    Ok(found)
}

fn options(found: &[Found], text: &str) -> Markup {
    html! {
        @if text.is_empty() && !found.is_empty() { div.heading role="presentation" { "Recent searches" } }
        @for (n, found) in found.iter().enumerate() {
            div.option role="option" id={ "option-" (n) } aria-selected="false" data-symbol=(found.ticker) {
                strong { (found.ticker) }
                span.name { (found.description) }
                span.kind { (found.asset_type) }
                @if found.kept { span.kept title="Bars are stored" { "● stored" } }
                @if !found.active { span.kind { "delisted" } }
                @if !found.renamed_to.is_empty() { span.kind { "now " (found.renamed_to) } }
            }
        }
        @if found.is_empty() { (no_results(text)) }
    }
}

fn no_results(text: &str) -> Markup {
    html! {
        @match text.parse::<Ticker>() {
            _ if text.is_empty() => div.nothing role="option" aria-disabled="true" aria-selected="false" { "Type a ticker or company name." },
            Ok(ticker) => div.option role="option" id="option-0" aria-selected="false" data-symbol=(ticker) {
                strong { (ticker) } span.name { "Unknown symbol. Request it anyway." }
            },
            Err(_) => div.nothing role="option" aria-disabled="true" aria-selected="false" { "No matches." },
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PickForm {
    #[serde(default)]
    symbol: String,
}

/// Records `recent_search` interest and redirects to the chart.
pub(super) async fn pick(
    State(app): State<App>,
    visitor: Visitor,
    Form(form): Form<PickForm>,
) -> Result<Response, PageError> {
    let ticker: Ticker = form.symbol.parse().map_err(ApiError::invalid)?;
    let chart = format!("/chart/{ticker}");
    let wanted =
        SymbolInterest { tickers: vec![ticker], source: Source::RecentSearch, timeframes: TIMEFRAMES.to_vec() };
    let _foreground = app.foreground.enter();
    interest::record(&app.database, visitor.user, &wanted).await?;
    app.signals.wake_here();
    Ok(Redirect::to(&chart).into_response())
}
