//! `/udf/history`: bars as columns.
//!
//! Holds: `from` is inclusive, `to` exclusive; `countback` returns that many bars before `to` and overrides `from`. A window that is
//! being backfilled is waited for, for some seconds: charts take "no data" as the end of history. The time of a d1 or w1 bar is
//! midnight UTC of its date, as the protocol requires.

use std::time::Duration;

use axum::{Json, extract::State};
use jiff::{SignedDuration, Timestamp};
use market::{Adjustment, AssetClass, Calendar, Range, Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::{StoreError, adjusted, bars::StoredBar, coverage, overview, symbols};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    UdfError, UdfQuery, UdfUser,
    symbols::{find_symbol, parse_ticker},
    timeframe,
};
use crate::{app::App, interest};

/// Charts show a loading state, and give up after 30 seconds.
const BACKFILL_TIMEOUT: Duration = Duration::from_secs(8);

/// How often the window is read again if no signal arrives.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

const MAX_BARS: i64 = 50_000;

/// Strings, so that errors can name an invalid value.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(crate) struct HistoryQuery {
    #[serde(default)]
    symbol: String,
    /// 1, 5, 15, 30, 60, 240, 1D or 1W
    #[serde(default)]
    resolution: String,
    /// Unix seconds, inclusive
    from: Option<String>,
    /// Unix seconds, exclusive; default: now
    to: Option<String>,
    /// This many bars before `to`; overrides `from`
    countback: Option<String>,
}

/// `s` is `ok`, or `no_data`; then `nextTime` is the time of the newest bar before the window, if any.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = UdfHistory)]
pub(crate) struct History {
    s: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<Vec<i64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    o: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    h: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    l: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    c: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<Vec<f64>>,
    #[serde(rename = "nextTime", skip_serializing_if = "Option::is_none")]
    next_time: Option<i64>,
}

/// The parsed query.
struct Window {
    ticker: Ticker,
    timeframe: Timeframe,
    from: Timestamp,
    to: Timestamp,
    countback: Option<i64>,
}

/// Bars as columns, oldest first.
#[utoipa::path(
    get, path = "/udf/history", tag = "udf", params(HistoryQuery),
    responses((status = 200, body = History), (status = 400), (status = 401)), security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn history(
    State(app): State<App>,
    UdfUser(user): UdfUser,
    UdfQuery(query): UdfQuery<HistoryQuery>,
) -> Result<Json<History>, UdfError> {
    let window = parse(&app, &query).await?;
    find_symbol(&app, user, &window.ticker).await?;
    let _foreground = app.foreground.enter();
    match interest::record_chart_view(&app.database, user, &window.ticker, window.timeframe).await {
        Ok(true) => app.signals.wake_here(),
        Ok(false) => {}
        // A user at the limit of symbols may still read stored bars.
        Err(StoreError::Refused(_)) if symbols::id(&app.database, &window.ticker).await?.is_some() => {}
        Err(error) => return Err(error.into()),
    }
    let (mut ended, deadline) = (app.signals.events.clone(), Instant::now() + BACKFILL_TIMEOUT);
    loop {
        ended.mark_unchanged();
        let bars = read(&app, user, &window).await?;
        match window_state(&app, user, &window, &bars).await? {
            WindowState::Complete => {
                // Read again: missing bars may have been stored between the two queries.
                let bars = read(&app, user, &window).await?;
                return response(&app, user, &window, &bars).await.map(Json);
            }
            WindowState::Failed(reason) => {
                let (ticker, timeframe) = (&window.ticker, window.timeframe);
                return Err(UdfError::with_ok_status(format!("{ticker} {timeframe} could not be fetched: {reason}")));
            }
            WindowState::Filling => {}
        }
        if Instant::now() >= deadline {
            // Charts would take part of a window for all of it.
            let (ticker, timeframe) = (&window.ticker, window.timeframe);
            return Err(UdfError::with_ok_status(format!(
                "{ticker} {timeframe} is still being fetched: try again in a moment"
            )));
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, ended.changed()).await;
    }
}

async fn parse(app: &App, query: &HistoryQuery) -> Result<Window, UdfError> {
    let ticker = parse_ticker(&query.symbol)?;
    let timeframe = timeframe(query.resolution.trim())?;
    let number = |text: &Option<String>, name: &str| -> Result<Option<i64>, UdfError> {
        match text.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|_| UdfError::bad_request(format!("{name} must be a number, not '{text}'"))),
        }
    };
    let instant = |secs: i64, name: &str| {
        Timestamp::from_second(secs)
            .map_err(|_| UdfError::bad_request(format!("{name} isn't a valid Unix time: {secs}")))
    };
    let countback = match number(&query.countback, "countback")? {
        Some(count) if !(1..=MAX_BARS).contains(&count) => {
            return Err(UdfError::bad_request(format!("countback must be a number from 1 to {MAX_BARS}, not {count}")));
        }
        count => count,
    };
    let to = match number(&query.to, "to")? {
        Some(secs) => instant(secs, "to")?,
        None => store::clock::read(&app.database).await?.now(),
    };
    let from = match number(&query.from, "from")? {
        Some(secs) => instant(secs, "from")?,
        None if countback.is_some() => to,
        None => return Err(UdfError::bad_request("from or countback must be given")),
    };
    if from > to || from == to && countback.is_none() {
        return Err(UdfError::bad_request("to must be after from"));
    }
    Ok(Window { ticker, timeframe, from, to, countback })
}

