//! Tokens of another signer, by its public keys: as Supabase Auth signs them.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{Json, Router, routing::get};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::running::Served;

/// Made for this test, and good for nothing else: private part (PKCS #8), and the public one's coordinates.
const KEYS: [(&str, &str, &str); 2] = [
    (
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgboZDOotPzZswmOoI6Cuj6shHAHXHNzrKelJHp75FP+2hRANCAATb3/2daLjU/9oVnbX3+IBVmkDVlmJJCRvvNhyEdywk2EXXclf1unH2ueI8iEg1GhFMT3YQTNwIWfYGPDXEc9hj",
        "29_9nWi41P_aFZ219_iAVZpA1ZZiSQkb7zYchHcsJNg",
        "RddyV_W6cfa54jyISDUaEUxPdhBM3AhZ9gY8NcRz2GM",
    ),
    (
        "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgY+n6wIDQ6Z7VWR2FwEFocljb0B7Y0jbW7tMinBOdawuhRANCAAT8hl9tpFBRs2nf8TBz2+d8hwK64mN03zqPU90mW7Iy7VT3KmR5sAk/9X0NwdzeQCBTy9pvd3ub0GXgsP0B8ah0",
        "_IZfbaRQUbNp3_Ewc9vnfIcCuuJjdN86j1PdJluyMu0",
        "VPcqZHmwCT_1fQ3B3N5AIFPL2m93e5vQZeCw_QHxqHQ",
    ),
];

/// A signer's key set, which can change, and how often it was asked for.
struct Signer {
    url: String,
    keys: Arc<Mutex<Value>>,
    asked: Arc<AtomicUsize>,
}

impl Signer {
    async fn start() -> Self {
        let (keys, asked) = (Arc::new(Mutex::new(set(&[("one", 0)]))), Arc::new(AtomicUsize::new(0)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/auth/v1/.well-known/jwks.json", listener.local_addr().unwrap());
        let (shown, count) = (Arc::clone(&keys), Arc::clone(&asked));
        let answer = async move || {
            count.fetch_add(1, Ordering::SeqCst);
            Json(shown.lock().unwrap().clone())
        };
        let router = Router::new().route("/auth/v1/.well-known/jwks.json", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, keys, asked }
    }
}

fn set(named: &[(&str, usize)]) -> Value {
    let key = |(kid, n): &(&str, usize)| json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": kid, "x": KEYS[*n].1, "y": KEYS[*n].2});
    json!({ "keys": named.iter().map(key).collect::<Vec<_>>() })
}

fn token(kid: &str, n: usize, sub: &str, expires_in: i64) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some(kid.to_owned());
    let claims = json!({
        "role": "authenticated", "aud": "authenticated", "sub": sub,
        "exp": jiff::Timestamp::now().as_second() + expires_in,
    });
    let key = EncodingKey::from_ec_der(&STANDARD.decode(KEYS[n].0).unwrap());
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_another_signs_are_good_by_its_public_keys_alone() {
    let signer = Signer::start().await;
    let served = Served::start_with(|command| {
        command.env("BARKEEP_JWKS_URL", &signer.url);
    })
    .await;
    served.token("ann@example.com");
    let ann: String = sqlx::query_scalar("select id::text from auth.users where email = 'ann@example.com'")
        .fetch_one(&mut served.sql().await)
        .await
        .unwrap();
    let ask = async |token: &str| served.up.get(token, "/api/v1/watchlist").await.0;
    assert_eq!(ask(&token("one", 0, &ann, 3_600)).await, 200);
    assert_eq!(ask(&token("one", 1, &ann, 3_600)).await, 401, "another's signature under its name");
    assert_eq!(ask(&token("one", 0, &ann, -60)).await, 401, "expired");
    assert_eq!(ask(&token("one", 0, "00000000-0000-4000-8000-00000000dead", 3_600)).await, 401, "nobody here");
    assert_eq!(ask(&served.token("ann@example.com")).await, 200, "those of the secret are good as well");
    let asked = signer.asked.load(Ordering::SeqCst);
    // A key that nobody has, again and again: the signer isn't asked each time.
    for _ in 0..20 {
        assert_eq!(ask(&token("three", 1, &ann, 3_600)).await, 401);
    }
    assert!(signer.asked.load(Ordering::SeqCst) <= asked + 1);
    // A new key is found out by a server that hasn't just asked.
    *signer.keys.lock().unwrap() = set(&[("one", 0), ("two", 1)]);
    let url = signer.url.clone();
    let other = Served::start_with(|command| {
        command.env("BARKEEP_JWKS_URL", url);
    })
    .await;
    other.token("ann@example.com");
    let ann: String = sqlx::query_scalar("select id::text from auth.users where email = 'ann@example.com'")
        .fetch_one(&mut other.sql().await)
        .await
        .unwrap();
    assert_eq!(other.up.get(&token("two", 1, &ann, 3_600), "/api/v1/watchlist").await.0, 200);
}

#[test]
fn keys_are_taken_from_nobody_who_could_be_anybody() {
    let place = crate::running::Place::new();
    for (url, says) in [("http://auth.example.com/keys", "must begin with https://"), ("keys", "isn't a URL")] {
        let mut command = place.barkeep(&["keys"]);
        let output = command.env("BARKEEP_JWKS_URL", url).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(says), "{url}: {said}");
    }
}
