//! The web client: pages and fragments from here, two libraries and a few small modules in the browser.
//!
//! In: a signed-in browser. Out: HTML, and JSON for the chart. Holds: whoever is not signed in sees nothing but how to sign in;
//! what people do here is the interest that everything else follows from; nothing is loaded from elsewhere.

mod assets;
mod chart;
mod chart_data;
mod coverage;
mod failure;
mod first_run;
mod format;
mod health;
mod jobs;
mod layout;
mod live;
mod quote;
mod search;
pub(crate) mod sign_in;
mod visitor;
mod watchlist;

use axum::{
    Router,
    routing::{get, post},
};

pub(crate) use self::failure::not_found;
use crate::app::App;

/// Whether this build has the client at all.
pub(crate) const IS_HEADLESS: bool = cfg!(feature = "headless");

/// Pages and fragments that take no longer than any answer.
pub(crate) fn routes() -> Router<App> {
    let files =
        Router::new().route("/assets/{edition}/{name}", get(assets::file)).route("/favicon.ico", get(assets::icon));
    if IS_HEADLESS {
        return files.route("/", get(layout::headless));
    }
    files
        .route("/", get(watchlist::page::page))
        .route("/welcome", get(first_run::page))
        .route("/watchlist", get(watchlist::page::fragment).post(watchlist::edit::add))
        .route("/watchlist/remove", post(watchlist::edit::remove))
        .route("/watchlist/order", post(watchlist::edit::order))
        .route("/watchlist/lists", post(watchlist::edit::create))
        .route("/watchlist/rename", post(watchlist::edit::rename))
        .route("/watchlist/delete", post(watchlist::edit::delete))
        .route("/search", get(search::options))
        .route("/search/pick", post(search::pick))
        .route("/chart/{symbol}", get(chart::page))
        .route("/chart/{symbol}/visit", post(chart::visit))
        .route("/chart/{symbol}/bars", get(chart::bars))
        .route("/chart/{symbol}/table", get(chart::table))
        .route("/jobs", get(jobs::page))
        .route("/jobs/now", get(jobs::fragment))
        .route("/jobs/retry", post(jobs::retry))
        .route("/coverage", get(coverage::page))
        .route("/coverage/now", get(coverage::fragment))
        .route("/coverage/fill", post(coverage::fill))
        .route("/coverage/{symbol}/{timeframe}", get(coverage::series))
        .route("/health", get(health::page))
        .route("/health/now", get(health::fragment))
}

/// Streams, which have no end.
pub(crate) fn streams() -> Router<App> {
    Router::new().route("/live", get(live::live))
}
