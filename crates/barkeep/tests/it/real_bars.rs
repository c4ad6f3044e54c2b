//! Minutes in, and every stored bar is what somebody else makes of the same minutes.

use std::{
    collections::BTreeMap,
    io::BufRead as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    data::{made_up, shared},
    running::{Place, quiet_database},
};

/// A folder of minutes, and what is to come of them. All sessions are in summer time, four hours behind UTC.
struct Case {
    folder: PathBuf,
    symbols: [&'static str; 3],
    as_of: &'static str,
    /// Its sessions are in the months that begin so.
    month: &'static str,
    half_day: &'static str,
    /// How many m15, h1 and h4 each symbol has.
    counts: [usize; 3],
}

/// The project's own minutes: of five sessions one is a half day.
fn own() -> Case {
    Case {
        folder: made_up("m1"),
        symbols: ["ALFA", "BRVO", "CHRL"],
        as_of: "2025-07-09T00:00:00Z",
        month: "2025-07",
        half_day: "2025-07-03",
        counts: [4 * 26 + 14, 4 * 7 + 4, 4 * 2 + 1],
    }
}

/// Real ones, of six sessions, where they are.
fn real() -> Option<Case> {
    Some(Case {
        folder: shared("realdata/m1")?,
        symbols: ["SPY", "IBM", "BAC"],
        as_of: "2013-10-12T00:00:00Z",
        month: "2013-10",
        half_day: "none",
        counts: [6 * 26, 6 * 7, 6 * 2],
    })
}

/// Start, open, high, low, close, volume of one bar.
type Row = (String, [f64; 5]);

/// The bars of New York's regular hours, made the plain way: each minute into the bucket that its distance from 09:30
/// names.
fn by_hand(case: &Case, minutes: &Path, step: i64) -> Vec<Row> {
    let mut buckets: BTreeMap<String, [f64; 5]> = BTreeMap::new();
    let file = std::io::BufReader::new(flate2::read::GzDecoder::new(std::fs::File::open(minutes).unwrap()));
    for line in file.lines().skip(1) {
        let line = line.unwrap();
        let cells: Vec<&str> = line.split(',').collect();
        let (day, time) = cells[0].split_once('T').unwrap();
        if !day.starts_with(case.month) {
            continue;
        }
        let clock: Vec<i64> = time.trim_end_matches('Z').split(':').map(|n| n.parse().unwrap()).collect();
        let since_open = clock[0] * 60 + clock[1] - (13 * 60 + 30);
        let lasts = if day == case.half_day { 210 } else { 390 };
        if !(0..lasts).contains(&since_open) {
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

async fn market(bars: &Path, as_of: &'static str) -> String {
    let mut settings = simulator::Settings::new(simulator::Source::Folder(bars.to_owned()));
    settings.clock = simulator::Clock::by(move || as_of.parse().unwrap());
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let simulator = simulator::Simulator::new(settings).unwrap();
    tokio::spawn(async move { simulator.serve(listener, tokio_util::sync::CancellationToken::new()).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn every_stored_bar_is_what_the_minutes_say() {
    for case in [Some(own()), real()].into_iter().flatten() {
        agrees(case).await;
    }
}

async fn agrees(case: Case) {
    let address = market(&case.folder, case.as_of).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    let backfill = || {
        let args = [&["backfill"], &case.symbols[..], &["--as-of", case.as_of, "--json"], &url].concat();
        let output = place.barkeep(&args).env("APCA_API_DATA_URL", &address).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let summary = backfill();
    assert_eq!(summary["rows"], 3 * case.counts.iter().sum::<usize>(), "{summary}");
    assert_eq!(summary["incomplete"], serde_json::json!([]), "{summary}");

    for symbol in case.symbols {
        for ((timeframe, step), count) in [("m15", 15), ("h1", 60), ("h4", 240)].into_iter().zip(case.counts) {
            let stored = exported(&place.printed(&["export", symbol, timeframe, url[0], url[1]]));
            let expected = by_hand(&case, &case.folder.join(format!("{symbol}.csv.gz")), step);
            assert_eq!(stored.len(), count, "{symbol} {timeframe}");
            assert_eq!(stored, expected, "{symbol} {timeframe}");
        }
    }

    // What came back empty is covered: nothing is asked for a second time.
    let again = backfill();
    assert_eq!((&again["requests"], &again["rows"]), (&0.into(), &0.into()), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_that_users_can_rerun_agrees() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/check_real_bars.py");
    if Command::new("python3").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs python3 for this test");
        eprintln!("left out: there is no python3");
        return;
    }
    for case in [Some(own()), real()].into_iter().flatten() {
        let (symbols, database) = (case.symbols.join(","), quiet_database().await);
        let output = Command::new("python3")
            .args([&script, Path::new(env!("CARGO_BIN_EXE_barkeep")), &case.folder])
            .args(["--as-of", case.as_of, "--symbols", &symbols, "--half-days", case.half_day])
            .env("DATABASE_URL", &database.url)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
