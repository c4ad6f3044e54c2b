//! `export`: what is stored, digit by digit.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use sqlx::{Connection as _, PgConnection};

use crate::running::{Place, quiet_database};

const AS_OF: &str = "2026-06-20T12:00:00Z";

/// As the database has it: start in microseconds, prices and volume as the bits of their numbers, the rest.
type Stored = (i64, [u64; 5], Option<u64>, Option<i64>, String, bool);

/// The same as PostgreSQL sends it.
type Row = (i64, f64, f64, f64, f64, f64, Option<f64>, Option<i64>, String, bool);

#[tokio::test(flavor = "multi_thread")]
async fn exported_numbers_read_back_are_the_stored_ones() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    place.printed(&["backfill", "KO", "--as-of", AS_OF, url[0], url[1]]);
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    // The shapes of numbers that a careless writer loses: the smallest step, a volume beyond 2^53, no trade count.
    sqlx::query(
        "update ohlc_bars_v2
        set open = 0.1::float8 + 0.2::float8, volume = 9007199254740994, vwap = 1e-7, trade_count = null
        where timeframe = 'h4' and ts = (select min(ts) from ohlc_bars_v2 where timeframe = 'h4')",
    )
    .execute(&mut sql)
    .await
    .unwrap();
    for timeframe in ["m15", "h1", "h4"] {
        let printed = place.printed(&["export", "KO", timeframe, url[0], url[1]]);
        let header = printed.lines().next().unwrap();
        assert_eq!(header, "ts,open,high,low,close,volume,vwap,trade_count,provider,final");
        let exported: Vec<Stored> = printed.lines().skip(1).map(read).collect();
        assert_eq!(exported, stored(&mut sql, timeframe).await, "{timeframe}");
        assert!(exported.len() > 100, "{timeframe}: {}", exported.len());
    }
}

fn read(line: &str) -> Stored {
    let cells: Vec<&str> = line.split(',').collect();
    assert_eq!(cells.len(), 10, "{line}");
    let bits = |cell: &str| cell.parse::<f64>().unwrap().to_bits();
    let optional = |cell: &str| (!cell.is_empty()).then(|| cell.to_owned());
    (
        cells[0].parse::<jiff::Timestamp>().unwrap().as_microsecond(),
        std::array::from_fn(|i| bits(cells[i + 1])),
        optional(cells[6]).map(|cell| bits(&cell)),
        optional(cells[7]).map(|cell| cell.parse().unwrap()),
        cells[8].to_owned(),
        cells[9].parse().unwrap(),
    )
}

async fn stored(sql: &mut PgConnection, timeframe: &str) -> Vec<Stored> {
    let rows: Vec<Row> = sqlx::query_as(
        "select (extract(epoch from ts) * 1000000)::bigint, open, high, low, close, volume::float8, vwap,
            trade_count::bigint, provider, data_status = 'final'
        from ohlc_bars_v2 where timeframe = $1 order by ts",
    )
    .bind(timeframe)
    .fetch_all(sql)
    .await
    .unwrap();
    rows.into_iter()
        .map(|(ts, o, h, l, c, v, vwap, trades, provider, last)| {
            (ts, [o, h, l, c, v].map(f64::to_bits), vwap.map(f64::to_bits), trades, provider, last)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_a_file_and_a_reader_that_goes_away() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    place.printed(&["backfill", "KO", "--timeframes", "m5", "--days", "60", "--as-of", AS_OF, url[0], url[1]]);
    let export = |more: &[&str]| place.printed(&[&["export", "KO", "m5"], more, &url].concat());
    let all = export(&[]);
    assert!(all.len() > 100_000, "more than a pipe holds: {}", all.len());

    let day = export(&["--from", "2026-06-17", "--to", "2026-06-18"]);
    assert_eq!(day.lines().count(), 1 + 78);
    assert!(day.lines().skip(1).all(|line| line.starts_with("2026-06-17T")));
    let until = export(&["--to", "2026-06-18T13:35:00Z"]);
    assert!(until.lines().last().unwrap().starts_with("2026-06-18T13:30:00Z"), "bars that start before it");
    let from = export(&["--from", "2026-06-18T13:35:00Z"]);
    assert!(from.lines().nth(1).unwrap().starts_with("2026-06-18T13:35:00Z"));
    assert_eq!(until.lines().count() + from.lines().count() - 1, all.lines().count());

    assert_eq!(export(&["--output", "ko.csv"]), "");
    assert_eq!(std::fs::read_to_string(place.path().join("ko.csv")).unwrap(), all);

    let mut process = place
        .barkeep(&["export", "KO", "m5", url[0], url[1]])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::with_capacity(64, process.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), all.lines().next().unwrap());
    drop(lines);
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