/// The time of a bar in the protocol.
fn bar_time(window: &Window, bar: &StoredBar) -> i64 {
    let start = bar.bar.start;
    let is_day = window.timeframe.step().is_none();
    if !is_day || window.ticker.asset_class() == AssetClass::Crypto {
        return start.as_second();
    }
    let midnight = Calendar::AlwaysOpen.midnight(Calendar::Xnys.date_of(start));
    midnight.unwrap_or(start).as_second()
}

async fn read(app: &App, user: Uuid, window: &Window) -> Result<Vec<StoredBar>, UdfError> {
    // The protocol's time of a day is some hours before the start of its bar.
    let slack = SignedDuration::from_hours(if window.timeframe.step().is_none() { 24 } else { 0 });
    let to = window.to.saturating_add(slack).unwrap_or(window.to);
    let from = match window.countback {
        Some(_) => Timestamp::MIN,
        None => window.from.saturating_sub(slack).unwrap_or(window.from),
    };
    let Ok(range) = Range::new(from, to) else { return Ok(Vec::new()) };
    let limit = window.countback.map_or(MAX_BARS, |count| count.saturating_add(2));
    let selection = adjusted::AdjustedQuery {
        ticker: &window.ticker,
        timeframe: window.timeframe,
        range: Some(range),
        limit,
        adjustment: Adjustment::Splits,
    };
    let mut bars =
        adjusted::read(&app.database, Some(user), &app.calendars.current(), selection).await?.unwrap_or_default();
    let (first, end) = (window.from.as_second(), window.to.as_second());
    bars.retain(|bar| {
        let at = bar_time(window, bar);
        at < end && (window.countback.is_some() || at >= first)
    });
    if let Some(surplus) = window.countback.and_then(|count| bars.len().checked_sub(usize::try_from(count).ok()?)) {
        bars.drain(..surplus);
    }
    Ok(bars)
}

/// How much of a window is stored.
enum WindowState {
    /// No more bars will come before the newest stored one.
    Complete,
    /// Some bars are still being fetched.
    Filling,
    /// There are no bars because fetching failed, which isn't the end of history.
    Failed(String),
}

async fn window_state(app: &App, user: Uuid, window: &Window, bars: &[StoredBar]) -> Result<WindowState, UdfError> {
    let series = coverage::of_symbol(&app.database, Some(user), &window.ticker).await?;
    let state =
        series.iter().find(|series| series.timeframe == window.timeframe).map_or("", |series| series.state.as_str());
    if !["filling", "failing", "unknown"].contains(&state) {
        return Ok(WindowState::Complete);
    }
    let oldest = match (window.countback, bars.first()) {
        // There are enough bars: only gaps between them matter.
        (Some(count), Some(first)) if i64::try_from(bars.len()).is_ok_and(|n| n >= count) => first.bar.start,
        (Some(_), _) => Timestamp::MIN,
        (None, _) => window.from,
    };
    // Gaps after the newest bar don't matter: charts keep requesting the newest bars.
    let newest = bars.last().map_or(window.to, |bar| bar.bar.start);
    let Ok(range) = Range::new(oldest, newest) else { return Ok(WindowState::Complete) };
    let gaps = overview::gaps(&app.database, Some(std::slice::from_ref(&window.ticker)), 5_000).await?;
    let of_window =
        |gap: &&overview::Gap| gap.timeframe == window.timeframe && gap.range.intersection(&range).is_some();
    let has_failed = |gap: &&overview::Gap| ["failed", "suspended"].contains(&gap.state.as_str());
    let (failed, open): (Vec<&overview::Gap>, Vec<&overview::Gap>) =
        gaps.iter().filter(of_window).partition(has_failed);
    Ok(match failed.first() {
        _ if !open.is_empty() => WindowState::Filling,
        Some(gap) if bars.is_empty() => {
            WindowState::Failed(gap.reason.clone().unwrap_or_else(|| "unknown reason".to_owned()))
        }
        _ => WindowState::Complete,
    })
}

async fn response(app: &App, user: Uuid, window: &Window, bars: &[StoredBar]) -> Result<History, UdfError> {
    if bars.is_empty() {
        return Ok(History {
            s: "no_data",
            next_time: previous_bar_time(app, user, window).await?,
            ..History::default()
        });
    }
    let column = |value: fn(&StoredBar) -> f64| Some(bars.iter().map(value).collect());
    Ok(History {
        s: "ok",
        t: Some(bars.iter().map(|bar| bar_time(window, bar)).collect()),
        o: column(|stored| stored.bar.open),
        h: column(|stored| stored.bar.high),
        l: column(|stored| stored.bar.low),
        c: column(|stored| stored.bar.close),
        v: column(|stored| stored.bar.volume),
        next_time: None,
    })
}

/// The time of the newest bar before the window.
async fn previous_bar_time(app: &App, user: Uuid, window: &Window) -> Result<Option<i64>, UdfError> {
    let Ok(range) = Range::new(Timestamp::MIN, window.from) else { return Ok(None) };
    let selection = adjusted::AdjustedQuery {
        ticker: &window.ticker,
        timeframe: window.timeframe,
        range: Some(range),
        limit: 1,
        adjustment: Adjustment::Raw,
    };
    let found = adjusted::read(&app.database, Some(user), &app.calendars.current(), selection).await?;
    Ok(found.and_then(|bars| bars.last().map(|bar| bar_time(window, bar))))
}
