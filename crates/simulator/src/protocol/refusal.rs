//! Refusals in Alpaca's words. Messages without a known original follow the pattern of known ones.

use std::borrow::Cow;

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// A status and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Body {
    /// The trading API has codes, the data API has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u32>,
    message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) const NO_ROUTE: Self = Self::fixed(StatusCode::NOT_FOUND, "endpoint not found.");
    pub(crate) const NO_METHOD: Self = Self::fixed(StatusCode::METHOD_NOT_ALLOWED, "method not allowed.");
    /// No keys.
    pub(crate) const FORBIDDEN: Self = Self::fixed(StatusCode::FORBIDDEN, "forbidden.");
    /// Wrong keys.
    pub(crate) const UNAUTHORIZED: Self = Self::fixed(StatusCode::UNAUTHORIZED, "unauthorized.");
    pub(crate) const TOO_MANY: Self = Self::fixed(StatusCode::TOO_MANY_REQUESTS, "too many requests.");
    pub(crate) const RECENT_SIP: Self =
        Self::fixed(StatusCode::FORBIDDEN, "subscription does not permit querying recent SIP data");
    pub(crate) const INTERNAL: Self = Self::fixed(StatusCode::INTERNAL_SERVER_ERROR, "internal server error occurred");
    pub(crate) const END_BEFORE_START: Self = Self::fixed(StatusCode::BAD_REQUEST, "end should not be before start");

    const fn fixed(status: StatusCode, message: &'static str) -> Self {
        Self { status, body: Body { code: None, message: Cow::Borrowed(message) } }
    }

    /// 400: `invalid timeframe: 30Sec`.
    pub(crate) fn invalid(what: &str, value: &str) -> Self {
        Self::bad_request(format!("invalid {what}: {}", shortened(value)))
    }

    /// 400 for a value of the wrong format.
    pub(crate) fn form(parameter: &str, problem: &str) -> Self {
        Self::bad_request(format!("Invalid format for parameter {parameter}: {problem}"))
    }

    pub(crate) fn unknown_asset(symbol: &str) -> Self {
        let message = format!("asset not found for {}", shortened(symbol)).into();
        Self { status: StatusCode::NOT_FOUND, body: Body { code: Some(40_410_000), message } }
    }

    fn bad_request(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, body: Body { code: None, message: message.into() } }
    }
}

/// A client's text, shortened to be returned.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(self.body)).into_response()
    }
}
