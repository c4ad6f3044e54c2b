//! The page of the lists, and the part of it that changes.

use std::collections::HashMap;

use axum::{
    extract::{Query, State},
    response::{IntoResponse, Redirect, Response},
};
use market::{Ticker, Timeframe};
use maud::{Markup, html};
use serde::Deserialize;
use store::{
    coverage::{self, SeriesCoverage},
    show,
    watchlists::{self, Item, Watchlist},
};
use uuid::Uuid;

use super::{
    super::{
        failure::Failure,
        format::{self, Fill},
        layout::{self, Page, csrf_field},
        quote::{self, Quote},
        visitor::Visitor,
    },
    edit::TIMEFRAMES,
};
use crate::app::App;

/// Rows of a page: each asks for its coverage and its line.
const ROWS: i64 = 100;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Question {
    list: Option<Uuid>,
    #[serde(default)]
    skip: i64,
}

struct Shown {
    lists: Vec<Watchlist>,
    chosen: Option<Watchlist>,
    rows: Vec<Row>,
    skip: i64,
}

struct Row {
    item: Item,
    quote: Option<Quote>,
    series: HashMap<Timeframe, SeriesCoverage>,
}

pub(crate) async fn page(
    State(app): State<App>,
    visitor: Visitor,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    let shown = look(&app, visitor.user, &question).await?;
    // Somebody who has asked for nothing yet.
    if shown.lists.is_empty() && show::tracked(&app.database, visitor.user).await?.is_empty() {
        return Ok(Redirect::to("/welcome").into_response());
    }
    let chosen = shown.chosen.as_ref().map(|list| list.id);
    let address = match chosen {
        Some(list) => format!("/watchlist?list={list}&skip={}", shown.skip),
        None => "/watchlist".to_owned(),
    };
    let body = html! {
        h1.hidden { "Watchlist" }
        (lists(&shown, &visitor.csrf))
        form #add method="post" action="/watchlist" hx-post="/watchlist" hx-swap="none" {
            (csrf_field(&visitor.csrf))
            @if let Some(list) = chosen { input type="hidden" name="list" value=(list); }
            label for="symbols" { "Watch" }
            input #symbols name="symbols" placeholder="AAPL BRK.B BTC-USD" autocomplete="off" spellcheck="false"
                autocapitalize="characters" required;
            button { "Add" }
        }
        section #rows aria-live="off" hx-get=(address) hx-trigger="barkeep:bars from:body throttle:1s, barkeep:lists from:body"
            hx-swap="innerMorph" { (rows(&shown)) }
    };
    Ok(Page { title: "Watchlist", place: "/", script: Some("lists.js"), body }.shown(&app, &visitor.csrf))
}

pub(crate) async fn fragment(
    State(app): State<App>,
    visitor: Visitor,
    Query(question): Query<Question>,
) -> Result<Response, Failure> {
    let shown = look(&app, visitor.user, &question).await?;
    Ok(layout::fragment(html! { (rows(&shown)) (links(&shown, true)) }))
}

async fn look(app: &App, user: Uuid, question: &Question) -> Result<Shown, Failure> {
    let lists = watchlists::of(&app.database, user).await?;
    // A list that was removed in another tab: the first.
    let chosen = lists.iter().find(|list| Some(list.id) == question.list).or(lists.first()).cloned();
    let skip = question.skip.max(0);
    let items = match &chosen {
        Some(list) => watchlists::items(&app.database, user, list.id, skip, ROWS).await?,
        None => Vec::new(),
    };
    let mut quotes = quote::of(&app.database, &app.calendars.current(), user, &items).await?;
    let tickers: Vec<Ticker> = items.iter().map(|item| item.symbol.clone()).collect();
    let coverage = coverage::of_symbols(&app.database, Some(user), &tickers).await?;
    let rows = items
        .into_iter()
        .zip(coverage)
        .map(|(item, (_, series))| Row {
            quote: quotes.remove(&item.symbol),
            series: series.into_iter().map(|series| (series.timeframe, series)).collect(),
            item,
        })
        .collect();
    Ok(Shown { lists, chosen, rows, skip })
}

