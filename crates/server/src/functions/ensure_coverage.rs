//! `POST /functions/v1/ensure-coverage {"symbol": "AAPL", "timeframe": "h1", "window_days": 7}`: somebody needs a series now.

use std::time::Duration;

use axum::{Json, extract::State};
use jiff::Timestamp;
use market::{Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::series_work::{self, SeriesWork};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, auth::TokenUser, body::Body, error::ApiError, interest};

/// As far back as one looks where nobody says.
const USUAL_DAYS: i32 = 7;
const MOST_DAYS: i32 = 3_650;

/// The planner is woken and cuts the gaps: mostly within some milliseconds.
const PLANNED_WITHIN: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EnsureCoverage)]
pub(crate) struct Asked {
    #[serde(default)]
    symbol: String,
    #[serde(default)]
    timeframe: String,
    /// 7 where left out; what is kept of the series at most
    window_days: Option<i32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CoverageEnsured)]
pub(crate) struct Ensured {
    job_def_id: Uuid,
    #[schema(value_type = String)]
    symbol: Ticker,
    #[schema(value_type = String)]
    timeframe: Timeframe,
    /// gaps_detected or coverage_complete
    status: &'static str,
    coverage_status: Covered,
    backfill_progress: Progress,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CoverageStatus)]
pub(crate) struct Covered {
    #[schema(value_type = Option<String>, format = DateTime)]
    from_ts: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    to_ts: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success_at: Option<Timestamp>,
    gaps_found: i64,
}

/// Of the series' runs that are open, or were begun within the day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackfillProgress)]
pub(crate) struct Progress {
    total_slices: i64,
    completed_slices: i64,
    running_slices: i64,
    queued_slices: i64,
    failed_slices: i64,
    progress_percent: i64,
    bars_written: i64,
}

/// Has a series filled, and says how far that is. It is `chart_view` interest, for 30 days.
#[utoipa::path(
    post, path = "/functions/v1/ensure-coverage", tag = "functions", request_body = Asked,
    responses((status = 200, body = Ensured), (status = 400), (status = 401)),
    security(("bearer" = []))
)]
pub(crate) async fn ensure_coverage(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    Body(asked): Body<Asked>,
) -> Result<Json<Ensured>, ApiError> {
    if asked.symbol.trim().is_empty() {
        return Err(ApiError::bad_request("No symbol provided"));
    }
    let invalid = |what: &str, error: &dyn std::fmt::Display| ApiError::bad_request(format!("Invalid {what}: {error}"));
    let symbol: Ticker = asked.symbol.parse().map_err(|error| invalid("symbol", &error))?;
    let timeframe: Timeframe = asked.timeframe.parse().map_err(|error| invalid("timeframe", &error))?;
    let days = asked.window_days.unwrap_or(USUAL_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(ApiError::bad_request(format!("Invalid window_days: a number from 1 to {MOST_DAYS} is expected")));
    }
    let _waits = app.foreground.enter();
    let mut signals = app.signals.queue.clone();
    if interest::look_at(&app.database, user, &symbol, timeframe).await? {
        app.signals.wake_here();
    }
    let until = Instant::now() + PLANNED_WITHIN;
    loop {
        signals.mark_unchanged();
        let work = series_work::of(&app.database, user, &symbol, timeframe, days)
            .await?
            .ok_or_else(|| ApiError::not_found(format!("{symbol} {timeframe} is no series that could be kept")))?;
        let is_planned = work.gaps == 0 || work.queued + work.running + work.failed > 0 || work.suspended;
        if is_planned || Instant::now() >= until {
            return Ok(Json(told(symbol, timeframe, &work)));
        }
        // Where nothing is heard one looks again soon.
        let _ = tokio::time::timeout(Duration::from_millis(100), signals.changed()).await;
    }
}

fn told(symbol: Ticker, timeframe: Timeframe, work: &SeriesWork) -> Ensured {
    let total = work.queued + work.running + work.failed + work.succeeded;
    Ensured {
        job_def_id: work.definition,
        symbol,
        timeframe,
        status: if work.gaps > 0 { "gaps_detected" } else { "coverage_complete" },
        coverage_status: Covered {
            from_ts: work.from,
            to_ts: work.to,
            last_success_at: work.last_success_at,
            gaps_found: work.gaps,
        },
        backfill_progress: Progress {
            total_slices: total,
            completed_slices: work.succeeded,
            running_slices: work.running,
            queued_slices: work.queued,
            failed_slices: work.failed,
            progress_percent: match (total, work.gaps) {
                (0, 0) => 100,
                (0, _) => 0,
                (total, _) => work.succeeded * 100 / total,
            },
            bars_written: work.rows,
        },
    }
}
