//! Runs claimed together, leased together, and each with an outcome of its own.

use market::Timeframe;
use store::{
    bars::{self, SeriesBars},
    definitions,
    runs::{self, Failure, Order, Outcome, Place},
    tracking::Source,
};
use testkit::{ALICE, Owner};

use crate::site::{LEASE, Site, TUESDAY, claim, expected, range, range_of, ticker, tickers};

for_every_owner! {
    each_run_of_a_pack_has_its_own_rows_and_the_requests_are_counted_once,
}

for_one_owner! {
    what_two_planners_find_due_is_planned_once,
    coverage_that_shrinks_makes_its_series_due,
    candidates_come_with_the_head_first_then_its_own_then_what_ends_alike,
    what_failed_before_is_not_packed_with_what_did_not,
    stocks_and_crypto_are_never_packed_together,
    what_was_not_chosen_stays_queued,
    of_a_pack_the_runs_that_went_to_another_are_not_written_and_the_others_are,
    a_pack_that_fails_counts_against_each_of_its_runs_and_costs_its_requests_once,
}

async fn queued(site: &Site, symbol: &str, timeframe: Timeframe, slices: &[(&str, &str)]) {
    let definition = site.definition(symbol, timeframe).await;
    let slices: Vec<_> = slices.iter().map(|(from, to)| range(from, to)).collect();
    assert_eq!(site.enqueue(&definition, &slices).await, slices.len() as u64);
}

const NEWEST: (&str, &str) = ("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z");
const OLDER: (&str, &str) = ("2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z");
const OTHER_DAY: (&str, &str) = ("2026-11-12T14:30:00Z", "2026-11-12T21:00:00Z");

/// The candidates of a claim, as `place symbol timeframe`.
async fn offered(site: &Site) -> Vec<String> {
    let mut seen = Vec::new();
    runs::claim_pack(&site.database, "looking", LEASE, Order::InterestFirst, None, None, |candidates| {
        seen = candidates.iter().map(|c| format!("{:?} {} {}", c.place, c.ticker, c.timeframe)).collect();
        Vec::new()
    })
    .await
    .unwrap();
    seen
}

async fn candidates_come_with_the_head_first_then_its_own_then_what_ends_alike(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    queued(&site, "MSFT", Timeframe::M15, &[OTHER_DAY, NEWEST]).await;
    queued(&site, "AAPL", Timeframe::M15, &[NEWEST]).await;
    queued(&site, "AAPL", Timeframe::H1, &[OLDER]).await;
    queued(&site, "NVDA", Timeframe::H4, &[OTHER_DAY]).await;
    site.track(ALICE, &["AAPL"], Source::Watchlist).await;
    let first = offered(&site).await;
    assert_eq!(
        first,
        ["Head AAPL m15", "Own AAPL h1", "Alike MSFT m15", "Next NVDA h4", "Next MSFT m15"],
        "watchlist first; then its own; then what ends with it; then the queue's order"
    );
}

async fn what_failed_before_is_not_packed_with_what_did_not(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    for symbol in ["AAPL", "MSFT", "NVDA"] {
        queued(&site, symbol, Timeframe::M15, &[NEWEST]).await;
    }
    site.run("update job_runs set failures = 1 where symbol <> 'MSFT'").await;
    assert_eq!(offered(&site).await, ["Head AAPL m15", "Alike NVDA m15"]);
    site.run("update job_runs set rank_at = rank_at - interval '1 hour' where symbol = 'MSFT'").await;
    assert_eq!(offered(&site).await, ["Head MSFT m15"]);
}

async fn stocks_and_crypto_are_never_packed_together(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    definitions::ensure_background(&site.database, &tickers(&["BTC-USD"]), &[Timeframe::M15], None).await.unwrap();
    queued(&site, "AAPL", Timeframe::M15, &[NEWEST]).await;
    queued(&site, "BTC-USD", Timeframe::M15, &[NEWEST]).await;
    assert_eq!(offered(&site).await.len(), 1);
}

