//! `/udf/history`: bars as columns.
//!
//! Holds: `from` is inclusive, `to` exclusive; with `countback` so many bars come before `to`, whatever `from` says. A window that is
//! being filled is waited for, for some seconds: "no data" would be the end of history for good. Days and weeks are
//! named by midnight UTC of their date, as the protocol wants.

use std::time::Duration;

use axum::{Json, extract::State};
use jiff::{SignedDuration, Timestamp};
use market::{Adjustment, AssetClass, Calendar, Range, Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::{StoreError, adjusted, bars::StoredBar, coverage, show, symbols};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Asker, UdfError, UdfQuery, describe, timeframe};
use crate::{app::App, interest};

/// Charts show that they load, and give up after half a minute.
const WAIT: Duration = Duration::from_secs(8);

/// Without a signal one looks again after this.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

const MOST: i64 = 50_000;

/// Texts, so that what is wrong can be named.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(crate) struct Question {
    #[serde(default)]
    symbol: String,
    /// 1, 5, 15, 30, 60, 240, 1D or 1W
    #[serde(default)]
    resolution: String,
    /// Unix seconds, inclusive
    from: Option<String>,
    /// Unix seconds, exclusive; now where left out
    to: Option<String>,
    /// So many bars before `to`, whatever `from` says
    countback: Option<String>,
}

/// `s` is `ok`, or `no_data` with `nextTime`: when the newest bar before the window is, where there is one.
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

/// What was asked for, parsed.
struct Window {
    ticker: Ticker,
    timeframe: Timeframe,
    from: Timestamp,
    to: Timestamp,
    countback: Option<i64>,
}

/// Bars as columns, oldest first.
#[utoipa::path(
    get, path = "/udf/history", tag = "udf", params(Question),
    responses((status = 200, body = History), (status = 400), (status = 401)), security(("bearer" = []), ("session" = []))
)]
pub(crate) async fn history(
    State(app): State<App>,
    Asker(user): Asker,
    UdfQuery(question): UdfQuery<Question>,
) -> Result<Json<History>, UdfError> {
    let window = parse(&app, &question).await?;
    describe::known(&app, user, &window.ticker).await?;
    let _waits = app.foreground.enter();
    match interest::look_at(&app.database, user, &window.ticker, window.timeframe).await {
        Ok(true) => app.signals.wake_here(),
        Ok(false) => {}
        // Who wants too much already may look at what is there all the same.
        Err(StoreError::Refused(_)) if symbols::id(&app.database, &window.ticker).await?.is_some() => {}
        Err(error) => return Err(error.into()),
    }
    let (mut ended, until) = (app.signals.events.clone(), Instant::now() + WAIT);
    loop {
        ended.mark_unchanged();
        let bars = read(&app, user, &window).await?;
        match standing(&app, user, &window, &bars).await? {
            Standing::Known => {
                // Once more: what was missing may have come between the two questions.
                let bars = read(&app, user, &window).await?;
                return answer(&app, user, &window, &bars).await.map(Json);
            }
            Standing::Failed(reason) => {
                let (ticker, timeframe) = (&window.ticker, window.timeframe);
                return Err(UdfError::told(format!("{ticker} {timeframe} could not be fetched: {reason}")));
            }
            Standing::Filling => {}
        }
        if Instant::now() >= until {
            // Part of a window would be taken for all of it.
            let (ticker, timeframe) = (&window.ticker, window.timeframe);
            return Err(UdfError::told(format!("{ticker} {timeframe} is still being fetched: ask again in a moment")));
        }
        let _ = tokio::time::timeout(LOOK_AGAIN, ended.changed()).await;
    }
}

async fn parse(app: &App, question: &Question) -> Result<Window, UdfError> {
    let ticker = describe::parse(&question.symbol)?;
    let timeframe = timeframe(question.resolution.trim())?;
    let number = |text: &Option<String>, name: &str| -> Result<Option<i64>, UdfError> {
        match text.as_deref().map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => {
                text.parse().map(Some).map_err(|_| UdfError::bad(format!("{name} must be a number, not '{text}'")))
            }
        }
    };
    let instant = |secs: i64, name: &str| {
        Timestamp::from_second(secs).map_err(|_| UdfError::bad(format!("{name} is no time in Unix seconds: {secs}")))
    };
    let countback = match number(&question.countback, "countback")? {
        Some(count) if !(1..=MOST).contains(&count) => {
            return Err(UdfError::bad(format!("countback must be a number from 1 to {MOST}, not {count}")));
        }
        count => count,
    };
    let to = match number(&question.to, "to")? {
        Some(secs) => instant(secs, "to")?,
        None => store::clock::read(&app.database).await?.now(),
    };
    let from = match number(&question.from, "from")? {
        Some(secs) => instant(secs, "from")?,
        None if countback.is_some() => to,
        None => return Err(UdfError::bad("from or countback must be given")),
    };
    if from > to || from == to && countback.is_none() {
        return Err(UdfError::bad("to must be after from"));
    }
    Ok(Window { ticker, timeframe, from, to, countback })
}

