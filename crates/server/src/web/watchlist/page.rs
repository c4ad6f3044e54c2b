//! The watchlist page, and the fragment with its rows.

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
    overview,
    watchlists::{self, Item, Watchlist},
};
use uuid::Uuid;

use super::{
    super::{
        format::{self, CoverageStatus},
        layout::{self, Page, csrf_field},
        page_error::PageError,
        quote::{self, Quote},
        visitor::Visitor,
    },
    edit::TIMEFRAMES,
};
use crate::app::App;

/// Symbols per page.
const ROWS: i64 = 100;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct WatchlistQuery {
    list: Option<Uuid>,
    #[serde(default)]
    skip: i64,
}

struct ListPage {
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
    Query(query): Query<WatchlistQuery>,
) -> Result<Response, PageError> {
    let list_page = load(&app, visitor.user, &query).await?;
    // A new user, who tracks nothing yet.
    if list_page.lists.is_empty() && overview::tracked(&app.database, visitor.user).await?.is_empty() {
        return Ok(Redirect::to("/welcome").into_response());
    }
    let chosen = list_page.chosen.as_ref().map(|list| list.id);
    let url = match chosen {
        Some(list) => format!("/watchlist?list={list}&skip={}", list_page.skip),
        None => "/watchlist".to_owned(),
    };
    let body = html! {
        h1.hidden { "Watchlist" }
        (lists(&list_page, &visitor.csrf))
        form #add method="post" action="/watchlist" hx-post="/watchlist" hx-swap="none" {
            (csrf_field(&visitor.csrf))
            @if let Some(list) = chosen { input type="hidden" name="list" value=(list); }
            label for="symbols" { "Symbols" }
            input #symbols name="symbols" placeholder="AAPL BRK.B BTC-USD" autocomplete="off" spellcheck="false"
                autocapitalize="characters" required;
            button { "Add" }
        }
        section #rows aria-live="off" hx-get=(url) hx-trigger="barkeep:bars from:body throttle:1s, barkeep:lists from:body"
            hx-swap="innerMorph" { (rows(&list_page)) }
    };
    Ok(Page { title: "Watchlist", nav: "/", script: Some("lists.js"), body }.render(&app, &visitor.csrf).await)
}

pub(crate) async fn fragment(
    State(app): State<App>,
    visitor: Visitor,
    Query(query): Query<WatchlistQuery>,
) -> Result<Response, PageError> {
    let list_page = load(&app, visitor.user, &query).await?;
    Ok(layout::fragment(html! { (rows(&list_page)) (list_links(&list_page, true)) }))
}

async fn load(app: &App, user: Uuid, query: &WatchlistQuery) -> Result<ListPage, PageError> {
    let lists = watchlists::of(&app.database, user).await?;
    // The first list, if the requested one was deleted in another tab.
    let chosen = lists.iter().find(|list| Some(list.id) == query.list).or(lists.first()).cloned();
    let skip = query.skip.max(0);
    let items = match &chosen {
        Some(list) => watchlists::items(&app.database, user, list.id, skip, ROWS).await?,
        None => Vec::new(),
    };
    let mut quotes = quote::latest(&app.database, &app.calendars.current(), user, &items).await?;
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
    Ok(ListPage { lists, chosen, rows, skip })
}

fn lists(page: &ListPage, csrf: &str) -> Markup {
    html! {
        nav.lists aria-label="Lists" {
            (list_links(page, false))
            details {
                summary { "Manage lists" }
                form method="post" action="/watchlist/lists" {
                    (csrf_field(csrf))
                    label { "New list " input name="name" required maxlength="60" autocomplete="off"; }
                    button { "Create" }
                }
                @if let Some(list) = &page.chosen {
                    form method="post" action="/watchlist/rename" {
                        (csrf_field(csrf))
                        input type="hidden" name="list" value=(list.id);
                        label { "List name " input name="name" value=(list.name) required maxlength="60" autocomplete="off"; }
                        button { "Rename" }
                    }
                    form method="post" action="/watchlist/delete" data-confirm={ "Delete the list '" (list.name) "'? Symbols on no other list will no longer be watched." } {
                        (csrf_field(csrf))
                        input type="hidden" name="list" value=(list.id);
                        button.danger { "Delete list" }
                    }
                }
            }
        }
    }
}

/// The links to the lists; the rows' fragment updates them out of band.
fn list_links(page: &ListPage, is_fragment: bool) -> Markup {
    let chosen = page.chosen.as_ref().map(|list| list.id);
    html! {
        span #list-links hx-swap-oob=[is_fragment.then_some("true")] {
            @for list in &page.lists {
                a href={ "/?list=" (list.id) } aria-current=[(Some(list.id) == chosen).then_some("true")] {
                    (list.name) " " span.count { (list.symbols) }
                }
            }
        }
    }
}

fn rows(page: &ListPage) -> Markup {
    let Some(list) = &page.chosen else {
        return html! { p.empty { "Your watchlist is empty. Add a symbol above." } };
    };
    if page.rows.is_empty() {
        return html! { p.empty { "This list is empty. Add a symbol above." } };
    }
    let next = page.skip + ROWS;
    html! {
        div.scroll tabindex="0" role="region" aria-label="Symbols on this list" {
            table.watched data-list=(list.id) {
                thead { tr {
                    th scope="col" { "Symbol" }
                    th.n scope="col" { "Last" }
                    th.n scope="col" { "Change" }
                    th scope="col" { span.hidden { "Day chart" } }
                    @for timeframe in TIMEFRAMES { th.cell scope="col" { (timeframe) } }
                    th scope="col" { span.hidden { "Actions" } }
                } }
                tbody { @for row in &page.rows { (symbol_row(list.id, row)) } }
            }
        }
        @if page.skip > 0 || list.symbols > next {
            nav.pages aria-label="Pagination" {
                @if page.skip > 0 { a href={ "/?list=" (list.id) "&skip=" ((page.skip - ROWS).max(0)) } { "Previous" } }
                span { (page.skip + 1) " to " (next.min(list.symbols)) " of " (list.symbols) }
                @if list.symbols > next { a href={ "/?list=" (list.id) "&skip=" (next) } { "Next" } }
            }
        }
    }
}

fn symbol_row(list: Uuid, row: &Row) -> Markup {
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
                        @let status = CoverageStatus::new(series);
                        td class={ "cell " (status.class()) } title=(format::description(series)) {
                            a href={ "/coverage/" (symbol) "/" (timeframe) } aria-label={ (timeframe) ": " (format::description(series)) } {
                                (status.short(series))
                            }
                        }
                    }
                    None => td.cell.idle { "–" },
                }
            }
            td.tools {
                button.up type="button" data-move="-1" aria-label={ "Move " (symbol) " up" } { "↑" }
                button.down type="button" data-move="1" aria-label={ "Move " (symbol) " down" } { "↓" }
                button type="button" aria-label={ "Remove " (symbol) " from this list" } hx-post="/watchlist/remove" hx-swap="none"
                    hx-vals={ "{\"list\":\"" (list) "\",\"symbol\":\"" (symbol) "\"}" } { "✕" }
            }
        }
    }
}