async fn what_was_not_chosen_stays_queued(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    for symbol in ["AAPL", "MSFT", "NVDA"] {
        queued(&site, symbol, Timeframe::M15, &[NEWEST]).await;
    }
    let claimed = runs::claim_pack(&site.database, "worker", LEASE, Order::InterestFirst, None, None, |candidates| {
        assert_eq!(candidates[0].place, Place::Head);
        vec![candidates[0].id, candidates[2].id]
    })
    .await
    .unwrap();
    assert_eq!(claimed.len(), 2);
    assert!(claimed.iter().all(|run| (run.attempt, run.worker.as_str()) == (1, "worker")));
    let left = claim(&site.database, "worker", Order::InterestFirst, None).await.unwrap().unwrap();
    assert!(claimed.iter().all(|run| run.id != left.id));
    assert!(claim(&site.database, "worker", Order::InterestFirst, None).await.unwrap().is_none());
}

/// A pack of one run of each symbol.
async fn pack(site: &Site, symbols: &[&str]) -> Vec<runs::ClaimedRun> {
    for symbol in symbols {
        queued(site, symbol, Timeframe::H1, &[NEWEST]).await;
    }
    let all = |candidates: &[runs::QueuedRun]| candidates.iter().map(|run| run.id).collect();
    runs::claim_pack(&site.database, "worker", LEASE, Order::InterestFirst, None, None, all).await.unwrap()
}

async fn of_a_pack_the_runs_that_went_to_another_are_not_written_and_the_others_are(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let runs = pack(&site, &["AAPL", "MSFT", "NVDA"]).await;
    site.run("update job_runs set worker = 'another', attempt = 2 where symbol = 'MSFT'").await;
    let still = runs::renew(&site.database, &runs, LEASE).await.unwrap();
    assert_eq!(still.len(), 2);
    let mut tx = site.database.begin().await.unwrap();
    let of: Vec<&runs::ClaimedRun> = runs.iter().collect();
    let mut held = runs::lock(&mut tx, &of).await.unwrap();
    held.sort();
    let mut mine: Vec<_> = runs.iter().filter(|run| run.ticker != ticker("MSFT")).map(|run| run.id).collect();
    mine.sort();
    assert_eq!(held, mine);
    // A worker that tries to finish runs that it doesn't hold finishes nothing.
    let outcomes: Vec<_> =
        runs.iter().map(|run| Outcome { run, covered: Some(run.slice), rows: 0, requests: 0 }).collect();
    assert!(!runs::finish(&mut tx, &outcomes, "test/sip").await.unwrap());
    tx.rollback().await.unwrap();
    let mut tx = site.database.begin().await.unwrap();
    let outcomes: Vec<_> = outcomes.into_iter().filter(|o| held.contains(&o.run.id)).collect();
    assert!(runs::finish(&mut tx, &outcomes, "test/sip").await.unwrap());
    tx.commit().await.unwrap();
    let statuses = "select symbol, status from job_runs order by symbol";
    assert_eq!(site.rows(statuses).await, ["(AAPL,success)", "(MSFT,running)", "(NVDA,success)"]);
}

