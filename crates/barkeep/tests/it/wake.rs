//! What is missing is found, at once or with the next tick; and a tick that finds nothing touches nothing.

use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Served, eventually};

/// A Saturday.
const WEEKEND: &str = "2026-06-20T15:00:00Z";
const EVENING: &str = "2026-06-18T23:00:00Z";

async fn served(market: &Market, as_of: &str, notify: &str) -> Served {
    Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_NOTIFY", notify).args(["--as-of", as_of]);
    })
    .await
}

/// Every row of the tables that a tick may write, but for the heartbeat.
async fn everything(sql: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select 'd' || xmin::text || d::text from job_definitions d
        union all select 'r' || xmin::text || r::text from job_runs r
        union all select 'c' || xmin::text || c::text from coverage_status c
        union all select 's' || xmin::text || s::text from symbols s
        union all select 't' || xmin::text || t::text from user_symbol_tracking t
        union all select 'e' || xmin::text || e::text from barkeep.empty_sessions e
        order by 1",
    )
    .fetch_all(sql)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_notifications_off_everything_happens_all_the_same() {
    let market = Market::start(Market::settings(EVENING)).await;
    let served = served(&market, EVENING, "off").await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    // Interest that another process has brought.
    served.place.printed(&["track", "PEP", "--user", "a@example.com", "--database-url", &served.database.url]);
    served.up.until(&served.token("a@example.com"), "PEP", "complete").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_ticks_on_a_weekend_create_nothing_and_touch_nothing() {
    let market = Market::start(Market::settings(WEEKEND)).await;
    let served = served(&market, WEEKEND, "on").await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO","ZZTOP"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    served.up.until(&served.anon_key, "ZZTOP", "unknown").await;
    served.until_idle().await;
    let mut sql = served.sql().await;
    let (rows, requests) = (everything(&mut sql).await, market.simulator.stats().total());
    assert!(rows.len() > 10);
    for _ in 0..10 {
        let answer = served.tick().await;
        assert_eq!(answer["results"]["slices_created"], 0, "{answer}");
        assert_eq!(answer["results"]["errors"], serde_json::json!([]), "{answer}");
    }
    assert_eq!(everything(&mut sql).await, rows, "not a row was rewritten");
    assert_eq!(market.simulator.stats().total(), requests, "nothing was asked for: not what is unknown either");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interior_session_deleted_with_its_coverage_is_just_that_gap_and_the_next_tick_heals_it() {
    let market = Market::start(Market::settings(EVENING)).await;
    let served = served(&market, EVENING, "off").await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    served.until_idle().await;
    let mut sql = served.sql().await;
    let bars = "select count(*) from ohlc_bars_v2 o join symbols s on s.id = o.symbol_id
        where s.ticker = 'KO' and o.timeframe = 'm15' and o.ts >= '2026-06-10' and o.ts < '2026-06-11'";
    assert_eq!(sqlx::query_scalar::<_, i64>(bars).fetch_one(&mut sql).await.unwrap(), 26);
    // The planner must not be faster than the look at the gap.
    let mut tx = sql.begin().await.unwrap();
    for statement in [
        "delete from ohlc_bars_v2 o using symbols s where s.id = o.symbol_id and s.ticker = 'KO'
            and o.timeframe = 'm15' and o.ts >= '2026-06-10' and o.ts < '2026-06-11'",
        "update coverage_status
        set covered = covered - '{[2026-06-10 13:30:00+00,2026-06-10 20:00:00+00)}'::tstzmultirange
        where symbol = 'KO' and timeframe = 'm15'",
    ] {
        sqlx::query(statement).execute(&mut *tx).await.unwrap();
    }
    let gaps: Vec<(String, String)> =
        sqlx::query_as("select gap_from::text, gap_to::text from get_coverage_gaps('KO', 'm15', 30)")
            .fetch_all(&mut *tx)
            .await
            .unwrap();
    assert_eq!(gaps, [("2026-06-10 13:30:00+00".to_owned(), "2026-06-10 20:00:00+00".to_owned())]);
    let requests = market.simulator.stats().total();
    tx.commit().await.unwrap();
    served.tick().await;
    eventually("it is healed", async || {
        let mut sql = served.sql().await;
        (sqlx::query_scalar::<_, i64>(bars).fetch_one(&mut sql).await.unwrap() == 26).then_some(())
    })
    .await;
    assert_eq!(market.simulator.stats().total(), requests + 1, "for that session alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_back_empty_is_asked_for_once_more_and_then_never_again() {
    // A symbol that trades only from some day on: the folder has nothing before.
    let folder = tempfile::tempdir().unwrap();
    let minutes: String = (0..390)
        .map(|n| {
            let at: jiff::Timestamp = "2026-06-18T13:30:00Z".parse().unwrap();
            format!("{},10,10,10,10,100\n", at + jiff::SignedDuration::from_mins(n))
        })
        .collect();
    std::fs::write(folder.path().join("IPO.csv"), format!("ts_utc,open,high,low,close,volume\n{minutes}")).unwrap();
    let mut settings = Market::settings(EVENING);
    settings.source = simulator::Source::Folder(folder.path().to_owned());
    let market = Market::start(settings).await;
    let served = served(&market, EVENING, "on").await;
    served.up.sync(&served.anon_key, r#"{"symbols":["IPO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "IPO", "complete").await;
    served.until_idle().await;
    let asked = market.simulator.stats().total();
    for _ in 0..3 {
        served.tick().await;
    }
    assert_eq!(market.simulator.stats().total(), asked, "a range answered with nothing is not asked for again");
    // A day later whole empty sessions are asked for once more, and then believed.
    let mut sql = served.sql().await;
    let a_day_later = "update barkeep.empty_sessions set recheck_at = recheck_at - interval '25 hours'";
    assert!(sqlx::query(a_day_later).execute(&mut sql).await.unwrap().rows_affected() > 0);
    sqlx::query("update job_definitions set next_due_at = 'epoch'").execute(&mut sql).await.unwrap();
    served.tick().await;
    eventually("they were asked for once more", async || {
        let left: i64 = sqlx::query_scalar(
            "select (select count(*) from barkeep.empty_sessions)
                + (select count(*) from job_runs where status in ('queued', 'running'))",
        )
        .fetch_one(&mut served.sql().await)
        .await
        .unwrap();
        (left == 0).then_some(())
    })
    .await;
    let twice = market.simulator.stats().total();
    assert!(twice > asked);
    sqlx::query("update job_definitions set next_due_at = 'epoch'").execute(&mut sql).await.unwrap();
    served.tick().await;
    assert_eq!(market.simulator.stats().total(), twice, "believed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_misspelt_ticker_ends_as_unknown_after_one_look_at_the_asset_list() {
    let market = Market::start(Market::settings(EVENING)).await;
    let served = served(&market, EVENING, "on").await;
    served.up.sync(&served.anon_key, r#"{"symbols":["ZZPL"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "ZZPL", "unknown").await;
    served.until_idle().await;
    assert_eq!(market.simulator.stats().to("/v2/assets/{symbol}"), 1);
    let asked = market.simulator.stats().total();
    for _ in 0..5 {
        served.tick().await;
    }
    assert_eq!(market.simulator.stats().total(), asked, "it costs nothing on later ticks");
    let (_, runs) = served.up.get(&served.anon_key, "/api/v1/runs?symbol=ZZPL").await;
    assert_eq!(runs["totals"]["failed"], 0, "{runs}");
    assert_eq!(runs["totals"]["suspended"], 3, "{runs}");
}
