//! `GET /api/v1/coverage[?symbol=AAPL]`: the coverage of each series of the user.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use market::Ticker;
use serde::{Deserialize, Serialize};
use store::{
    coverage::{self, SeriesCoverage},
    overview,
};
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::User, error::ApiError};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoverageQuery {
    /// Default: all symbols that the user tracks
    symbol: Option<String>,
}

/// With a symbol: `symbol` and `series`. Without: `symbols`, each with both.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = CoverageOfOneOrAll)]
pub(crate) enum CoverageResponse {
    One(Coverage),
    All { symbols: Vec<Coverage> },
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Coverage {
    #[schema(value_type = String)]
    pub(crate) symbol: Ticker,
    pub(crate) series: Vec<SeriesCoverage>,
}

/// The coverage of one symbol's series, or of all that the user tracks.
#[utoipa::path(
    get, path = "/api/v1/coverage", tag = "api", params(CoverageQuery),
    responses((status = 200, body = CoverageResponse), (status = 400), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn coverage(
    State(app): State<App>,
    User(user): User,
    query: Result<Query<CoverageQuery>, QueryRejection>,
) -> Result<Json<CoverageResponse>, ApiError> {
    let Query(query) = query.map_err(|error| ApiError::bad_request(error.body_text()))?;
    if let Some(symbol) = query.symbol {
        let symbol: Ticker = symbol.parse().map_err(ApiError::invalid)?;
        let series = coverage::of_symbol(&app.database, Some(user), &symbol).await?;
        return Ok(Json(CoverageResponse::One(Coverage { symbol, series })));
    }
    Ok(Json(CoverageResponse::All { symbols: of_tracked(&app, user).await? }))
}

/// The coverage of everything that the user tracks.
pub(crate) async fn of_tracked(app: &App, user: uuid::Uuid) -> Result<Vec<Coverage>, ApiError> {
    let tracked = overview::tracked(&app.database, user).await?;
    let found = coverage::of_symbols(&app.database, Some(user), &tracked).await?;
    Ok(found.into_iter().map(|(symbol, series)| Coverage { symbol, series }).collect())
}
