//! Massive's lists: tickers, splits, dividends.
//!
//! In: tickers and days. Out: assets and actions. Holds: lists are read to their last page, waiting for the budget of
//! five requests a minute.

use std::collections::BTreeMap;

use jiff::civil::Date;
use market::{Action, ActionKind, AssetClass, Range, Ticker};
use reqwest::Url;
use serde::{Deserialize, de::DeserializeOwned};

use super::wire::{Page, follow};
use crate::{
    Asset, FetchError,
    connection::Connection,
    days::days_of,
    record::{Record, sound},
    spelling::listed_ticker,
};

const ROWS_PER_PAGE: &str = "1000";
/// More than any list has.
const MOST_PAGES: usize = 100;

#[derive(Debug, Deserialize)]
struct One<T> {
    results: T,
}

#[derive(Debug, Deserialize)]
struct WireTicker {
    ticker: String,
    #[serde(default)]
    name: String,
    market: String,
    #[serde(default)]
    primary_exchange: String,
    #[serde(default)]
    active: bool,
}

#[derive(Debug, PartialEq, Deserialize)]
struct WireSplit {
    execution_date: Date,
    split_from: f64,
    split_to: f64,
}

#[derive(Debug, PartialEq, Deserialize)]
struct WireDividend {
    ex_dividend_date: Date,
    cash_amount: f64,
    currency: Option<String>,
    record_date: Option<String>,
    pay_date: Option<String>,
}

pub(super) async fn asset(connection: &Connection, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
    connection.need_key()?;
    if ticker.asset_class() != AssetClass::Stock {
        return Ok(None);
    }
    let url = connection.url(&["v3", "reference", "tickers", ticker.as_str()])?;
    let found: Option<One<WireTicker>> = connection.look_up(url, std::time::Duration::ZERO).await?;
    Ok(found.and_then(|found| stock(found.results)))
}

pub(super) async fn assets(connection: &Connection) -> Result<Vec<Asset>, FetchError> {
    connection.need_key()?;
    let mut url = connection.url(&["v3", "reference", "tickers"])?;
    url.query_pairs_mut()
        .append_pair("market", "stocks")
        .append_pair("active", "true")
        .append_pair("sort", "ticker")
        .append_pair("limit", ROWS_PER_PAGE);
    Ok(all_pages::<WireTicker>(connection, url).await?.into_iter().filter_map(stock).collect())
}

pub(super) async fn actions(
    connection: &Connection,
    tickers: &[Ticker],
    range: Range,
) -> Result<BTreeMap<Ticker, Vec<Action>>, FetchError> {
    connection.need_key()?;
    let days = days_of(range);
    let mut all = BTreeMap::new();
    for ticker in tickers.iter().filter(|ticker| ticker.asset_class() == AssetClass::Stock) {
        let about = |list: &str, day: &str| {
            let mut url = connection.url(&["v3", "reference", list])?;
            url.query_pairs_mut()
                .append_pair("ticker", ticker.as_str())
                .append_pair(&format!("{day}.gte"), &days.0.to_string())
                .append_pair(&format!("{day}.lte"), &days.1.to_string())
                .append_pair("limit", ROWS_PER_PAGE);
            Ok::<Url, FetchError>(url)
        };
        let splits = all_pages::<Record<WireSplit>>(connection, about("splits", "execution_date")?).await?;
        let dividends = all_pages::<Record<WireDividend>>(connection, about("dividends", "ex_dividend_date")?).await?;
        let provider = &connection.http.provider;
        let splits = sound(provider, splits, |split| split.split_from > 0.0 && split.split_to > 0.0);
        let dividends = sound(provider, dividends, |dividend| dividend.cash_amount > 0.0);
        let splits = splits.into_iter().map(|split| Action {
            ex_date: split.execution_date,
            kind: ActionKind::Split { new: split.split_to, old: split.split_from },
        });
        let in_dollars = |dividend: &WireDividend| dividend.currency.as_deref().is_none_or(|c| c == "USD");
        let dividends = dividends.into_iter().filter(in_dollars).map(|dividend| Action {
            ex_date: dividend.ex_dividend_date,
            kind: ActionKind::Dividend { amount: dividend.cash_amount },
        });
        let mut actions: Vec<Action> = splits.chain(dividends).collect();
        actions.sort_by_key(|action| action.ex_date);
        if !actions.is_empty() {
            all.insert(ticker.clone(), actions);
        }
    }
    Ok(all)
}

async fn all_pages<T: DeserializeOwned>(connection: &Connection, first: Url) -> Result<Vec<T>, FetchError> {
    let mut rows = Vec::new();
    let (mut next, mut continued) = (Some(first), false);
    for _ in 0..MOST_PAGES {
        let Some(url) = next else { return Ok(rows) };
        let bad = |problem: &str| connection.http.bad_data(&format!("{problem} at {}", url.path()));
        let page: Page<T> = connection.look_up_in_turn(url.clone()).await?.ok_or_else(|| bad("404"))?;
        if !page.has_results() && !page.is_empty(continued) {
            return Err(bad("no results, and not an empty list"));
        }
        continued = true;
        rows.extend(page.results.into_iter().flatten());
        next = page.next_url.map(|next| follow(connection, &next)).transpose()?;
    }
    Err(connection.http.bad_data("links to next pages that don't end"))
}

fn stock(found: WireTicker) -> Option<Asset> {
    let ticker = listed_ticker(&found.ticker)?;
    let is_stock = found.market == "stocks" && ticker.asset_class() == AssetClass::Stock;
    is_stock.then_some(Asset {
        ticker,
        asset_class: AssetClass::Stock,
        name: found.name,
        exchange: found.primary_exchange,
        active: found.active,
    })
}
