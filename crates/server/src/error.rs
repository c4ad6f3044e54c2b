//! Errors as clients see them: `{"error": "..."}` with a matching status.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use store::StoreError;

/// The body of every error.
#[derive(utoipa::ToSchema)]
#[schema(as = Refusal)]
#[expect(dead_code, reason = "documents the error body in the OpenAPI description")]
pub(crate) struct ErrorBody {
    error: String,
}

#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 400 with the message of a parse error.
    pub(crate) fn invalid(error: impl std::fmt::Display) -> Self {
        Self::bad_request(error.to_string())
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }
}

/// Turns the error responses of axum and its layers (body too large, timeout) into the same JSON.
pub(crate) async fn errors_as_json(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let ours = ["application/json", "text/html; charset=utf-8"];
    let has_our_body =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| ours.iter().any(|ours| kind == ours));
    if !is_error || has_our_body {
        return response;
    }
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "The request body is too large: send fewer symbols at a time",
        StatusCode::GATEWAY_TIMEOUT => "The request timed out: try again shortly",
        other => other.canonical_reason().unwrap_or("The request was rejected"),
    };
    let mut replacement = ApiError::new(status, message).into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            replacement.headers_mut().append(name, value.clone());
        }
    }
    replacement
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(message) => Self::bad_request(message),
            StoreError::Unauthenticated(message) => Self::unauthorized(message),
            StoreError::Unreachable(_) => {
                tracing::error!(%error, "A request failed: the database can't be reached");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The database can't be reached; nothing was changed. Try again shortly",
                )
            }
            // The details go to the log only: clients must not see statements or values.
            other => {
                tracing::error!(error = %other, "A request failed in the database");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Internal database error; nothing was changed. See the server's log",
                )
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(serde_json::json!({ "error": self.message }))).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}

/// For paths that exist with other methods.
pub(crate) async fn method_not_allowed() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed")
}
