//! What is shown to whoever is not signed in.

use axum::{http::StatusCode, response::Response};
use maud::{Markup, html};

use super::{App, error::ApiError};
use crate::web;

/// How to sign in.
pub(crate) async fn sign_in_page(_app: &App) -> Result<Response, ApiError> {
    let body = html! {
        h1 { "Sign in" }
        p { "You are not signed in here." }
        p { "Open the link that " code { "barkeep up" } " printed, or print a new one:" }
        pre { "barkeep sign-in" }
    };
    Ok(shown(StatusCode::OK, "Sign in", body))
}

pub(super) fn link_is_used_up() -> Response {
    let body = html! {
        h1 { "Sign in" }
        p { "This link has been used, or its hour is over. Each is good once." }
        p { "Print a new one:" }
        pre { "barkeep sign-in" }
    };
    shown(StatusCode::UNAUTHORIZED, "Sign in", body)
}

fn shown(status: StatusCode, title: &str, body: Markup) -> Response {
    web::shown_to_strangers(status, title, &body)
}
