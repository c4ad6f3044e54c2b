//! A provider that fails in every way there is: what is stored in the end is what an undisturbed run stores, or nothing
//! and the reason.

use std::{process::Command, time::Duration};

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use testkit::TestDatabase;

use crate::running::{Market, Place, Served, Up, eventually, finish_within, quiet_database};

/// In the middle of a session, and of a bar of every timeframe.
const AS_OF: &str = "2026-06-18T15:37:00Z";

/// Five failures with all the waiting between them.
const LONG: Duration = Duration::from_secs(600);

/// A provider, and somebody who backfills from it.
struct Trial {
    market: Market,
    place: Place,
    database: TestDatabase,
}

impl Trial {
    async fn new(change: impl FnOnce(&mut simulator::Settings)) -> Self {
        let mut settings = Market::settings(AS_OF);
        change(&mut settings);
        Self { market: Market::start(settings).await, place: Place::new(), database: quiet_database().await }
    }

    async fn with_faults(faults: &str) -> Self {
        let faults = faults.split_whitespace().map(|fault| fault.parse().unwrap()).collect();
        Self::new(|settings| settings.faults = faults).await
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.barkeep(&[args, &["--database-url", &self.database.url]].concat());
        command.env("APCA_API_DATA_URL", self.market.url()).env("BARKEEP_LOG", "off");
        command
    }

    /// Exit code and summary.
    async fn backfill(&self, symbols: &[&str]) -> (Option<i32>, Value) {
        let command = self.command(&[&["backfill", "--json", "--as-of", AS_OF], symbols].concat());
        let output = tokio::task::spawn_blocking(move || finish_within(LONG, command)).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let summary = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no summary: {said}"));
        (output.status.code(), summary)
    }

    /// What is stored of KO and PEP, as `export` writes it.
    async fn rows(&self) -> String {
        let rows: Vec<String> = sqlx::query_scalar(
            r#"select concat_ws(',', to_char(ts at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'), open, high, low, close,
                volume, coalesce(vwap::text, ''), coalesce(trade_count::text, ''), provider,
                case data_status when 'final' then 'true' else 'false' end)
            from ohlc_bars_v2 join symbols on symbols.id = symbol_id where ticker in ('KO', 'PEP')
            order by ticker, timeframe, ts"#,
        )
        .fetch_all(&mut self.sql().await)
        .await
        .unwrap();
        rows.join("\n")
    }

    async fn sql(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }
}

