//! The extractor of pages: a signed-in user. Without a session the response is the sign-in page.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::sign_in::sign_in_page;
use crate::{app::App, auth::Session, error::ApiError};

/// The user of a signed-in browser.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) user: Uuid,
    /// The CSRF token, sent with every write.
    pub(super) csrf: String,
}

/// Why there is no signed-in user.
#[derive(Debug)]
pub(super) enum VisitorRejection {
    /// The request came from a script, which shows a link to the sign-in page.
    Fragment,
    Page(Box<Response>),
    Failed(ApiError),
}

impl FromRequestParts<App> for Visitor {
    type Rejection = VisitorRejection;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let session = Session::from_request_parts(parts, app).await.map_err(VisitorRejection::Failed)?;
        if let Some(signed_in) = session.0 {
            return Ok(Self { user: signed_in.user, csrf: signed_in.csrf });
        }
        let is_script = parts.headers.contains_key("hx-request") || parts.headers.contains_key("x-barkeep");
        if is_script {
            return Err(VisitorRejection::Fragment);
        }
        sign_in_page(app)
            .await
            .map(|page| VisitorRejection::Page(Box::new(page)))
            .map_err(VisitorRejection::Failed)
            .and_then(Err)
    }
}

impl IntoResponse for VisitorRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Fragment => {
                ApiError::new(StatusCode::UNAUTHORIZED, "You've been signed out: sign in again").into_response()
            }
            Self::Page(page) => *page,
            Self::Failed(error) => super::page_error::error_page(error.status(), error.message()),
        }
    }
}
