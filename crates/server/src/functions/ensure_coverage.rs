//! `POST /functions/v1/ensure-coverage {"symbol": "AAPL", "timeframe": "h1", "window_days": 7}`: backfills a
//! series now and returns its progress.

use std::time::Duration;

use axum::{Json, extract::State};
use jiff::Timestamp;
use market::{Ticker, Timeframe};
use serde::{Deserialize, Serialize};
use store::series_backfill::{self, SeriesBackfill};
use tokio::time::Instant;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{app::App, auth::TokenUser, body::JsonBody, error::ApiError, interest};

const DEFAULT_DAYS: i32 = 7;
const MAX_DAYS: i32 = 3_650;

/// How long to wait for the planner, which usually takes milliseconds.
const PLANNING_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = EnsureCoverage)]
pub(crate) struct EnsureCoverageRequest {
    #[serde(default)]
    symbol: String,
    #[serde(default)]
    timeframe: String,
    /// Default: 7; at most the window of the series
    window_days: Option<i32>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CoverageEnsured)]
pub(crate) struct EnsureCoverageResponse {
    job_def_id: Uuid,
    #[schema(value_type = String)]
    symbol: Ticker,
    #[schema(value_type = String)]
    timeframe: Timeframe,
    /// gaps_detected or coverage_complete
    status: &'static str,
    coverage_status: CoverageStatus,
    backfill_progress: BackfillProgress,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CoverageStatus)]
pub(crate) struct CoverageStatus {
    #[schema(value_type = Option<String>, format = DateTime)]
    from_ts: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    to_ts: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success_at: Option<Timestamp>,
    gaps_found: i64,
}

/// Of the series' runs that are open, or were started within the last day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BackfillProgress)]
pub(crate) struct BackfillProgress {
    total_slices: i64,
    completed_slices: i64,
    running_slices: i64,
    queued_slices: i64,
    failed_slices: i64,
    progress_percent: i64,
    bars_written: i64,
}

/// Backfills a series and returns its progress. Records `chart_view` interest, for 30 days.
#[utoipa::path(
    post, path = "/functions/v1/ensure-coverage", tag = "functions", request_body = EnsureCoverageRequest,
    responses((status = 200, body = EnsureCoverageResponse), (status = 400), (status = 401)),
    security(("bearer" = []))
)]
pub(crate) async fn ensure_coverage(
    State(app): State<App>,
    TokenUser(user): TokenUser,
    JsonBody(request): JsonBody<EnsureCoverageRequest>,
) -> Result<Json<EnsureCoverageResponse>, ApiError> {
    if request.symbol.trim().is_empty() {
        return Err(ApiError::bad_request("No symbol provided"));
    }
    let invalid = |what: &str, error: &dyn std::fmt::Display| ApiError::bad_request(format!("Invalid {what}: {error}"));
    let symbol: Ticker = request.symbol.parse().map_err(|error| invalid("symbol", &error))?;
    let timeframe: Timeframe = request.timeframe.parse().map_err(|error| invalid("timeframe", &error))?;
    let days = request.window_days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MAX_DAYS).contains(&days) {
        return Err(ApiError::bad_request(format!("Invalid window_days: a number from 1 to {MAX_DAYS} is expected")));
    }
    let _foreground = app.foreground.enter();
    let mut signals = app.signals.queue.clone();
    if interest::record_chart_view(&app.database, user, &symbol, timeframe).await? {
        app.signals.wake_here();
    }
    let deadline = Instant::now() + PLANNING_TIMEOUT;
    loop {
        signals.mark_unchanged();
        let work = series_backfill::for_series(&app.database, user, &symbol, timeframe, days)
            .await?
            .ok_or_else(|| ApiError::not_found(format!("{symbol} {timeframe} can't be tracked")))?;
        let is_planned = work.gaps == 0 || work.queued + work.running + work.failed > 0 || work.suspended;
        if is_planned || Instant::now() >= deadline {
            return Ok(Json(response(symbol, timeframe, &work)));
        }
        // Polls in case no signal arrives.
        let _ = tokio::time::timeout(Duration::from_millis(100), signals.changed()).await;
    }
}

fn response(symbol: Ticker, timeframe: Timeframe, work: &SeriesBackfill) -> EnsureCoverageResponse {
    let total = work.queued + work.running + work.failed + work.succeeded;
    EnsureCoverageResponse {
        job_def_id: work.definition,
        symbol,
        timeframe,
        status: if work.gaps > 0 { "gaps_detected" } else { "coverage_complete" },
        coverage_status: CoverageStatus {
            from_ts: work.from,
            to_ts: work.to,
            last_success_at: work.last_success_at,
            gaps_found: work.gaps,
        },
        backfill_progress: BackfillProgress {
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
