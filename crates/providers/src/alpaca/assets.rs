//! Alpaca's asset list, from the trading host.
//!
//! In: a ticker, or a class. Out: the entries of the list. Holds: what isn't in the list is `None`, and a failure
//! never is.

use std::time::Duration;

use market::{AssetClass, Ticker};

use super::{
    AlpacaSource,
    wire::{self, WireAsset, WireListed},
};
use crate::{Asset, FetchError, spelling::listed_ticker};

pub(super) async fn one(source: &AlpacaSource, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
    let url = source.url(&source.trading_url, &["v2", "assets", &wire::symbol(ticker)])?;
    let tickers = std::slice::from_ref(ticker);
    let found: Option<WireAsset> = source.look_up(url, &source.trading_budget, Duration::ZERO, tickers).await?;
    let Some(found) = found else { return Ok(None) };
    let class = found.class.clone();
    let unknown = || source.bad_data(&format!("{ticker} as an asset of class '{class}'"));
    asset(ticker.clone(), found).ok_or_else(unknown).map(Some)
}

/// Assets that trade now. Tickers outside of our format, such as warrants with long names, are left out.
pub(super) async fn all(source: &AlpacaSource, asset_class: AssetClass) -> Result<Option<Vec<Asset>>, FetchError> {
    let mut url = source.url(&source.trading_url, &["v2", "assets"])?;
    let class = match asset_class {
        AssetClass::Stock => "us_equity",
        AssetClass::Crypto => "crypto",
    };
    url.query_pairs_mut().append_pair("status", "active").append_pair("asset_class", class);
    let list: Option<Vec<WireListed>> = source.look_up(url, &source.trading_budget, Duration::ZERO, &[]).await?;
    let listed = |listed: WireListed| {
        let ticker = listed_ticker(&listed.symbol)?;
        let asset = asset(ticker, listed.asset)?;
        (asset.active && asset.asset_class == asset_class && asset.ticker.asset_class() == asset_class).then_some(asset)
    };
    Ok(list.map(|list| list.into_iter().filter_map(listed).collect()))
}

/// `None` for a class that isn't supported.
fn asset(ticker: Ticker, found: WireAsset) -> Option<Asset> {
    Some(Asset {
        ticker,
        asset_class: found.asset_class()?,
        active: found.status == "active",
        name: found.name.unwrap_or_default(),
        exchange: found.exchange,
    })
}
