//! Errors as pages.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::html;

use super::layout::{self, public_page};
use crate::error::ApiError;

/// The error of a page or a fragment. Scripts show the message from the header `x-barkeep-message`.
#[derive(Debug)]
pub(super) struct PageError(ApiError);

impl<E: Into<ApiError>> From<E> for PageError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        error_page(self.0.status(), self.0.message())
    }
}

/// A whole page with the message.
pub(super) fn error_page(status: StatusCode, message: &str) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::SERVICE_UNAVAILABLE => "Service unavailable",
        _ if status.is_client_error() => "Request failed",
        _ => "Something went wrong",
    };
    let body = html! {
        h1 { (title) }
        p role="alert" class="failure" { (message) }
        p { a href="/" { "Back to your watchlist" } }
    };
    let mut response = public_page(status, title, &body);
    // For scripts. Header values are ASCII: other characters are replaced.
    if let Ok(value) = axum::http::HeaderValue::from_str(&layout::ascii_only(message)) {
        response.headers_mut().insert("x-barkeep-message", value);
    }
    response
}

/// A page for browsers, JSON for other clients.
pub(crate) async fn not_found(headers: HeaderMap) -> Response {
    const MESSAGE: &str = "This address doesn't exist";
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match accepts.contains("text/html") {
        true => error_page(StatusCode::NOT_FOUND, MESSAGE),
        false => ApiError::not_found(MESSAGE).into_response(),
    }
}
