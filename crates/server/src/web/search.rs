//! The search: options as somebody types, and what comes of picking one: interest, and its chart.

use axum::{
    Form,
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use market::Ticker;
use maud::{Markup, html};
use serde::Deserialize;
use store::{directory::Found, show, tracking::Source};

use super::{
    failure::Failure,
    layout::{self, Page},
    visitor::Visitor,
    watchlist::edit::TIMEFRAMES,
};
use crate::{
    app::App,
    error::ApiError,
    interest::{self, Wanted},
};

/// As many as fit under the field.
const SHOWN: usize = 12;

/// No ticker and no word is longer.
const LONGEST: usize = 64;

#[derive(Debug, Default, Deserialize)]
pub(super) struct Question {
    #[serde(default)]
    q: String,
    /// The options alone, for the combobox.
    #[serde(default)]
    options: bool,
}

/// What fits what was typed; what was searched lately where that is nothing.
pub(super) async fn options(
    State(app): State<App>,
    visitor: Visitor,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    let text: String = question.q.trim().chars().take(LONGEST).collect();
    let found = match text.is_empty() {
        true => recent(&app, &visitor).await?,
        false => app.directory.search(visitor.user, &text, SHOWN).await?,
    };
    let list = listed(&found, &text);
    if question.options {
        return Ok(layout::fragment(list));
    }
    // Without a script the form comes here.
    let body = html! {
        h1 { "Search" }
        form.results method="post" action="/search/pick" {
            (layout::csrf_field(&visitor.csrf))
            @for found in &found {
                button name="symbol" value=(found.ticker) { (found.ticker) } " " (found.description) br;
            }
        }
        @if found.is_empty() { (nothing(&text)) }
    };
    Ok(Page { title: "Search", place: "/search", script: None, body }.shown(&app, &visitor.csrf))
}

async fn recent(app: &App, visitor: &Visitor) -> Result<Vec<Found>, Failure> {
    let tickers = show::recent_searches(&app.database, visitor.user, 8).await?;
    let mut found = Vec::new();
    for ticker in tickers {
        let first = app.directory.search(visitor.user, ticker.as_str(), 1).await?.into_iter().next();
        found.extend(first.filter(|found| found.ticker == ticker));
    }
    Ok(found)
}

fn listed(found: &[Found], text: &str) -> Markup {
    html! {
        @if text.is_empty() && !found.is_empty() { div.heading role="presentation" { "Searched lately" } }
        @for (n, found) in found.iter().enumerate() {
            div.option role="option" id={ "option-" (n) } aria-selected="false" data-symbol=(found.ticker) {
                strong { (found.ticker) }
                span.name { (found.description) }
                span.kind { (found.asset_type) }
                @if found.kept { span.kept title="Stored already" { "● stored" } }
                @if !found.active { span.kind { "delisted" } }
                @if !found.renamed_to.is_empty() { span.kind { "now " (found.renamed_to) } }
            }
        }
        @if found.is_empty() { (nothing(text)) }
    }
}

fn nothing(text: &str) -> Markup {
    html! {
        @match text.parse::<Ticker>() {
            _ if text.is_empty() => div.nothing role="option" aria-disabled="true" aria-selected="false" { "Type a ticker or a name." },
            Ok(ticker) => div.option role="option" id="option-0" aria-selected="false" data-symbol=(ticker) {
                strong { (ticker) } span.name { "is on no list here. Ask the providers for it all the same." }
            },
            Err(_) => div.nothing role="option" aria-disabled="true" aria-selected="false" { "Nothing is called that." },
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Picked {
    #[serde(default)]
    symbol: String,
}

/// Picking a result is `recent_search` interest, and opens the chart.
pub(super) async fn pick(
    State(app): State<App>,
    visitor: Visitor,
    Form(picked): Form<Picked>,
) -> Result<Response, Failure> {
    let ticker: Ticker = picked.symbol.parse().map_err(ApiError::invalid)?;
    let address = format!("/chart/{ticker}");
    let wanted = Wanted { tickers: vec![ticker], source: Source::RecentSearch, timeframes: TIMEFRAMES.to_vec() };
    let _waits = app.foreground.enter();
    interest::take(&app.database, visitor.user, &wanted).await?;
    app.signals.wake_here();
    Ok(Redirect::to(&address).into_response())
}
