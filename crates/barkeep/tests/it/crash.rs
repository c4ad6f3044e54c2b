//! A process that is killed leaves nothing half done: the next one goes on where it was.

use std::time::Duration;

use crate::running::{Market, Place, Up, eventually, quiet_database};

const SYMBOLS: [&str; 6] = ["SPY", "KO", "PEP", "IBM", "BA", "GE"];
const AS_OF: &str = "2025-07-03T18:10:00Z";

/// Everything that is stored of the symbols, as CSV.
fn rows(place: &Place, database: &[&str]) -> String {
    let mut all = String::new();
    for symbol in SYMBOLS {
        for timeframe in ["m15", "h1", "h4"] {
            all += &place.printed(&[&["export", symbol, timeframe], database].concat());
        }
    }
    all
}

/// Slow enough that a backfill is still under way when it is killed, fast enough to complete soon.
async fn slow_market() -> Market {
    let mut settings = Market::settings(AS_OF);
    settings.latency = Duration::from_millis(150);
    Market::start(settings).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_ten_times_it_completes_with_the_rows_of_an_undisturbed_run() {
    let market = slow_market().await;
    let up = |place: &Place| {
        let mut command = place.barkeep(&["up", "--as-of", AS_OF]);
        command.env("APCA_API_DATA_URL", market.url());
        command
    };
    let (undisturbed, database) = (Place::new(), quiet_database().await);
    let given = ["--database-url", &database.url];
    let mut backfill = vec!["backfill", "--as-of", AS_OF, given[0], given[1]];
    backfill.extend(SYMBOLS);
    let output = undisturbed.barkeep(&backfill).env("APCA_API_DATA_URL", market.url()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let place = Place::new();
    let mut track = vec!["track"];
    track.extend(SYMBOLS);
    let mut killed_at_work = 0;
    for round in 0..10 {
        let running = Up::spawn(up(&place));
        if round == 0 {
            running.wait_until_ready().await;
            place.printed(&track);
        }
        // Killed with requests under way, a little later each time.
        let url = place.printed(&["db", "url"]);
        eventually("it is at work", async || (at_work(url.trim()).await != Some(false)).then_some(())).await;
        let asked = market.simulator.stats().total();
        eventually("it is further on, or done", async || {
            let is_further = market.simulator.stats().total() >= asked + round / 3;
            (is_further || at_work(url.trim()).await.is_none()).then_some(())
        })
        .await;
        killed_at_work += i32::from(at_work(url.trim()).await == Some(true));
        running.kill();
    }
    assert!(killed_at_work > 0, "it was never killed while at work");

    let running = Up::start(up(&place)).await;
    let keys: serde_json::Value = serde_json::from_str(&place.printed(&["keys", "--json"])).unwrap();
    let token = place.printed(&["token", "--user", "local@barkeep.localhost"]);
    assert!(keys["anon_key"].is_string());
    for symbol in SYMBOLS {
        running.until(token.trim(), symbol, "complete").await;
    }
    assert!(rows(&place, &[]) == rows(&undisturbed, &given), "the rows differ from an undisturbed run's");
    assert!(running.stop().success());
}

/// Whether runs are running; `None` where none is left at all, so that nobody waits for work that is done.
async fn at_work(url: &str) -> Option<bool> {
    use sqlx::Connection as _;
    let Ok(mut sql) = sqlx::PgConnection::connect(url).await else { return Some(false) };
    let counted: Result<(i64, i64), _> = sqlx::query_as(
        "select count(*) filter (where status = 'running' and lease_until > now()),
            count(*) filter (where status = 'queued') from job_runs",
    )
    .fetch_one(&mut sql)
    .await;
    match counted {
        Ok((0, 0)) => None,
        Ok((running, _)) => Some(running > 0),
        Err(_) => Some(false),
    }
}
