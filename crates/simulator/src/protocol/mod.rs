//! Alpaca's protocol over HTTP, and bars in Massive's.
//!
//! In: requests. Out: responses in Alpaca's formats and words. Every request except those to `/v1/market-sim` passes
//! the [`gate`].

mod actions;
mod aggregates;
mod assets;
mod bars;
mod gate;
mod parameters;
mod refusal;
mod spoil;
mod token;
mod wire;

use std::sync::Arc;

use axum::{Json, Router, extract::State, middleware, routing::get};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use self::refusal::Refusal;
use crate::{data::Data, shared::Shared};

pub(crate) fn router(shared: Arc<Shared>, stop: CancellationToken) -> Router {
    let gate = gate::Gate { shared: Arc::clone(&shared), stop };
    let guarded = Router::new()
        .route("/v2/stocks/bars", get(bars::stocks))
        .route("/v2/stocks/{symbol}/bars", get(bars::one_stock))
        .route("/v1beta3/crypto/us/bars", get(bars::crypto))
        .route("/v1/corporate-actions", get(actions::list))
        .route("/v2/aggs/ticker/{ticker}/range/{multiplier}/{span}/{from}/{to}", get(aggregates::bars))
        .route("/v2/assets", get(assets::list))
        .route("/v2/assets/{symbol}", get(assets::one))
        // Alpaca's own Python client doesn't encode the slash.
        .route("/v2/assets/{base}/{quote}", get(assets::one_pair))
        .fallback(async || Refusal::NO_ROUTE)
        .method_not_allowed_fallback(async || Refusal::NO_METHOD)
        .layer(middleware::from_fn_with_state(gate, gate::pass));
    Router::new().route("/v1/market-sim", get(declaration)).merge(guarded).with_state(shared)
}

/// The simulator's declaration: not Alpaca's, and accessible to all.
async fn declaration(State(shared): State<Arc<Shared>>) -> Json<Value> {
    Json(json!({
        "name": "market-sim",
        "earliest": Data::earliest(),
        "requests_per_minute": shared.settings.requests_per_minute,
        "delay_seconds": shared.settings.delay.as_secs(),
        "now": shared.settings.clock.now(),
    }))
}
