//! What there is to be asked for: tickers, names, kinds and exchanges, whether anybody wants them or not.
//!
//! In: a provider's list of assets, else a built-in list of what is well known. Out: `barkeep.directory`, and [`Directory`],
//! which searches it. Holds: nothing is deleted, what a list lacks is marked as delisted; a list that lacks half of
//! what there was is believed in what it has, not in what it lacks; a listed asset is no symbol until somebody wants it.

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

/// What somebody's list says of a ticker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub ticker: Ticker,
    pub name: String,
    pub exchange: String,
    pub active: bool,
    /// What it is called now, where the list says so.
    pub renamed_to: Option<Ticker>,
}

impl Entry {
    /// `stock`, `etf` or `crypto`. Lists tell stocks and funds apart by their names alone.
    fn asset_type(&self) -> &'static str {
        if self.ticker.pair().is_some() {
            return "crypto";
        }
        let is_fund =
            self.name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| matches!(word, "ETF" | "ETFs" | "ETN"));
        if is_fund { "etf" } else { "stock" }
    }

    /// One spelling: lists write market identifier codes or names.
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
