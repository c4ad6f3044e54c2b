//! Folders of minutes: the project's own, which are made up, and real ones, where there are any.

use std::path::PathBuf;

use market::{Bar, Calendar, Grid, Timeframe, resample};
use serde_json::json;
use simulator::{Clock, Settings, SimError, Simulator, Source};

use crate::server::{Bars, Server, at, number, starts};

/// The server that serves that folder.
async fn serve(folder: PathBuf, now: &str) -> Server {
    let clock = Clock::starting_at(at(now));
    Server::start(Settings { clock, requests_per_minute: 100_000, ..Settings::new(Source::Folder(folder)) }).await
}

/// The project's own minutes, as `tests/data/README.md` describes them.
async fn made_up() -> Server {
    serve(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/m1")), "2025-12-31T00:00:00Z").await
}

/// Those beside the project, where they are.
async fn real() -> Option<Server> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/realdata/m1"));
    if folder.is_dir() { Some(serve(folder, "2023-12-31T00:00:00Z").await) } else { None }
}

/// How many quarters of an hour each symbol has, as asked.
async fn quarters(server: &Server, symbols: &str, from: &str, to: &str) -> Vec<(String, usize)> {
    let path = format!("/v2/stocks/bars?symbols={symbols}&timeframe=15Min&start={from}&end={to}");
    server.bars(&path).await.into_iter().map(|(symbol, bars)| (symbol, bars.len())).collect()
}

#[tokio::test]
async fn a_session_has_26_quarters_a_half_day_14_and_minutes_come_back_as_they_are() {
    let server = made_up().await;
    let each = |count| ["ALFA", "BRVO", "CHRL"].map(|symbol| (symbol.to_owned(), count)).to_vec();
    let symbols = "ALFA,BRVO,CHRL,MSFT";
    let of = async |day: &str, last: &str| {
        quarters(&server, symbols, &format!("{day}T13:30:00Z"), &format!("{day}T{last}Z")).await
    };
    assert_eq!(of("2025-07-01", "19:59:59").await, each(26));
    assert_eq!(of("2025-07-03", "16:59:59").await, each(14));
    let minute = "timeframe=1Min&start=2025-07-01T13:30:00Z&end=2025-07-01T13:30:00Z";
    let sent = server.bars(&format!("/v2/stocks/bars?symbols=ALFA&{minute}")).await;
    let expected = json!({
        "t": "2025-07-01T13:30:00Z", "o": 61.26, "h": 61.28, "l": 61.26, "c": 61.28, "v": 3300, "n": null, "vw": null
    });
    assert_eq!(sent["ALFA"], [expected]);
    let first_minute = "timeframe=1Min&start=2025-07-05T00:00:00Z&end=2025-07-05T00:00:00Z";
    let coins = server.bars(&format!("/v1beta3/crypto/us/bars?symbols=MOON/USD&{first_minute}")).await;
    assert_eq!(number(&coins["MOON/USD"][0], "v"), 100.705861);
    let holiday = server.json("/v2/stocks/bars?symbols=ALFA&timeframe=1Min&start=2025-07-04&end=2025-07-05").await;
    assert_eq!(holiday, (200, json!({"bars": {}, "next_page_token": null})));
}

#[tokio::test]
async fn a_real_session_has_26_quarters_and_its_minutes_come_back_as_they_are() {
    let Some(server) = real().await else { return };
    assert_eq!(
        quarters(&server, "SPY,IBM,BAC,MSFT", "2013-10-04T13:30:00Z", "2013-10-04T19:59:59Z").await,
        ["BAC", "IBM", "SPY"].map(|symbol| (symbol.to_owned(), 26))
    );
    let minute = server
        .bars("/v2/stocks/bars?symbols=IBM&timeframe=1Min&start=2013-10-04T12:28:00Z&end=2013-10-04T12:28:00Z")
        .await;
    let expected = json!({
        "t": "2013-10-04T12:28:00Z", "o": 183.86, "h": 183.86, "l": 183.86, "c": 183.86,
        "v": 22956, "n": null, "vw": null
    });
    assert_eq!(minute["IBM"], [expected]);
    let first_minute = "timeframe=1Min&start=2017-09-03T00:00:00Z&end=2017-09-03T00:00:00Z";
    let coins = server.bars(&format!("/v1beta3/crypto/us/bars?symbols=ETH/USD&{first_minute}")).await;
    assert_eq!(number(&coins["ETH/USD"][0], "v"), 50.29017734);
    let holiday = server.json("/v2/stocks/bars?symbols=SPY&timeframe=1Min&start=2013-10-05&end=2013-10-06").await;
    assert_eq!(holiday, (200, json!({"bars": {}, "next_page_token": null})));
}

/// As read from the server.
fn market_bars(bars: &Bars, symbol: &str) -> Vec<Bar> {
    let bar = |bar: &serde_json::Value| {
        let [open, high, low, close, volume] = ["o", "h", "l", "c", "v"].map(|field| number(bar, field));
        Bar { start: at(bar["t"].as_str().unwrap()), open, high, low, close, volume, vwap: None, trade_count: None }
    };
    bars.get(symbol).into_iter().flatten().map(bar).collect()
}

