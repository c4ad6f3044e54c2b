//! Every kind of dirt at once, for ten simulated days: in the end the bars are those of an undisturbed run.

use market::{Bar, Timeframe};

use crate::stages::{Bench, alike};

const SYMBOLS: usize = 30;

/// One as it is sent, and one that is resampled from it.
const TIMEFRAMES: [Timeframe; 2] = [Timeframe::M15, Timeframe::H4];

/// One pair of crypto among the stocks.
const PAIR: &str = "BTC-USD";

/// All of them fall on a third of the requests; 5 % of the bars are late.
const FAULTS: &str = "throttle=0.02 5xx=0.03 cut=0.03 malformed=0.03 duplicate=0.02 unsorted=0.02 insane=0.02 stray=0.02 nan=0.03 \
                      off-grid=0.02 contradiction=0.02 words=0.03 foreign=0.02 short=0.02 empty=0.02 late=0.05:600";

/// Ten days, a weekend among them: a look in the middle of the session, and one after the reread of the session and of the
/// crypto day before.
const DAYS: std::ops::RangeInclusive<i8> = 9..=18;
const LOOKS: [&str; 3] = ["01:05:00", "15:37:00", "22:30:00"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_days_of_every_fault_end_as_without_any() {
    let (undisturbed, disturbed) = tokio::join!(ten_days(""), ten_days(FAULTS));
    for symbol in symbols() {
        for timeframe in TIMEFRAMES {
            let of = async |bench: &Bench| {
                let bars = bench.bars(&symbol, timeframe).await;
                // The newest crypto bars may still come.
                let end = "2026-06-18T20:00:00Z".parse().unwrap();
                let old = bars.into_iter().filter(|bar| bar.is_final && bar.bar.start < end);
                old.map(|bar| bar.bar).collect::<Vec<Bar>>()
            };
            let (expected, stored) = (of(&undisturbed).await, of(&disturbed).await);
            assert!(!expected.is_empty(), "{symbol} {timeframe}");
            let differ = expected.iter().zip(&stored).find(|(one, other)| !alike(one, other));
            assert!(differ.is_none() && expected.len() == stored.len(), "{symbol} {timeframe}: {differ:?}");
        }
    }
    let stats = disturbed.simulator.stats();
    assert!(stats.faulted("/v2/stocks/bars") + stats.faulted("/v1beta3/crypto/us/bars") > 20, "{stats:?}");
}

fn symbols() -> Vec<String> {
    (1..SYMBOLS).map(|n| format!("S{n}")).chain([PAIR.to_owned()]).collect()
}

async fn ten_days(faults: &str) -> Bench {
    let bench = Bench::at("2026-06-08T22:30:00Z").await;
    let faults = faults.split_whitespace().map(|fault| fault.parse().unwrap()).collect();
    bench.simulator.set_faults(faults).unwrap();
    let symbols = symbols();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    bench.track(&symbols, &TIMEFRAMES).await;
    bench.sql("update job_definitions set window_days = 12 where enabled").await;
    settle(&bench).await;
    for day in DAYS {
        for look in LOOKS {
            bench.set_time(&format!("2026-06-{day:02}T{look}Z")).await;
            settle(&bench).await;
        }
    }
    bench
}

/// Plans and fetches until nothing is queued, without any waits; what has failed is queued again.
async fn settle(bench: &Bench) {
    for _ in 0..30 {
        bench.plan().await;
        bench.end_waits().await;
        bench.work_off().await;
        let failed = store::runs::retry_failed(&bench.database, None).await.unwrap();
        if failed == 0 && bench.count("job_runs where status in ('queued', 'running')").await == 0 {
            return;
        }
    }
    panic!("{:?}", bench.runs().await.iter().filter(|run| run.status != "success").collect::<Vec<_>>());
}
