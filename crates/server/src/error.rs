//! Errors as clients see them: `{"error": "..."}` with a matching status.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use store::StoreError;

/// What every refusal says.
#[derive(utoipa::ToSchema)]
#[schema(as = Refusal)]
#[expect(dead_code, reason = "the shape of an error for those who read the description of the API")]
pub(crate) struct Told {
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

    /// What was sent can't be read, in the words of whoever tried.
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

/// Refusals that don't come from here but from axum and its layers (a body too large, no answer in time) in the same
/// form.
pub(crate) async fn as_json(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let ours = ["application/json", "text/html; charset=utf-8"];
    let told = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| ours.iter().any(|ours| kind == ours));
    if !is_error || told {
        return response;
    }
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "The body is too large: ask for fewer symbols at a time",
        StatusCode::GATEWAY_TIMEOUT => "There was no answer in time; try again shortly",
        other => other.canonical_reason().unwrap_or("The request was refused"),
    };
    let mut told = ApiError::new(status, message).into_response();
    for (name, value) in response.headers() {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            told.headers_mut().append(name, value.clone());
        }
    }
    told
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(message) => Self::bad_request(message),
            StoreError::Unauthenticated(message) => Self::unauthorized(message),
            StoreError::Unreachable(_) => {
                tracing::error!(%error, "A request found no database");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The database can't be reached at the moment; nothing was changed. Try again shortly",
                )
            }
            // What exactly failed is for the log: statements and values are none of the client's business.
            other => {
                tracing::error!(error = %other, "A request failed in the database");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Something failed in the database; nothing was changed. The server's log says what",
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

/// For a path that takes other methods.
pub(crate) async fn wrong_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "This address does not take that method")
}
