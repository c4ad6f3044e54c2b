//! `GET /v1/corporate-actions`: forward and reverse splits and cash dividends of the stocks that the settings name.
//!
//! In: symbols, types, and the first and last ex-date. Out: the actions by type, in Alpaca's format, all on one page. Holds: no
//! action is returned before its ex-date by the market's clock.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Query, State},
};
use jiff::civil::Date;
use market::{Action, ActionKind, Calendar, Ticker};
use serde_json::{Map, Value, json};

use super::Refusal;
use crate::shared::Shared;

const TYPES: [&str; 3] = ["forward_split", "reverse_split", "cash_dividend"];

pub(super) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(sent): Query<Vec<(String, String)>>,
) -> Result<Json<Value>, Refusal> {
    let get = |name: &str| sent.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let date = |name: &str| match get(name) {
        None => Ok(None),
        Some(text) => text.parse::<Date>().map(Some).map_err(|_| Refusal::invalid(name, text)),
    };
    let (start, end) = (date("start")?, date("end")?);
    let today = Calendar::Xnys.date_of(shared.settings.clock.now());
    let types: Vec<&str> = get("types").map_or(TYPES.to_vec(), |types| types.split(',').collect());
    let symbols: Option<Vec<Ticker>> =
        get("symbols").map(|symbols| symbols.split(',').filter_map(|symbol| symbol.parse().ok()).collect());
    let mut by_type: Map<String, Value> = Map::new();
    for (ticker, actions) in &shared.settings.actions {
        if symbols.as_ref().is_some_and(|symbols| !symbols.contains(ticker)) {
            continue;
        }
        for action in actions {
            let ex_date = action.ex_date;
            let is_in_range = start.is_none_or(|start| ex_date >= start) && end.is_none_or(|end| ex_date <= end);
            let (kind, json) = to_json(ticker, action);
            if is_in_range && ex_date <= today && types.contains(&kind) {
                let list = by_type.entry(format!("{kind}s")).or_insert_with(|| json!([]));
                if let Some(list) = list.as_array_mut() {
                    list.push(json);
                }
            }
        }
    }
    Ok(Json(json!({ "corporate_actions": by_type, "next_page_token": null })))
}

/// The action's type and JSON in Alpaca's format.
fn to_json(ticker: &Ticker, action: &Action) -> (&'static str, Value) {
    let (symbol, day) = (ticker.as_str(), action.ex_date.to_string());
    match action.kind {
        ActionKind::Split { new, old } => {
            let kind = if new >= old { "forward_split" } else { "reverse_split" };
            (kind, json!({ "symbol": symbol, "ex_date": day, "process_date": day, "new_rate": new, "old_rate": old }))
        }
        ActionKind::Dividend { amount } => (
            "cash_dividend",
            json!({ "symbol": symbol, "ex_date": day, "process_date": day, "rate": amount, "special": false,
                "foreign": false }),
        ),
    }
}
