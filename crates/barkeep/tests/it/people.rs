//! Several people on one server: each has their own, and the highest interest counts.

use sqlx::{Connection as _, PgConnection};

use crate::running::{Place, Up, database, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn when_one_of_two_leaves_what_remains_is_the_others_interest() {
    let home = Place::new();
    let database = database().await;
    let given = ["--database-url", &database.url];
    let up = Up::start(home.barkeep(&["up", given[0], given[1]])).await;
    let token = |email: &str| home.printed(&["token", "--user", email, given[0], given[1]]).trim().to_owned();
    let (a, b) = (token("a@example.com"), token("b@example.com"));
    up.sync(&a, r#"{"symbols":["AAPL"],"source":"watchlist"}"#).await;
    up.sync(&b, r#"{"symbols":["AAPL"],"source":"chart_view"}"#).await;
    let priority = async |token: &str| {
        let series = up.coverage(token, "AAPL").await;
        series.iter().map(|s| s["priority"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(priority(&b).await, [300; 3], "the highest interest by anybody");
    home.printed(&["untrack", "AAPL", "--user", "a@example.com", given[0], given[1]]);
    assert_eq!(priority(&b).await, [200; 3], "what remains");
    home.printed(&["untrack", "AAPL", "--user", "b@example.com", given[0], given[1]]);
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let base: Vec<i32> =
        sqlx::query_scalar("select priority from job_definitions where symbol = 'AAPL' order by priority desc")
            .fetch_all(&mut sql)
            .await
            .unwrap();
    assert_eq!(base, [200, 150, 100], "its background base");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_what_another_wants() {
    let home = Place::new();
    let database = database().await;
    let given = ["--database-url", &database.url];
    let up = Up::start(home.barkeep(&["up", given[0], given[1]])).await;
    let token = |email: &str| home.printed(&["token", "--user", email, given[0], given[1]]).trim().to_owned();
    let (a, b) = (token("a@example.com"), token("b@example.com"));
    up.sync(&b, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    up.until(&b, "KO", "complete").await;

    for series in up.coverage(&a, "KO").await {
        assert_eq!(series["state"], "not tracked", "{series}");
        assert_eq!(series["priority"], 0, "{series}");
        assert_eq!(series["last_fetch"], serde_json::Value::Null, "{series}");
    }
    // The same over SQL, with the claims that a's token carries.
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let id: String = sqlx::query_scalar("select id::text from auth.users where email = 'a@example.com'")
        .fetch_one(&mut sql)
        .await
        .unwrap();
    sqlx::query("select set_config('request.jwt.claims', $1, false), set_config('role', 'authenticated', false)")
        .bind(format!(r#"{{"sub":"{id}","role":"authenticated"}}"#))
        .execute(&mut sql)
        .await
        .unwrap();
    for statement in [
        "select count(*) from user_symbol_tracking",
        "select count(*) from job_runs where symbol = 'KO'",
        "select count(*) from job_definitions where symbol = 'KO'",
        "select count(*) from coverage_status where symbol = 'KO'",
    ] {
        let seen: i64 = sqlx::query_scalar(statement).fetch_one(&mut sql).await.unwrap();
        assert_eq!(seen, 0, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_identical_requests_at_once_make_one_symbol_and_three_definitions() {
    let home = Place::new();
    let database = database().await;
    let up = Up::start(home.barkeep(&["up", "--database-url", &database.url])).await;
    let keys: serde_json::Value = serde_json::from_str(&home.printed(&["keys", "--json"])).unwrap();
    let anon = keys["anon_key"].as_str().unwrap();
    let requests = (0..20).map(|_| up.sync(anon, r#"{"symbols":["PLTR"],"source":"watchlist"}"#));
    for (status, body) in futures_util::future::join_all(requests).await {
        assert_eq!((status, &body["symbols_tracked"], &body["jobs_updated"]), (200, &1.into(), &3.into()));
    }
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    let made: (i64, i64) = sqlx::query_as(
        "select (select count(*) from symbols where ticker = 'PLTR'),
            (select count(*) from job_definitions where symbol = 'PLTR')",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(made, (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_no_provider_knows_ends_as_unknown_and_is_not_asked_for_again() {
    let home = Place::new();
    let database = database().await;
    let up = Up::start(home.barkeep(&["up", "--database-url", &database.url])).await;
    let keys: serde_json::Value = serde_json::from_str(&home.printed(&["keys", "--json"])).unwrap();
    let anon = keys["anon_key"].as_str().unwrap();
    let (status, body) = up.sync(anon, r#"{"symbols":["ZZTOP"],"source":"recent_search"}"#).await;
    assert_eq!((status, &body["symbols_tracked"]), (200, &1.into()), "{body}");
    up.until(anon, "ZZTOP", "unknown").await;
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    eventually("nothing is queued for it", async || {
        let mut sql = PgConnection::connect(&database.url).await.unwrap();
        let open: i64 = sqlx::query_scalar(
            "select count(*) from job_runs where symbol = 'ZZTOP' and status in ('queued', 'running')",
        )
        .fetch_one(&mut sql)
        .await
        .unwrap();
        (open == 0).then_some(())
    })
    .await;
    let reason: String =
        sqlx::query_scalar("select suspended_reason from job_definitions where symbol = 'ZZTOP' limit 1")
            .fetch_one(&mut sql)
            .await
            .unwrap();
    assert!(reason.contains("knows no symbol ZZTOP"), "{reason}");
}
