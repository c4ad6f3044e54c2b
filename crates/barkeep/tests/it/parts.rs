//! `serve`, `plan` and `work` as processes of their own on one database: nothing is done twice.

use std::{collections::BTreeMap, process::Command, time::Duration};

use sqlx::{Connection as _, PgConnection};
use testkit::TestDatabase;

use crate::running::{Market, Part, Place, Up, eventually, finished, http, quiet_database};

pub(crate) const AS_OF: &str = "2026-06-18T23:00:00Z";
pub(crate) const SYMBOLS: [&str; 8] = ["KO", "PEP", "IBM", "BA", "GE", "SPY", "DIS", "BTC-USD"];

/// A database, a provider, and a place for each process, as if each had a machine of its own.
pub(crate) struct Site {
    pub(crate) market: Market,
    database: TestDatabase,
    places: Vec<Place>,
}

impl Site {
    pub(crate) async fn new(change: impl FnOnce(&mut simulator::Settings)) -> Self {
        let mut settings = Market::settings(AS_OF);
        change(&mut settings);
        Self { market: Market::start(settings).await, database: quiet_database().await, places: Vec::new() }
    }

    fn command(&mut self, args: &[&str]) -> Command {
        let place = Place::new();
        let mut command = place.barkeep(&[args, &["--database-url", &self.database.url]].concat());
        command.env("APCA_API_DATA_URL", self.market.url());
        self.places.push(place);
        command
    }

    pub(crate) fn part(&mut self, args: &[&str]) -> Part {
        let command = self.command(args);
        Part::start(command)
    }

    pub(crate) async fn track(&mut self, symbols: &[&str]) {
        let command = self.command(&[&["track", "--user", "a@example.com"], symbols].concat());
        assert!(finished(command).await.status.success());
    }

