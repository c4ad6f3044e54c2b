//! `GET /sign-in?code=...`: a link that signs a browser in, once. `POST /sign-out` ends that.

use std::time::Duration;

use axum::{
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use rand::{Rng as _, distr::Alphanumeric};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use store::{Database, StoreError, sign_in};
use uuid::Uuid;

use super::{App, auth::COOKIE, error::ApiError};

/// How long a link is good for, and how long a browser stays signed in.
pub(crate) const LINK_GOOD_FOR: Duration = Duration::from_secs(60 * 60);
const SIGNED_IN_FOR: i64 = 30 * 24 * 60 * 60;

/// Makes a code that signs `user` in once, within the hour.
pub(crate) async fn code_for(database: &Database, user: Uuid) -> Result<String, StoreError> {
    let code: String = rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect();
    sign_in::offer(database, user, &digest(&code), LINK_GOOD_FOR).await?;
    Ok(code)
}

fn digest(code: &str) -> Vec<u8> {
    Sha256::digest(code.as_bytes()).to_vec()
}

#[derive(Debug, Deserialize)]
pub(super) struct Question {
    code: Option<String>,
}

pub(super) async fn sign_in(State(app): State<App>, Query(question): Query<Question>) -> Result<Response, ApiError> {
    let code = question.code.unwrap_or_default();
    let Some(user) = sign_in::redeem(&app.database, &digest(&code)).await? else {
        return Ok(super::page::link_is_used_up());
    };
    let token = app.auth.keys().token(user, "", SIGNED_IN_FOR).map_err(|error| {
        tracing::error!(%error, "A session could not be signed");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The session could not be made; the server's log says why")
    })?;
    Ok(with_cookie(&format!("{COOKIE}={token}; Path=/; HttpOnly; SameSite=Lax; Max-Age={SIGNED_IN_FOR}")))
}

pub(super) async fn sign_out() -> Response {
    with_cookie(&format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"))
}

fn with_cookie(cookie: &str) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, "/")]).into_response();
    // Nobody else's to keep: the address holds a code.
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}
