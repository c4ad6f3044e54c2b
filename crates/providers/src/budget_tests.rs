//! The ledger with a clock that the tests advance.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests may panic")]

use proptest::prelude::*;

use super::*;

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn report(remaining: u32, unix: i64, after: u64) -> Report {
    Report { remaining: Some(remaining), reset: Some(Reset { unix, after: secs(after) }), ..Report::default() }
}

#[test]
fn a_cold_start_sends_no_more_than_the_limit_in_a_minute() {
    let start = Instant::now();
    let mut ledger = Ledger::new(3);
    for second in 0..3 {
        ledger.take(start + secs(second), Urgency::Now).unwrap();
        ledger.give_back(start + secs(second) + Duration::from_millis(500));
    }
    assert_eq!(ledger.left(start + secs(10)), 0);
    assert_eq!(ledger.take(start + secs(10), Urgency::Now), Err(Duration::from_millis(50_500)));
    assert_eq!(ledger.take(start + Duration::from_millis(60_500), Urgency::Now), Ok(()));
}

#[test]
fn requests_in_flight_are_counted() {
    let now = Instant::now();
    let mut ledger = Ledger::new(2);
    ledger.take(now, Urgency::Now).unwrap();
    ledger.take(now, Urgency::Now).unwrap();
    assert_eq!(ledger.take(now, Urgency::Now), Err(WINDOW));
    assert_eq!(ledger.left(now), 0);
}

#[test]
fn nothing_is_sent_when_nothing_remains_before_the_reset() {
    let now = Instant::now();
    let mut ledger = Ledger::new(200);
    ledger.take(now, Urgency::Now).unwrap();
    ledger.learn(now, report(0, 1_000, 25));
    ledger.give_back(now);
    assert_eq!(ledger.take(now + secs(5), Urgency::Now), Err(secs(20)));
    assert_eq!(ledger.take(now + secs(25), Urgency::Now), Ok(()));
}

#[test]
fn what_remains_is_shared_with_requests_in_flight() {
    let now = Instant::now();
    let mut ledger = Ledger::new(200);
    ledger.learn(now, report(2, 1_000, 30));
    assert_eq!(ledger.left(now), 2);
    ledger.take(now, Urgency::Now).unwrap();
    ledger.take(now, Urgency::Now).unwrap();
    assert_eq!(ledger.take(now, Urgency::Now), Err(secs(30)));
}

#[test]
fn an_answer_that_was_overtaken_gives_nothing_back() {
    let now = Instant::now();
    let mut ledger = Ledger::new(200);
    ledger.learn(now, report(3, 1_060, 50));
    ledger.learn(now, report(9, 1_060, 50));
    assert_eq!(ledger.left(now), 3);
    ledger.learn(now, report(150, 1_000, 0));
    assert_eq!(ledger.left(now), 3, "of the window before");
    ledger.learn(now, report(100, 1_120, 60));
    assert_eq!(ledger.left(now), 100, "of the window after");
}

#[test]
fn the_limit_follows_what_the_endpoint_says() {
    let now = Instant::now();
    let mut ledger = Ledger::new(200);
    ledger.learn(now, Report { limit: Some(10_000), ..Report::default() });
    assert_eq!(ledger.left(now), 10_000);
    ledger.learn(now, Report { limit: Some(0), ..Report::default() });
    assert_eq!(ledger.left(now), 10_000, "a limit of zero is no limit");
}

#[test]
fn a_block_lasts_as_long_as_told_and_a_shorter_one_does_not_lift_it() {
    let now = Instant::now();
    let mut ledger = Ledger::new(200);
    ledger.block(now, secs(40));
    ledger.block(now, secs(2));
    assert_eq!(ledger.left(now), 0);
    assert_eq!(ledger.take(now + secs(10), Urgency::Now), Err(secs(30)));
    assert_eq!(ledger.take(now + secs(40), Urgency::Now), Ok(()));
    ledger.block(now, Duration::MAX);
    assert_eq!(ledger.take(now + secs(41), Urgency::Now), Err(LONGEST_BLOCK - secs(41)));
}

