//! The secret that signs tokens, and the tokens: as Supabase has them.
//!
//! Made on first start and kept in the data directory, readable by its owner alone.

use std::{fs, io::Write as _, path::Path};

use anyhow::Context as _;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::{Rng as _, distr::Alphanumeric};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::secret::Secret;

const TEN_YEARS: i64 = 10 * 365 * 86_400;

/// The claims of a token.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Claims {
    pub role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// Unix seconds.
    pub exp: i64,
}

/// Signs and checks tokens.
#[derive(Clone, Debug)]
pub struct Keys {
    secret: Secret,
}

/// The keys, as `barkeep keys --json` prints them.
#[derive(Debug, Deserialize, Serialize)]
pub struct KeyRing {
    pub anon_key: String,
    pub service_role_key: String,
    pub jwt_secret: String,
}

/// Why a token was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    #[error("The token has expired: get a new one (barkeep token --user EMAIL)")]
    Expired,
    #[error("Invalid token: it must be signed with this server's secret (barkeep keys)")]
    Invalid,
}

impl Keys {
    /// The secret from the settings, else the one in the data directory, which is created if missing.
    ///
    /// # Errors
    /// Where the secret is too short, or the data directory can't be read or written.
    pub fn open(jwt_secret: Option<&Secret>, data_dir: &Path) -> anyhow::Result<Self> {
        let secret = match jwt_secret {
            Some(secret) if secret.0.len() < 32 => {
                anyhow::bail!("the JWT secret in the settings is too short: it needs at least 32 characters")
            }
            Some(secret) => secret.clone(),
            None => Secret(read_or_create_secret(data_dir)?),
        };
        Ok(Self { secret })
    }

    pub fn ring(&self) -> anyhow::Result<KeyRing> {
        // A fixed date of issue, so that the keys are the same each time.
        let key = |role: &str| {
            self.sign(&Claims {
                role: role.to_owned(),
                sub: None,
                email: None,
                iss: Some("barkeep".to_owned()),
                iat: Some(1_767_225_600),
                exp: 1_767_225_600 + 2 * TEN_YEARS,
            })
        };
        Ok(KeyRing {
            anon_key: key("anon")?,
            service_role_key: key("service_role")?,
            jwt_secret: self.secret.0.clone(),
        })
    }

    /// A token for one user, for `seconds` from now.
    pub fn token(&self, user: Uuid, email: &str, seconds: i64) -> anyhow::Result<String> {
        let now = Timestamp::now().as_second();
        self.sign(&Claims {
            role: "authenticated".to_owned(),
            sub: Some(user.to_string()),
            email: (!email.is_empty()).then(|| email.to_owned()),
            iss: Some("barkeep".to_owned()),
            iat: Some(now),
            exp: now + seconds,
        })
    }

    fn sign(&self, claims: &Claims) -> anyhow::Result<String> {
        let key = EncodingKey::from_secret(self.secret.0.as_bytes());
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).context("could not sign a token")
    }

    /// The claims of a token that was signed with this secret and has not expired.
    pub fn check(&self, token: &str) -> Result<Claims, BadToken> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Supabase's user tokens have the audience `authenticated`, its keys have none: only the role counts.
        validation.validate_aud = false;
        validation.leeway = 5;
        let key = DecodingKey::from_secret(self.secret.0.as_bytes());
        jsonwebtoken::decode::<Claims>(token, &key, &validation).map(|data| data.claims).map_err(BadToken::from)
    }
}

impl From<jsonwebtoken::errors::Error> for BadToken {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        match error.kind() {
            jsonwebtoken::errors::ErrorKind::ExpiredSignature => Self::Expired,
            _ => Self::Invalid,
        }
    }
}

fn read_or_create_secret(data_dir: &Path) -> anyhow::Result<String> {
    let path = data_dir.join("jwt_secret");
    fs::create_dir_all(data_dir).with_context(|| {
        format!("the data directory {} can't be created: choose another with --data-dir", data_dir.display())
    })?;
    if !path.exists() {
        let secret: String = rand::rng().sample_iter(Alphanumeric).take(64).map(char::from).collect();
        let mut file = tempfile::NamedTempFile::new_in(data_dir)
            .with_context(|| format!("can't write to {}", data_dir.display()))?;
        file.write_all(secret.as_bytes())?;
        file.as_file().sync_all()?;
        // The first process wins. A temporary file is readable by its owner only, and keeps that mode when renamed.
        if let Err(error) = file.persist_noclobber(&path)
            && !path.exists()
        {
            return Err(error.error).with_context(|| format!("{} can't be written", path.display()));
        }
    }
    let secret = fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
    let secret = secret.trim();
    anyhow::ensure!(
        secret.len() >= 32,
        "{} holds no secret of at least 32 characters: delete it to create a new one (existing tokens become invalid)",
        path.display()
    );
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    fn keys(secret: &str) -> Keys {
        Keys { secret: Secret(secret.to_owned()) }
    }

    #[test]
    fn a_token_is_valid_for_the_same_secret_only() {
        let user = Uuid::new_v4();
        let token = keys("a").token(user, "a@example.com", 60).unwrap();
        assert_eq!(keys("a").check(&token).expect("own token").sub, Some(user.to_string()));
        assert_eq!(keys("b").check(&token).expect_err("forged"), BadToken::Invalid);
        assert_eq!(keys("a").check("no.token.atall").expect_err("garbage"), BadToken::Invalid);
    }

    #[test]
    fn an_expired_token_has_its_own_error() {
        let token = keys("a").token(Uuid::new_v4(), "a@example.com", -60).unwrap();
        assert_eq!(keys("a").check(&token).expect_err("expired"), BadToken::Expired);
    }

    #[test]
    fn an_unsigned_token_is_rejected() {
        use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let token = format!("{}.{}.", part(r#"{"alg":"none"}"#), part(r#"{"role":"service_role","exp":9999999999}"#));
        assert_eq!(keys("a").check(&token).expect_err("unsigned"), BadToken::Invalid);
    }

    #[test]
    fn keys_are_the_same_each_time_and_their_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = read_or_create_secret(dir.path()).unwrap();
        assert_eq!(read_or_create_secret(dir.path()).unwrap(), first);
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(dir.path().join("jwt_secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}
