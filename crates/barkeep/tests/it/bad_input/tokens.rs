//! Tokens that are none, or somebody else's.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::running::{Served, http};

fn signed(claims: &Value, secret: &str, algorithm: Algorithm) -> String {
    jsonwebtoken::encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_good_token_of_somebody_who_exists_nothing_is_answered() {
    let served = Served::start().await;
    let good = served.token("a@example.com");
    let now = jiff::Timestamp::now().as_second();
    let user: Value = {
        let claims = good.split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    };
    let id = user["sub"].as_str().unwrap();
    let claims = |role: &str, sub: Value, exp: i64| json!({"role": role, "sub": sub, "exp": exp});
    let ours = |claims: &Value| signed(claims, &served.jwt_secret, Algorithm::HS256);
    let unsigned = {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        let claims = claims("authenticated", json!(id), now + 60).to_string();
        format!("{}.{}.", part(r#"{"alg":"none","typ":"JWT"}"#), part(&claims))
    };
    let tampered = {
        let mut parts: Vec<&str> = good.split('.').collect();
        let other = URL_SAFE_NO_PAD.encode(claims("service_role", json!(id), now + 60).to_string());
        parts[1] = &other;
        parts.join(".")
    };
    let bearer = |token: &str| format!("Bearer {token}");
    let refused = [
        ("no header", None, "No token"),
        ("empty", Some(String::new()), "Bearer"),
        ("a scheme alone", Some("Bearer".to_owned()), "Bearer"),
        ("no scheme", Some(good.clone()), "Bearer"),
        ("another scheme", Some(format!("Basic {good}")), "Bearer"),
        ("no token", Some(bearer("garbage")), "Invalid token"),
        ("three empty parts", Some(bearer("..")), "Invalid token"),
        ("very long", Some(bearer(&"x".repeat(10_000))), "Invalid token"),
        (
            "forged",
            Some(bearer(&signed(
                &claims("authenticated", json!(id), now + 60),
                "another secret, as long as ours is: 0123456789",
                Algorithm::HS256,
            ))),
            "Invalid token",
        ),
        ("unsigned", Some(bearer(&unsigned)), "Invalid token"),
        ("tampered with", Some(bearer(&tampered)), "Invalid token"),
        (
            "another algorithm",
            Some(bearer(&signed(&claims("authenticated", json!(id), now + 60), &served.jwt_secret, Algorithm::HS512))),
            "Invalid token",
        ),
        ("without an end", Some(bearer(&ours(&json!({"role": "authenticated", "sub": id})))), "Invalid token"),
        ("expired", Some(bearer(&ours(&claims("authenticated", json!(id), now - 60)))), "expired"),
        ("the service's", Some(bearer(&served.service_role_key)), "barkeep token"),
        (
            "nobody's",
            Some(bearer(&ours(&claims("authenticated", json!("7d5d8a5f-0000-4000-8000-00000000dead"), now + 60)))),
            "Unknown user",
        ),
        ("a name for an id", Some(bearer(&ours(&claims("authenticated", json!("a@example.com"), now + 60)))), "sub"),
        ("without an id", Some(bearer(&ours(&claims("authenticated", Value::Null, now + 60)))), "belongs to no user"),
        ("a number for an id", Some(bearer(&ours(&claims("authenticated", json!(7), now + 60)))), "Invalid token"),
        ("a role of its own", Some(bearer(&ours(&claims("postgres", json!(id), now + 60)))), "belongs to no user"),
        ("anon with an id", Some(bearer(&ours(&claims("anon", json!(id), now + 60)))), "belongs to no user"),
    ];
    let client = http::client();
    for (what, header, message) in refused {
        for (method, path) in [
            (reqwest::Method::POST, "/functions/v1/sync-user-symbols"),
            (reqwest::Method::GET, "/api/v1/bars?symbol=KO&timeframe=m15"),
            (reqwest::Method::GET, "/api/v1/coverage?symbol=KO"),
            (reqwest::Method::GET, "/api/v1/events"),
        ] {
            let mut request =
                client.request(method, served.up.url(path)).body(r#"{"symbols":["KO"],"source":"watchlist"}"#);
            if let Some(header) = &header {
                request = request.header("authorization", header);
            }
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), 401, "{what}: {path}");
            assert!(answer.headers().contains_key("www-authenticate"), "{what}: {path}");
            let answer: Value = answer.json().await.unwrap();
            let error = answer["error"].as_str().unwrap();
            assert!(error.contains(message), "{what}: {path}: {error}");
            assert!(!error.contains(&served.jwt_secret), "{what}");
        }
    }
    let tracked: i64 = sqlx::query_scalar("select count(*) from user_symbol_tracking")
        .fetch_one(&mut served.sql().await)
        .await
        .unwrap();
    assert_eq!(tracked, 0);
    // Not for being sent this way: the same with a good token is taken, whatever the scheme's case.
    for token in [&good, &ours(&claims("authenticated", json!(id), now + 60)), &served.anon_key] {
        let request =
            client.get(served.up.url("/api/v1/coverage?symbol=KO")).header("authorization", format!("bearer {token}"));
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
}
