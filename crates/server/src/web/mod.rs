//! The web client: pages and fragments from here, two libraries and a few small modules in the browser.
//!
//! In: requests of a signed-in browser. Out: HTML, and JSON for the chart; interest in what users search, open and watch. Holds:
//! without a session there is only the sign-in page; nothing is loaded from other hosts.

mod assets;
mod chart;
mod chart_data;
mod coverage;
mod format;
mod health;
mod jobs;
mod layout;
mod live;
mod outage;
mod page_error;
mod quote;
mod search;
pub(crate) mod sign_in;
mod visitor;
mod watchlist;
mod welcome;

use axum::{
    Router,
    routing::{get, post},
};

pub(crate) use self::page_error::not_found;
use crate::app::App;

/// Whether this build has the client at all.
pub(crate) const IS_HEADLESS: bool = cfg!(feature = "headless");

/// Pages and fragments, which have the usual timeout.
pub(crate) fn routes() -> Router<App> {
    let files =
        Router::new().route("/assets/{digest}/{name}", get(assets::file)).route("/favicon.ico", get(assets::icon));
    if IS_HEADLESS {
        return files.route("/", get(layout::headless));
    }
    files
        .route("/", get(watchlist::page::page))
        .route("/welcome", get(welcome::page))
        .route("/watchlist", get(watchlist::page::fragment).post(watchlist::edit::add))
        .route("/watchlist/remove", post(watchlist::edit::remove))
        .route("/watchlist/order", post(watchlist::edit::reorder))
        .route("/watchlist/lists", post(watchlist::edit::create))
        .route("/watchlist/rename", post(watchlist::edit::rename))
        .route("/watchlist/delete", post(watchlist::edit::delete))
        .route("/search", get(search::search))
        .route("/search/pick", post(search::pick))
        .route("/chart/{symbol}", get(chart::page))
        .route("/chart/{symbol}/visit", post(chart::record_view))
        .route("/chart/{symbol}/bars", get(chart::bars))
        .route("/chart/{symbol}/table", get(chart::table))
        .route("/jobs", get(jobs::page))
        .route("/jobs/now", get(jobs::fragment))
        .route("/jobs/retry", post(jobs::retry))
        .route("/coverage", get(coverage::page))
        .route("/coverage/now", get(coverage::fragment))
        .route("/coverage/fill", post(coverage::backfill))
        .route("/coverage/{symbol}/{timeframe}", get(coverage::series))
        .route("/health", get(health::page))
        .route("/health/now", get(health::fragment))
        .route("/provider/now", get(health::outage))
}

/// Event streams, which have no timeout.
pub(crate) fn streams() -> Router<App> {
    Router::new().route("/live", get(live::live))
}
