//! What happens in the database, as hints to those who wait: a notification says only that there is something to see.
//! With none of them everything still happens, at the pace of those who look by themselves.

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
/// Its listener hears itself, or nothing.
const ECHO: &str = "barkeep_echo";

/// Other traffic may keep a pooler from giving the same process twice in a row.
const TRIES: usize = 10;

/// An echo takes a moment; behind a transaction-mode pooler it never comes.
const ECHO_WITHIN: Duration = Duration::from_secs(3);

/// Who hears nothing tries again this often.
const LISTEN_AGAIN: Duration = Duration::from_secs(300);

/// NOTIFY takes a lock on the whole server when its transaction commits: not more often than this.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// Counters that go up when the database says that something happened.
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
    /// Of which none ever comes, but for this process's own.
    pub fn without_notifications() -> Self {
        let (wake_tx, wake) = watch::channel(0);
        let (queue_tx, queue) = watch::channel(0);
        let (events_tx, events) = watch::channel(0);
        let (hears_tx, hears) = watch::channel(Some(false));
        let senders = Senders { wake: wake_tx, queue: queue_tx, events: events_tx, hears: hears_tx };
        Self { wake, queue, events, hears, senders: Arc::new(senders) }
    }

    /// How often to look without a signal: `usual`, or `alone` where none arrives.
    pub fn period(&self, usual: Duration, alone: Duration) -> Duration {
        if *self.hears.borrow() == Some(false) { alone } else { usual }
    }

    /// In this process something became due: those who plan here need not wait for the database to say so.
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
/// missed. Whether anything arrives is tried out: behind a transaction-mode pooler nothing does.
pub fn listen(database: &Database, stop: CancellationToken) -> Signals {
    let signals = Signals::without_notifications();
    signals.senders.hears.send_replace(None);
    let (told, pool) = (signals.clone(), database.pool().clone());
    tokio::spawn(async move {
        let mut pause = Duration::from_millis(200);
        while !stop.is_cancelled() {
            let heard_until = tokio::time::Instant::now();
            tokio::select! {
                () = stop.cancelled() => return,
                ended = hear(&pool, &told) => {
                    if let Err(error) = ended {
                        tracing::warn!(%error, "Not hearing the database's notifications; the tick goes on without them");
                    }
                }
            }
            pause = if *told.hears.borrow() == Some(false) {
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

/// One connection's notifications, until it is lost or turns out to hear nothing.
async fn hear(pool: &PgPool, signals: &Signals) -> Result<(), sqlx::Error> {
    if is_shared(pool).await? {
        hears_nothing(signals);
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
                    hears_nothing(signals);
                    return Ok(());
                }
            }
        };
        // `None`: the connection was lost and a notification may be with it.
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

fn hears_nothing(signals: &Signals) {
    if signals.senders.hears.send_replace(Some(false)) != Some(false) {
        tracing::warn!("Notifications don't arrive (a pooler in transaction mode?): looking more often instead");
    }
}

/// Whether a pooler in transaction mode stands between: two clients that are both connected have one server process between
/// them. To LISTEN there would make that process send what it hears to whoever has it next, who expects nothing of the
/// kind.
async fn is_shared(pool: &PgPool) -> Result<bool, sqlx::Error> {
    let (mut one, mut other) = (pool.acquire().await?, pool.acquire().await?);
    let mut seen = HashSet::new();
    for _ in 0..TRIES {
        let first = served_by(&mut one).await?;
        let second = served_by(&mut other).await?;
        // Without a pooler each keeps its own.
        if first == second || seen.len() == 2 && !(seen.contains(&first) && seen.contains(&second)) {
            return Ok(true);
        }
        seen.extend([first, second]);
    }
    Ok(false)
}

/// The server process that has this connection's transaction.
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

/// Tells workers that slices were queued, by somebody who is no worker.
///
/// # Errors
/// Where the database is gone.
pub async fn notify_queued(database: &Database) -> Result<(), StoreError> {
    Ok(notify(database.pool(), QUEUE).await?)
}

/// Tells other processes, after the fact and at most some times a second, so that no transaction of ours waits for the
/// lock that NOTIFY takes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notifier {
    queue: Arc<Notify>,
    events: Arc<Notify>,
}

impl Notifier {
    /// Tells until `stop`.
    pub fn start(database: &Database, stop: CancellationToken) -> Self {
        let notifier = Self { queue: Arc::default(), events: Arc::default() };
        for (due, channel) in [(Arc::clone(&notifier.queue), QUEUE), (Arc::clone(&notifier.events), EVENTS)] {
            tokio::spawn(tell(database.pool().clone(), due, channel, stop.clone()));
        }
        notifier
    }

    /// Who tells nobody.
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

async fn tell(pool: PgPool, due: Arc<Notify>, channel: &'static str, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = due.notified() => {}
        }
        if let Err(error) = notify(&pool, channel).await {
            tracing::debug!(%error, channel, "Others could not be told; they look for themselves");
        }
        tokio::time::sleep(TELL_EVERY).await;
    }
}

/// A series that got something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SeriesChanged {
    pub symbol: Ticker,
    pub timeframe: Timeframe,
    pub rows_written: i64,
    /// Covered until then.
    pub to: Option<Timestamp>,
    #[serde(skip)]
    pub changed_at: Timestamp,
}

/// The series that `user` tracks and that changed after `since` (wall time), oldest first: as many as there are.
///
/// # Errors
/// Where the database is gone.
pub async fn changes(database: &Database, user: Uuid, since: Timestamp) -> Result<Vec<SeriesChanged>, StoreError> {
    let mut tx = database.begin_as(user).await?.0;
    // Bounded by what somebody may track: some hundred symbols.
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