    pub(crate) async fn sql(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    pub(crate) async fn runs_by_status(&self) -> BTreeMap<String, i64> {
        let counted: Vec<(String, i64)> = sqlx::query_as("select status, count(*) from job_runs group by status")
            .fetch_all(&mut self.sql().await)
            .await
            .unwrap();
        counted.into_iter().collect()
    }

    pub(crate) async fn until_all_is_done(&self) {
        eventually("all runs are done", async || {
            let runs = self.runs_by_status().await;
            (runs.len() == 1 && runs.contains_key("success")).then_some(())
        })
        .await;
    }

    /// Requests for bars, each as sent.
    pub(crate) fn asked(&self) -> Vec<String> {
        let seen = self.market.simulator.seen();
        seen.into_iter().map(|seen| seen.uri).filter(|uri| uri.contains("/bars")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_planners_and_four_workers_do_no_work_twice() {
    let mut site = Site::new(|settings| settings.latency = Duration::from_millis(50)).await;
    let _planners: Vec<Part> = (0..2).map(|_| site.part(&["plan", "--as-of", AS_OF])).collect();
    let _workers: Vec<Part> = (0..4).map(|_| site.part(&["work"])).collect();
    let server = Up::spawn(site.command(&["serve"]));
    server.wait_until_ready().await;
    site.track(&SYMBOLS).await;
    eventually("there are runs", async || (!site.runs_by_status().await.is_empty()).then_some(())).await;
    site.until_all_is_done().await;

    let twice: Vec<(String, String)> = sqlx::query_as(
        "select a.symbol, a.timeframe from job_runs a join job_runs b on b.job_def_id = a.job_def_id and b.id > a.id
            and b.slice_from < a.slice_to and b.slice_to > a.slice_from",
    )
    .fetch_all(&mut site.sql().await)
    .await
    .unwrap();
    assert_eq!(twice, [], "slices overlap");
    let tries: Vec<(i32, i32)> = sqlx::query_as("select distinct attempt, failures from job_runs")
        .fetch_all(&mut site.sql().await)
        .await
        .unwrap();
    assert_eq!(tries, [(1, 0)]);
    let mut asked = site.asked();
    let requests: i64 = sqlx::query_scalar("select sum(requests)::bigint from job_runs")
        .fetch_one(&mut site.sql().await)
        .await
        .unwrap();
    assert_eq!(usize::try_from(requests).unwrap(), asked.len(), "each request is counted once");
    asked.sort();
    let all = asked.len();
    asked.dedup();
    assert_eq!(asked.len(), all, "the same was asked for twice");

    // All of them are seen, each for what it is.
    let mut command = site.command(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let mut parts: Vec<String> =
        status["processes"].as_array().unwrap().iter().map(|p| p["parts"][0].as_str().unwrap().to_owned()).collect();
    parts.sort();
    assert_eq!(parts, ["plan", "plan", "serve", "work", "work", "work", "work"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_planner_says_so_and_finds_one_when_it_comes() {
    let mut site = Site::new(|_| {}).await;
    let server = Up::spawn(site.command(&["serve"]));
    eventually("it answers", async || http::get(server.url("/healthz")).await.ok()).await;
    let ready = http::get(server.url("/readyz")).await.unwrap();
    assert_eq!(ready.status(), 503);
    let keys: serde_json::Value = serde_json::from_str(&site.places[0].printed(&["keys", "--json"])).unwrap();
    let tick = async || {
        let answer = http::client()
            .post(server.url("/functions/v1/orchestrator?action=tick"))
            .bearer_auth(keys["service_role_key"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json::<serde_json::Value>().await.unwrap())
    };
    let (status, answer) = tick().await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("barkeep plan"), "{answer}");
    let _planner = site.part(&["plan", "--as-of", AS_OF]);
    server.wait_until_ready().await;
    assert_eq!(tick().await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_stop_each_part_ends_whatever_it_is_at_and_nothing_has_to_be_cut_off() {
    let mut site = Site::new(|settings| settings.faults = vec!["hang=1".parse().unwrap()]).await;
    let logs = tempfile::tempdir().unwrap();
    let mut logged = |args: &[&str]| {
        let mut command = site.command(args);
        let log = std::fs::File::create(logs.path().join(args[0])).unwrap();
        command.env("BARKEEP_LOG", "info").stderr(log);
        command
    };
    let planner = Part::start(logged(&["plan", "--as-of", AS_OF]));
    let worker = Part::start(logged(&["work"]));
    let server = Up::spawn(logged(&["serve"]));
    server.wait_until_ready().await;
    site.track(&["KO"]).await;
    eventually("a request hangs", async || (!site.asked().is_empty()).then_some(())).await;
    // Somebody listens to the end.
    let token = site.places[2].printed(&["token", "--user", "a@example.com", "--database-url", &site.database.url]);
    let listening = http::client().get(server.url("/api/v1/events")).bearer_auth(token.trim()).send().await.unwrap();
    assert_eq!(listening.status(), 200);
    for ended in [planner.stop(), worker.stop(), server.stop()] {
        assert!(ended.success(), "{ended}");
    }
    drop(listening);
    // That the limits of an end add up to less than ten seconds is checked where they are; here none was needed.
    for part in ["plan", "work", "serve"] {
        let log = std::fs::read_to_string(logs.path().join(part)).unwrap();
        assert!(log.contains("Stopped") && !log.contains("did not end") && !log.contains("still in use"), "{log}");
    }
    // What was under way is back in the queue for whoever comes next, with nothing held against it.
    let runs: Vec<(String, i32, i32)> = sqlx::query_as("select distinct status, attempt, failures from job_runs")
        .fetch_all(&mut site.sql().await)
        .await
        .unwrap();
    assert_eq!(runs, [("queued".to_owned(), 0, 0)]);
    let left: i64 =
        sqlx::query_scalar("select count(*) from barkeep.processes").fetch_one(&mut site.sql().await).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_is_at_work_like_any_other_and_its_clock_is_not_changed_under_it() {
    let mut site = Site::new(|settings| settings.latency = Duration::from_secs(3)).await;
    let command = site.command(&["backfill", "KO", "PEP", "--as-of", AS_OF]);
    let backfill = tokio::spawn(finished(command));
    eventually("it asks for bars", async || (!site.asked().is_empty()).then_some(())).await;
    let mut status = site.command(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.output().unwrap().stdout).unwrap();
    assert_eq!(status["processes"][0]["parts"], serde_json::json!(["backfill"]));
    let planner = site.command(&["plan", "--as-of", "2026-01-02T00:00:00Z"]);
    let refused = finished(planner).await;
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another market clock"));
    assert!(backfill.await.unwrap().status.success());
    let left: i64 =
        sqlx::query_scalar("select count(*) from barkeep.processes").fetch_one(&mut site.sql().await).await.unwrap();
    assert_eq!(left, 0, "it says that it ends");
}
