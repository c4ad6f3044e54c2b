//! Passwords: argon2id, with OWASP's parameters (19 MiB, 2 passes, 1 lane).
//!
//! In: what somebody typed. Out: a hash to be kept, or whether it is the one that was. Holds: hashing takes tens of milliseconds of
//! one core, so it is done beside the runtime, and never many at once.

use std::sync::LazyLock;

use anyhow::{Context as _, ensure};
use argon2::{Argon2, PasswordHash, PasswordHasher as _, PasswordVerifier as _, password_hash::SaltString};
use rand::Rng as _;
use tokio::sync::Semaphore;

const SHORTEST: usize = 10;
const LONGEST: usize = 128;

/// Each takes 19 MiB.
static AT_ONCE: Semaphore = Semaphore::const_new(4);

/// Of nobody's password: compared with where there is no such user, so that it takes as long.
static NOBODYS: LazyLock<Option<String>> = LazyLock::new(|| hash("nobody has this password").ok());

/// A hash of a new password.
///
/// # Errors
/// Where it is too short or too long, with how long it has to be.
pub fn hash(password: &str) -> anyhow::Result<String> {
    let length = password.chars().count();
    ensure!(length >= SHORTEST, "the password has {length} characters: it needs {SHORTEST} at least");
    ensure!(length <= LONGEST, "the password has {length} characters: {LONGEST} are the most");
    let salt: [u8; 16] = rand::rng().random();
    let salt = SaltString::encode_b64(&salt).map_err(|error| anyhow::anyhow!("no salt could be made: {error}"))?;
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    Ok(hash.map_err(|error| anyhow::anyhow!("the password could not be hashed: {error}"))?.to_string())
}

/// Whether it is the password that `kept` was made of; without one it takes as long and is not.
///
/// # Errors
/// Where the runtime ends meanwhile.
pub async fn is_right(password: String, kept: Option<String>) -> anyhow::Result<bool> {
    let _turn = AT_ONCE.acquire().await.context("passwords are compared no more")?;
    let compare = move || {
        let is_known = kept.is_some();
        let Some(kept) = kept.or_else(|| NOBODYS.clone()) else { return false };
        let Ok(kept) = PasswordHash::new(&kept) else { return false };
        let is_same = password.chars().count() <= LONGEST
            && Argon2::default().verify_password(password.as_bytes(), &kept).is_ok();
        is_known && is_same
    };
    tokio::task::spawn_blocking(compare).await.context("a password could not be compared")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[tokio::test]
    async fn a_password_is_known_by_its_hash_alone_and_no_other_is() {
        let (one, again) = (hash("correct horse battery").unwrap(), hash("correct horse battery").unwrap());
        assert_ne!(one, again, "each has a salt of its own");
        assert!(one.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{one}");
        let is_right =
            async |typed: &str, kept: Option<&String>| super::is_right(typed.to_owned(), kept.cloned()).await.unwrap();
        assert!(is_right("correct horse battery", Some(&one)).await);
        assert!(!is_right("correct horse batterz", Some(&one)).await);
        assert!(!is_right("nobody has this password", None).await);
        assert!(!is_right("correct horse battery", Some(&"$argon2id$broken".to_owned())).await);
    }

    #[test]
    fn one_that_is_too_short_or_too_long_is_refused_with_the_length() {
        assert!(hash("too short").unwrap_err().to_string().contains("10 at least"));
        assert!(hash(&"x".repeat(129)).unwrap_err().to_string().contains("128 are the most"));
        assert!(hash("zehn Töne!").is_ok(), "characters count, not bytes");
    }
}