async fn each_run_of_a_pack_has_its_own_rows_and_the_requests_are_counted_once(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let runs = pack(&site, &["AAPL", "MSFT"]).await;
    let bars = expected(&site.definition("AAPL", Timeframe::H1).await, runs[0].slice);
    let mut tx = site.database.begin().await.unwrap();
    let series: Vec<_> = runs
        .iter()
        .enumerate()
        .map(|(n, run)| SeriesBars { symbol_id: run.symbol_id, timeframe: run.timeframe, bars: &bars[n..] })
        .collect();
    let rows = bars::store(&mut tx, "test/sip", &series).await.unwrap();
    assert_eq!(rows, [7, 6]);
    // The same once more: nothing is rewritten. A series that occurs twice in one call is counted correctly.
    let twice = [series[0].clone(), series[1].clone(), series[0].clone()];
    assert_eq!(bars::store(&mut tx, "test/sip", &twice).await.unwrap(), [0, 0, 0]);
    let outcomes: Vec<_> = runs
        .iter()
        .zip(&rows)
        .enumerate()
        .map(|(n, (run, rows))| Outcome {
            run,
            covered: Some(run.slice),
            rows: *rows,
            requests: if n == 0 { 3 } else { 0 },
        })
        .collect();
    assert!(runs::finish(&mut tx, &outcomes, "test/sip").await.unwrap());
    tx.commit().await.unwrap();
    let written = "select symbol, rows_written, requests from job_runs order by requests desc";
    let mut expected: Vec<String> =
        runs.iter().zip([(7, 3), (6, 0)]).map(|(r, (n, q))| format!("({},{n},{q})", r.ticker)).collect();
    expected.sort();
    let mut rows = site.rows(written).await;
    rows.sort();
    assert_eq!(rows, expected);
}

async fn a_pack_that_fails_counts_against_each_of_its_runs_and_costs_its_requests_once(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let runs = pack(&site, &["AAPL", "MSFT", "NVDA"]).await;
    let failure = Failure {
        code: "server",
        message: "failed with 500".to_owned(),
        retry_after: std::time::Duration::ZERO,
        blame: store::runs::Blame::Request,
        terminal: false,
        requests: 2,
    };
    assert_eq!(runs::record_failure(&site.database, &runs, &failure).await.unwrap(), 3);
    let counted =
        "select count(*), min(failures), max(failures), sum(requests), min(status), max(status) from job_runs";
    assert_eq!(site.rows(counted).await, ["(3,1,1,2,queued,queued)"]);
    assert_eq!(runs::record_failure(&site.database, &runs, &failure).await.unwrap(), 0, "they are nobody's any more");
}

async fn what_two_planners_find_due_is_planned_once(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let due = definitions::due(&site.database, Some(&tickers(&["AAPL", "MSFT"])), 10).await.unwrap();
    assert_eq!(due.len(), 6);
    let plan = || {
        let (database, due) = (site.database.clone(), due.clone());
        async move {
            let mut tx = database.begin().await.unwrap();
            let mine = definitions::lock_due(&mut tx, &due).await.unwrap();
            definitions::mark_planned(&mut tx, &mine).await.unwrap();
            tx.commit().await.unwrap();
            mine.len()
        }
    };
    let (one, other) = tokio::join!(tokio::spawn(plan()), tokio::spawn(plan()));
    let mut planned = [one.unwrap(), other.unwrap()];
    planned.sort_unstable();
    assert_eq!(planned, [0, 6]);
}

async fn coverage_that_shrinks_makes_its_series_due(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    site.fill(&h1).await;
    let due = "select next_due_at = 'epoch' from job_definitions where symbol = 'AAPL' and timeframe = 'h1'";
    let settle = "update job_definitions set next_due_at = '2030-01-01'";
    for (change, makes_due) in [
        ("update coverage_status set updated_at = now()", "f"),
        ("update coverage_status set covered = covered + '{[2020-01-01,2020-02-01)}'", "f"),
        ("update coverage_status set covered = covered - '{[2026-11-18 14:30+00,2026-11-18 21:00+00)}'", "t"),
        // What is unavailable now is no gap.
        (
            "update coverage_status set covered = covered - '{[2026-11-17 14:30+00,2026-11-17 21:00+00)}',
                unavailable = '{[2026-11-17 14:30+00,2026-11-17 21:00+00)}'",
            "f",
        ),
        ("delete from coverage_status", "t"),
    ] {
        site.run(settle).await;
        site.run(change).await;
        assert_eq!(site.value(due).await, makes_due, "{change}");
    }
    let gaps = site.gaps(&h1).await;
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0], range_of(gaps[0].from(), gaps[0].to()));
}
