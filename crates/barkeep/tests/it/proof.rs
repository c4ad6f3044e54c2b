//! `verify`: what is stored is right, or it is said what isn't.

use serde_json::Value;

use crate::running::{Market, Place, finished, quiet_database};

const AS_OF: &str = "2026-06-18T23:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_right_is_found_good_and_each_wrong_bar_is_named() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let run = async |args: &[&str]| {
        let mut command = place.barkeep(&[args, &["--database-url", &database.url]].concat());
        command.env("APCA_API_DATA_URL", market.url());
        finished(command).await
    };
    let timeframes = ["--timeframes", "m15,h1,h4,d1,w1", "--as-of", AS_OF];
    assert!(run(&[&["backfill", "KO", "BTC-USD"], &timeframes[..]].concat()).await.status.success());
    let verify = async |args: &[&str]| {
        let output = run(&[&["verify", "--json"], args].concat()).await;
        let text = String::from_utf8(output.stdout).unwrap();
        let reports: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(text.matches("\"timeframe\"").count(), reports.len(), "no key stands twice");
        (output.status.success(), reports)
    };
    let (good, reports) = verify(&[]).await;
    assert!(good, "{reports:?}");
    assert_eq!(reports.len(), 10);
    for report in &reports {
        assert_eq!(report["findings"], serde_json::json!([]), "{report}");
        assert!(report["sampled"].as_u64() > Some(0) && report["expected"] == report["stored"], "{report}");
    }

    // One of each kind, by hand.
    let sql = |statement: &str| {
        let printed = std::process::Command::new("psql").args([&database.url, "-qAtc", statement]).output();
        printed.is_ok_and(|output| output.status.success())
    };
    let of = "symbol_id = (select id from public.symbols where ticker = 'KO')";
    if !sql("select 1") {
        assert!(std::env::var_os("CI").is_none(), "no psql");
        eprintln!("left out, for want of psql: what verify finds");
        return;
    }
    let newest = format!("(select max(ts) from public.ohlc_bars_v2 where {of} and timeframe = 'm15')");
    for statement in [
        format!("update public.ohlc_bars_v2 set close = close + 0.01 where {of} and timeframe = 'm15' and ts = {newest}"),
        format!("delete from public.ohlc_bars_v2 where {of} and timeframe = 'm15' and ts = {newest} - interval '15 minutes'"),
        format!(
            "update public.ohlc_bars_v2 set high = low - 1 where {of} and timeframe = 'd1'
            and ts = (select min(ts) from public.ohlc_bars_v2 where {of} and timeframe = 'd1')"
        ),
        format!(
            "update public.ohlc_bars_v2 set open = open / 2, high = high / 2, low = low / 2, close = close / 2
            where {of} and timeframe = 'h4' and ts >= '2026-01-02'"
        ),
        format!(
            "insert into public.ohlc_bars_v2 select symbol_id, timeframe, ts + interval '7 minutes', open, high, low, close,
                volume, vwap, trade_count, provider from public.ohlc_bars_v2 where {of} and timeframe = 'h1'
            order by ts desc limit 1"
        ),
    ] {
        assert!(sql(&statement), "{statement}");
    }
    let (good, reports) = verify(&["KO"]).await;
    assert!(!good);
    let kinds = |timeframe: &str| {
        let report = reports.iter().find(|report| report["timeframe"] == timeframe).unwrap();
        let findings = report["findings"].as_array().unwrap();
        let mut kinds: Vec<&str> = findings.iter().map(|finding| finding["kind"].as_str().unwrap()).collect();
        kinds.dedup();
        kinds
    };
    assert_eq!(kinds("m15"), ["differs", "missing"]);
    assert!(kinds("h1").contains(&"off_grid"), "{:?}", kinds("h1"));
    assert!(kinds("h1").contains(&"not_the_sum"), "its parts were changed: {:?}", kinds("h1"));
    assert!(kinds("h4").contains(&"jump") && kinds("h4").contains(&"differs"), "{:?}", kinds("h4"));
    assert!(kinds("d1").contains(&"impossible"), "{:?}", kinds("d1"));
    let told = run(&["verify", "KO", "--sessions", "0"]).await;
    assert!(String::from_utf8_lossy(&told.stdout).contains("PROBLEMS"));
}
