//! What the plan and the budget allow. All answers here are synthetic.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Timeframe};
use providers::{BarSource, FetchError, alpaca::Feed};

use crate::server::{Asked, Counted, Say, Server, any_request, connect, market_now, range, request};

const TOO_RECENT: &str = r#"{"message":"subscription does not permit querying recent SIP data"}"#;

/// Answers as a free plan does when its clock is the market's.
fn free_plan(asked: &Asked) -> Say {
    let end: Timestamp = asked.query["end"].parse().unwrap();
    let recent =
        end > market_now() - SignedDuration::from_mins(15) && asked.query.get("feed") == Some(&"sip".to_owned());
    if recent { Say::status(403, TOO_RECENT) } else { Say::no_bars() }
}

/// An answer with what it says of the budget; the reset is this many seconds from now.
fn with_budget(say: Say, limit: u32, remaining: u32, reset: i64) -> Say {
    say.header("X-RateLimit-Limit", limit)
        .header("X-RateLimit-Remaining", remaining)
        .header("X-RateLimit-Reset", Timestamp::now().as_second() + reset)
}

fn retry_after(error: FetchError) -> Duration {
    match error {
        FetchError::Throttled { retry_after, .. } => retry_after,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn recent_minutes_that_the_plan_holds_back_are_cut_off_and_that_is_remembered() {
    let server = Server::answering(free_plan).await;
    let source = server.source().await;
    assert_eq!(source.limits(AssetClass::Stock).grace, SignedDuration::from_secs(60));

    let up_to_now = request(&["AAPL"], Timeframe::M15, "2021-10-15T14:00:00Z", "2021-10-15T18:00:00Z");
    let fetched = source.bars(&up_to_now).await.unwrap();
    assert_eq!(fetched.answered, Some(range("2021-10-15T14:00:00Z", "2021-10-15T17:44:00Z")));
    assert_eq!(fetched.requests, 2);
    assert_eq!(server.asked()[1].query["end"], "2021-10-15T17:43:59.999999999Z");
    assert_eq!(source.limits(AssetClass::Stock).grace, SignedDuration::from_mins(16));
    assert_eq!(source.limits(AssetClass::Crypto).grace, SignedDuration::from_secs(60));

    let again = source.bars(&up_to_now).await.unwrap();
    assert_eq!((again.answered, again.requests), (fetched.answered, 1), "asked rightly at once");

    let older = request(&["AAPL"], Timeframe::M15, "2021-10-15T14:00:00Z", "2021-10-15T15:00:00Z");
    assert_eq!(source.bars(&older).await.unwrap().answered, Some(older.range), "nothing is cut off what is old");

    let newest = request(&["AAPL"], Timeframe::M15, "2021-10-15T17:45:00Z", "2021-10-15T18:00:00Z");
    let nothing = source.bars(&newest).await.unwrap();
    assert_eq!((nothing.answered, nothing.requests), (None, 0));
}

#[tokio::test]
async fn a_range_wholly_held_back_is_answered_for_with_nothing() {
    let server = Server::answering(free_plan).await;
    let newest = request(&["AAPL"], Timeframe::M15, "2021-10-15T17:45:00Z", "2021-10-15T18:00:00Z");
    let fetched = server.source().await.bars(&newest).await.unwrap();
    assert_eq!((fetched.bars.len(), fetched.answered, fetched.requests), (0, None, 1));
}

#[tokio::test]
async fn neither_crypto_nor_iex_is_cut_off() {
    let server = Server::answering(free_plan).await;
    let crypto = request(&["BTC-USD"], Timeframe::M15, "2021-10-15T14:00:00Z", "2021-10-15T18:00:00Z");
    let source = server.source().await;
    source.bars(&request(&["AAPL"], Timeframe::M15, "2021-10-15T14:00:00Z", "2021-10-15T18:00:00Z")).await.unwrap();
    assert_eq!(source.bars(&crypto).await.unwrap().answered, Some(crypto.range));
    let mut settings = server.settings();
    settings.feed = Some(Feed::Iex);
    let stock = request(&["AAPL"], Timeframe::M15, "2021-10-15T14:00:00Z", "2021-10-15T18:00:00Z");
    assert_eq!(connect(settings).await.bars(&stock).await.unwrap().answered, Some(stock.range));
}

#[tokio::test]
async fn a_plan_that_is_never_content_ends_after_one_more_try_and_not_as_bad_credentials() {
    let server = Server::replaying(vec![Say::status(403, TOO_RECENT)]).await;
    let source = server.source().await;
    let up_to_now = request(&["AAPL"], Timeframe::M15, "2021-10-15T14:00:00Z", "2021-10-15T18:00:00Z");
    let error = source.bars(&up_to_now).await.unwrap_err();
    assert!(error.code() == "server" && error.to_string().contains("clock"), "{error}");
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn an_old_range_refused_as_recent_is_not_asked_for_twice() {
    let server = Server::replaying(vec![Say::status(403, TOO_RECENT)]).await;
    let error = server.source().await.bars(&any_request()).await.unwrap_err();
    assert_eq!(error.code(), "server", "{error}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_after_an_answer_that_says_nothing_remains() {
    let server = Server::replaying(vec![with_budget(Say::no_bars(), 200, 0, 300)]).await;
    let counted = Counted::connect(server.settings()).await;
    let source = &counted.source;
    source.bars(&any_request()).await.unwrap();
    assert_eq!(counted.left(), 0);
    let wait = retry_after(source.bars(&any_request()).await.unwrap_err());
    // A minute at most, whatever the header says: nobody's limit is counted over longer.
    assert!(wait > Duration::from_secs(10) && wait <= Duration::from_secs(60), "{wait:?}");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn the_limit_and_the_rest_are_learned_from_answers() {
    let server = Server::replaying(vec![with_budget(Say::no_bars(), 10_000, 7_000, 30)]).await;
    let counted = Counted::connect(server.settings()).await;
    let source = &counted.source;
    assert_eq!((source.limits(AssetClass::Stock).requests_per_minute, counted.left()), (200, 200));
    source.bars(&any_request()).await.unwrap();
    assert_eq!((source.limits(AssetClass::Stock).requests_per_minute, counted.left()), (10_000, 7_000));
}

#[tokio::test]
async fn a_429_stops_everyone_for_as_long_as_it_says() {
    let server =
        Server::replaying(vec![Say::status(429, r#"{"message":"too many requests."}"#).header("Retry-After", 400)])
            .await;
    let source = server.source().await;
    assert_eq!(retry_after(source.bars(&any_request()).await.unwrap_err()), Duration::from_secs(400));
    let wait = retry_after(source.bars(&any_request()).await.unwrap_err());
    assert!(wait > Duration::from_secs(100), "{wait:?}");
    assert!(matches!(source.asset(&"AAPL".parse().unwrap()).await, Err(FetchError::Throttled { .. })), "one server");
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn without_headers_no_more_than_the_limit_is_sent_however_many_ask_at_once() {
    let server = Server::answering_all(|asked| match asked.path.as_str() {
        "/v1/market-sim" => Say::json(
            r#"{"name":"market-sim","earliest":"2016-01-01T00:00:00Z","requests_per_minute":5,"delay_seconds":0}"#,
        ),
        _ => Say::no_bars(),
    })
    .await;
    let counted = Counted::connect(server.settings()).await;
    let source = &counted.source;
    let asking: Vec<_> = (0..20)
        .map(|_| {
            let source = Arc::clone(source);
            tokio::spawn(async move { source.bars(&any_request()).await })
        })
        .collect();
    let mut answered = 0;
    for asked in asking {
        match asked.await.unwrap() {
            Ok(_) => answered += 1,
            Err(error) => assert!(retry_after(error) > Duration::from_secs(1)),
        }
    }
    assert_eq!((answered, server.asked().len(), counted.left()), (5, 5, 0));
}

/// A page paid for is not thrown away because the next must wait a second.
#[tokio::test]
async fn between_pages_the_budget_is_waited_for() {
    let server = Server::answering(|asked| match asked.query.get("page_token") {
        None => with_budget(Say::json(r#"{"bars":{},"next_page_token":"next"}"#), 200, 0, 2),
        Some(_) => with_budget(Say::no_bars(), 200, 199, 62),
    })
    .await;
    let fetched = server.source().await.bars(&any_request()).await.unwrap();
    assert_eq!(fetched.requests, 2);
}

#[tokio::test]
async fn a_request_given_up_by_its_caller_stays_counted() {
    let server = Server::replaying(vec![Say::Nothing]).await;
    let counted = Counted::connect(server.settings()).await;
    let source = &counted.source;
    let asking = tokio::spawn({
        let source = Arc::clone(source);
        async move { source.bars(&any_request()).await }
    });
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    assert_eq!(counted.left(), 199);
}
