//! `refetch`: what is stored is fetched anew, and what has changed is told.

use std::process::Command;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Place, finished, quiet_database};

const AS_OF: &str = "2026-06-18T23:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spoilt_is_replaced_and_told_and_what_cannot_be_fetched_stays_as_it_was() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let command = |args: &[&str]| -> Command {
        let mut command = place.barkeep(&[args, &["--as-of", AS_OF, "--database-url", &database.url]].concat());
        command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_LOG", "off");
        command
    };
    let export = |timeframe: &str| place.printed(&["export", "KO", timeframe, "--database-url", &database.url]);

    let output = finished(command(&["refetch", "KO"])).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("nothing of KO is stored there"), "{said}");

    assert!(finished(command(&["backfill", "KO", "--timeframes", "h1,d1", "--days", "60"])).await.status.success());
    let (hours, days) = (export("h1"), export("d1"));
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    // Ten times too high, gone, and one that nobody knows.
    for spoil in [
        "update ohlc_bars_v2 set high = high * 10, close = close * 10 where timeframe = 'h1' and ts >= '2026-06-18T17:30Z'",
        "delete from ohlc_bars_v2 where timeframe = 'h1' and ts = '2026-06-11T15:30Z'",
        "update ohlc_bars_v2 set ts = '2026-06-15T02:30Z' where timeframe = 'h1' and ts = '2026-06-12T15:30Z'",
    ] {
        assert!(sqlx::query(spoil).execute(&mut sql).await.unwrap().rows_affected() > 0, "{spoil}");
    }
    let output = finished(command(&["refetch", "KO", "--timeframes", "h1", "--from", "2026-06-01", "--json"])).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let one = &report[0];
    let counts = ["changed", "added", "removed", "kept"].map(|name| one[name].as_i64().unwrap());
    assert_eq!((counts, &one["timeframe"]), ([3, 2, 1, 0], &"h1".into()), "{report}");
    assert_eq!((export("h1"), export("d1")), (hours.clone(), days.clone()));

    market.simulator.set_faults(vec!["5xx=1".parse().unwrap()]).unwrap();
    let output = finished(command(&["refetch", "KO", "--patience", "2s"])).await;
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("could not be fetched and are as they were"), "{told}");
    assert_eq!((export("h1"), export("d1")), (hours, days));
}
