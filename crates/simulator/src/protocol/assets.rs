//! `GET /v2/assets` and `/v2/assets/{symbol}`: the available assets.
//!
//! In: filters, or a symbol, `BTC/USD` for pairs, or an id. Out: assets with all fields that Alpaca's clients expect.
//! Holds: everything with bars is an asset, and an id is the same on every machine.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use market::{AssetClass, Ticker};
use serde::Serialize;

use super::Refusal;
use crate::{
    data::Data,
    listing,
    shared::Shared,
    synthetic::noise::{mix, of_text},
};

/// An asset in the format of Alpaca's trading API.
#[derive(Clone, Debug, Serialize)]
pub(super) struct WireAsset {
    id: String,
    class: &'static str,
    exchange: &'static str,
    symbol: String,
    name: String,
    status: &'static str,
    tradable: bool,
    marginable: bool,
    maintenance_margin_requirement: u32,
    shortable: bool,
    easy_to_borrow: bool,
    fractionable: bool,
    attributes: [String; 0],
}

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(filters): Query<Vec<(String, String)>>,
) -> Result<Json<Vec<WireAsset>>, Refusal> {
    let mut assets: Vec<WireAsset> = shared.data.listed().iter().map(|ticker| asset(&shared.data, ticker)).collect();
    for (filter, value) in &filters {
        match (filter.as_str(), value.as_str()) {
            ("status", "active" | "all" | "") | ("asset_class", "") | ("exchange", "") => {}
            ("status", "inactive") => assets.clear(),
            ("asset_class", "us_equity" | "crypto" | "us_option") => assets.retain(|asset| asset.class == value),
            ("exchange", _) => assets.retain(|asset| asset.exchange == value),
            ("status" | "asset_class", _) => return Err(Refusal::invalid(filter, value)),
            _ => {}
        }
    }
    Ok(Json(assets))
}

pub(super) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(symbol): Path<String>,
) -> Result<Json<WireAsset>, Refusal> {
    let by_id = || shared.data.listed().into_iter().find(|ticker| id(ticker) == symbol);
    let ticker = symbol.parse::<Ticker>().ok().filter(|ticker| shared.data.knows(ticker)).or_else(by_id);
    ticker.map(|ticker| Json(asset(&shared.data, &ticker))).ok_or_else(|| Refusal::unknown_asset(&symbol))
}

pub(super) async fn one_pair(
    shared: State<Arc<Shared>>,
    Path((base, quote)): Path<(String, String)>,
) -> Result<Json<WireAsset>, Refusal> {
    one(shared, Path(format!("{base}/{quote}"))).await
}

fn asset(data: &Data, ticker: &Ticker) -> WireAsset {
    let listed = listing::find(ticker);
    let stock = ticker.asset_class() == AssetClass::Stock;
    let symbol = match ticker.pair() {
        Some((base, quote)) => format!("{base}/{quote}"),
        None => ticker.to_string(),
    };
    WireAsset {
        id: id(ticker),
        class: if stock { "us_equity" } else { "crypto" },
        exchange: listed.map_or(if stock { "NYSE" } else { "CRYPTO" }, |listed| listed.exchange),
        name: match (listed, data) {
            (Some(listed), _) => listed.name.to_owned(),
            (None, Data::Synthetic(_)) => format!("Simulated {symbol}"),
            (None, Data::Folder(_)) => symbol.clone(),
        },
        symbol,
        status: "active",
        tradable: true,
        marginable: stock,
        maintenance_margin_requirement: if stock { 30 } else { 100 },
        shortable: stock,
        easy_to_borrow: stock,
        fractionable: true,
        attributes: [],
    }
}

/// A UUID of version 8, whose other bits are free to choose.
fn id(ticker: &Ticker) -> String {
    let high = mix(of_text(ticker.as_str()));
    let low = mix(high);
    format!(
        "{:08x}-{:04x}-8{:03x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        (low >> 48) & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}