#[tokio::test]
async fn a_permit_dropped_unanswered_keeps_its_slot_for_a_minute() {
    let account = Account { name: "a".to_owned(), provider: "p".to_owned(), requests_per_minute: 1 };
    let budget = InProcess::default().open(&account);
    drop(budget.take(Urgency::Now).await);
    match budget.take(Urgency::Now).await {
        Err(Denied::Wait(wait)) => assert!(wait > secs(50) && wait <= WINDOW, "{wait:?}"),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn background_work_leaves_a_fifth_to_what_people_ask_for_now() {
    let now = Instant::now();
    let mut ledger = Ledger::new(10);
    for _ in 0..8 {
        ledger.take(now, Urgency::Background).unwrap();
        ledger.give_back(now);
    }
    assert_eq!(ledger.take(now, Urgency::Background), Err(WINDOW));
    ledger.take(now, Urgency::Now).unwrap();
    ledger.take(now, Urgency::Now).unwrap();
    assert_eq!(ledger.take(now, Urgency::Now), Err(WINDOW));

    let mut reported = Ledger::new(10);
    reported.learn(now, report(2, 1_000, 30));
    assert_eq!(reported.take(now, Urgency::Background), Err(secs(30)));
    reported.take(now, Urgency::Now).unwrap();
}

/// A request wanted `pause` ms after the one before, answered after `latency` ms, reaching the endpoint after
/// `transit` percent of that.
fn wishes() -> impl Strategy<Value = Vec<(u64, u64, u64)>> {
    prop::collection::vec((0_u64..20_000, 0_u64..90_000, 0_u64..=100), 1..200)
}

proptest! {
    #[test]
    fn the_endpoint_never_receives_more_than_the_limit_in_any_minute(limit in 1_u32..12, wishes in wishes()) {
        let start = Instant::now();
        let mut ledger = Ledger::new(limit);
        let (mut now, mut answers, mut arrivals) = (0_u64, Vec::new(), Vec::new());
        let at = |ms: u64| start + Duration::from_millis(ms);
        for (pause, latency, transit) in wishes {
            now += pause;
            answers.sort_unstable();
            while answers.first().is_some_and(|answered: &u64| *answered <= now) {
                ledger.give_back(at(answers.remove(0)));
            }
            if ledger.take(at(now), Urgency::Now).is_ok() {
                answers.push(now + latency);
                arrivals.push(now + latency * transit / 100);
            }
        }
        prop_assert!(!arrivals.is_empty());
        for first in &arrivals {
            let minute = *first..first + 60_000;
            let received = arrivals.iter().filter(|arrival| minute.contains(arrival)).count();
            prop_assert!(received <= limit as usize, "{} in the minute from {} ms", received, first);
        }
    }

    #[test]
    fn what_is_left_is_exactly_what_can_be_taken(limit in 1_u32..50, remaining in 0_u32..60, used in 0_u32..50) {
        let now = Instant::now();
        let mut ledger = Ledger::new(limit);
        for _ in 0..used.min(limit) {
            ledger.take(now, Urgency::Now).unwrap();
            ledger.give_back(now);
        }
        ledger.learn(now, report(remaining, 1_000, 30));
        let left = ledger.left(now);
        prop_assert!(left <= remaining && left <= limit);
        for _ in 0..left {
            prop_assert!(ledger.take(now, Urgency::Now).is_ok());
        }
        prop_assert!(ledger.take(now, Urgency::Now).is_err());
    }

    #[test]
    fn a_request_after_the_wait_is_allowed(
        limit in 1_u32..12, wishes in wishes(), remaining in 0_u32..5, reset in 0_u64..90, block in 0_u64..90,
    ) {
        let start = Instant::now();
        let mut ledger = Ledger::new(limit);
        let mut now = start;
        for (pause, latency, _) in wishes {
            now += Duration::from_millis(pause);
            if ledger.take(now, Urgency::Now).is_ok() {
                now += Duration::from_millis(latency);
                ledger.give_back(now);
            }
        }
        ledger.learn(now, report(remaining, 1_000, reset));
        ledger.block(now, secs(block));
        if let Err(wait) = ledger.take(now, Urgency::Now) {
            prop_assert!(wait > Duration::ZERO);
            prop_assert_eq!(ledger.take(now + wait, Urgency::Now), Ok(()));
        }
    }
}
