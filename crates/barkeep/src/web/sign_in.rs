//! How to sign in: with a password where anybody has one, and by a link in any case.

use axum::{http::StatusCode, response::Response};
use maud::{Markup, html};
use store::people;

use super::layout::shown_to_strangers;
use crate::api::{ApiError, App};

/// For whoever comes to a page without being signed in.
pub(crate) async fn sign_in_page(app: &App) -> Result<Response, ApiError> {
    shown(app, StatusCode::OK, None).await
}

/// `wrong`: what was wrong with the last try.
pub(crate) async fn shown(app: &App, status: StatusCode, wrong: Option<&str>) -> Result<Response, ApiError> {
    let has_passwords = people::has_passwords(&app.database).await?;
    let body = html! {
        h1 { "Sign in" }
        p { "You are not signed in here." }
        @if let Some(wrong) = wrong { p.failure role="alert" { (wrong) } }
        @if has_passwords { (form()) }
        (by_link(has_passwords))
    };
    Ok(shown_to_strangers(status, "Sign in", &body))
}

pub(crate) fn link_is_used_up() -> Response {
    let body = html! {
        h1 { "Sign in" }
        p { "This link has been used, or its hour is over. Each is good once." }
        p { "Print a new one:" }
        pre { "barkeep sign-in" }
    };
    shown_to_strangers(StatusCode::UNAUTHORIZED, "Sign in", &body)
}

fn form() -> Markup {
    html! {
        form.sign-in method="post" action="/sign-in" {
            label { "E-mail address" input name="email" type="email" autocomplete="username" required maxlength="254"; }
            label { "Password" input name="password" type="password" autocomplete="current-password" required maxlength="128"; }
            button { "Sign in" }
        }
    }
}

fn by_link(has_passwords: bool) -> Markup {
    html! {
        @if has_passwords { h2 { "Without a password" } }
        p { "Open the link that " code { "barkeep up" } " printed, or print a new one:" }
        pre { "barkeep sign-in" }
        @if !has_passwords {
            p { "For several people: " code { "barkeep user add EMAIL" } " gives each a password." }
        }
    }
}
