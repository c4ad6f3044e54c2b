//! `GET /v2/aggs/ticker/{ticker}/range/{multiplier}/{span}/{from}/{to}`: the same bars in Massive's protocol, for a
//! second provider on one machine.
//!
//! In: a ticker, a length and the first and last millisecond, both included. Out: all bars on one page, by start. Holds:
//! as for Alpaca's bars; symbols that are not traded have no results.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use market::{Calendar, Ticker};
use serde_json::{Value, json};

use super::Refusal;
use crate::{data::BarsQuery, shared::Shared, span::Span};

/// More than a month of minutes around the clock.
const MOST_ROWS: usize = 50_000;

pub(super) async fn bars(
    State(shared): State<Arc<Shared>>,
    Path((ticker, multiplier, span, from, to)): Path<(String, i64, String, i64, i64)>,
) -> Result<Json<Value>, Refusal> {
    let unknown = |name: &str, sent: &str| Refusal::invalid(name, sent);
    let named: Ticker = ticker.parse().map_err(|_| unknown("ticker", &ticker))?;
    let span = match span.as_str() {
        "minute" => Span::Minutes(multiplier),
        "hour" => Span::Hours(multiplier),
        "day" => Span::Day,
        "week" => Span::Week,
        _ => return Err(unknown("timespan", &span)),
    };
    let class = named.asset_class();
    let horizon = shared.settings.clock.now().as_second() - shared.settings.delay.as_secs();
    let query = BarsQuery {
        tickers: vec![named],
        calendar: Calendar::for_class(class),
        span,
        first: from.div_euclid(1000) + i64::from(from.rem_euclid(1000) > 0),
        last: to.div_euclid(1000),
        horizon,
        newest_first: false,
        after: None,
        limit: MOST_ROWS,
    };
    let rows = tokio::task::spawn_blocking(move || shared.data.rows(&query)).await.map_err(|_| Refusal::INTERNAL)?;
    let results: Vec<Value> = rows
        .bars
        .iter()
        .map(|(_, bar)| {
            json!({ "t": bar.start * 1000, "o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close, "v": bar.volume(),
                "n": bar.trade_count(), "vw": bar.vwap() })
        })
        .collect();
    Ok(Json(json!({ "ticker": ticker, "status": "OK", "adjusted": false, "resultsCount": results.len(),
        "results": results })))
}
