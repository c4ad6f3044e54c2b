//! Commands that print something short: keys, tokens, sessions, coverage.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::running::{Place, Up, empty_database, finish, quiet_database};

#[test]
fn the_version_and_help_need_no_data_directory() {
    let place = Place::new();
    let version = finish(place.bare(&["--version"]));
    assert_eq!(String::from_utf8_lossy(&version.stdout), concat!("barkeep ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = String::from_utf8(finish(place.bare(&["--help"])).stdout).unwrap();
    for command in ["up", "backfill", "track", "coverage", "export", "calendar", "market-sim", "--as-of"] {
        assert!(help.contains(command), "{command} in {help}");
    }
}

#[test]
fn keys_are_the_same_each_time_and_signed_with_the_secret_beside_them() {
    let place = Place::new();
    let printed = place.printed(&["keys", "--json"]);
    assert_eq!(printed, place.printed(&["keys", "--json"]));
    let keys: Value = serde_json::from_str(&printed).unwrap();
    let mut names: Vec<&String> = keys.as_object().unwrap().keys().collect();
    names.sort_unstable();
    assert_eq!(names, ["anon_key", "jwt_secret", "service_role_key"]);
    let secret = keys["jwt_secret"].as_str().unwrap();
    assert!(secret.len() >= 32);
    for (key, role) in [("anon_key", "anon"), ("service_role_key", "service_role")] {
        assert_eq!(claims(keys[key].as_str().unwrap(), secret)["role"], role);
    }
    let lines = place.printed(&["keys"]);
    for (name, key) in
        [("ANON_KEY", "anon_key"), ("SERVICE_ROLE_KEY", "service_role_key"), ("JWT_SECRET", "jwt_secret")]
    {
        let line = format!("SUPABASE_{name}={}", keys[key].as_str().unwrap());
        assert!(lines.lines().any(|l| l == line), "{lines}");
    }
    let mut given = place.barkeep(&["keys", "--json"]);
    given.env("SUPABASE_JWT_SECRET", "a secret of one's own, 32 characters or more");
    let given: Value = serde_json::from_slice(&finish(given).stdout).unwrap();
    assert_eq!(given["jwt_secret"], "a secret of one's own, 32 characters or more");
    assert_ne!(given["anon_key"], keys["anon_key"]);
}

/// What a token says, once its signature holds.
fn claims(token: &str, secret: &str) -> Value {
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
    validation.validate_aud = false;
    let key = jsonwebtoken::DecodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_alone_is_printed_and_names_the_same_user_each_time() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    let keys: Value = serde_json::from_str(&place.printed(&["keys", "--json"])).unwrap();
    let token = |email: &str| {
        let printed = place.printed(&["token", "--user", email, "--days", "2", url[0], url[1]]);
        let token = printed.strip_suffix('\n').unwrap();
        assert!(!token.contains(char::is_whitespace), "{printed}");
        claims(token, keys["jwt_secret"].as_str().unwrap())
    };
    let (a, again, b) = (token("a@example.com"), token(" A@Example.com "), token("b@example.com"));
    assert_eq!(a["role"], "authenticated");
    assert_eq!(a["sub"], again["sub"]);
    assert_ne!(a["sub"], b["sub"]);
    assert_eq!(a["exp"].as_i64().unwrap() - a["iat"].as_i64().unwrap(), 2 * 86_400);
}

#[test]
fn the_calendar_prints_sessions_to_the_minute() {
    let place = Place::new();
    let printed = place.printed(&["calendar", "XNYS", "--from", "2026-11-20", "--to", "2026-12-01"]);
    // Thanksgiving is closed, the day after ends at 13:00 New York time.
    let expected = "date,open_utc,close_utc,early\n\
        2026-11-20,2026-11-20T14:30:00Z,2026-11-20T21:00:00Z,0\n\
        2026-11-23,2026-11-23T14:30:00Z,2026-11-23T21:00:00Z,0\n\
        2026-11-24,2026-11-24T14:30:00Z,2026-11-24T21:00:00Z,0\n\
        2026-11-25,2026-11-25T14:30:00Z,2026-11-25T21:00:00Z,0\n\
        2026-11-27,2026-11-27T14:30:00Z,2026-11-27T18:00:00Z,1\n\
        2026-11-30,2026-11-30T14:30:00Z,2026-11-30T21:00:00Z,0\n";
    assert_eq!(printed, expected);
    let printed = place.printed(&["calendar", "24x7", "--from", "2026-02-28", "--to", "2026-03-02"]);
    let expected = "date,open_utc,close_utc,early\n\
        2026-02-28,2026-02-28T00:00:00Z,2026-03-01T00:00:00Z,0\n\
        2026-03-01,2026-03-01T00:00:00Z,2026-03-02T00:00:00Z,0\n";
    assert_eq!(printed, expected);
    let none = place.printed(&["calendar", "XNYS", "--from", "2026-11-26", "--to", "2026-11-27"]);
    assert_eq!(none, "date,open_utc,close_utc,early\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn tracking_and_untracking_show_in_the_coverage() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    let coverage = |symbol: &[&str]| -> Vec<Value> {
        let args = [&["coverage", "--json"], symbol, &url].concat();
        serde_json::from_str(&place.printed(&args)).unwrap()
    };
    let tracked = place.printed(&["track", "ko", "BRK-B", "--json", url[0], url[1]]);
    let expected = json!({
        "success": true, "symbols_tracked": 2, "symbols_requested": 2, "timeframes": 3, "jobs_updated": 6,
        "priority": 300, "source": "watchlist",
    });
    assert_eq!(serde_json::from_str::<Value>(&tracked).unwrap(), expected);
    let series = coverage(&[]);
    let named: Vec<_> =
        series.iter().map(|s| (s["symbol"].as_str().unwrap(), s["timeframe"].as_str().unwrap())).collect();
    assert_eq!(named, [("BRK.B", "m15"), ("BRK.B", "h1"), ("BRK.B", "h4"), ("KO", "m15"), ("KO", "h1"), ("KO", "h4")]);
    for one in &series {
        assert_eq!((&one["state"], &one["priority"]), (&"filling".into(), &300.into()), "{one}");
        assert_eq!(one["missing"], one["expected"], "{one}");
    }
    let text = place.printed(&["coverage", "KO", url[0], url[1]]);
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(text.starts_with("symbol  tf   expected"), "{text}");

    let text = place.printed(&["untrack", "KO", "NEVER", url[0], url[1]]);
    assert!(text.starts_with("Removed 1 symbols"), "{text}");
    assert!(coverage(&[]).iter().all(|s| s["symbol"] == "BRK.B"));
    assert!(coverage(&["KO"]).iter().all(|s| s["state"] == "paused"));
    let never = coverage(&["NEVER"]);
    assert_eq!(never.len(), 3);
    assert!(never.iter().all(|s| s["state"] == "not tracked" && s["bars"] == 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_does_nothing_the_second_time() {
    let (place, empty) = (Place::new(), empty_database().await);
    let migrate = || place.printed(&["migrate", "--database-url", &empty.url]);
    assert!(migrate().starts_with("Applied "));
    assert!(migrate().starts_with("The schema is up to date."));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::new();
    let args = ["calendar", "24x7", "--from", "1990-01-01", "--to", "2026-01-01"];
    let mut process = place.barkeep(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "date,open_utc,close_utc,early");
    drop(lines);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_takes_the_url_of_the_database_while_it_runs() {
    let place = Place::new();
    let up = Up::start(place.barkeep(&["up"])).await;
    let url = place.printed(&["db", "url"]);
    let mut sql = PgConnection::connect(url.trim()).await.unwrap();
    let symbols: i64 = sqlx::query_scalar("select count(*) from symbols").fetch_one(&mut sql).await.unwrap();
    sql.close().await.unwrap();
    match std::process::Command::new("psql").args([url.trim(), "-Atc", "select count(*) from symbols"]).output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{symbols}\n")),
        Err(_) => eprintln!("left out: there is no psql here"),
    }
    assert!(up.stop().success());
}
