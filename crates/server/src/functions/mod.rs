//! `/functions/v1`: the old system's functions, for its existing clients.
//!
//! In: a bearer token, never a cookie, from any origin. Out: exactly the fields that those clients decode, null only where that is
//! documented. Requests record interest, as in the web client.

pub(crate) mod chart;
pub(crate) mod ensure_coverage;
pub(crate) mod orchestrator;
pub(crate) mod symbols_search;
pub(crate) mod sync_user_symbols;
pub(crate) mod watchlist_sync;

use axum::{
    Router,
    routing::{get, post},
};

use crate::{app::App, cors::any_origin, error::method_not_allowed};

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/functions/v1/sync-user-symbols", post(sync_user_symbols::sync_user_symbols))
        .route("/functions/v1/orchestrator", get(orchestrator::orchestrator).post(orchestrator::orchestrator))
        .route("/functions/v1/symbols-search", get(symbols_search::symbols_search))
        .route("/functions/v1/watchlist-sync", post(watchlist_sync::watchlist_sync))
        .route("/functions/v1/ensure-coverage", post(ensure_coverage::ensure_coverage))
        .route("/functions/v1/chart", get(chart::by_query).post(chart::by_body))
        // Before the layer, so that CORS preflights reach it.
        .method_not_allowed_fallback(method_not_allowed)
        .layer(any_origin())
}
