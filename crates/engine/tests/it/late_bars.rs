//! Bars that a provider publishes late: looked at again with the next ones, and once more when the day has ended.

use market::Timeframe;

use crate::stages::Bench;

const PAIR: &str = "BTC-USD";

/// The day of these tests, from its first quarter of an hour to an hour after its end.
const DAY: &str = "2026-06-16";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_that_come_late_are_all_there_after_a_day_and_cost_hardly_any_requests() {
    let (undisturbed, without_faults) = a_day(None).await;
    let (late, with_faults) = a_day(Some("late=0.3:600")).await;
    let of = async |bench: &Bench| {
        let bars = bench.bars(PAIR, Timeframe::M15).await;
        // Of the next day's bars the last may still come.
        let end = "2026-06-17T00:00:00Z".parse().unwrap();
        let final_bars = bars.into_iter().filter(|bar| bar.is_final && bar.bar.start < end);
        final_bars.map(|bar| bar.bar).collect::<Vec<_>>()
    };
    let healed = late.count("job_runs where status = 'success'").await;
    assert!(healed > 24, "{healed} runs");
    let (expected, stored) = (of(&undisturbed).await, of(&late).await);
    let missing = expected.iter().filter(|bar| !stored.contains(bar)).count();
    assert_eq!((missing, stored.len()), (0, expected.len()));
    assert!(
        with_faults as f64 <= without_faults as f64 * 1.05,
        "{with_faults} requests, {without_faults} without late bars"
    );
}

/// A provider whose bars come late as `fault` says, asked each quarter of an hour of a morning and once on the next day, and the requests that it took.
async fn a_day(fault: Option<&str>) -> (Bench, u64) {
    let bench = Bench::at("2026-06-16T00:00:40Z").await;
    let faults = fault.into_iter().map(|fault| fault.parse().unwrap()).collect();
    bench.simulator.set_faults(faults).unwrap();
    bench.track(&[PAIR], &[Timeframe::M15]).await;
    bench.sql("update job_definitions set window_days = 2 where enabled").await;
    for hour in 0..6 {
        for minute in [0, 15, 30, 45] {
            bench.set_time(&format!("{DAY}T{hour:02}:{minute:02}:40Z")).await;
            fetch_what_is_due(&bench).await;
        }
    }
    // With the next ones, long before the day is read once more: the last that can be late has come by a quarter past five.
    let bars = bench.bars(PAIR, Timeframe::M15).await;
    let (from, to) = ("2026-06-16T00:00:00Z".parse().unwrap(), "2026-06-16T05:00:00Z".parse().unwrap());
    let morning = bars.iter().filter(|bar| (from..to).contains(&bar.bar.start)).count();
    assert_eq!(morning, 20, "{fault:?}");
    bench.set_time("2026-06-17T01:00:40Z").await;
    fetch_what_is_due(&bench).await;
    let requests = bench.simulator.stats().to("/v1beta3/crypto/us/bars");
    (bench, requests)
}

async fn fetch_what_is_due(bench: &Bench) {
    bench.plan().await;
    bench.end_waits().await;
    bench.work_off().await;
}
