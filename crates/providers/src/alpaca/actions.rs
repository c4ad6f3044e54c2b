//! Splits and dividends, from Alpaca's corporate actions.
//!
//! In: tickers and days. Out: actions by ticker, oldest first. Holds: all pages are read; a dividend paid in shares is a
//! split by its effect; spin-offs, mergers, and records that can't be read are left out.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use market::{Action, ActionKind, AssetClass, Range, Ticker};

use super::{
    AlpacaSource, SYMBOLS_PER_REQUEST,
    wire::{ActionsPage, WireActions},
};
use crate::{BarSource as _, FetchError, days::days_of, http::PATIENCE_BETWEEN_PAGES, record::sound};

const KINDS: &str = "forward_split,reverse_split,stock_dividend,cash_dividend";
const ROWS_PER_PAGE: &str = "1000";

/// `None` if the server has no such list, as a simulator may not.
pub(super) async fn actions(
    source: &AlpacaSource,
    tickers: &[Ticker],
    range: Range,
) -> Result<Option<BTreeMap<Ticker, Vec<Action>>>, FetchError> {
    let (first, last) = days_of(range);
    let stocks: Vec<&Ticker> = tickers.iter().filter(|ticker| ticker.asset_class() == AssetClass::Stock).collect();
    let mut all: BTreeMap<Ticker, Vec<Action>> = BTreeMap::new();
    for part in stocks.chunks(SYMBOLS_PER_REQUEST) {
        let symbols = part.iter().map(|ticker| ticker.as_str()).collect::<Vec<_>>().join(",");
        let mut sent = WireActions::default();
        let mut token: Option<String> = None;
        let mut followed = HashSet::new();
        loop {
            let mut url = source.url(&source.data_url, &["v1", "corporate-actions"])?;
            url.query_pairs_mut()
                .append_pair("symbols", &symbols)
                .append_pair("types", KINDS)
                .append_pair("start", &first.to_string())
                .append_pair("end", &last.to_string())
                .append_pair("limit", ROWS_PER_PAGE)
                .append_pair("sort", "asc");
            let patience = match &token {
                Some(token) => {
                    url.query_pairs_mut().append_pair("page_token", token);
                    PATIENCE_BETWEEN_PAGES
                }
                None => Duration::ZERO,
            };
            let page: Option<ActionsPage> = source.look_up(url, &source.budget, patience, &[]).await?;
            let Some(page) = page else { return Ok(None) };
            sent.append(page.corporate_actions);
            token = page.next_page_token;
            match &token {
                None => break,
                Some(next) if followed.insert(next.clone()) => {}
                Some(_) => return Err(source.bad_data("a next_page_token for the second time")),
            }
        }
        for (symbol, action) in read(&source.endpoint().provider, sent) {
            let ticker = part.iter().find(|ticker| ticker.as_str() == symbol);
            if let Some(ticker) = ticker.filter(|_| first <= action.ex_date && action.ex_date <= last) {
                all.entry((*ticker).clone()).or_default().push(action);
            }
        }
    }
    for actions in all.values_mut() {
        actions.sort_by_key(|action| action.ex_date);
    }
    Ok(Some(all))
}

fn read(provider: &str, sent: WireActions) -> Vec<(String, Action)> {
    let splits = sent.forward_splits.into_iter().chain(sent.reverse_splits);
    let splits = sound(provider, splits, |split| split.new_rate > 0.0 && split.old_rate > 0.0);
    let in_shares = sound(provider, sent.stock_dividends, |dividend| dividend.rate > 0.0);
    let in_cash = sound(provider, sent.cash_dividends, |dividend| dividend.rate > 0.0);
    let split = |symbol, ex_date, new, old| (symbol, Action { ex_date, kind: ActionKind::Split { new, old } });
    let mut all: Vec<(String, Action)> =
        splits.into_iter().map(|sent| split(sent.symbol, sent.ex_date, sent.new_rate, sent.old_rate)).collect();
    all.extend(in_shares.into_iter().map(|sent| split(sent.symbol, sent.ex_date, 1.0 + sent.rate, 1.0)));
    all.extend(
        in_cash.into_iter().map(|sent| {
            (sent.symbol, Action { ex_date: sent.ex_date, kind: ActionKind::Dividend { amount: sent.rate } })
        }),
    );
    all
}
