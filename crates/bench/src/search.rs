//! Symbol searches over HTTP, in a directory as large as a provider's.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::setup::{DataDir, SimulatedMarket, Up};

/// Queries as users type them: tickers, prefixes, names, typos and nonsense.
const QUERIES: [&str; 24] = [
    "A",
    "AA",
    "AAPL",
    "s",
    "app",
    "micro",
    "bank amer",
    "bank of america",
    "international holdings",
    "a h",
    "BTC/USD",
    "BRK-B",
    "APPL",
    "micorsoft",
    "nvdia",
    "goldmn sachs",
    "bnak amrica",
    "holdngs grp",
    "zqzqzqzq",
    "ZQXW",
    "FB",
    "%",
    "s&p 500",
    "the",
];

/// Symbols with names of three words each out of a hundred, as similar as companies' names are.
const INSERT_SYMBOLS: &str = "insert into barkeep.directory (ticker, asset_type, name, exchange, source)
    select t.ticker, 'stock',
        initcap(format('%s %s %s', w.words[1 + n % 97], w.words[1 + (n / 7) % 100], w.words[1 + (n / 131) % 89])),
        'NYSE', 'bench'
    from generate_series(0, 80000) n
    cross join (select array(
        select chr(97 + i % 26) || (array['ban', 'micro', 'gold', 'inter', 'hold', 'tech', 'north', 'bio', 'cap', 'ener'])
            [1 + i % 10] || chr(97 + (i * 7) % 26) || chr(97 + (i * 11) % 26)
        from generate_series(0, 99) i
    ) as words) w
    cross join lateral (
        select chr(65 + n % 26) || chr(65 + (n / 26) % 26) || chr(65 + (n / 676) % 26) || chr(65 + (n / 17576) % 26) as ticker
    ) t
    on conflict do nothing";

pub(crate) async fn measure(market: &SimulatedMarket, runs: usize, symbols: i64) -> anyhow::Result<()> {
    let data_dir = DataDir::new(market)?;
    let up = Up::start(&data_dir).await?;
    let mut sql = PgConnection::connect(&data_dir.output(&["db", "url"])?).await?;
    sqlx::query(INSERT_SYMBOLS).execute(&mut sql).await?;
    sqlx::query(
        "delete from barkeep.directory where source = 'bench' and ticker in (
        select ticker from barkeep.directory where source = 'bench' order by md5(ticker)
        limit greatest(0, (select count(*) from barkeep.directory) - $1))",
    )
    .bind(symbols)
    .execute(&mut sql)
    .await?;
    let count: i64 = sqlx::query_scalar("select count(*) from barkeep.directory").fetch_one(&mut sql).await?;
    sql.close().await.context("could not close the connection")?;
    let client = reqwest::Client::new();
    let ask = async |text: &str| -> anyhow::Result<(f64, usize)> {
        let started = Instant::now();
        let response = client
            .get(format!("{}/api/v1/symbols", up.url))
            .query(&[("q", text)])
            .bearer_auth(&up.anon_key)
            .send()
            .await?;
        ensure!(response.status() == 200, "{text:?}: {}", response.status());
        let found: Value = response.json().await?;
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        Ok((milliseconds, found["symbols"].as_array().map_or(0, Vec::len)))
    };
    let (first, _) = ask("A").await?;
    let mut all = Vec::new();
    for text in QUERIES {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..runs {
            let (milliseconds, symbols) = ask(text).await?;
            times.push(milliseconds);
            found = symbols;
        }
        println!("{text:>24}: {found:>2} found, {}", summary(times.clone()));
        all.extend(times);
    }
    println!("searches over HTTP, {count} symbols: {}; the first search after a change {first:.1} ms", summary(all));
    Ok(())
}

fn summary(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let at = |n: usize| figures.get(n).copied().unwrap_or_default();
    format!(
        "median {:.2} ms, max {:.2} ms of {}",
        at(figures.len() / 2),
        at(figures.len().saturating_sub(1)),
        figures.len()
    )
}