fn lists(shown: &Shown, csrf: &str) -> Markup {
    html! {
        nav.lists aria-label="Lists" {
            (links(shown, false))
            details {
                summary { "Lists…" }
                form method="post" action="/watchlist/lists" {
                    (csrf_field(csrf))
                    label { "New list " input name="name" required maxlength="60" autocomplete="off"; }
                    button { "Make" }
                }
                @if let Some(list) = &shown.chosen {
                    form method="post" action="/watchlist/rename" {
                        (csrf_field(csrf))
                        input type="hidden" name="list" value=(list.id);
                        label { "Name of this list " input name="name" value=(list.name) required maxlength="60" autocomplete="off"; }
                        button { "Rename" }
                    }
                    form method="post" action="/watchlist/delete" data-sure={ "Remove the list '" (list.name) "' and stop watching what is on no other?" } {
                        (csrf_field(csrf))
                        input type="hidden" name="list" value=(list.id);
                        button.danger { "Remove this list" }
                    }
                }
            }
        }
    }
}

/// Beside the rows, whose fragment brings them along.
fn links(shown: &Shown, is_fragment: bool) -> Markup {
    let chosen = shown.chosen.as_ref().map(|list| list.id);
    html! {
        span #list-links hx-swap-oob=[is_fragment.then_some("true")] {
            @for list in &shown.lists {
                a href={ "/?list=" (list.id) } aria-current=[(Some(list.id) == chosen).then_some("true")] {
                    (list.name) " " span.count { (list.symbols) }
                }
            }
        }
    }
}

fn rows(shown: &Shown) -> Markup {
    let Some(list) = &shown.chosen else {
        return html! { p.empty { "You watch nothing yet. Add a symbol above, and its bars are here a moment later." } };
    };
    if shown.rows.is_empty() {
        return html! { p.empty { "Nothing is on this list. Add a symbol above, and its bars are here a moment later." } };
    }
    let next = shown.skip + ROWS;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Symbols on this list" {
            table.watched data-list=(list.id) {
                thead { tr {
                    th scope="col" { "Symbol" }
                    th.n scope="col" { "Last" }
                    th.n scope="col" { "Day" }
                    th scope="col" { span.hidden { "The day as a line" } }
                    @for timeframe in TIMEFRAMES { th.cell scope="col" { (timeframe) } }
                    th scope="col" { span.hidden { "Move and remove" } }
                } }
                tbody { @for row in &shown.rows { (one(list.id, row)) } }
            }
        }
        @if shown.skip > 0 || list.symbols > next {
            nav.pages aria-label="Pages of the list" {
                @if shown.skip > 0 { a href={ "/?list=" (list.id) "&skip=" ((shown.skip - ROWS).max(0)) } { "Before" } }
                span { (shown.skip + 1) " to " (next.min(list.symbols)) " of " (list.symbols) }
                @if list.symbols > next { a href={ "/?list=" (list.id) "&skip=" (next) } { "Further" } }
            }
        }
    }
}

fn one(list: Uuid, row: &Row) -> Markup {
    let symbol = &row.item.symbol;
    html! {
        tr id={ "row-" (symbol) } data-symbol=(symbol) {
            th scope="row" {
                a href={ "/chart/" (symbol) } { (symbol) }
                span.name { (row.item.name) }
            }
            @match &row.quote {
                Some(quote) => {
                    td.n.last title=(quote.provider) { (format::price(quote.last)) @if !quote.is_final { span.provisional title="still forming" { "~" } } }
                    td class={ "n " (quote.direction()) } { (quote.change().unwrap_or_else(|| "–".to_owned())) }
                    td { (quote.sparkline()) }
                }
                None => { td.n { "–" } td.n { "–" } td { span.spark {} } }
            }
            @for timeframe in TIMEFRAMES {
                @match row.series.get(&timeframe) {
                    Some(series) => {
                        @let fill = Fill::of(series);
                        td class={ "cell " (fill.class()) } title=(format::sentence(series)) {
                            a href={ "/coverage/" (symbol) "/" (timeframe) } aria-label={ (timeframe) ": " (format::sentence(series)) } {
                                (fill.short(series))
                            }
                        }
                    }
                    None => td.cell.idle { "–" },
                }
            }
            td.tools {
                button.up type="button" data-move="-1" aria-label={ "Move " (symbol) " up" } { "↑" }
                button.down type="button" data-move="1" aria-label={ "Move " (symbol) " down" } { "↓" }
                button type="button" aria-label={ "Stop watching " (symbol) } hx-post="/watchlist/remove" hx-swap="none"
                    hx-vals={ "{\"list\":\"" (list) "\",\"symbol\":\"" (symbol) "\"}" } { "✕" }
            }
        }
    }
}
