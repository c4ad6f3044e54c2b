//! One count for all processes: an account never sends more than its limit, and nothing while it is blocked.

use std::time::{Duration, Instant};

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};
use store::budget::{self, Answered, NotNow};
use testkit::Owner;
use tokio::task::JoinSet;

use crate::site::Site;

for_every_owner! {
    many_who_ask_at_once_get_no_more_than_the_limit,
}

for_one_owner! {
    what_was_learnt_survives_a_restart_and_not_another_limit,
    what_an_answer_says_of_limit_and_rest_holds_for_all,
    background_work_leaves_a_fifth_to_what_people_ask_for,
    a_slot_comes_free_a_minute_after_the_answer,
    a_request_whose_process_died_frees_its_slot_in_the_end,
    a_block_lasts_as_long_as_told_and_a_shorter_one_does_not_lift_it,
    a_refused_key_is_left_alone_until_it_is_tried_again,
    a_refused_key_does_not_shorten_what_the_provider_told_us_to_wait,
    requests_that_nothing_was_heard_of_come_free_without_anybody_asking,
}

const ACCOUNT: &str = "test account";

async fn site(owner: Owner, limit: u32) -> Site {
    let site = Site::new(owner).await;
    budget::open(&site.database, ACCOUNT, "test", limit).await.unwrap();
    site
}

/// Time passes while a test checks, and more of it on a busy machine.
struct Stopwatch(Instant);

impl Stopwatch {
    fn start() -> Self {
        Self(Instant::now())
    }

    /// Whether `wait` is what remains of this many seconds that began after the start.
    fn is_rest_of(&self, wait: Duration, seconds: u64) -> bool {
        let (whole, passed) = (Duration::from_secs(seconds), self.0.elapsed()); // by the clock: allowed for, not limited
        wait <= whole + Duration::from_millis(500) && wait + passed + Duration::from_secs(1) >= whole
    }
}

async fn take(site: &Site, background: bool) -> Result<uuid::Uuid, Duration> {
    match budget::take(&site.database, ACCOUNT, background).await.unwrap() {
        Ok(request) => Ok(request),
        Err(NotNow::Wait(wait)) => Err(wait),
        Err(NotNow::Refused(words)) => panic!("refused: {words}"),
    }
}

async fn answered(site: &Site, request: uuid::Uuid, says: Answered) {
    budget::record_response(&site.database, ACCOUNT, request, says).await.unwrap();
}

/// Shifts the account's times back by this much.
async fn pass(site: &Site, seconds: f64) {
    site.run(&format!(
        "update barkeep.budget_requests set sent_at = sent_at - {seconds} * interval '1 second';
        -- Over a detour: on the way none may meet another.
        update barkeep.budget_slots set frees_at = frees_at - interval '1 day';
        update barkeep.budget_slots set frees_at = frees_at + interval '1 day' - {seconds} * interval '1 second';
        update barkeep.budgets set told_until = told_until - {seconds} * interval '1 second',
            blocked_until = blocked_until - {seconds} * interval '1 second'"
    ))
    .await;
}

async fn left(site: &Site) -> (i32, i32) {
    let standing = budget::account_budget(&site.database, ACCOUNT).await.unwrap().unwrap();
    (standing.left, standing.left_for_background)
}

async fn many_who_ask_at_once_get_no_more_than_the_limit(owner: Owner) {
    let watch = Stopwatch::start();
    let site = site(owner, 20).await;
    let (places, mut asking) = (crate::site::places(), JoinSet::new());
    for _ in 0..60 {
        let database = site.database.clone();
        let place = crate::site::place(&places);
        asking.spawn(async move {
            let _place = place.await;
            budget::take(&database, ACCOUNT, false).await.unwrap().is_ok()
        });
    }
    let given = asking.join_all().await.into_iter().filter(|given| *given).count();
    assert_eq!(given, 20);
    assert_eq!(left(&site).await, (0, 0));
    assert!(watch.is_rest_of(take(&site, false).await.unwrap_err(), 60));
}

async fn background_work_leaves_a_fifth_to_what_people_ask_for(owner: Owner) {
    let site = site(owner, 10).await;
    for n in 0..8 {
        assert_eq!(left(&site).await, (10 - n, 8 - n));
        take(&site, true).await.unwrap();
    }
    assert!(take(&site, true).await.is_err());
    assert_eq!(left(&site).await, (2, 0));
    take(&site, false).await.unwrap();
    take(&site, false).await.unwrap();
    assert!(take(&site, false).await.is_err());
}

