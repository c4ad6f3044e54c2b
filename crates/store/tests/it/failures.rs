//! Failures, by what happens next.

use std::time::Duration;

use market::Timeframe;
use store::{
    definitions,
    provider_health::{self, Failed},
    runs,
    runs::{Blame, ClaimedRun, Failure},
    symbols,
};
use testkit::Owner;

use crate::site::{Site, TUESDAY, at, fail, range, ticker, tickers};

for_every_owner! {
    the_fifth_failure_is_the_last,
    an_unknown_symbol_is_suspended_until_a_later_look_finds_it,
}

for_one_owner! {
    being_told_to_wait_spends_no_attempt,
    no_answer_counts_only_where_others_are_answered,
    one_request_in_a_while_probes_a_provider_that_fails,
    what_is_no_use_trying_again_is_failed_at_once,
    what_failed_says_so_until_it_is_tried_again,
}

fn failure(code: &'static str, counts: bool, terminal: bool) -> Failure {
    let blame = if counts { Blame::Request } else { Blame::Nobody };
    Failure { code, message: format!("{code}!"), retry_after: Duration::ZERO, blame, terminal, requests: 1 }
}

async fn one_held(owner: Owner) -> (Site, ClaimedRun) {
    let site = Site::at(owner, TUESDAY).await;
    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let run = site.held(&h1, range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"), "worker").await;
    (site, run)
}

const RUN: &str = "select status, attempt, failures, error_code, error_message, requests, worker is null,
    finished_at is not null from job_runs";

async fn the_fifth_failure_is_the_last(owner: Owner) {
    let (site, mut run) = one_held(owner).await;
    for failures in 1..=4 {
        assert!(fail(&site.database, &run, &failure("transport", true, false)).await.unwrap());
        assert_eq!(
            site.rows(RUN).await,
            [format!("(queued,{failures},{failures},transport,transport!,{failures},t,f)")]
        );
        run = site.claim("worker").await.unwrap();
        assert_eq!((run.attempt, run.failures), (failures + 1, failures));
    }
    assert!(fail(&site.database, &run, &failure("transport", true, false)).await.unwrap());
    assert_eq!(site.rows(RUN).await, ["(failed,5,5,transport,transport!,5,t,t)"]);
    assert!(site.claim("worker").await.is_none());
}

async fn being_told_to_wait_spends_no_attempt(owner: Owner) {
    let (site, run) = one_held(owner).await;
    let mut wait = failure("throttled", false, false);
    wait.retry_after = Duration::from_secs(90);
    assert!(fail(&site.database, &run, &wait).await.unwrap());
    assert_eq!(site.rows(RUN).await, ["(queued,0,0,throttled,throttled!,1,t,f)"]);
    let until =
        "select run_after between now() + interval '30 seconds' and now() + interval '90 seconds' from job_runs";
    assert_eq!(site.value(until).await, "t");
    assert!(site.claim("worker").await.is_none());
    let progress = store::backfill_progress::for_symbols(&site.database, &[ticker("AAPL")], at("2020-01-01T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!((progress.queued, progress.requests), (1, 1));
    assert_eq!(progress.waiting_for.as_deref(), Some("throttled!"));
    // However often it happens.
    for _ in 0..30 {
        site.run("update job_runs set run_after = now()").await;
        let run = site.claim("worker").await.unwrap();
        assert!(fail(&site.database, &run, &failure("throttled", false, false)).await.unwrap());
    }
    assert_eq!(site.rows(RUN).await, ["(queued,0,0,throttled,throttled!,31,t,f)"]);
}

async fn no_answer_counts_only_where_others_are_answered(owner: Owner) {
    let (site, mut run) = one_held(owner).await;
    let unanswered = |in_part| Failure {
        blame: Blame::Unanswered { account: "account".to_owned(), in_part },
        ..failure("server", false, false)
    };
    let mut fails = async |in_part, expected: &str| {
        assert!(fail(&site.database, &run, &unanswered(in_part)).await.unwrap());
        assert_eq!(site.rows("select status, attempt, failures from job_runs").await, [expected.to_owned()]);
        run = site.claim("worker").await.unwrap();
    };
    let others_are_answered =
        async || provider_health::record_success(&site.database, "account", "test").await.unwrap();
    let is_down = async || {
        let failed = Failed::NoAnswer { unreachable: false };
        provider_health::record_failure(&site.database, "account", "test", "503", failed).await.unwrap();
    };
    // Once while others are answered, and then nobody is.
    others_are_answered().await;
    fails(false, "(queued,0,0)").await;
    for _ in 0..10 {
        is_down().await;
        fails(false, "(queued,0,0)").await;
    }
    others_are_answered().await;
    fails(false, "(queued,0,0)").await;
    fails(false, "(queued,0,0)").await;
    is_down().await;
    others_are_answered().await;
    fails(false, "(queued,1,1)").await;
    // An answer that begins is one.
    fails(true, "(queued,2,2)").await;
}

async fn one_request_in_a_while_probes_a_provider_that_fails(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let fails =
        async |failed| provider_health::record_failure(&site.database, "account", "test", "503", failed).await.unwrap();
    let may = async || provider_health::begin_probe(&site.database, "account").await.unwrap();
    let health = async || provider_health::all(&site.database).await.unwrap().remove(0);
    let rests = async |seconds: &str| {
        let until =
            format!("select resting_until > clock_timestamp() + interval '{seconds} s' from barkeep.provider_health");
        site.value(&until).await == "t"
    };
    assert!(may().await, "one that was never used");
    let silent = Failed::NoAnswer { unreachable: true };
    assert_eq!((fails(silent).await, fails(Failed::BadAnswer).await), (1, 2));
    let since = health().await.failing_since;
    assert!(since.is_some() && may().await);
    assert_eq!((fails(silent).await, health().await.unanswered), (3, 1));
    assert!(health().await.is_failing() && !health().await.is_down());
    assert!(!may().await && rests("1").await && !rests("3").await);
    for in_a_row in 4..=6 {
        assert_eq!(fails(silent).await, in_a_row);
    }
    assert!(health().await.is_down());
    assert_eq!(health().await.failing_since, since);
    site.run("update barkeep.provider_health set resting_until = now()").await;
    assert!(may().await);
    assert!(!may().await && rests("14").await);
    fails(silent).await;
    assert!(rests("13").await, "a failed probe doesn't bring the next one forward");
    provider_health::give_up_probe(&site.database, "account").await.unwrap();
    assert!(may().await && !may().await);
    provider_health::record_success(&site.database, "account", "test").await.unwrap();
    assert!(may().await && may().await);
    let after = health().await;
    assert_eq!((after.failures, after.failing_since, after.unanswered), (0, None, 0));
}

async fn what_is_no_use_trying_again_is_failed_at_once(owner: Owner) {
    let (site, run) = one_held(owner).await;
    assert!(fail(&site.database, &run, &failure("refused", true, true)).await.unwrap());
    assert_eq!(site.rows(RUN).await, ["(failed,1,1,refused,refused!,1,t,t)"]);
    let gaps = site.gaps(&site.definition("AAPL", Timeframe::H1).await).await;
    assert_eq!(site.enqueue(&site.definition("AAPL", Timeframe::H1).await, &gaps).await, 2, "around what failed");
}

async fn an_unknown_symbol_is_suspended_until_a_later_look_finds_it(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    definitions::ensure_background(&site.database, &tickers(&["NOPE"]), &[Timeframe::H1], None).await.unwrap();
    let run = site
        .held(
            &site.definition("NOPE", Timeframe::H1).await,
            range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"),
            "worker",
        )
        .await;
    let look = async || symbols::take_unchecked(&site.database, &[run.symbol_id]).await.unwrap();
    assert_eq!(look().await, tickers(&["NOPE"]));
    assert_eq!(look().await, [], "one look is enough, whoever takes it");
    symbols::suspend(&site.database, &run.ticker, "no provider knows NOPE").await.unwrap();
    assert_eq!(look().await, []);
    let state = "select state, reason from get_symbol_timeframe_coverage('NOPE') where timeframe = 'h1'";
    assert_eq!(site.rows(state).await, ["(unknown,\"no provider knows NOPE\")"]);
    // The running one is not retried after its failure.
    assert!(fail(&site.database, &run, &failure("unknown_symbol", true, false)).await.unwrap());
    assert!(site.claim("worker").await.is_none());
    assert!(definitions::due(&site.database, Some(&tickers(&["NOPE"])), 10).await.unwrap().is_empty());
    assert!(symbols::take_due_for_recheck(&site.database).await.unwrap().is_empty());

    site.run("update symbols set listing_checked_at = now() - interval '25 hours' where ticker = 'NOPE'").await;
    assert_eq!(symbols::take_due_for_recheck(&site.database).await.unwrap(), tickers(&["NOPE"]));
    symbols::confirm_listed(&site.database, &ticker("NOPE"), "Nope, Inc.", "NYSE").await.unwrap();
    let listed = "select listing, description, exchange from symbols where ticker = 'NOPE'";
    assert_eq!(site.rows(listed).await, ["(listed,\"Nope, Inc.\",NYSE)"]);
    symbols::confirm_listed(&site.database, &ticker("NOPE"), "Other", "Other").await.unwrap();
    assert_eq!(site.rows(listed).await, ["(listed,\"Nope, Inc.\",NYSE)"]);
    assert_eq!(definitions::due(&site.database, Some(&tickers(&["NOPE"])), 10).await.unwrap().len(), 1);
}

async fn what_failed_says_so_until_it_is_tried_again(owner: Owner) {
    let (site, run) = one_held(owner).await;
    assert!(fail(&site.database, &run, &failure("refused", true, true)).await.unwrap());
    let state = "select state, reason from get_symbol_timeframe_coverage('AAPL') where timeframe = 'h1'";
    assert_eq!(site.rows(state).await, ["(failing,refused!)"]);
    assert_eq!(runs::retry_failed(&site.database, None).await.unwrap(), 1);
    // The last error is shown while a run waits, not while it is running.
    assert_eq!(site.rows(state).await, ["(filling,refused!)"]);
    site.claim("worker").await.unwrap();
    assert_eq!(site.rows(state).await, ["(filling,)"]);
}