/// The first answers never come: they are given up and asked for again.
#[tokio::test(flavor = "multi_thread")]
async fn what_hangs_is_given_up_and_asked_for_again() {
    let trial = Trial::with_faults("hang=1").await;
    let simulator = &trial.market.simulator;
    let (ended, ()) = tokio::join!(trial.backfill(&["KO", "PEP"]), async {
        eventually("it asks", async || (simulator.stats().to("/v2/stocks/bars") >= 3).then_some(())).await;
        simulator.set_faults(Vec::new()).unwrap();
    });
    assert_eq!(ended.0, Some(0));
    assert_eq!(ended.1["incomplete"], serde_json::json!([]));
    assert!(trial.rows().await.lines().count() > 2_500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_comes_right_ends_with_its_reason_and_stores_nothing_untrue() {
    // Side by side, since nearly all of it is waiting.
    tokio::join!(is_down(), is_insane_always());
}

/// A provider that answers nobody costs the runs nothing; who waits for it gives up after a while and says why, and every
/// surface says since when it fails.
async fn is_down() {
    let trial = Trial::with_faults("5xx=1").await;
    let (code, summary) = trial.backfill(&["KO", "--patience", "3s"]).await;
    assert_eq!((code, &summary["rows"]), (Some(1), &0.into()), "{summary}");
    let incomplete = summary["incomplete"].as_array().unwrap();
    assert_eq!(incomplete.len(), 3, "{summary}");
    for series in incomplete {
        assert_eq!(series["state"], "filling", "{series}");
    }
    assert!(
        incomplete.iter().any(|series| series["reason"].as_str().is_some_and(|given| given.contains("failed with 50")))
    );
    let mut sql = trial.sql().await;
    let runs: Vec<(String, i32, i32)> =
        sqlx::query_as("select distinct status, attempt, failures from job_runs").fetch_all(&mut sql).await.unwrap();
    assert_eq!(runs, [("queued".to_owned(), 0, 0)]);
    let asked = trial.market.simulator.stats().to("/v2/stocks/bars");
    assert!(asked <= 8, "{asked} requests in a few seconds");
    let status = trial.place.printed(&["status", "--database-url", &trial.database.url]);
    assert!(status.contains("market-sim FAILING since 20"), "{status}");

    trial.market.simulator.set_faults(Vec::new()).unwrap();
    assert_eq!(trial.backfill(&["KO"]).await.0, Some(0), "once it is over, the same command completes it");
}

/// An invalid bar is quarantined with its reason, and the others are stored.
async fn is_insane_always() {
    let (sound, spoilt) = (Trial::new(|_| {}).await, Trial::with_faults("insane=1").await);
    let ((sound_code, _), (code, summary)) = tokio::join!(sound.backfill(&["KO"]), spoilt.backfill(&["KO"]));
    assert_eq!(sound_code, Some(0));
    assert!(code.is_some(), "{summary}");
    let mut sql = spoilt.sql().await;
    let apart: Vec<(String, String)> =
        sqlx::query_as("select symbol, reason from barkeep.quarantined_bars").fetch_all(&mut sql).await.unwrap();
    assert!(
        !apart.is_empty() && apart.iter().all(|(symbol, reason)| symbol == "KO" && !reason.is_empty()),
        "{apart:?}"
    );
    let invalid: i64 = sqlx::query_scalar(
        "select count(*) from ohlc_bars_v2
        where high < greatest(open, close, low) or low > least(open, close) or low <= 0 or volume < 0",
    )
    .fetch_one(&mut sql)
    .await
    .unwrap();
    assert_eq!(invalid, 0);
    let stored = |trial: &Trial, timeframe: &str| {
        let printed = trial.place.printed(&["export", "KO", timeframe, "--database-url", &trial.database.url]);
        printed.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let mut left_out = 0;
    for timeframe in ["m15", "h1", "h4"] {
        let (sound, spoilt) = (stored(&sound, timeframe), stored(&spoilt, timeframe));
        left_out += sound.len() - spoilt.len();
        assert!(spoilt.is_subset(&sound), "{timeframe}: what is stored is true");
    }
    assert!((1..10).contains(&left_out), "{left_out} bars left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_429_is_waited_out_by_all_workers_and_spends_no_attempt() {
    let trial = Trial::with_faults("throttle:3=1").await;
    let simulator = &trial.market.simulator;
    let ((code, _), told) = tokio::join!(trial.backfill(&["KO", "PEP"]), async {
        eventually("it is told to wait", async || (simulator.stats().throttled > 0).then_some(())).await;
        // Those that were under way when the first was told to wait.
        eventually("nothing is under way", async || {
            let under_way: i64 = sqlx::query_scalar("select count(*) from barkeep.budget_requests")
                .fetch_one(&mut trial.sql().await)
                .await
                .unwrap();
            (under_way == 0).then_some(())
        })
        .await;
        let told = simulator.seen().len();
        simulator.set_faults(Vec::new()).unwrap();
        told
    });
    assert_eq!(code, Some(0));
    let seen = simulator.seen();
    let waited = seen[told].at - seen[told - 1].at;
    assert!(waited >= Duration::from_millis(2_500), "asked again after {waited:?}");
    assert!(simulator.stats().throttled <= 5, "{:?}", simulator.stats());
    let runs: Vec<(String, i32, i32)> = sqlx::query_as("select status, attempt, failures from job_runs")
        .fetch_all(&mut trial.sql().await)
        .await
        .unwrap();
    assert!(runs.iter().all(|run| *run == ("success".to_owned(), 1, 0)), "{runs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_not_there_or_goes_away_is_waited_for() {
    // Taken until the provider comes up, so that nobody else listens there.
    let taken = tokio::net::TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = taken.local_addr().unwrap();
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", format!("http://{address}")).env("BARKEEP_LOG", "off");
        command.args(["--as-of", AS_OF]);
    })
    .await;
    let (up, anon): (&Up, &str) = (&served.up, &served.anon_key);
    let (status, ready) = up.get(anon, "/readyz").await;
    assert_eq!((status, &ready["provider"]["state"]), (200, &"unreachable".into()), "{ready}");
    assert!(ready["provider"]["reason"].as_str().unwrap().contains(&address.to_string()), "{ready}");
    assert_eq!(up.sync(anon, r#"{"symbols":["KO"],"source":"watchlist"}"#).await.0, 200);

    let settings = || {
        let mut settings = Market::settings(AS_OF);
        settings.latency = Duration::from_millis(200);
        settings
    };
    drop(taken);
    let market = Market::start_at(address, settings()).await;
    up.until(anon, "KO", "complete").await;

    assert_eq!(up.sync(anon, r#"{"symbols":["PEP","IBM","BA"],"source":"watchlist"}"#).await.0, 200);
    let before = market.simulator.stats().total();
    eventually("it is fetching", async || (market.simulator.stats().total() > before).then_some(())).await;
    drop(market);
    eventually("the port is free", async || tokio::net::TcpListener::bind(address).await.ok().map(drop)).await;
    eventually("it is known to fail", async || {
        let failed: i64 = sqlx::query_scalar("select count(*) from barkeep.provider_health where failures > 0")
            .fetch_one(&mut served.sql().await)
            .await
            .unwrap();
        (failed > 0).then_some(())
    })
    .await;
    eventually("it says since when", async || {
        let (_, ready) = up.get(anon, "/readyz").await;
        ready["provider"]["since"].as_str().is_some().then_some(())
    })
    .await;
    let _market = Market::start_at(address, settings()).await;
    for symbol in ["PEP", "IBM", "BA"] {
        up.until(anon, symbol, "complete").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plan_holds_back_is_not_final_and_not_asked_for_again_and_again() {
    let trial = Trial::new(|settings| settings.delay = jiff::SignedDuration::from_mins(15)).await;
    let (code, summary) = trial.backfill(&["KO", "PEP"]).await;
    assert_eq!((code, &summary["incomplete"]), (Some(0), &serde_json::json!([])));
    let spent = trial.market.simulator.stats().to("/v2/stocks/bars");
    assert!(spent <= 30, "{spent} requests");
    for line in trial.rows().await.lines().filter(|line| line.ends_with(",true")) {
        assert!(*line < *"2026-06-18T15:15:00Z", "final before its time: {line}");
    }
    let newest: String =
        sqlx::query_scalar("select max(ts)::text from ohlc_bars_v2 where timeframe = 'm15' and data_status = 'final'")
            .fetch_one(&mut trial.sql().await)
            .await
            .unwrap();
    assert!(newest.starts_with("2026-06-18 15:00:00"), "all that has been free for long is there: {newest}");

    let up = Up::start(trial.command(&["up", "--as-of", AS_OF])).await;
    let keys: Value = serde_json::from_str(&trial.place.printed(&["keys", "--json"])).unwrap();
    let anon = keys["anon_key"].as_str().unwrap();
    // Each wakes the planner anew, which has nothing to ask of those before.
    for symbol in ["KO", "PEP", "IBM"] {
        let body = format!(r#"{{"symbols":["{symbol}"],"source":"watchlist"}}"#);
        assert_eq!(up.sync(anon, &body).await.0, 200);
        up.until(anon, symbol, "complete").await;
    }
    let more = trial.market.simulator.stats().total() - spent;
    assert!(more <= 30, "{more} more requests");
    assert!(up.stop().success());
}
