//! Bars are stored as they were traded, across a split too.

use std::path::PathBuf;

use sqlx::{Connection as _, PgConnection};

use crate::{
    data::{made_up, shared},
    running::{Market, Place, finish, quiet_database},
};

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
