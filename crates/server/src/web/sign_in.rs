//! Signing in: `GET /sign-in?code=...`, a one-time link, or `POST /sign-in` with email and password where any user has one. `POST
//! /sign-out` ends the session.

use std::time::Duration;

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use serde::Deserialize;
use store::{accounts, browser_sessions};
use uuid::Uuid;

use super::layout::public_page;
use crate::{
    app::App,
    auth::{
        passwords,
        session::{COOKIE, SESSION_TTL, digest, random_token, session_token},
    },
    error::ApiError,
};

/// Wrong passwords per email address within [`FAILURE_WINDOW`].
const MAX_FAILURES: i64 = 10;
const FAILURE_WINDOW: Duration = Duration::from_secs(15 * 60);

/// The page for requests without a session.
pub(crate) async fn sign_in_page(app: &App) -> Result<Response, ApiError> {
    render(app, StatusCode::OK, None).await
}

/// `error`: why the last attempt failed.
async fn render(app: &App, status: StatusCode, error: Option<&str>) -> Result<Response, ApiError> {
    let has_passwords = accounts::has_passwords(&app.database).await?;
    let body = html! {
        h1 { "Sign in" }
        p { "Sign in to see your watchlist and charts." }
        @if let Some(error) = error { p.failure role="alert" { (error) } }
        @if has_passwords { (form()) }
        (link_help(has_passwords))
    };
    Ok(public_page(status, "Sign in", &body))
}

fn link_expired() -> Response {
    let body = html! {
        h1 { "Sign in" }
        p { "This link has expired or was already used. Links work once, within an hour." }
        p { "Create a new one:" }
        pre { "barkeep sign-in" }
    };
    public_page(StatusCode::UNAUTHORIZED, "Sign in", &body)
}

fn form() -> Markup {
    html! {
        form.sign-in method="post" action="/sign-in" {
            label { "Email" input name="email" type="email" autocomplete="username" required maxlength="254"; }
            label { "Password" input name="password" type="password" autocomplete="current-password" required maxlength="128"; }
            button { "Sign in" }
        }
    }
}

fn link_help(has_passwords: bool) -> Markup {
    html! {
        @if has_passwords { h2 { "Without a password" } }
        p { "Open the link that " code { "barkeep up" } " printed, or create a new one:" }
        pre { "barkeep sign-in" }
        @if !has_passwords {
            p { "To add users with passwords, run " code { "barkeep user add EMAIL" } "." }
        }
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct LinkQuery {
    code: Option<String>,
}

pub(crate) async fn by_link(State(app): State<App>, Query(query): Query<LinkQuery>) -> Result<Response, ApiError> {
    let Some(code) = query.code else { return render(&app, StatusCode::OK, None).await };
    match browser_sessions::redeem_code(&app.database, &digest(&code)).await? {
        Some(user) => signed_in(&app, user).await,
        None => Ok(link_expired()),
    }
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

/// An unknown user and a wrong password get the same response after the same time.
pub(crate) async fn by_password(
    State(app): State<App>,
    Form(credentials): Form<Credentials>,
) -> Result<Response, ApiError> {
    let address = digest(&credentials.email.trim().to_lowercase());
    if accounts::failed_sign_ins(&app.database, &address, FAILURE_WINDOW).await? >= MAX_FAILURES {
        let message = "Too many wrong passwords for this email: wait 15 minutes, or use a sign-in link";
        let mut response = render(&app, StatusCode::TOO_MANY_REQUESTS, Some(message)).await?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("900"));
        return Ok(response);
    }
    let known = accounts::password_of(&app.database, &credentials.email).await?;
    let (user, hash) = known.map_or((None, None), |(user, hash)| (Some(user), Some(hash)));
    let is_valid = passwords::verify(credentials.password, hash).await.map_err(|error| {
        tracing::error!(%error, "A password could not be compared");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The password could not be checked: see the server's log")
    })?;
    match user.filter(|_| is_valid) {
        Some(user) => {
            accounts::clear_failed_sign_ins(&app.database, &address).await?;
            signed_in(&app, user).await
        }
        None => {
            accounts::record_failed_sign_in(&app.database, &address, FAILURE_WINDOW).await?;
            tracing::info!("Rejected a sign-in: wrong email or password");
            render(&app, StatusCode::UNAUTHORIZED, Some("Wrong email or password")).await
        }
    }
}

async fn signed_in(app: &App, user: Uuid) -> Result<Response, ApiError> {
    let token = random_token();
    browser_sessions::begin_session(&app.database, user, &digest(&token), SESSION_TTL).await?;
    Ok(with_cookie(app, &token, SESSION_TTL.as_secs()))
}

pub(crate) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(token) = session_token(&headers) {
        browser_sessions::end_session(&app.database, &digest(token)).await?;
    }
    Ok(with_cookie(&app, "", 0))
}

fn with_cookie(app: &App, token: &str, seconds: u64) -> Response {
    let secure = if app.auth.is_behind_https() { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={seconds}");
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    // Never cached: the URL may contain a code.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
