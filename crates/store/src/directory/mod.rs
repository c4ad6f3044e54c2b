//! The directory of symbols that providers offer: tickers, names, kinds and exchanges, tracked or not.
//!
//! In: a provider's asset list, else a built-in list of well-known symbols. Out: `barkeep.directory`, and
//! [`Directory`], which searches it. Holds: nothing is deleted, entries that a list lacks are marked as delisted; a
//! list that lacks half of the known entries adds entries and delists none; a listed asset becomes a symbol only when
//! it is tracked.

mod index;
mod lists;
mod search;
pub mod suggest;

use market::Ticker;

pub(crate) use self::lists::{BUILT_IN, fill_built_in};
pub use self::{
    index::{Index, Item},
    lists::{Replaced, claim_refresh, known_as, mark_delisted, postpone_refresh, replace},
    search::{Directory, Found, index},
};

/// An entry of an asset list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub ticker: Ticker,
    pub name: String,
    pub exchange: String,
    pub active: bool,
    /// Its new ticker, if the list says so.
    pub renamed_to: Option<Ticker>,
}

impl Entry {
    /// `stock`, `etf` or `crypto`. Lists distinguish stocks and funds only by their names.
    fn asset_type(&self) -> &'static str {
        if self.ticker.pair().is_some() {
            return "crypto";
        }
        let is_fund =
            self.name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "ETF" | "ETFs" | "ETN"));
        if is_fund { "etf" } else { "stock" }
    }

    /// One spelling: lists use market identifier codes or names.
    fn exchange(&self) -> &str {
        match self.exchange.as_str() {
            "XNAS" => "NASDAQ",
            "XNYS" => "NYSE",
            "ARCX" | "NYSEARCA" => "ARCA",
            "XASE" => "AMEX",
            "BATS" | "CBOE" => "BATS",
            other => other,
        }
    }
}
