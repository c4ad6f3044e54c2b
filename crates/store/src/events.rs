//! Events in the database, as hints to waiting tasks: a notification says only that something has changed. Without
//! notifications everything still happens, at the rate of periodic polling.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::Timestamp;
use market::{Ticker, Timeframe};
use serde::Serialize;
use sqlx::{Connection, PgConnection, PgPool, Row, postgres::PgListener};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Database, StoreError,
    instant::Instant,
    row::{instant, instant_or_none, parsed},
    statement::{query, query_scalar},
};

/// Interest arrived or changed.
const WAKE: &str = "barkeep_wake";
/// Slices were queued.
const QUEUE: &str = "barkeep_queue";
/// Runs ended.
const EVENTS: &str = "barkeep_events";
/// Used to test whether the listener receives notifications.
const ECHO: &str = "barkeep_echo";

/// Other traffic may keep a pooler from assigning the same server process twice in a row.
const TRIES: usize = 10;

/// An echo takes a moment; behind a transaction-mode pooler it never arrives.
const ECHO_WITHIN: Duration = Duration::from_secs(3);

/// How often a process without notifications tries to listen again.
const LISTEN_AGAIN: Duration = Duration::from_secs(300);

/// NOTIFY takes a lock on the whole server when its transaction commits: it is sent no more often than this.
const NOTIFY_EVERY: Duration = Duration::from_millis(100);

/// Counters that are incremented on notifications.
#[derive(Clone, Debug)]
pub struct Signals {
    /// Interest arrived or changed: time to plan, and perhaps to fetch in another order.
    pub wake: watch::Receiver<u64>,
    /// Slices were queued: something to fetch.
    pub queue: watch::Receiver<u64>,
    /// Runs ended: something to show.
    pub events: watch::Receiver<u64>,
    /// Whether notifications arrive; `None` until that is known.
    pub hears: watch::Receiver<Option<bool>>,
    senders: Arc<Senders>,
}

#[derive(Debug)]
struct Senders {
    wake: watch::Sender<u64>,
    queue: watch::Sender<u64>,
    events: watch::Sender<u64>,
    hears: watch::Sender<Option<bool>>,
}

impl Signals {
    /// Signals of this process only, without notifications from the database.
    pub fn without_notifications() -> Self {
        let (wake_tx, wake) = watch::channel(0);
        let (queue_tx, queue) = watch::channel(0);
        let (events_tx, events) = watch::channel(0);
        let (hears_tx, hears) = watch::channel(Some(false));
        let senders = Senders { wake: wake_tx, queue: queue_tx, events: events_tx, hears: hears_tx };
        Self { wake, queue, events, hears, senders: Arc::new(senders) }
    }

    /// How often to poll: `usual` in addition to signals, or `alone` if none arrive.
    pub fn period(&self, usual: Duration, alone: Duration) -> Duration {
        if *self.hears.borrow() == Some(false) { alone } else { usual }
    }

    /// Something became due in this process: its planner need not wait for the notification.
    pub fn wake_here(&self) {
        up(&self.senders.wake);
    }

    /// The same for slices that were queued in this process.
    pub fn queued_here(&self) {
        up(&self.senders.queue);
    }

    /// The same for runs that ended in this process.
    pub fn changed_here(&self) {
        up(&self.senders.events);
    }

    fn everything(&self) {
        up(&self.senders.wake);
        up(&self.senders.queue);
        up(&self.senders.events);
    }
}

fn up(counter: &watch::Sender<u64>) {
    counter.send_modify(|n| *n += 1);
}

