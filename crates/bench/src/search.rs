//! A search for symbols over HTTP, with as many in the directory as a provider lists.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::site::{Market, Place, Up};

/// What people type: whole tickers, beginnings, names, slips, and what is nothing at all.
const TYPED: [&str; 24] = [
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

/// Names of three words each out of a hundred, as alike as companies' names are.
const LISTED: &str = "insert into barkeep.directory (ticker, asset_type, name, exchange, source)
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

pub(crate) async fn measure(market: &Market, runs: usize, symbols: i64) -> anyhow::Result<()> {
    let place = Place::new(market)?;
    let up = Up::start(&place).await?;
    let mut sql = PgConnection::connect(&place.printed(&["db", "url"])?).await?;
    sqlx::query(LISTED).execute(&mut sql).await?;
    sqlx::query(
        "delete from barkeep.directory where source = 'bench' and ticker in (
        select ticker from barkeep.directory where source = 'bench' order by md5(ticker)
        limit greatest(0, (select count(*) from barkeep.directory) - $1))",
    )
    .bind(symbols)
    .execute(&mut sql)
    .await?;
    let there: i64 = sqlx::query_scalar("select count(*) from barkeep.directory").fetch_one(&mut sql).await?;
    sql.close().await.context("the measuring connection")?;
    let client = reqwest::Client::new();
    let ask = async |text: &str| -> anyhow::Result<(f64, usize)> {
        let began = Instant::now();
        let answer = client
            .get(format!("{}/api/v1/symbols", up.url))
            .query(&[("q", text)])
            .bearer_auth(&up.anon_key)
            .send()
            .await?;
        ensure!(answer.status() == 200, "{text:?}: {}", answer.status());
        let found: Value = answer.json().await?;
        let milliseconds = began.elapsed().as_secs_f64() * 1e3;
        Ok((milliseconds, found["symbols"].as_array().map_or(0, Vec::len)))
    };
    let (first, _) = ask("A").await?;
    let mut all = Vec::new();
    for text in TYPED {
        let mut times = Vec::new();
        let mut found = 0;
        for _ in 0..runs {
            let (milliseconds, symbols) = ask(text).await?;
            times.push(milliseconds);
            found = symbols;
        }
        println!("{text:>24}: {found:>2} found, {}", spread(times.clone()));
        all.extend(times);
    }
    println!("searches over HTTP, {there} symbols: {}; the first after a change {first:.1} ms", spread(all));
    Ok(())
}

fn spread(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    let at = |n: usize| figures.get(n).copied().unwrap_or_default();
    format!(
        "median {:.2} ms, max {:.2} ms of {}",
        at(figures.len() / 2),
        at(figures.len().saturating_sub(1)),
        figures.len()
    )
}
