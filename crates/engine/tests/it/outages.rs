//! A provider that answers nobody: that costs as long as it lasts, and nothing else.

use engine::dispatch::{Claimed, Scope, execute};
use market::Timeframe;
use simulator::FaultKind;

use crate::stages::{Bench, EVENING, USUAL, claimed};

const FOUR: [&str; 4] = ["BA", "IBM", "KO", "PEP"];

/// More probes than fail a run of a provider that answers others.
const PROBES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_costs_its_length_and_one_probe_at_a_time_and_nothing_else() {
    let undisturbed = Bench::at(EVENING).await;
    undisturbed.track(&FOUR, &USUAL).await;
    undisturbed.plan().await;
    let packs = undisturbed.work_off().await;

    for fault in ["5xx=1", "cut=1"] {
        let bench = Bench::at(EVENING).await;
        bench.track(&FOUR, &USUAL).await;
        bench.plan().await;
        bench.simulator.set_faults(vec![fault.parse().unwrap()]).unwrap();
        // The third failure in a row opens the circuit.
        let mut failed = 0;
        while failed < 3 {
            bench.end_waits().await;
            failed += bench.work_off().await;
        }
        for _ in 0..PROBES {
            bench.end_waits().await;
            assert_eq!(bench.work_off().await, 1, "{fault}: one probe");
        }
        let runs = bench.runs().await;
        let untouched = runs.iter().all(|run| (run.status.as_str(), run.attempt, run.failures) == ("queued", 0, 0));
        assert!(untouched, "{fault}: {runs:?}");
        assert!(!bench.states("KO").await.contains(&"failing".to_owned()), "{fault}");
        let health = store::provider_health::all(&bench.database).await.unwrap().remove(0);
        assert!(health.is_down() && health.failing_since < health.last_failed_at, "{fault}: {health:?}");

        bench.simulator.set_faults(Vec::new()).unwrap();
        let before = bench.requests();
        bench.end_waits().await;
        assert_eq!(bench.work_off().await, packs, "{fault}: the packs are as large as ever");
        assert_eq!(bench.requests() - before, undisturbed.requests(), "{fault}");
        assert!(bench.runs().await.iter().all(|run| run.status == "success"), "{fault}");
        for symbol in FOUR {
            bench.assert_true(symbol, Timeframe::H1).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_not_answered_while_others_are_is_to_blame_in_the_end() {
    let bench = Bench::at(EVENING).await;
    bench.track(&["KO"], &[Timeframe::H1]).await;
    bench.sql("update job_definitions set window_days = 5 where enabled").await;
    bench.plan().await;
    let source = bench.engine.routes.all().next().unwrap();
    let mut counted = Vec::new();
    for _ in 0..8 {
        bench.end_waits().await;
        bench.simulator.set_next_faults([Some(FaultKind::ServerError)]);
        let Claimed::Pack(pack) = claimed(&bench.engine).await else { break };
        execute(&bench.engine, pack, &Scope::All).await;
        counted.push(bench.runs().await[0].failures);
        let provider = &source.endpoint().provider;
        store::provider_health::record_success(&bench.database, source.account(), provider).await.unwrap();
    }
    assert_eq!(counted, [0, 0, 0, 1, 2, 3, 4, 5]);
    let runs = bench.runs().await;
    assert_eq!((runs[0].status.as_str(), runs[0].error_code.as_deref()), ("failed", Some("server")));
}
