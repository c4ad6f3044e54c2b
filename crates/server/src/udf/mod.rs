//! `/udf`: TradingView's Universal Data Feed protocol, so that TradingView's charts can use Barkeep.
//!
//! In: a bearer token from any origin, or the session cookie from this one. Out: the protocol's responses: columns of bars, errors
//! as `{"s": "error", "errmsg": ...}`, and no field `s` in a symbol. Prices are split-adjusted. Requesting bars records
//! `chart_view` interest.

pub(crate) mod history;
pub(crate) mod symbols;

use axum::{
    Json, Router,
    extract::{FromRequestParts, Query},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::get,
};
use market::Timeframe;
use serde::de::DeserializeOwned;
use serde_json::json;
use store::StoreError;
use uuid::Uuid;

use crate::{
    app::App,
    auth::{TokenUser, User},
    cors::any_origin,
    error::{ApiError, method_not_allowed},
};

/// The protocol's names of timeframes.
const RESOLUTIONS: [(&str, Timeframe); 8] = [
    ("1", Timeframe::M1),
    ("5", Timeframe::M5),
    ("15", Timeframe::M15),
    ("30", Timeframe::M30),
    ("60", Timeframe::H1),
    ("240", Timeframe::H4),
    ("1D", Timeframe::D1),
    ("1W", Timeframe::W1),
];

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/udf/config", get(symbols::config))
        .route("/udf/time", get(symbols::time))
        .route("/udf/search", get(symbols::search))
        .route("/udf/symbols", get(symbols::symbols))
        .route("/udf/history", get(history::history))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(any_origin())
}

/// The user of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UdfUser(Uuid);

/// The body of every error, in the protocol's form.
#[derive(utoipa::ToSchema)]
#[schema(as = UdfError)]
#[expect(dead_code, reason = "documents the error body in the OpenAPI description")]
pub(crate) struct UdfErrorBody {
    /// error
    s: String,
    errmsg: String,
}

/// An error in the protocol's form.
#[derive(Debug)]
pub(crate) struct UdfError {
    status: StatusCode,
    message: String,
}

impl UdfError {
    fn bad_request(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// An error with status 200: charts read the message of no other. For errors that a correct request can cause.
    fn with_ok_status(message: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, message: message.into() }
    }
}

impl From<ApiError> for UdfError {
    fn from(error: ApiError) -> Self {
        Self { status: error.status(), message: error.message().to_owned() }
    }
}

impl From<StoreError> for UdfError {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl IntoResponse for UdfError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "s": "error", "errmsg": self.message }))).into_response()
    }
}

impl FromRequestParts<App> for UdfUser {
    type Rejection = UdfError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        // Any origin may read the responses: the cookie counts for requests from this origin only.
        let is_same_origin =
            parts.headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
                && !parts.headers.contains_key(header::ORIGIN);
        match is_same_origin {
            true => Ok(Self(User::from_request_parts(parts, app).await?.0)),
            false => Ok(Self(TokenUser::from_request_parts(parts, app).await?.0)),
        }
    }
}

/// Query parameters; errors are [`UdfError`]s.
#[derive(Debug)]
pub(crate) struct UdfQuery<T>(T);

impl<T: DeserializeOwned> FromRequestParts<App> for UdfQuery<T> {
    type Rejection = UdfError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let Query(parameters) = Query::from_request_parts(parts, app)
            .await
            .map_err(|rejection| UdfError::bad_request(rejection.body_text()))?;
        Ok(Self(parameters))
    }
}

fn timeframe(resolution: &str) -> Result<Timeframe, UdfError> {
    let alias = match resolution {
        "D" => "1D",
        "W" => "1W",
        other => other,
    };
    RESOLUTIONS.iter().find(|(name, _)| *name == alias).map(|(_, timeframe)| *timeframe).ok_or_else(|| {
        let all: Vec<&str> = RESOLUTIONS.iter().map(|(name, _)| *name).collect();
        UdfError::bad_request(format!("'{resolution}' isn't a supported resolution: use one of {}", all.join(", ")))
    })
}
