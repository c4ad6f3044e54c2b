//! `/api/v1/runs`: the work under way and done for what a user tracks, and trying again what failed.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use market::Ticker;
use serde::{Deserialize, Serialize};
use store::{
    runs,
    show::{self, Run, Totals, Which},
};
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::User, body::Body, error::ApiError};

const STATUSES: [&str; 5] = ["queued", "running", "success", "failed", "cancelled"];
const MOST: i64 = 1_000;
const USUAL: i64 = 100;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// queued, running, success, failed or cancelled; all where left out
    status: Option<String>,
    symbol: Option<String>,
    /// 1 to 1000; 100 where left out
    limit: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Runs {
    totals: Totals,
    runs: Vec<Run>,
}

/// The runs of what the user tracks: running ones, queued ones in their order, others the latest first.
#[utoipa::path(
    get, path = "/api/v1/runs", tag = "api", params(Question),
    responses((status = 200, body = Runs), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn list(
    State(app): State<App>,
    User(user): User,
    question: Result<Query<Question>, QueryRejection>,
) -> Result<Json<Runs>, ApiError> {
    let Query(question) = question.map_err(|error| ApiError::bad_request(error.body_text()))?;
    let statuses = match question.status.as_deref() {
        None | Some("") => Vec::new(),
        Some(status) if STATUSES.contains(&status) => vec![status],
        Some(other) => {
            return Err(ApiError::bad_request(format!("status must be one of {}, not '{other}'", STATUSES.join(", "))));
        }
    };
    let tickers: Option<Vec<Ticker>> = match question.symbol {
        None => None,
        Some(symbol) => Some(vec![symbol.parse().map_err(ApiError::invalid)?]),
    };
    let limit =
        match question.limit {
            None => USUAL,
            Some(text) => text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                ApiError::bad_request(format!("limit must be a number from 1 to {MOST}, not '{text}'"))
            })?,
        };
    let which = Which { statuses: &statuses, tickers: tickers.as_deref(), limit };
    Ok(Json(Runs {
        totals: show::totals(&app.database, Some(user)).await?,
        runs: show::runs(&app.database, Some(user), &which).await?,
    }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// All that the user tracks where left out
    #[schema(value_type = Option<Vec<String>>)]
    symbols: Option<Vec<Ticker>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Retried {
    retried: u64,
}

/// Queues failed runs of what the user tracks again.
#[utoipa::path(
    post, path = "/api/v1/runs/retry", tag = "api", request_body = Retry,
    responses((status = 200, body = Retried), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn retry(
    State(app): State<App>,
    User(user): User,
    Body(asked): Body<Retry>,
) -> Result<Json<Retried>, ApiError> {
    let mut tickers = show::tracked(&app.database, user).await?;
    if let Some(symbols) = asked.symbols {
        if let Some(other) = symbols.iter().find(|symbol| !tickers.contains(symbol)) {
            return Err(ApiError::not_found(format!("{other} is nothing that you track")));
        }
        tickers = symbols;
    }
    let retried = runs::retry_failed(&app.database, Some(&tickers)).await?;
    app.tell_queued();
    Ok(Json(Retried { retried }))
}
