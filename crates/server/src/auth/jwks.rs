//! Tokens of another issuer, such as Supabase Auth with its signing keys.
//!
//! In: the URL of a JSON Web Key Set (RFC 7517), and tokens signed with ES256 or RS256. Out: a token's claims. Holds: the key set is
//! fetched when a token names an unknown key, at most once in 30 seconds whatever clients send.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
use reqwest::{Client, Url};
use tokio::sync::Mutex;

use super::keys::{BadToken, Claims};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two fetches: the issuer may rotate its keys at any time, and clients may name keys that don't exist.
const MIN_FETCH_INTERVAL: Duration = Duration::from_secs(30);

/// A revoked key is accepted for no longer than this.
const CACHE_TTL: Duration = Duration::from_secs(600);

/// Cheap to clone; all clones share one cache.
#[derive(Clone, Debug)]
pub struct Jwks {
    url: Url,
    client: Client,
    cache: Arc<Mutex<Cache>>,
}

#[derive(Debug, Default)]
struct Cache {
    keys: Option<(Instant, JwkSet)>,
    last_attempt: Option<Instant>,
}

impl Jwks {
    /// # Errors
    /// Where `address` isn't an https URL (http is accepted for this machine).
    pub fn at(address: &str) -> anyhow::Result<Self> {
        let url: Url = address.trim().parse().with_context(|| format!("jwks_url '{address}' isn't a URL"))?;
        let is_loopback = url.host_str().is_some_and(|host| ["localhost", "127.0.0.1", "[::1]"].contains(&host));
        ensure!(
            url.scheme() == "https" || url.scheme() == "http" && is_loopback,
            "jwks_url '{address}' must begin with https://: over http, others on the network could forge the keys"
        );
        let mut client = Client::builder().timeout(REQUEST_TIMEOUT).redirect(reqwest::redirect::Policy::none());
        if is_loopback {
            client = client.no_proxy();
        }
        let client = client.build().context("could not create an HTTP client")?;
        Ok(Self { url, client, cache: Arc::default() })
    }

    /// The claims of a token that one of these keys has signed and that has not expired.
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
        let mut cache = self.cache.lock().await;
        let find = |keys: &JwkSet| DecodingKey::from_jwk(keys.find(kid)?).ok();
        if let Some((since, keys)) = &cache.keys
            && since.elapsed() < CACHE_TTL
            && let Some(key) = find(keys)
        {
            return Some(key);
        }
        if cache.last_attempt.is_some_and(|at| at.elapsed() < MIN_FETCH_INTERVAL) {
            return None;
        }
        cache.last_attempt = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                let key = find(&keys);
                cache.keys = Some((Instant::now(), keys));
                key
            }
            Err(error) => {
                tracing::warn!("The keys of {} could not be fetched: {error:#}", self.url);
                None
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<JwkSet> {
        let response = self.client.get(self.url.clone()).send().await.context("no response")?;
        ensure!(response.status().is_success(), "it returned {}", response.status());
        response.json().await.context("the response isn't a key set")
    }
}
