//! What a page says where it can't do what was asked.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::html;

use super::layout::{self, shown_to_strangers};
use crate::error::ApiError;

/// Of a page or a fragment. Scripts get what went wrong as every client of the API does, and show it.
#[derive(Debug)]
pub(super) struct Failure(ApiError);

impl<E: Into<ApiError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        page(self.0.status(), self.0.message())
    }
}

/// A whole page. Scripts take its first paragraph.
pub(super) fn page(status: StatusCode, message: &str) -> Response {
    let title = match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::SERVICE_UNAVAILABLE => "Not now",
        _ if status.is_client_error() => "Not done",
        _ => "Something failed",
    };
    let body = html! {
        h1 { (title) }
        p role="alert" class="failure" { (message) }
        p { a href="/" { "To your watchlist" } }
    };
    let mut response = shown_to_strangers(status, title, &body);
    // For scripts, which show it where they are. Header values are ASCII: anything else is left to the page.
    if let Ok(value) = axum::http::HeaderValue::from_str(&layout::ascii(message)) {
        response.headers_mut().insert("x-barkeep-message", value);
    }
    response
}

/// People get a page, programs what they can read.
pub(crate) async fn not_found(headers: HeaderMap) -> Response {
    const MESSAGE: &str = "There is nothing at this address";
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match accepts.contains("text/html") {
        true => page(StatusCode::NOT_FOUND, MESSAGE),
        false => ApiError::not_found(MESSAGE).into_response(),
    }
}
