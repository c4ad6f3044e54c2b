//! `GET /v2/stocks/bars`, `/v2/stocks/{symbol}/bars` and `/v1beta3/crypto/us/bars`.
//!
//! In: a query. Out: a page of bars, by symbol and then by time, and the token of the next page. Holds: the limit
//! counts rows over all symbols, and a `null` token marks the last page.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension,
    extract::{Path, Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use market::AssetClass;
use serde::Serialize;

use super::{
    Refusal,
    gate::PageFault,
    parameters::{Moment, Parameters, ParsedQuery},
    spoil,
    token::Token,
    wire::{WireBar, wire},
};
use crate::{data::Rows, faults::FaultKind, shared::Shared};

type Sent = Query<Vec<(String, String)>>;

#[derive(Serialize)]
struct Page {
    bars: BTreeMap<String, Vec<WireBar>>,
    next_page_token: Option<String>,
}

#[derive(Serialize)]
struct SinglePage {
    /// `null` if there are none.
    bars: Option<Vec<WireBar>>,
    symbol: String,
    next_page_token: Option<String>,
}

pub(super) async fn stocks(
    State(shared): State<Arc<Shared>>,
    Extension(fault): Extension<PageFault>,
    Query(sent): Sent,
) -> Result<Response, Refusal> {
    answer(shared, fault, Parameters(sent), AssetClass::Stock, None).await
}

pub(super) async fn one_stock(
    State(shared): State<Arc<Shared>>,
    Extension(fault): Extension<PageFault>,
    Path(symbol): Path<String>,
    Query(sent): Sent,
) -> Result<Response, Refusal> {
    answer(shared, fault, Parameters(sent), AssetClass::Stock, Some(symbol)).await
}

pub(super) async fn crypto(
    State(shared): State<Arc<Shared>>,
    Extension(fault): Extension<PageFault>,
    Query(sent): Sent,
) -> Result<Response, Refusal> {
    answer(shared, fault, Parameters(sent), AssetClass::Crypto, None).await
}

async fn answer(
    shared: Arc<Shared>,
    PageFault(fault): PageFault,
    parameters: Parameters,
    class: AssetClass,
    one: Option<String>,
) -> Result<Response, Refusal> {
    let moment = Moment { now: shared.settings.clock.now(), delay: shared.settings.delay };
    let parsed = parameters.read(class, one.as_deref(), moment)?;
    // Years of minutes take a while to generate: not on a thread that serves others.
    let json = tokio::task::spawn_blocking(move || json(&shared, &parsed, fault, one));
    let json = json.await.ok().flatten().ok_or(Refusal::INTERNAL)?;
    Ok(([(header::CONTENT_TYPE, "application/json; charset=UTF-8")], json).into_response())
}

fn json(shared: &Shared, parsed: &ParsedQuery, fault: Option<FaultKind>, one: Option<String>) -> Option<Vec<u8>> {
    let mut rows = shared.data.rows(&parsed.query);
    let mut after_empty = false;
    match fault {
        Some(FaultKind::Short) if !rows.bars.is_empty() => {
            rows.bars.truncate(rows.bars.len().div_ceil(2));
            rows.more = true;
        }
        Some(FaultKind::Empty) if !rows.bars.is_empty() && !parsed.after_empty => {
            rows = Rows { bars: Vec::new(), more: true };
            after_empty = true;
        }
        _ => {}
    }
    let next_page_token = next(parsed, &rows, after_empty);
    if fault == Some(FaultKind::Words) {
        return Some(spoil::words());
    }
    if let Some(late) = shared.plan().late() {
        let (length, now) = (parsed.query.span.seconds(), parsed.query.horizon);
        rows.bars.retain(|(index, bar)| {
            let symbol = parsed.symbols.get(*index).map_or("", String::as_str);
            !late.withholds(symbol, bar.start, bar.start.saturating_add(length), now)
        });
    }
    let mut bars: BTreeMap<String, Vec<WireBar>> = BTreeMap::new();
    for (index, minute) in &rows.bars {
        let symbol = parsed.symbols.get(*index)?;
        match bars.get_mut(symbol) {
            Some(bars) => bars.push(wire(minute)?),
            None => drop(bars.insert(symbol.clone(), vec![wire(minute)?])),
        }
    }
    if fault == Some(FaultKind::Foreign) {
        bars = bars.into_iter().map(|(symbol, bars)| (format!("{symbol}X"), bars)).collect();
    }
    if let Some(fault) = fault {
        bars.values_mut().for_each(|bars| spoil::bars(bars, fault));
    }
    let json = match one {
        Some(symbol) => serde_json::to_vec(&SinglePage { bars: bars.remove(&symbol), symbol, next_page_token }),
        None => serde_json::to_vec(&Page { bars, next_page_token }),
    };
    let json = json.ok()?;
    Some(match fault {
        Some(FaultKind::Malformed) => spoil::malformed(json),
        Some(FaultKind::NotANumber) => spoil::not_a_number(json),
        _ => json,
    })
}

/// The token of the page after `rows`.
fn next(parsed: &ParsedQuery, rows: &Rows, after_empty: bool) -> Option<String> {
    let query = &parsed.query;
    // If nothing was sent, the next page begins where this one should have.
    let nothing_yet = if query.newest_first { query.last.checked_add(1) } else { query.first.checked_sub(1) };
    let (index, start) = match rows.bars.last() {
        _ if !rows.more => return None,
        Some((index, bar)) => (*index, bar.start),
        None => query.after.or(Some((0, nothing_yet?)))?,
    };
    let symbol = parsed.symbols.get(index)?.clone();
    let start = Timestamp::from_second(start).ok()?;
    Some(Token { symbol, span: query.span, start, after_empty }.encode())
}
