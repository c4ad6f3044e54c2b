//! `/api/v1/events`: a stream of what changed in one's own series, with or without the database's notifications.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::running::{PATIENCE, Served, Up, http};

const KO: &str = r#"{"symbols":["KO"],"source":"watchlist"}"#;

/// A stream of server-sent events.
struct Events {
    response: reqwest::Response,
    buffer: String,
}

impl Events {
    /// Opens it and waits for its greeting.
    async fn open(up: &Up, token: &str) -> Self {
        let response = http::client().get(up.url("/api/v1/events")).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get("content-type").unwrap(), "text/event-stream");
        let mut events = Self { response, buffer: String::new() };
        assert_eq!(events.next().await, Some(("hello".to_owned(), "{}".to_owned())));
        events
    }

    /// Name and data of the next event; `None` at the stream's end.
    async fn next(&mut self) -> Option<(String, String)> {
        loop {
            while let Some((event, rest)) = self.buffer.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let found = field("event:").zip(field("data:")).map(|(name, data)| (name.to_owned(), data.to_owned()));
                self.buffer = rest.to_owned();
                // Comments that keep the connection alive have neither.
                if found.is_some() {
                    return found;
                }
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("an event in time");
            self.buffer += std::str::from_utf8(&chunk.unwrap()?).unwrap();
        }
    }

    /// The series of the next `bars` event.
    async fn bars(&mut self) -> Vec<Value> {
        let (name, data) = self.next().await.expect("the stream goes on");
        assert_eq!(name, "bars");
        serde_json::from_str(&data).unwrap()
    }

    /// Reads on until `wanted` timeframes of KO have been told of, and of no other symbol.
    async fn until_told_of(&mut self, wanted: &[&str]) {
        let mut told = BTreeSet::new();
        while !wanted.iter().all(|timeframe| told.contains(*timeframe)) {
            for series in self.bars().await {
                assert_eq!(series["symbol"], "KO", "somebody else's: {series}");
                assert!(series["rows_written"].as_i64().unwrap() > 0, "{series}");
                assert!(series["to"].is_string(), "{series}");
                told.insert(series["timeframe"].as_str().unwrap().to_owned());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_of_their_own_series_and_of_no_others() {
    let served = Served::start().await;
    let (a, b) = (served.token("a@example.com"), served.token("b@example.com"));
    let mut events = Events::open(&served.up, &a).await;
    let mut theirs = Events::open(&served.up, &b).await;
    served.up.sync(&b, r#"{"symbols":["PEP"],"source":"watchlist"}"#).await;
    served.up.until(&b, "PEP", "complete").await;
    assert_eq!(theirs.bars().await[0]["symbol"], "PEP");
    served.up.sync(&a, KO).await;
    events.until_told_of(&["m15", "h1", "h4"]).await;

    // Whoever comes again is told what happens from then on.
    drop(events);
    let mut again = Events::open(&served.up, &a).await;
    served.up.sync(&a, r#"{"symbols":["KO"],"source":"watchlist","timeframes":["d1"]}"#).await;
    again.until_told_of(&["d1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_end_when_the_server_stops_and_do_not_hold_it_up() {
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("log");
    let served = Served::start_with(|command| {
        command.env("BARKEEP_LOG", "info").stderr(std::fs::File::create(&log).unwrap());
    })
    .await;
    let mut events = Events::open(&served.up, &served.anon_key).await;
    let Served { up, place, database, .. } = served;
    let stopped = tokio::task::spawn_blocking(move || up.stop());
    while events.next().await.is_some() {}
    assert!(stopped.await.unwrap().success());
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("Stopped") && !log.contains("did not end"), "{log}");
    drop((place, database));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_listening_connection_lost_news_still_comes() {
    // Through a pooler nobody listens.
    if crate::is_pooled() {
        return;
    }
    let served = Served::start_with(|command| {
        command.env("BARKEEP_LOG", "off");
    })
    .await;
    let mut events = Events::open(&served.up, &served.anon_key).await;
    let ended: Vec<bool> = sqlx::query_scalar(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and query ilike 'listen%'",
    )
    .fetch_all(&mut served.sql().await)
    .await
    .unwrap();
    assert_eq!(ended, [true], "one connection listens");
    assert_eq!(served.up.sync(&served.anon_key, KO).await.0, 200);
    events.until_told_of(&["m15", "h1", "h4"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_notification_told_of_is_found_all_the_same() {
    let served = Served::start().await;
    served.up.sync(&served.anon_key, KO).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    let mut events = Events::open(&served.up, &served.anon_key).await;
    let changed = sqlx::query(
        "update coverage_status set last_rows_written = 4711, updated_at = clock_timestamp()
        where symbol = 'KO' and timeframe = 'h4'",
    )
    .execute(&mut served.sql().await)
    .await
    .unwrap();
    assert_eq!(changed.rows_affected(), 1);
    while !events.bars().await.iter().any(|s| s["timeframe"] == "h4" && s["rows_written"] == 4711) {}
}
