//! Real minutes in, and every stored bar is what somebody else makes of the same minutes.

use std::{collections::BTreeMap, io::BufRead as _, path::Path, process::Command};

use crate::running::{Place, shared};

const AS_OF: &str = "2013-10-12T00:00:00Z";

/// Start, open, high, low, close, volume of one bar.
type Row = (String, [f64; 5]);

/// The bars of New York's regular hours, made the plain way: each minute into the bucket that its distance from 09:30
/// names. October 2013 is summer time throughout, four hours behind UTC.
fn by_hand(minutes: &Path, step: i64) -> Vec<Row> {
    let mut buckets: BTreeMap<String, [f64; 5]> = BTreeMap::new();
    let file = std::io::BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(minutes).unwrap()));
    for line in file.lines().skip(1) {
        let line = line.unwrap();
        let cells: Vec<&str> = line.split(',').collect();
        let (day, time) = cells[0].split_once('T').unwrap();
        if !day.starts_with("2013-10") {
            continue;
        }
        let clock: Vec<i64> = time.trim_end_matches('Z').split(':').map(|n| n.parse().unwrap()).collect();
        let since_open = clock[0] * 60 + clock[1] - (13 * 60 + 30);
        if !(0..390).contains(&since_open) {
            continue;
        }
        let start = 13 * 60 + 30 + since_open / step * step;
        let key = format!("{day}T{:02}:{:02}:00Z", start / 60, start % 60);
        let n: Vec<f64> = cells[1..6].iter().map(|cell| cell.parse().unwrap()).collect();
        buckets
            .entry(key)
            .and_modify(|bar| {
                *bar = [bar[0], bar[1].max(n[1]), bar[2].min(n[2]), n[3], bar[4] + n[4]];
            })
            .or_insert([n[0], n[1], n[2], n[3], n[4]]);
    }
    buckets.into_iter().collect()
}

fn exported(csv: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader
        .records()
        .map(|record| {
            let record = record.unwrap();
            (record[0].to_owned(), std::array::from_fn(|i| record[i + 1].parse().unwrap()))
        })
        .collect()
}

async fn market(bars: &Path) -> String {
    let mut settings = simulator::Settings::new(simulator::Source::Folder(bars.to_owned()));
    settings.clock = simulator::Clock::by(|| AS_OF.parse().unwrap());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let simulator = simulator::Simulator::new(settings).unwrap();
    tokio::spawn(async move { simulator.serve(listener, tokio_util::sync::CancellationToken::new()).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stored_bar_is_what_the_minutes_say() {
    let Some(bars) = shared("realdata/m1") else { return };
    let address = market(&bars).await;
    let place = Place::new();
    let output = place
        .barkeep(&["backfill", "SPY", "IBM", "BAC", "--as-of", AS_OF, "--json"])
        .env("APCA_API_DATA_URL", &address)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // Six sessions of the calendar: 26, 7 and 2 bars each, for three symbols.
    assert_eq!(summary["rows"], 3 * 6 * (26 + 7 + 2), "{summary}");
    assert_eq!(summary["incomplete"], serde_json::json!([]), "{summary}");

    for symbol in ["SPY", "IBM", "BAC"] {
        for (timeframe, step, count) in [("m15", 15, 156), ("h1", 60, 42), ("h4", 240, 12)] {
            let stored = exported(&place.printed(&["export", symbol, timeframe]));
            let expected = by_hand(&bars.join(format!("{symbol}.csv.gz")), step);
            assert_eq!(stored.len(), count, "{symbol} {timeframe}");
            assert_eq!(stored, expected, "{symbol} {timeframe}");
        }
    }

    // What came back empty is covered: nothing is asked for a second time.
    let again = place
        .barkeep(&["backfill", "SPY", "IBM", "BAC", "--as-of", AS_OF, "--json"])
        .env("APCA_API_DATA_URL", &address)
        .output()
        .unwrap();
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!((&again["requests"], &again["rows"]), (&0.into(), &0.into()), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_that_users_can_rerun_agrees() {
    let Some(bars) = shared("realdata/m1") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check_real_bars.py");
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs python3 for this test");
        eprintln!("left out: there is no python3");
        return;
    }
    let output = Command::new("python3").arg(script).arg(env!("CARGO_BIN_EXE_barkeep")).arg(bars).output().unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