async fn a_slot_comes_free_a_minute_after_the_answer(owner: Owner) {
    let site = site(owner, 1).await;
    let request = take(&site, false).await.unwrap();
    pass(&site, 20.0).await;
    answered(&site, request, Answered::default()).await;
    pass(&site, 30.0).await;
    let wait = take(&site, false).await.unwrap_err();
    assert!(wait <= Duration::from_millis(30_300), "{wait:?}");
    pass(&site, 30.5).await;
    take(&site, false).await.unwrap();
    // A repeated response releases no second slot.
    answered(&site, request, Answered::default()).await;
    assert!(take(&site, false).await.is_err());
}

async fn a_request_whose_process_died_frees_its_slot_in_the_end(owner: Owner) {
    let site = site(owner, 1).await;
    take(&site, false).await.unwrap();
    pass(&site, 61.0).await;
    assert!(take(&site, false).await.is_err(), "its request may have been answered after 30 s");
    pass(&site, 30.0).await;
    take(&site, false).await.unwrap();
}

async fn what_an_answer_says_of_limit_and_rest_holds_for_all(owner: Owner) {
    let watch = Stopwatch::start();
    let site = site(owner, 200).await;
    let says = |limit, remaining, unix, after| Answered {
        limit: Some(limit),
        remaining: Some(remaining),
        reset: Some((unix, Duration::from_secs(after))),
        turned_away: None,
    };
    let request = take(&site, false).await.unwrap();
    answered(&site, request, says(1_000, 300, 1_000, 30)).await;
    assert_eq!(left(&site).await.0, 300);
    // Responses that were overtaken, and one of a past window.
    let request = take(&site, false).await.unwrap();
    answered(&site, request, says(1_000, 400, 1_000, 30)).await;
    assert_eq!(left(&site).await.0, 300);
    let request = take(&site, false).await.unwrap();
    answered(&site, request, says(1_000, 900, 940, 0)).await;
    assert_eq!(left(&site).await.0, 300);
    let request = take(&site, false).await.unwrap();
    answered(&site, request, says(1_000, 0, 1_060, 40)).await;
    assert!(watch.is_rest_of(take(&site, false).await.unwrap_err(), 40), "nothing is left until the reset");
    pass(&site, 40.5).await;
    take(&site, false).await.unwrap();
}

async fn a_block_lasts_as_long_as_told_and_a_shorter_one_does_not_lift_it(owner: Owner) {
    let watch = Stopwatch::start();
    let site = site(owner, 200).await;
    let away = |seconds| Answered { turned_away: Some(Duration::from_secs(seconds)), ..Answered::default() };
    let (one, other) = (take(&site, false).await.unwrap(), take(&site, false).await.unwrap());
    answered(&site, one, away(30)).await;
    answered(&site, other, away(2)).await;
    let standing = budget::account_budget(&site.database, ACCOUNT).await.unwrap().unwrap();
    assert_eq!((standing.left, standing.turned_away, standing.blocked_reason.as_deref()), (0, 2, Some("throttled")));
    assert!(watch.is_rest_of(standing.wait, 30) && watch.is_rest_of(take(&site, false).await.unwrap_err(), 30));
    pass(&site, 30.0).await;
    take(&site, false).await.unwrap();
    assert_eq!(budget::account_budget(&site.database, ACCOUNT).await.unwrap().unwrap().blocked_until, None);
}

async fn a_refused_key_is_left_alone_until_it_is_tried_again(owner: Owner) {
    let site = site(owner, 200).await;
    budget::block(&site.database, ACCOUNT, Duration::from_secs(60), "no such key").await.unwrap();
    let refused = budget::take(&site.database, ACCOUNT, false).await.unwrap().unwrap_err();
    assert_eq!(refused, NotNow::Refused("no such key".to_owned()));
    budget::unblock(&site.database, ACCOUNT).await.unwrap();
    let request = take(&site, false).await.unwrap();
    // A wait for throttling is not lifted like that.
    let away = Answered { turned_away: Some(Duration::from_secs(30)), ..Answered::default() };
    answered(&site, request, away).await;
    budget::unblock(&site.database, ACCOUNT).await.unwrap();
    assert!(take(&site, false).await.is_err());
}

