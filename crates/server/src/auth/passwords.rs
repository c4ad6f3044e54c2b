//! Passwords: argon2id, with OWASP's parameters (19 MiB, 2 passes, 1 lane).
//!
//! In: a password. Out: its hash, or whether it matches a stored hash. Holds: hashing takes tens of milliseconds of one core, so it
//! runs on the blocking pool, at most four at a time.

use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _, password_hash::SaltString};
use rand::Rng as _;
use tokio::sync::Semaphore;

const MIN_LENGTH: usize = 10;
const MAX_LENGTH: usize = 128;

/// Each takes 19 MiB.
static CONCURRENT: Semaphore = Semaphore::const_new(4);

/// Compared with where there is no such user, so that the check takes as long.
static DUMMY_HASH: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this password").ok());

/// A hash of a new password.
///
/// # Errors
/// Where it is too short or too long; the message names the limit.
pub fn hash(password: &str) -> anyhow::Result<String> {
    let length = password.chars().count();
    ensure!(length >= MIN_LENGTH, "the password has {length} characters: at least {MIN_LENGTH} are required");
    ensure!(length <= MAX_LENGTH, "the password has {length} characters: at most {MAX_LENGTH} are allowed");
    let salt: [u8; 16] = rand::rng().random();
    let salt = SaltString::encode_b64(&salt).map_err(|error| anyhow::anyhow!("could not create a salt: {error}"))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| anyhow::anyhow!("could not hash the password: {error}"))?.to_string())
}

/// Whether `password` matches `stored_hash`. Without a hash the answer is no, after the same time.
///
/// # Errors
/// Where the runtime shuts down meanwhile.
pub async fn verify(password: String, stored_hash: Option<String>) -> anyhow::Result<bool> {
    let _permit = CONCURRENT.acquire().await.context("the server is shutting down")?;
    let compare = move || {
        let is_known = stored_hash.is_some();
        let Some(stored_hash) = stored_hash.or_else(|| DUMMY_HASH.clone()) else { return false };
        let Ok(stored_hash) = PasswordHash::new(&stored_hash) else { return false };
        let is_same = password.chars().count() <= MAX_LENGTH
            && Argon2::default().verify_password(password.as_bytes(), &stored_hash).is_ok();
        is_known && is_same
    };
    tokio::task::spawn_blocking(compare).await.context("could not compare a password")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn only_the_right_password_matches_its_hash() {
        let (one, again) = (hash("correct horse battery").unwrap(), hash("correct horse battery").unwrap());
        assert_ne!(one, again, "each has a salt of its own");
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        let verify = async |typed: &str, stored_hash: Option<&String>| {
            super::verify(typed.to_owned(), stored_hash.cloned()).await.unwrap()
        };
        assert!(verify("correct horse battery", Some(&one)).await);
        assert!(!verify("correct horse batterz", Some(&one)).await);
        assert!(!verify("nobody has this password", None).await);
        assert!(!verify("correct horse battery", Some(&"$argon2id$broken".to_owned())).await);
    }

    #[test]
    fn a_password_that_is_too_short_or_too_long_is_rejected() {
        assert!(hash("too short").unwrap_err().to_string().contains("at least 10"));
        assert!(hash(&"x".repeat(129)).unwrap_err().to_string().contains("at most 128"));
        assert!(hash("zehn Töne!").is_ok(), "characters count, not bytes");
    }
}
