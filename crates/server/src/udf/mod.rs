//! `/udf`: TradingView's Universal Data Feed protocol, so that any chart of theirs can be pointed at Barkeep.
//!
//! In: a bearer token from any page, or the session of this server's own. Out: the protocol's shapes: columns of bars, errors as
//! `{"s": "error", "errmsg": ...}`, and no field `s` in a symbol. Prices are in today's shares. Asking for bars is
//! `chart_view` interest.

pub(crate) mod describe;
pub(crate) mod history;

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
    error::{ApiError, wrong_method},
};

/// The protocol's words for timeframes.
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
        .route("/udf/config", get(describe::config))
        .route("/udf/time", get(describe::time))
        .route("/udf/search", get(describe::search))
        .route("/udf/symbols", get(describe::symbols))
        .route("/udf/history", get(history::history))
        .method_not_allowed_fallback(wrong_method)
        .layer(any_origin())
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker(Uuid);

/// What every refusal says, as the protocol wants it.
#[derive(utoipa::ToSchema)]
#[schema(as = UdfError)]
#[expect(dead_code, reason = "the shape of an error for those who read the description of the API")]
pub(crate) struct Told {
    /// error
    s: String,
    errmsg: String,
}

/// In the protocol's form.
#[derive(Debug)]
pub(crate) struct UdfError {
    status: StatusCode,
    message: String,
}

impl UdfError {
    fn bad(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, message: message.into() }
    }

    /// Charts read the body of a 200 alone: what a chart can ask for in good faith is answered with one.
    fn told(message: impl Into<String>) -> Self {
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

impl FromRequestParts<App> for Asker {
    type Rejection = UdfError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        // Pages of any origin may read the answers: a cookie counts for this server's own alone.
        let is_own = parts.headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin" || site == "none")
            && !parts.headers.contains_key(header::ORIGIN);
        match is_own {
            true => Ok(Self(User::from_request_parts(parts, app).await?.0)),
            false => Ok(Self(TokenUser::from_request_parts(parts, app).await?.0)),
        }
    }
}

/// Parameters; what is wrong with them is said in the protocol's form.
#[derive(Debug)]
pub(crate) struct UdfQuery<T>(T);

impl<T: DeserializeOwned> FromRequestParts<App> for UdfQuery<T> {
    type Rejection = UdfError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let Query(parameters) =
            Query::from_request_parts(parts, app).await.map_err(|rejection| UdfError::bad(rejection.body_text()))?;
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
        UdfError::bad(format!("'{resolution}' is no resolution: {} are", all.join(", ")))
    })
}
