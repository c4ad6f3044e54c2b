//! How a browser is signed in: `GET /sign-in?code=...`, a link that does it once, or `POST /sign-in` with e-mail address and
//! password. `POST /sign-out` ends that.
//!
//! Holds: what a browser is given is a token that means nothing but its row in the database, where it can be ended; what its
//! pages send with each write follows from that token, which no script can read.

use std::time::Duration;

use axum::{
    Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rand::{Rng as _, distr::Alphanumeric};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use store::{Database, StoreError, people, sign_in};
use uuid::Uuid;

use super::{
    App,
    auth::{self, COOKIE},
    error::ApiError,
};
use crate::{passwords, web::sign_in as page};

/// How long a link is good for, and how long a browser stays signed in.
pub(crate) const LINK_GOOD_FOR: Duration = Duration::from_secs(60 * 60);
const SIGNED_IN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// So many wrong passwords with one address, and it has to wait until some are as old as that.
const MOST_FAILURES: i64 = 10;
const FAILURES_WITHIN: Duration = Duration::from_secs(15 * 60);

/// Makes a code that signs `user` in once, within the hour.
pub(crate) async fn code_for(database: &Database, user: Uuid) -> Result<String, StoreError> {
    let code = secret();
    sign_in::offer(database, user, &digest(&code), LINK_GOOD_FOR).await?;
    Ok(code)
}

/// Nobody guesses it: 43 characters of 62.
fn secret() -> String {
    rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect()
}

pub(super) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// What the pages of the session with that token send with each write.
pub(super) fn csrf_of(token: &str) -> String {
    let digest = Sha256::digest(format!("barkeep csrf {token}").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    code: Option<String>,
}

pub(super) async fn by_link(State(app): State<App>, Query(question): Query<Question>) -> Result<Response, ApiError> {
    let Some(code) = question.code else { return page::shown(&app, StatusCode::OK, None).await };
    match sign_in::redeem(&app.database, &digest(&code)).await? {
        Some(user) => signed_in(&app, user).await,
        None => Ok(page::link_is_used_up()),
    }
}

#[derive(Deserialize)]
pub(super) struct Given {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

/// Whoever has no password here, or another one, is told the same, after the same time.
pub(super) async fn by_password(State(app): State<App>, Form(given): Form<Given>) -> Result<Response, ApiError> {
    let address = digest(&given.email.trim().to_lowercase());
    if people::failures(&app.database, &address, FAILURES_WITHIN).await? >= MOST_FAILURES {
        let message = "Too many wrong passwords with this address: wait a quarter of an hour, or use a link";
        let mut response = page::shown(&app, StatusCode::TOO_MANY_REQUESTS, Some(message)).await?;
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
            page::shown(&app, StatusCode::UNAUTHORIZED, Some("The address or the password is wrong")).await
        }
    }
}

async fn signed_in(app: &App, user: Uuid) -> Result<Response, ApiError> {
    let token = secret();
    sign_in::begin_session(&app.database, user, &digest(&token), SIGNED_IN_FOR).await?;
    Ok(with_cookie(app, &token, SIGNED_IN_FOR.as_secs()))
}

pub(super) async fn sign_out(State(app): State<App>, headers: HeaderMap) -> Result<Response, ApiError> {
    if let Some(token) = auth::cookie(&headers) {
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