/// By its name in the protocol.
fn named(window: &Window, bar: &StoredBar) -> i64 {
    let start = bar.bar.start;
    let is_day = window.timeframe.step().is_none();
    if !is_day || window.ticker.asset_class() == AssetClass::Crypto {
        return start.as_second();
    }
    let midnight = Calendar::AlwaysOpen.midnight(Calendar::Xnys.date_of(start));
    midnight.unwrap_or(start).as_second()
}

async fn read(app: &App, user: Uuid, window: &Window) -> Result<Vec<StoredBar>, UdfError> {
    // A day is named by an instant some hours before its bar's.
    let slack = SignedDuration::from_hours(if window.timeframe.step().is_none() { 24 } else { 0 });
    let to = window.to.saturating_add(slack).unwrap_or(window.to);
    let from = match window.countback {
        Some(_) => Timestamp::MIN,
        None => window.from.saturating_sub(slack).unwrap_or(window.from),
    };
    let Ok(range) = Range::new(from, to) else { return Ok(Vec::new()) };
    let limit = window.countback.map_or(MOST, |count| count.saturating_add(2));
    let wanted = adjusted::Wanted {
        ticker: &window.ticker,
        timeframe: window.timeframe,
        range: Some(range),
        limit,
        adjustment: Adjustment::Splits,
    };
    let mut bars =
        adjusted::read(&app.database, Some(user), &app.calendars.current(), wanted).await?.unwrap_or_default();
    let (first, end) = (window.from.as_second(), window.to.as_second());
    bars.retain(|bar| {
        let at = named(window, bar);
        at < end && (window.countback.is_some() || at >= first)
    });
    if let Some(surplus) = window.countback.and_then(|count| bars.len().checked_sub(usize::try_from(count).ok()?)) {
        bars.drain(..surplus);
    }
    Ok(bars)
}

/// How a window stands.
enum Standing {
    /// Nothing more comes that would belong before what is there.
    Known,
    /// Some of it is on its way.
    Filling,
    /// There is nothing, and that is not the end of history.
    Failed(String),
}

async fn standing(app: &App, user: Uuid, window: &Window, bars: &[StoredBar]) -> Result<Standing, UdfError> {
    let series = coverage::of_symbol(&app.database, Some(user), &window.ticker).await?;
    let state = series.iter().find(|of| of.timeframe == window.timeframe).map_or("", |of| of.state.as_str());
    if !["filling", "failing", "unknown"].contains(&state) {
        return Ok(Standing::Known);
    }
    let oldest = match (window.countback, bars.first()) {
        // There are as many as were asked for: only holes among them matter.
        (Some(count), Some(first)) if i64::try_from(bars.len()).is_ok_and(|n| n >= count) => first.bar.start,
        (Some(_), _) => Timestamp::MIN,
        (None, _) => window.from,
    };
    // What is missing after the newest bar comes by itself: charts ask for it again and again.
    let newest = bars.last().map_or(window.to, |bar| bar.bar.start);
    let Ok(part) = Range::new(oldest, newest) else { return Ok(Standing::Known) };
    let gaps = show::gaps(&app.database, Some(std::slice::from_ref(&window.ticker)), 5_000).await?;
    let of_window = |gap: &&show::Gap| gap.timeframe == window.timeframe && gap.range.intersection(&part).is_some();
    let is_lost = |gap: &&show::Gap| ["failed", "suspended"].contains(&gap.state.as_str());
    let (lost, open): (Vec<&show::Gap>, Vec<&show::Gap>) = gaps.iter().filter(of_window).partition(is_lost);
    Ok(match lost.first() {
        _ if !open.is_empty() => Standing::Filling,
        Some(gap) if bars.is_empty() => {
            Standing::Failed(gap.reason.clone().unwrap_or_else(|| "no reason is known".to_owned()))
        }
        _ => Standing::Known,
    })
}

async fn answer(app: &App, user: Uuid, window: &Window, bars: &[StoredBar]) -> Result<History, UdfError> {
    if bars.is_empty() {
        return Ok(History { s: "no_data", next_time: before(app, user, window).await?, ..History::default() });
    }
    let column = |of: fn(&StoredBar) -> f64| Some(bars.iter().map(of).collect());
    Ok(History {
        s: "ok",
        t: Some(bars.iter().map(|bar| named(window, bar)).collect()),
        o: column(|of| of.bar.open),
        h: column(|of| of.bar.high),
        l: column(|of| of.bar.low),
        c: column(|of| of.bar.close),
        v: column(|of| of.bar.volume),
        next_time: None,
    })
}

/// The newest bar before the window.
async fn before(app: &App, user: Uuid, window: &Window) -> Result<Option<i64>, UdfError> {
    let Ok(range) = Range::new(Timestamp::MIN, window.from) else { return Ok(None) };
    let wanted = adjusted::Wanted {
        ticker: &window.ticker,
        timeframe: window.timeframe,
        range: Some(range),
        limit: 1,
        adjustment: Adjustment::Raw,
    };
    let found = adjusted::read(&app.database, Some(user), &app.calendars.current(), wanted).await?;
    Ok(found.and_then(|bars| bars.last().map(|bar| named(window, bar))))
}
