//! The time from a symbol's POST until bars of all three timeframes can be read.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use sqlx::{Connection as _, PgConnection};

use crate::setup::{DataDir, SimulatedMarket, Up, summary};

/// Queues runs of one day each for background series.
const BACKGROUND: &str = "
    insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, priority, rank_at)
    select d.id, d.symbol, d.timeframe, d.job_type, n, n + interval '6.5 hours', d.priority,
        now() - d.priority * interval '6 seconds'
    from job_definitions d
    cross join generate_series(timestamptz '2022-01-03 14:30:00+00', '2022-12-30', '1 day') n
    where not d.by_interest and d.enabled and extract(isodow from n) < 6
    order by n desc
    limit $1 - (select count(*) from job_runs where status = 'queued' and not by_interest)
    on conflict do nothing";

pub(crate) async fn measure(market: &SimulatedMarket, runs: usize, background: i64) -> anyhow::Result<()> {
    let data_dir = DataDir::new(market)?;
    let up = Up::start(&data_dir).await?;
    let mut sql = PgConnection::connect(&data_dir.output(&["db", "url"])?).await?;
    // The seeded series first, so that they aren't measured.
    while sqlx::query_scalar::<_, i64>("select count(*) from job_runs where status in ('queued', 'running')")
        .fetch_one(&mut sql)
        .await?
        > 0
    {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let (client, mut seconds) = (reqwest::Client::new(), Vec::new());
    for run in 0..runs {
        if background > 0 {
            sqlx::query(BACKGROUND).bind(background).execute(&mut sql).await?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        let symbol = format!("FRESH{run}");
        let started = Instant::now();
        let response = client
            .post(format!("{}/functions/v1/sync-user-symbols", up.url))
            .bearer_auth(&up.anon_key)
            .body(format!(r#"{{"symbols":["{symbol}"],"source":"watchlist"}}"#))
            .send()
            .await?;
        ensure!(response.status() == 200, "{}", response.text().await?);
        let response_time = started.elapsed();
        loop {
            let timeframes: i64 = sqlx::query_scalar(
                "select count(distinct o.timeframe) from ohlc_bars_v2 o join symbols s on s.id = o.symbol_id
                where s.ticker = $1",
            )
            .bind(&symbol)
            .fetch_one(&mut sql)
            .await?;
            if timeframes == 3 {
                break;
            }
            ensure!(started.elapsed() < Duration::from_secs(60), "{symbol} has no bars after a minute");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let waiting: i64 =
            sqlx::query_scalar("select count(*) from job_runs where status = 'queued' and not by_interest")
                .fetch_one(&mut sql)
                .await?;
        let taken = started.elapsed().as_secs_f64();
        println!(
            "{symbol}: response after {:.3} s, bars after {taken:.3} s; {waiting} background runs queued",
            response_time.as_secs_f64()
        );
        seconds.push(taken);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    sql.close().await.context("could not close the connection")?;
    println!("first bars in all three timeframes, {background} background runs queued: {}", summary(seconds));
    Ok(())
}
