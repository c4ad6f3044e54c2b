//! How a browser is signed in: `GET /sign-in?code=...`, a link that does it once, or `POST /sign-in` with e-mail address and
//! password where anybody has one. `POST /sign-out` ends that.

use std::time::Duration;

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use store::{people, sign_in};
use uuid::Uuid;

use super::layout::shown_to_strangers;
use crate::{
    app::App,
    auth::{
        passwords,
        session::{COOKIE, SIGNED_IN_FOR, cookie, digest, secret},
    },
    error::ApiError,
};

/// So many wrong passwords with one address, and it has to wait until some are as old as that.
const MOST_FAILURES: i64 = 10;
const FAILURES_WITHIN: Duration = Duration::from_secs(15 * 60);

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
        (link_help(has_passwords))
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

fn link_help(has_passwords: bool) -> Markup {
    html! {
        @if has_passwords { h2 { "Without a password" } }
        p { "Open the link that " code { "barkeep up" } " printed, or print a new one:" }
        pre { "barkeep sign-in" }
        @if !has_passwords {
            p { "For several people: " code { "barkeep user add EMAIL" } " gives each a password." }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct LinkQuery {
    code: Option<String>,
}

pub(crate) async fn by_link(State(app): State<App>, Query(question): Query<LinkQuery>) -> Result<Response, ApiError> {
    let Some(code) = question.code else { return shown(&app, StatusCode::OK, None).await };
    match sign_in::redeem(&app.database, &digest(&code)).await? {
        Some(user) => signed_in(&app, user).await,
        None => Ok(link_is_used_up()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

/// Whoever has no password here, or another one, is told the same, after the same time.
pub(crate) async fn by_password(State(app): State<App>, Form(given): Form<Credentials>) -> Result<Response, ApiError> {
    let address = digest(&given.email.trim().to_lowercase());
    if people::failures(&app.database, &address, FAILURES_WITHIN).await? >= MOST_FAILURES {
        let message = "Too many wrong passwords with this address: wait a quarter of an hour, or use a link";
        let mut response = shown(&app, StatusCode::TOO_MANY_REQUESTS, Some(message)).await?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("900"));
        return Ok(response);
    }
    let known = people::password_of(&app.database, &given.email).await?;
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    let is_right = passwords::is_right(given.password, hash).await.map_err(|error| {
        tracing::error!(%error, "A password could not be compared");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The password could not be checked; the server's log says why")
    })?;
    match user.filter(|_| is_right) {
        Some(user) => {
            people::succeeded(&app.database, &address).await?;
            signed_in(&app, user).await
        }
        None => {
            people::failed(&app.database, &address, FAILURES_WITHIN).await?;
            tracing::info!("A sign-in with a wrong password was refused");
            shown(&app, StatusCode::UNAUTHORIZED, Some("The address or the password is wrong")).await
        }
    }
}

async fn signed_in(app: &App, user: Uuid) -> Result<Response, ApiError> {
    let token = secret();
    sign_in::begin_session(&app.database, user, &digest(&token), SIGNED_IN_FOR).await?;
    Ok(with_cookie(app, &token, SIGNED_IN_FOR.as_secs()))
}

pub(crate) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(token) = cookie(&headers) {
        sign_in::end_session(&app.database, &digest(token)).await?;
    }
    Ok(with_cookie(&app, "", 0))
}

fn with_cookie(app: &App, token: &str, seconds: u64) -> Response {
    let secure = if app.auth.is_behind_https() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={seconds}");
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    // Nobody else's to keep: the address may hold a code.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
