//! `/live`: what a page is told while it is open: server-sent events, at most four a second for each.
//!
//! Out: `change` with `{"bars": [{symbol, timeframe, to}], "lists": true, "work": true}`, each part where there is something to
//! look at. What exactly changed is for the page to ask: a lost event costs nothing but time.

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

use super::{failure::Failure, visitor::Visitor};
use crate::app::App;

/// Four a second.
const AT_MOST_EVERY: Duration = Duration::from_millis(250);

/// The queue moves all the time: its page is told less often.
const WORK_EVERY: Duration = Duration::from_secs(1);

/// With notifications lost, or behind a pooler that has none, changes are looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Transactions that began before the last look may commit after it.
const LOOK_BACK: SignedDuration = SignedDuration::from_secs(5);

pub(super) async fn live(
    State(app): State<App>,
    visitor: Visitor,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
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
    work_told: Instant,
    is_work_due: bool,
}

impl Watcher {
    /// Looks once, so that a missing database is an error and not an empty stream.
    async fn new(app: App, visitor: Visitor) -> Result<Self, StoreError> {
        let lists = watchlists::state(&app.database, visitor.user).await?;
        let since = Timestamp::now();
        Ok(Self { app, visitor, since, sent: HashSet::new(), lists, work_told: Instant::now(), is_work_due: false })
    }

    /// Tells until the page is closed or the server stops.
    async fn run(mut self, sender: mpsc::Sender<Event>) {
        let signals = &self.app.signals;
        let (mut ended, mut queued, mut wanted) = (signals.events.clone(), signals.queue.clone(), signals.wake.clone());
        let stop = self.app.stop.clone();
        // Soon after it is gone the browser tries again.
        if sender.send(Event::default().event("hello").retry(Duration::from_secs(1)).data("{}")).await.is_err() {
            return;
        }
        loop {
            let rest = if self.is_work_due { WORK_EVERY } else { LOOK_EVERY };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sender.closed() => return,
                _ = ended.changed() => self.is_work_due = true,
                _ = queued.changed() => self.is_work_due = true,
                _ = wanted.changed() => self.is_work_due = true,
                () = tokio::time::sleep(rest) => {}
            }
            for signal in [&mut ended, &mut queued, &mut wanted] {
                signal.mark_unchanged();
            }
            match self.look().await {
                Ok(None) => {}
                Ok(Some(change)) => {
                    let event = Event::default().event("change").data(change.to_string());
                    if sender.send(event).await.is_err() {
                        return;
                    }
                }
                Err(error) => tracing::warn!(%error, "Changes could not be read; the page is told of them later"),
            }
            tokio::time::sleep(AT_MOST_EVERY).await;
        }
    }

    async fn look(&mut self) -> Result<Option<Value>, StoreError> {
        let (database, user) = (&self.app.database, self.visitor.user);
        let changes = events::changes(database, user, self.since - LOOK_BACK).await?;
        let lists = watchlists::state(database, user).await?;
        let fresh: Vec<SeriesChanged> = changes
            .into_iter()
            .filter(|change| self.sent.insert((change.symbol.clone(), change.timeframe, change.changed_at)))
            .collect();
        if let Some(newest) = fresh.iter().map(|change| change.changed_at).max() {
            self.since = self.since.max(newest);
            let oldest = self.since - LOOK_BACK - LOOK_BACK;
            self.sent.retain(|(_, _, at)| *at >= oldest);
        }
        let mut change = serde_json::Map::new();
        if !fresh.is_empty() {
            change.insert("bars".to_owned(), fresh.iter().map(told).collect());
        }
        if lists != self.lists {
            self.lists = lists;
            change.insert("lists".to_owned(), true.into());
        }
        if self.is_work_due && self.work_told.elapsed() >= WORK_EVERY {
            (self.is_work_due, self.work_told) = (false, Instant::now());
            change.insert("work".to_owned(), true.into());
        }
        Ok((!change.is_empty()).then(|| Value::Object(change)))
    }
}

fn told(change: &SeriesChanged) -> Value {
    json!({
        "symbol": change.symbol, "timeframe": change.timeframe, "to": change.to.map(|to| to.as_second()),
    })
}
