//! The pooler is really there: what these tests pass with is what users have.

use crate::running::{Place, Served, empty_database, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_the_pooler_and_it_is_known_that_no_notification_comes() {
    if !testkit::pooler_is_installed() {
        return;
    }
    let served = Served::start().await;
    let (up, anon) = (&served.up, &served.anon_key);
    assert_eq!(up.sync(anon, r#"{"symbols":["KO"],"source":"watchlist"}"#).await.0, 200);
    up.until(anon, "KO", "complete").await;
    // PgBouncer connects by itself: with as few connections as its pool has, whatever Barkeep's has.
    let names: Vec<String> = sqlx::query_scalar(
        "select distinct application_name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    )
    .fetch_all(&mut served.sql().await)
    .await
    .unwrap();
    assert!(!names.is_empty(), "nobody is connected");
    eventually("it knows that it hears nothing", async || {
        let hears: Vec<Option<bool>> =
            sqlx::query_scalar("select hears from barkeep.processes").fetch_all(&mut served.sql().await).await.unwrap();
        (hears == [Some(false)]).then_some(())
    })
    .await;
    let doctor = served.place.run(&["doctor", "--json", "--database-url", &served.database.url]);
    let findings: serde_json::Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let notifications =
        findings.as_array().unwrap().iter().find(|finding| finding["check"] == "notifications").unwrap();
    assert_eq!(notifications["state"], "warning", "{notifications}");
    assert!(notifications.to_string().contains("pooler"), "{notifications}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_migrated_through_the_pooler_and_nothing_is_left_to_do_a_second_time() {
    if !testkit::pooler_is_installed() {
        return;
    }
    let (place, empty) = (Place::new(), empty_database().await);
    let migrate = || place.printed(&["migrate", "--database-url", &empty.url]);
    assert!(migrate().starts_with("Applied "));
    assert!(migrate().starts_with("The schema is up to date."));
}