async fn a_refused_key_does_not_shorten_what_the_provider_told_us_to_wait(owner: Owner) {
    let watch = Stopwatch::start();
    let site = site(owner, 200).await;
    let request = take(&site, false).await.unwrap();
    let away = Answered { turned_away: Some(Duration::from_secs(3_600)), ..Answered::default() };
    answered(&site, request, away).await;
    budget::block(&site.database, ACCOUNT, Duration::from_secs(60), "no such key").await.unwrap();
    budget::unblock(&site.database, ACCOUNT).await.unwrap();
    assert!(watch.is_rest_of(take(&site, false).await.unwrap_err(), 3_600));
}

async fn requests_that_nothing_was_heard_of_come_free_without_anybody_asking(owner: Owner) {
    let site = site(owner, 5).await;
    for _ in 0..5 {
        take(&site, false).await.unwrap();
    }
    assert_eq!(left(&site).await, (0, 0));
    // Workers read the budget before they claim anything: that alone must find out.
    pass(&site, 91.0).await;
    assert_eq!(left(&site).await, (5, 4));
}

async fn what_was_learnt_survives_a_restart_and_not_another_limit(owner: Owner) {
    let site = site(owner, 200).await;
    let request = take(&site, false).await.unwrap();
    answered(&site, request, Answered { limit: Some(10_000), ..Answered::default() }).await;
    budget::open(&site.database, ACCOUNT, "test", 200).await.unwrap();
    assert_eq!(left(&site).await.0, 9_999);
    budget::open(&site.database, ACCOUNT, "test", 50).await.unwrap();
    assert_eq!(left(&site).await.0, 49);
    site.run("update barkeep.budgets set used_at = now() - interval '8 days'").await;
    assert_eq!(budget::forget_unused(&site.database).await.unwrap(), 1);
}

/// A request wanted `pause` seconds after the one before, answered after `latency` seconds, reaching the endpoint
/// after `transit` percent of that.
fn wishes() -> impl Strategy<Value = Vec<(u32, u32, u32)>> {
    prop::collection::vec((0_u32..15, 0_u32..28, 0_u32..=100), 20..60)
}

/// A request in progress.
struct Sent {
    at: f64,
    answered: u32,
    transit: u32,
    request: uuid::Uuid,
}

/// Whatever the requests and the latencies: never more than the limit arrives in any minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_endpoint_never_receives_more_than_the_limit_in_any_minute() {
    let mut runner = TestRunner::new(Config::default());
    for limit in [1, 3, 7] {
        let wishes = wishes().new_tree(&mut runner).unwrap().current();
        let site = site(Owner::Plain, limit).await;
        let begun = Instant::now();
        let (mut passed, mut under_way, mut arrivals) = (0_u32, Vec::<Sent>::new(), Vec::new());
        // The time that really passes is added to the simulated time.
        let clock = |passed: u32| f64::from(passed) + begun.elapsed().as_secs_f64(); // by the clock: allowed for
        for (wait, latency, transit) in &wishes {
            let then = passed + wait;
            under_way.sort_unstable_by_key(|sent| sent.answered);
            while under_way.first().is_some_and(|sent| sent.answered <= then) {
                let sent = under_way.remove(0);
                pass(&site, f64::from(sent.answered - passed)).await;
                passed = sent.answered;
                arrivals.push(sent.at + (clock(passed) - sent.at) * f64::from(sent.transit) / 100.0);
                answered(&site, sent.request, Answered::default()).await;
            }
            pass(&site, f64::from(then - passed)).await;
            passed = then;
            if let Ok(request) = take(&site, false).await {
                under_way.push(Sent { at: clock(passed), answered: passed + latency, transit: *transit, request });
            }
        }
        arrivals.extend(under_way.iter().map(|sent| sent.at));
        assert!(!arrivals.is_empty());
        for first in &arrivals {
            let received = arrivals.iter().filter(|at| **at >= *first && **at < first + 60.0).count();
            assert!(received <= limit as usize, "{received} in the minute from {first} s, of {limit}: {wishes:?}");
        }
    }
}
