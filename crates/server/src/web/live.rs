//! `/live`: server-sent events for an open page, at most four a second.
//!
//! Out: `change` with `{"bars": [{symbol, timeframe, to}], "lists": true, "work": true}`, each field only where something changed. The
//! page then requests what it shows, so a lost event only delays it.

use std::{collections::HashSet, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use market::{Ticker, Timeframe};
use serde_json::{Value, json};
use store::{
    StoreError,
    events::{self, SeriesChanged},
    watchlists,
};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;

use super::{page_error::PageError, visitor::Visitor};
use crate::app::App;

/// Between two events of a page.
const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// Between two `work` changes: the queue changes all the time.
const WORK_INTERVAL: Duration = Duration::from_secs(1);

/// How often changes are polled, in case notifications are lost or a pooler doesn't deliver them.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Polls overlap by this much: transactions that began before a poll may commit after it.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);

pub(super) async fn live(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, PageError> {
    let watcher = Watcher::new(app, visitor).await?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(watcher.run(sender));
    let stream = ReceiverStream::new(receiver).map(Ok);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)).text("alive")))
}

struct Watcher {
    app: App,
    visitor: Visitor,
    since: Timestamp,
    sent: HashSet<(Ticker, Timeframe, Timestamp)>,
    lists: String,
    work_sent_at: Instant,
    is_work_due: bool,
}

impl Watcher {
    /// Queries once, so that an unreachable database is an error and not an empty stream.
    async fn new(app: App, visitor: Visitor) -> Result<Self, StoreError> {
        let lists = watchlists::state(&app.database, visitor.user).await?;
        let since = Timestamp::now();
        Ok(Self { app, visitor, since, sent: HashSet::new(), lists, work_sent_at: Instant::now(), is_work_due: false })
    }

    /// Sends changes until the page is closed or the server stops.
    async fn run(mut self, sender: mpsc::Sender<Event>) {
        let signals = &self.app.signals;
        let (mut ended, mut queued, mut wanted) = (signals.events.clone(), signals.queue.clone(), signals.wake.clone());
        let stop = self.app.stop.clone();
        // The browser reconnects after one second.
        if sender.send(Event::default().event("hello").retry(Duration::from_secs(1)).data("{}")).await.is_err() {
            return;
        }
        loop {
            let timeout = if self.is_work_due { WORK_INTERVAL } else { POLL_INTERVAL };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sender.closed() => return,
                _ = ended.changed() => self.is_work_due = true,
                _ = queued.changed() => self.is_work_due = true,
                _ = wanted.changed() => self.is_work_due = true,
                () = tokio::time::sleep(timeout) => {}
            }
            for signal in [&mut ended, &mut queued, &mut wanted] {
                signal.mark_unchanged();
            }
            match self.poll().await {
                Ok(None) => {}
                Ok(Some(change)) => {
                    let event = Event::default().event("change").data(change.to_string());
                    if sender.send(event).await.is_err() {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%error, "Changes could not be read; the page will get them later"),
            }
            tokio::time::sleep(MIN_INTERVAL).await;
        }
    }

    async fn poll(&mut self) -> Result<Option<Value>, StoreError> {
        let (database, user) = (&self.app.database, self.visitor.user);
        let changes = events::changes(database, user, self.since - OVERLAP).await?;
        let lists = watchlists::state(database, user).await?;
        let fresh: Vec<SeriesChanged> = changes
            .into_iter()
            .filter(|change| self.sent.insert((change.symbol.clone(), change.timeframe, change.changed_at)))
            .collect();
        if let Some(newest) = fresh.iter().map(|change| change.changed_at).max() {
            self.since = self.since.max(newest);
            let oldest = self.since - OVERLAP - OVERLAP;
            self.sent.retain(|(_, _, at)| *at >= oldest);
        }
        let mut change = serde_json::Map::new();
        if !fresh.is_empty() {
            change.insert("bars".to_owned(), fresh.iter().map(change_json).collect());
        }
        if lists != self.lists {
            self.lists = lists;
            change.insert("lists".to_owned(), true.into());
        }
        if self.is_work_due && self.work_sent_at.elapsed() >= WORK_INTERVAL {
            (self.is_work_due, self.work_sent_at) = (false, Instant::now());
            change.insert("work".to_owned(), true.into());
        }
        Ok((!change.is_empty()).then_some(Value::Object(change)))
    }
}

fn change_json(change: &SeriesChanged) -> Value {
    json!({
        "symbol": change.symbol, "timeframe": change.timeframe, "to": change.to.map(|to| to.as_second()),
    })
}
