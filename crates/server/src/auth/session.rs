//! Sessions of browsers, and the codes of the links that begin one.
//!
//! Holds: what a browser is given is a token that means nothing but its row in the database, where it can be ended; what its
//! pages send with each write follows from that token, which no script can read.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use rand::{Rng as _, distr::Alphanumeric};
use sha2::{Digest as _, Sha256};
use store::{Database, StoreError, sign_in};
use uuid::Uuid;

/// The cookie of a signed-in browser: a token that no script can read, and that is good while its row is there.
pub(crate) const COOKIE: &str = "barkeep_session";

/// How long a link is good for, and how long a browser stays signed in.
pub(crate) const LINK_GOOD_FOR: Duration = Duration::from_secs(60 * 60);
pub(crate) const SIGNED_IN_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Makes a code that signs `user` in once, within the hour.
pub async fn code_for(database: &Database, user: Uuid) -> Result<String, StoreError> {
    let code = secret();
    sign_in::offer(database, user, &digest(&code), LINK_GOOD_FOR).await?;
    Ok(code)
}

/// Nobody guesses it: 43 characters of 62.
pub(crate) fn secret() -> String {
    rand::rng().sample_iter(Alphanumeric).take(43).map(char::from).collect()
}

pub(crate) fn digest(secret: &str) -> Vec<u8> {
    Sha256::digest(secret.as_bytes()).to_vec()
}

/// What the pages of the session with that token send with each write.
pub(crate) fn csrf_of(token: &str) -> String {
    let digest = Sha256::digest(format!("barkeep csrf {token}").as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The session's token; `None` without that cookie.
pub(crate) fn cookie(headers: &HeaderMap) -> Option<&str> {
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
    fn the_session_is_found_among_other_cookies() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "a=b; barkeep_session_old=x".parse().unwrap());
        assert_eq!(cookie(&headers), None);
        headers.append(header::COOKIE, "theme=dark;barkeep_session=abc.def=; z=1".parse().unwrap());
        assert_eq!(cookie(&headers), Some("abc.def="));
    }
}
