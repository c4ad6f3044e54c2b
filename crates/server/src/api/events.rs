//! `GET /api/v1/events`: server-sent events for a user's own series. `bars` lists the series that changed.

use std::{collections::HashSet, convert::Infallible, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use market::{Ticker, Timeframe};
use store::events::{self, SeriesChanged};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use uuid::Uuid;

use crate::{app::App, auth::User, error::ApiError};

/// Between two events: at most four a second.
const MIN_INTERVAL: Duration = Duration::from_millis(250);

/// How often changes are polled, in case notifications are lost or a pooler doesn't deliver them.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// Polls overlap by this much: transactions that began before a poll may commit after it.
const OVERLAP: SignedDuration = SignedDuration::from_secs(5);

/// Server-sent events: `hello`, then `bars` with the changes of the user's series, as a list of
/// `{symbol, timeframe, rows_written, to}`.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "api",
    responses((status = 200, content_type = "text/event-stream"), (status = 401)),
    security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn events(
    State(app): State<App>,
    User(user): User,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    // Queries once before the stream begins, so that an unreachable database is an error and not an empty stream.
    events::changes(&app.database, user, Timestamp::now()).await?;
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(send_changes(app, user, sender));
    let stream = ReceiverStream::new(receiver).map(Ok);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)).text("alive")))
}

/// Sends changes until the client disconnects or the server stops.
async fn send_changes(app: App, user: Uuid, sender: mpsc::Sender<Event>) {
    let mut signals = app.signals.events.clone();
    let mut since = Timestamp::now();
    let mut sent: HashSet<(Ticker, Timeframe, Timestamp)> = HashSet::new();
    if sender.send(Event::default().event("hello").data("{}")).await.is_err() {
        return;
    }
    loop {
        tokio::select! {
            () = app.stop.cancelled() => return,
            () = sender.closed() => return,
            _ = signals.changed() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
        }
        signals.mark_unchanged();
        match events::changes(&app.database, user, since - OVERLAP).await {
            Ok(changes) => {
                let fresh: Vec<SeriesChanged> = changes
                    .into_iter()
                    .filter(|c| sent.insert((c.symbol.clone(), c.timeframe, c.changed_at)))
                    .collect();
                if let Some(newest) = fresh.iter().map(|c| c.changed_at).max() {
                    since = since.max(newest);
                    sent.retain(|(_, _, at)| *at >= since - OVERLAP - OVERLAP);
                    match Event::default().event("bars").json_data(&fresh) {
                        Ok(event) => {
                            if sender.send(event).await.is_err() {
                                return;
                            }
                        }
                        Err(error) => tracing::error!(%error, "An event could not be written as JSON"),
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "Changes could not be read; the stream goes on"),
        }
        tokio::time::sleep(MIN_INTERVAL).await;
    }
}
