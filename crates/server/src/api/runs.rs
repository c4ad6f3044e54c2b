//! `/api/v1/runs`: the runs of the symbols that a user tracks, and retrying failed ones.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use market::Ticker;
use serde::{Deserialize, Serialize};
use store::{
    overview::{self, Run, RunFilter, Totals},
    runs,
};
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::User, body::JsonBody, error::ApiError};

const STATUSES: [&str; 5] = ["queued", "running", "success", "failed", "cancelled"];
const MAX_LIMIT: i64 = 1_000;
const DEFAULT_LIMIT: i64 = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsQuery {
    /// queued, running, success, failed or cancelled; default: all
    status: Option<String>,
    symbol: Option<String>,
    /// 1 to 1000; default: 100
    limit: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Runs)]
pub(crate) struct RunsResponse {
    totals: Totals,
    runs: Vec<Run>,
}

/// The runs of the symbols that the user tracks: running ones, queued ones in queue order, then the latest others.
#[utoipa::path(
    get, path = "/api/v1/runs", tag = "api", params(RunsQuery),
    responses((status = 200, body = RunsResponse), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    User(user): User,
    query: Result<Query<RunsQuery>, QueryRejection>,
) -> Result<Json<RunsResponse>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let statuses = match query.status.as_deref() {
        None | Some("") => Vec::new(),
        Some(status) if STATUSES.contains(&status) => vec![status],
        Some(other) => {
            return Err(ApiError::bad_request(format!("status must be one of {}, not '{other}'", STATUSES.join(", "))));
        }
    };
    let tickers: Option<Vec<Ticker>> = match query.symbol {
        None => None,
        Some(symbol) => Some(vec![symbol.parse().map_err(ApiError::invalid)?]),
    };
    let limit = match query.limit {
        None => DEFAULT_LIMIT,
        Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
            ApiError::bad_request(format!("limit must be a number from 1 to {MAX_LIMIT}, not '{text}'"))
        })?,
    };
    let filter = RunFilter { statuses: &statuses, tickers: tickers.as_deref(), limit };
    Ok(Json(RunsResponse {
        totals: overview::totals(&app.database, Some(user)).await?,
        runs: overview::runs(&app.database, Some(user), &filter).await?,
    }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Retry)]
pub(crate) struct RetryRequest {
    /// Default: all symbols that the user tracks
    #[schema(value_type = Option<Vec<String>>)]
    symbols: Option<Vec<Ticker>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Retried)]
pub(crate) struct RetryResponse {
    retried: u64,
}

/// Queues failed runs of tracked symbols again.
#[utoipa::path(
    post, path = "/api/v1/runs/retry", tag = "api", request_body = RetryRequest,
    responses((status = 200, body = RetryResponse), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn retry(
    State(app): State<App>,
    User(user): User,
    JsonBody(request): JsonBody<RetryRequest>,
) -> Result<Json<RetryResponse>, ApiError> {
    let mut tickers = overview::tracked(&app.database, user).await?;
    if let Some(symbols) = request.symbols {
        if let Some(other) = symbols.iter().find(|symbol| !tickers.contains(symbol)) {
            return Err(ApiError::not_found(format!("{other} isn't tracked: add it to your watchlist")));
        }
        tickers = symbols;
    }
    let retried = runs::retry_failed(&app.database, Some(&tickers)).await?;
    app.notify_queued();
    Ok(Json(RetryResponse { retried }))
}
