//! Public keys of whoever else signs tokens: Supabase Auth with its signing keys, for one.
//!
//! In: the address of a key set (RFC 7517), and tokens signed with ES256 or RS256. Out: what a token says. Holds: keys are asked for
//! when a token names one that isn't known, and then not again for half a minute, whatever strangers send.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use reqwest::{Client, Url};
use tokio::sync::Mutex;

use super::keys::{BadToken, Claims};

const WITHIN: Duration = Duration::from_secs(5);

/// Who signs may change keys at any time, and strangers may name keys that nobody has.
const NOT_AGAIN_FOR: Duration = Duration::from_secs(30);

/// A key that was withdrawn is good for no longer than this.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Jwks {
    url: Url,
    client: Client,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    keys: Option<(Instant, JwkSet)>,
    asked: Option<Instant>,
}

impl Jwks {
    /// # Errors
    /// Where the address is no key set's: one that others could answer for, above all.
    pub fn at(address: &str) -> anyhow::Result<Self> {
        let url: Url = address.trim().parse().with_context(|| format!("jwks_url '{address}' is no address"))?;
        let is_here = url.host_str().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
        ensure!(
            url.scheme() == "https" || url.scheme() == "http" && is_here,
            "jwks_url '{address}' must begin with https://: whoever can answer in its place signs whom they like in"
        );
        let mut client = Client::builder().timeout(WITHIN).redirect(reqwest::redirect::Policy::none());
        if is_here {
            client = client.no_proxy();
        }
        let client = client.build().context("no HTTP client could be made")?;
        Ok(Self { url, client, held: Arc::default() })
    }

    /// What a token says that one of these keys has signed and that has not expired.
    pub async fn check(&self, token: &str) -> Result<Claims, BadToken> {
        let header = jsonwebtoken::decode_header(token).map_err(|_| BadToken::Invalid)?;
        let kid = header.kid.ok_or(BadToken::Invalid)?;
        if ![Algorithm::ES256, Algorithm::RS256].contains(&header.alg) {
            return Err(BadToken::Invalid);
        }
        let key = self.key(&kid).await.ok_or(BadToken::Invalid)?;
        let mut validation = Validation::new(header.alg);
        validation.validate_aud = false;
        validation.leeway = 5;
        jsonwebtoken::decode::<Claims>(token, &key, &validation).map(|data| data.claims).map_err(BadToken::from)
    }

    async fn key(&self, kid: &str) -> Option<DecodingKey> {
        let mut held = self.held.lock().await;
        let find = |keys: &JwkSet| DecodingKey::from_jwk(keys.find(kid)?).ok();
        if let Some((since, keys)) = &held.keys
            && since.elapsed() < FORGET_AFTER
            && let Some(key) = find(keys)
        {
            return Some(key);
        }
        if held.asked.is_some_and(|asked| asked.elapsed() < NOT_AGAIN_FOR) {
            return None;
        }
        held.asked = Some(Instant::now());
        match self.ask().await {
            Ok(keys) => {
                let key = find(&keys);
                held.keys = Some((Instant::now(), keys));
                key
            }
            Err(error) => {
                tracing::warn!("The keys of {} could not be had: {error:#}", self.url);
                None
            }
        }
    }

    async fn ask(&self) -> anyhow::Result<JwkSet> {
        let answer = self.client.get(self.url.clone()).send().await.context("nobody answers there")?;
        ensure!(answer.status().is_success(), "it answered {}", answer.status());
        answer.json().await.context("what it answered is no key set")
    }
}
