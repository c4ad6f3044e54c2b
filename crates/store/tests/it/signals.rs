//! Listeners receive signals of interest and of outcomes, also after the connection was cut.

use market::Timeframe;
use sqlx::Connection;
use store::{
    events::{self, Notifier},
    tracking::Source,
};
use testkit::{ALICE, BOB, Owner};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::site::{PATIENCE, Site, TUESDAY, at, range};

for_every_owner! {
    interest_wakes_and_outcomes_are_told,
    changes_are_those_of_what_the_user_tracks,
}

for_one_owner! {
    a_listener_that_was_cut_off_listens_again,
}

async fn hears(signal: &mut watch::Receiver<u64>) {
    tokio::time::timeout(PATIENCE, signal.changed()).await.expect("nothing was heard").unwrap();
}

async fn interest_wakes_and_outcomes_are_told(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let stop = CancellationToken::new();
    let mut signals = events::listen(&site.database, stop.clone());
    hears(&mut signals.wake).await;
    hears(&mut signals.events).await;

    site.track(ALICE, &["FRESH"], Source::Watchlist).await;
    hears(&mut signals.wake).await;
    site.untrack(ALICE, "FRESH", None).await;
    hears(&mut signals.wake).await;
    site.run("select barkeep.wake()").await;
    hears(&mut signals.wake).await;

    let h1 = site.definition("AAPL", Timeframe::H1).await;
    let run = site.held(&h1, range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z"), "worker").await;
    assert!(!signals.events.has_changed().unwrap(), "nothing has ended yet");
    assert!(site.answer(&run, &[]).await);
    let notifier = Notifier::start(&site.database, stop.clone());
    notifier.changed();
    hears(&mut signals.events).await;
    notifier.queued();
    hears(&mut signals.queue).await;
    assert_eq!(*signals.hears.borrow(), Some(true));
    stop.cancel();
}

async fn a_listener_that_was_cut_off_listens_again(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let stop = CancellationToken::new();
    let mut signals = events::listen(&site.database, stop.clone());
    hears(&mut signals.wake).await;
    let mut superuser = sqlx::PgConnection::connect(&site.owned.url).await.unwrap();
    for _ in 0..2 {
        signals.wake.mark_unchanged();
        let cut: i64 = sqlx::query_scalar(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid()",
        )
        .fetch_one(&mut superuser)
        .await
        .unwrap();
        assert!(cut > 0);
        // A reconnection counts as a signal: one may have been missed.
        hears(&mut signals.wake).await;
        signals.wake.mark_unchanged();
        site.track(ALICE, &["FRESH"], Source::Watchlist).await;
        hears(&mut signals.wake).await;
    }
    stop.cancel();
}

async fn changes_are_those_of_what_the_user_tracks(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["AAPL"], Source::Watchlist).await;
    site.track(BOB, &["MSFT"], Source::Watchlist).await;
    for symbol in ["AAPL", "MSFT"] {
        site.fill(&site.definition(symbol, Timeframe::H1).await).await;
    }
    let changes = events::changes(&site.database, ALICE, at("2020-01-01T00:00:00Z")).await.unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].symbol.as_str(), changes[0].timeframe), ("AAPL", Timeframe::H1));
    assert!(changes[0].rows_written > 400);
    assert_eq!(changes[0].to, Some(at("2026-11-24T16:30:00Z")));
    assert!(events::changes(&site.database, ALICE, changes[0].changed_at).await.unwrap().is_empty());
}