#[tokio::test]
async fn every_timeframe_is_what_resampling_the_minutes_gives() {
    let server = made_up().await;
    let all_days = "start=2025-06-30&end=2025-07-12";
    for (path, symbol, grid) in [
        (format!("/v2/stocks/bars?symbols=ALFA&{all_days}"), "ALFA", Grid::ClockNewYork),
        (format!("/v2/stocks/bars?symbols=BRVO&{all_days}"), "BRVO", Grid::ClockNewYork),
        (format!("/v1beta3/crypto/us/bars?symbols=MOON/USD&{all_days}"), "MOON/USD", Grid::Epoch),
    ] {
        resampled(&server, &path, symbol, grid).await;
    }
    let Some(server) = real().await else { return };
    for (path, symbol, grid) in [
        ("/v2/stocks/bars?symbols=SPY&start=2013-09-30&end=2023-12-30", "SPY", Grid::ClockNewYork),
        ("/v2/stocks/bars?symbols=AAPL&start=2013-09-30&end=2023-12-30", "AAPL", Grid::ClockNewYork),
        ("/v1beta3/crypto/us/bars?symbols=BTC/USD&start=2016-01-01&end=2023-12-30", "BTC/USD", Grid::Epoch),
    ] {
        resampled(&server, path, symbol, grid).await;
    }
}

/// Compares what the server makes of its minutes with what they are resampled to here.
async fn resampled(server: &Server, path: &str, symbol: &str, grid: Grid) {
    let (minutes, _) = server.all_pages(&format!("{path}&timeframe=1Min&limit=10000")).await;
    let minutes = market_bars(&minutes, symbol);
    assert!(minutes.len() > 1_000);
    for (timeframe, name) in [
        (Timeframe::M5, "5Min"),
        (Timeframe::M15, "15Min"),
        (Timeframe::M30, "30Min"),
        (Timeframe::H1, "1Hour"),
        (Timeframe::H4, "4Hour"),
        (Timeframe::D1, "1Day"),
        (Timeframe::W1, "1Week"),
    ] {
        let (bars, _) = server.all_pages(&format!("{path}&timeframe={name}&limit=700")).await;
        let ours = market_bars(&bars, symbol);
        let theirs: Vec<Bar> = resample(&minutes, &grid, timeframe).into_iter().map(|r| r.bar).collect();
        assert_eq!(ours.len(), theirs.len(), "{symbol} {name}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours.volume - theirs.volume).abs() <= 1e-7 * theirs.volume, "{symbol} {name} {}", ours.start);
            assert_eq!(*ours, Bar { volume: ours.volume, ..*theirs }, "{symbol} {name}");
        }
    }
}

#[tokio::test]
async fn a_folder_knows_its_files_and_nothing_else() {
    let symbols = async |server: &Server| {
        let (_, assets) = server.json("/v2/assets").await;
        let symbol = |asset: &serde_json::Value| asset["symbol"].as_str().unwrap().to_owned();
        assets.as_array().unwrap().iter().map(symbol).collect::<Vec<_>>()
    };
    let server = made_up().await;
    assert_eq!(symbols(&server).await, ["ALFA", "BRVO", "CHRL", "MOON/USD", "SPLT"]);
    assert_eq!(server.json("/v2/assets/MSFT").await.0, 404);
    let (_, declared) = server.json("/v1/market-sim").await;
    assert_eq!(declared["earliest"], "1990-01-01T00:00:00Z");
    if let Some(server) = real().await {
        let files = ["AAPL", "BAC", "BTC/USD", "ETH/USD", "IBM", "LTC/USD", "SPY"];
        assert_eq!(symbols(&server).await, files);
    }
}

#[tokio::test]
async fn a_session_replayed_shows_no_more_than_had_happened() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (30..40).map(|m| format!("2026-11-24T14:{m}:00Z,{m},{m},{m},{m},1\n")).collect();
    std::fs::write(folder.path().join("ABC.csv"), format!("ts_utc,open,high,low,close,volume\n{rows}")).unwrap();
    let now = at("2026-11-24T14:35:59Z");
    let source = Source::Folder(folder.path().to_owned());
    let server = Server::start(Settings { clock: Clock::by(move || now), ..Settings::new(source) }).await;
    let path = |span: &str| format!("/v2/stocks/bars?symbols=ABC&timeframe={span}&start=2026-11-24");
    let minutes = server.bars(&path("1Min")).await;
    assert_eq!(starts(&minutes["ABC"]).last(), Some(&"2026-11-24T14:34:00Z"));
    let day = server.bars(&path("1Day")).await;
    assert_eq!((number(&day["ABC"][0], "c"), number(&day["ABC"][0], "v")), (34.0, 5.0));
    assert_eq!(server.json("/v2/assets/ABC").await.1["name"], "ABC");
    let calendar = Calendar::Xnys;
    assert_eq!(starts(&day["ABC"])[0], calendar.midnight(jiff::civil::date(2026, 11, 24)).unwrap().to_string());
}

#[test]
fn a_bad_line_is_named_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ABC.csv"), "ts_utc,open,high,low,close,volume\nsoon,1,1,1,1,1\n").unwrap();
    let error = Simulator::new(Settings::new(Source::Folder(folder.path().to_owned()))).err();
    assert!(matches!(error, Some(SimError::Line { line: 2, .. })), "{error:?}");
}
