//! Browser sessions, and the one-time codes of sign-in links.
//!
//! Holds: a session is a random token in a cookie, whose digest has a row in the database, where it can be ended. The CSRF token is
//! derived from the session token, which no script can read.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use rand::{Rng as _, distr::Alphanumeric};
use sha2::{Digest as _, Sha256};
use store::{Database, StoreError, browser_sessions};
use uuid::Uuid;

/// The session cookie.
pub(crate) const COOKIE: &str = "barkeep_session";

/// How long a sign-in link is valid, and how long a browser stays signed in.
pub(crate) const LINK_TTL: Duration = Duration::from_secs(60 * 60);
pub(crate) const SESSION_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Creates a code that signs `user` in once, within an hour.
pub async fn code_for(database: &Database, user: Uuid) -> Result<String, StoreError> {
    let code = random_token();
    browser_sessions::store_code(database, user, &digest(&code), LINK_TTL).await?;
    Ok(code)
}

/// 43 characters of 62: 256 bits.
pub(crate) fn random_token() -> String {
    rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect()
}

pub(crate) fn digest(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

/// The CSRF token of a session.
pub(crate) fn csrf_token(token: &str) -> String {
    let digest = Sha256::digest(format!("barkeep csrf {token}").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The session token from the cookie.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; barkeep_session_old=x".parse().unwrap());
        assert_eq!(session_token(&headers), None);
        headers.append(header::COOKIE, "theme=dark;barkeep_session=abc.def=; z=1".parse().unwrap());
        assert_eq!(session_token(&headers), Some("abc.def="));
    }
}
