//! The present: bars that are forming are shown as such, and are final when their time has come.

use std::path::PathBuf;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::{
    data::{made_up, shared},
    running::{Hands, Market, Place, Served, eventually, finish, quiet_database},
};

/// The newest stored bar of KO's m15: start, whether it is final, volume.
async fn newest(served: &Served) -> Option<(String, bool, f64)> {
    sqlx::query_as(
        "select o.ts::text, o.data_status = 'final', o.volume from ohlc_bars_v2 o join symbols s on s.id = o.symbol_id
        where s.ticker = 'KO' and o.timeframe = 'm15' order by o.ts desc limit 1",
    )
    .fetch_optional(&mut served.sql().await)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bar_that_is_forming_is_provisional_and_becomes_final_when_its_time_has_come() {
    let as_of = "2026-06-18T15:22:00Z";
    let hands = Hands::at(as_of);
    let mut settings = Market::settings(as_of);
    settings.clock = hands.clock();
    let market = Market::start(settings).await;
    let served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", as_of]);
    })
    .await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"chart_view"}"#).await;
    let forming = eventually("there is a forming bar", async || newest(&served).await).await;
    assert_eq!((forming.0.as_str(), forming.1), ("2026-06-18 15:15:00+00", false), "minutes before its end");
    served.until_idle().await;
    hands.set(&served, "2026-06-18T15:32:00Z").await;
    // The planner would look within the minute.
    served.tick().await;
    let ended = eventually("it is final", async || {
        let rows: Vec<(bool, f64)> = sqlx::query_as(
            "select o.data_status = 'final', o.volume from ohlc_bars_v2 o join symbols s on s.id = o.symbol_id
            where s.ticker = 'KO' and o.timeframe = 'm15' and o.ts = '2026-06-18 15:15:00+00'",
        )
        .fetch_all(&mut served.sql().await)
        .await
        .unwrap();
        rows.into_iter().find(|(is_final, _)| *is_final)
    })
    .await;
    assert!(ended.1 >= forming.2, "its last minute came too: {} and {}", forming.2, ended.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn todays_bars_are_there_as_soon_as_they_have_ended_in_summer_and_in_winter() {
    // 14:31 in New York, an hour apart in UTC.
    for (as_of, open, last) in [
        ("2026-06-18T18:31:00Z", "2026-06-18 13:30:00+00", "2026-06-18 18:15:00+00"),
        ("2026-01-15T19:31:00Z", "2026-01-15 14:30:00+00", "2026-01-15 19:15:00+00"),
    ] {
        let market = Market::start(Market::settings(as_of)).await;
        let (place, database) = (Place::new(), quiet_database().await);
        let mut command =
            place.barkeep(&["backfill", "KO", "--json", "--as-of", as_of, "--database-url", &database.url]);
        command.env("APCA_API_DATA_URL", market.url());
        let output = tokio::task::spawn_blocking(move || finish(command)).await.unwrap();
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["incomplete"], serde_json::json!([]), "{summary}");
        let today: (String, String, i64) = sqlx::query_as(
            "select min(ts)::text, max(ts)::text, count(*) from ohlc_bars_v2
            where timeframe = 'm15' and data_status = 'final' and ts >= $1::timestamptz",
        )
        .bind(open)
        .fetch_one(&mut PgConnection::connect(&database.url).await.unwrap())
        .await
        .unwrap();
        assert_eq!(today, (open.to_owned(), last.to_owned(), 20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bars_across_a_split_are_stored_as_they_were_traded() {
    // Eight for one, effective on the eighth.
    let closes = last_closes(made_up("m1"), "SPLT", "2025-07-09T00:00:00Z").await;
    assert_eq!(closes.iter().map(|(day, _)| day.as_str()).collect::<Vec<_>>(), ["07-03", "07-07", "07-08"]);
    assert!(closes[0].1 > 630.0 && closes[1].1 > 630.0, "{closes:?}");
    assert!(closes[2].1 < 85.0, "{closes:?}");

    let Some(bars) = shared("realdata/m1") else { return };
    // Seven for one, effective on the ninth.
    let closes = last_closes(bars, "AAPL", "2014-06-10T00:00:00Z").await;
    assert_eq!(closes.iter().map(|(day, _)| day.as_str()).collect::<Vec<_>>(), ["06-05", "06-06", "06-09"]);
    assert!(closes[0].1 > 640.0 && closes[1].1 > 640.0, "{closes:?}");
    assert!(closes[2].1 < 100.0, "{closes:?}");
}

/// What is stored of a folder's minutes as of then: each day's last close.
async fn last_closes(bars: PathBuf, symbol: &str, as_of: &str) -> Vec<(String, f64)> {
    let mut settings = Market::settings(as_of);
    settings.source = simulator::Source::Folder(bars);
    let market = Market::start(settings).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let args = ["backfill", symbol, "--timeframes", "m15", "--as-of", as_of, "--database-url", &database.url];
    let mut command = place.barkeep(&args);
    command.env("APCA_API_DATA_URL", market.url());
    let output = tokio::task::spawn_blocking(move || finish(command)).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sqlx::query_as(
        "select to_char(ts at time zone 'America/New_York', 'MM-DD'), (array_agg(close order by ts desc))[1]
        from ohlc_bars_v2 group by 1 order by 1",
    )
    .fetch_all(&mut PgConnection::connect(&database.url).await.unwrap())
    .await
    .unwrap()
}