/// Listens until `stop`, reconnecting with backoff. Every (re)connection counts as a signal, since one may have been
/// missed. Whether notifications arrive is tested: behind a transaction-mode pooler none do.
pub fn listen(database: &Database, stop: CancellationToken) -> Signals {
    let signals = Signals::without_notifications();
    signals.senders.hears.send_replace(None);
    let (counters, pool) = (signals.clone(), database.pool().clone());
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(200);
        while !stop.is_cancelled() {
            let heard_until = tokio::time::Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                ended = receive(&pool, &counters) => {
                    if let Err(error) = ended {
                        tracing::warn!(%error, "Not receiving the database's notifications; polling goes on without them");
                    }
                }
            }
            pause = if *counters.hears.borrow() == Some(false) {
                LISTEN_AGAIN
            } else if heard_until.elapsed() > Duration::from_secs(30) {
                Duration::from_millis(200)
            } else {
                (pause * 2).min(Duration::from_secs(15))
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
    signals
}

/// Receives one connection's notifications, until it is lost or turns out to receive none.
async fn receive(pool: &PgPool, signals: &Signals) -> Result<(), sqlx::Error> {
    if is_shared(pool).await? {
        no_notifications(signals);
        return Ok(());
    }
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen_all([WAKE, QUEUE, EVENTS, ECHO]).await?;
    signals.everything();
    notify(pool, ECHO).await?;
    let deadline = tokio::time::Instant::now() + ECHO_WITHIN;
    let mut echoed = false;
    loop {
        let heard = if echoed {
            listener.try_recv().await?
        } else {
            match tokio::time::timeout_at(deadline, listener.try_recv()).await {
                Ok(heard) => heard?,
                Err(_) => {
                    no_notifications(signals);
                    return Ok(());
                }
            }
        };
        // `None`: the connection was lost, perhaps with a notification.
        let Some(notification) = heard else { return Ok(()) };
        if !echoed {
            echoed = true;
            signals.senders.hears.send_replace(Some(true));
        }
        match notification.channel() {
            WAKE => up(&signals.senders.wake),
            QUEUE => up(&signals.senders.queue),
            EVENTS => up(&signals.senders.events),
            _ => {}
        }
    }
}

fn no_notifications(signals: &Signals) {
    if signals.senders.hears.send_replace(Some(false)) != Some(false) {
        tracing::warn!("Notifications don't arrive (a pooler in transaction mode?): polling more often instead");
    }
}

/// Whether there is a transaction-mode pooler: then two connected clients share a server process. LISTEN would make
/// that process send notifications to any client that uses it next, which doesn't expect them.
async fn is_shared(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let (mut one, mut other) = (pool.acquire().await?, pool.acquire().await?);
    let mut seen = HashSet::new();
    for _ in 0..TRIES {
        let first = served_by(&mut one).await?;
        let second = served_by(&mut other).await?;
        // Without a pooler each connection keeps its own process.
        if first == second || seen.len() == 2 && !(seen.contains(&first) && seen.contains(&second)) {
            return Ok(true);
        }
        seen.extend([first, second]);
    }
    Ok(false)
}

/// The server process that runs this connection's transaction.
async fn served_by(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    let mut tx = connection.begin().await?;
    let process = query_scalar("select pg_backend_pid()").fetch_one(&mut *tx).await?;
    tx.commit().await?;
    Ok(process)
}

async fn notify(pool: &PgPool, channel: &'static str) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin().await?;
    query("select pg_notify($1, '')").bind(channel).execute(&mut *tx).await?;
    tx.commit().await
}

/// Notifies workers of queued slices, from a process that is no worker.
///
/// # Errors
/// If the database is unreachable.
pub async fn notify_queued(database: &Database) -> Result<(), StoreError> {
    Ok(notify(database.pool(), QUEUE).await?)
}

/// Notifies other processes after commits, at most some times a second, so that none of the transactions waits for
/// the lock that NOTIFY takes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notifier {
    queue: Arc<Notify>,
    events: Arc<Notify>,
}

impl Notifier {
    /// Sends notifications until `stop`.
    pub fn start(database: &Database, stop: CancellationToken) -> Self {
        let notifier = Self { queue: Arc::default(), events: Arc::default() };
        for (due, channel) in [(Arc::clone(&notifier.queue), QUEUE), (Arc::clone(&notifier.events), EVENTS)] {
            tokio::spawn(forward(database.pool().clone(), due, channel, stop.clone()));
        }
        notifier
    }

    /// A notifier that sends nothing.
    pub fn disabled() -> Self {
        Self { queue: Arc::default(), events: Arc::default() }
    }

    /// Slices were queued.
    pub fn queued(&self) {
        self.queue.notify_one();
    }

    /// Runs ended.
    pub fn changed(&self) {
        self.events.notify_one();
    }
}

async fn forward(pool: PgPool, due: Arc<Notify>, channel: &'static str, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = due.notified() => {}
        }
        if let Err(error) = notify(&pool, channel).await {
            tracing::debug!(%error, channel, "The notification could not be sent; other processes will poll");
        }
        tokio::time::sleep(NOTIFY_EVERY).await;
    }
}

/// A series that has changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesChanged {
    pub symbol: Ticker,
    pub timeframe: Timeframe,
    pub rows_written: i64,
    /// The end of the covered range.
    pub to: Option<Timestamp>,
    #[serde(skip)]
    pub changed_at: Timestamp,
}

/// The series that `user` tracks and that changed after `since` (wall time), oldest first, without a limit.
///
/// # Errors
/// If the database is unreachable.
pub async fn changes(database: &Database, user: Uuid, since: Timestamp) -> Result<Vec<SeriesChanged>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    // Bounded by how many symbols a user may track: some hundreds.
    let rows = query(
        "select symbol, timeframe, last_rows_written, to_ts, updated_at
        from public.coverage_status
        where updated_at > $1
        order by updated_at",
    )
    .bind(Instant(since))
    .fetch_all(&mut *tx)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(SeriesChanged {
                symbol: parsed(row, 0)?,
                timeframe: parsed(row, 1)?,
                rows_written: row.try_get(2)?,
                to: instant_or_none(row, 3)?,
                changed_at: instant(row, 4)?,
            })
        })
        .collect()
}
