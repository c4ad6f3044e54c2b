//! Who looks at a page: somebody who is signed in. Anybody else gets the page that says how to sign in.

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use uuid::Uuid;

use super::sign_in::sign_in_page;
use crate::{app::App, auth::Session, error::ApiError};

/// A signed-in browser.
#[derive(Clone, Debug)]
pub(super) struct Visitor {
    pub(super) user: Uuid,
    /// Goes with every write.
    pub(super) csrf: String,
}

/// Why there is nobody.
#[derive(Debug)]
pub(super) enum Stranger {
    /// A script of a page asks: it takes its person to the sign-in page.
    Fragment,
    Page(Box<Response>),
    Failed(ApiError),
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Stranger;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let session = Session::from_request_parts(parts, app).await.map_err(Stranger::Failed)?;
        if let Some(signed_in) = session.0 {
            return Ok(Self { user: signed_in.user, csrf: signed_in.csrf });
        }
        let is_script = parts.headers.contains_key("hx-request") || parts.headers.contains_key("x-barkeep");
        if is_script {
            return Err(Stranger::Fragment);
        }
        sign_in_page(app).await.map(|page| Stranger::Page(Box::new(page))).map_err(Stranger::Failed).and_then(Err)
    }
}

impl IntoResponse for Stranger {
    fn into_response(self) -> Response {
        match self {
            Self::Fragment => ApiError::new(StatusCode::UNAUTHORIZED, "You are not signed in any more").into_response(),
            Self::Page(page) => *page,
            Self::Failed(error) => super::failure::page(error.status(), error.message()),
        }
    }
}
