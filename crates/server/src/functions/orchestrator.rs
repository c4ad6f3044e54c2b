//! `/functions/v1/orchestrator?action=tick|status|retry_failed`: the old system's scheduler. Requires the service role key.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::{
    overview::{self, Run, RunFilter},
    runs, scheduler,
};
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::ServiceRole, error::ApiError, readiness::is_alive};

/// Longer than the poll interval of a planner that gets no notifications.
const TICK_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs to list per status.
const MAX_RUNS: i64 = 100;

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct OrchestratorQuery {
    /// `tick`, `status` or `retry_failed`
    action: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ticked)]
pub(crate) struct TickResponse {
    message: String,
    /// Milliseconds that planning took.
    duration: i64,
    results: TickResults,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Results)]
struct TickResults {
    /// Series that were due.
    scanned: i64,
    slices_created: i64,
    /// Runs that workers claimed meanwhile.
    jobs_dispatched: i64,
    errors: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// The total, of which at most 100 are listed.
    queued: i64,
    running: i64,
    queued_jobs: Vec<Run>,
    running_jobs: Vec<Run>,
    recent_jobs: Vec<Run>,
}

/// Plans due series, returns the state of the queue, or retries failed runs.
#[utoipa::path(
    get, post, path = "/functions/v1/orchestrator", tag = "functions", params(OrchestratorQuery),
    responses(
        (status = 200, description = "tick: the results; status: the queue; retry_failed: how many", body = TickResponse),
        (status = 400, description = "Invalid action"),
        (status = 403, description = "Not the service role key"),
        (status = 503, description = "No scheduler is running"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn orchestrator(
    State(app): State<App>,
    _: ServiceRole,
    Query(query): Query<OrchestratorQuery>,
) -> Result<Response, ApiError> {
    match query.action.as_deref() {
        Some("tick") => Ok(Json(tick(&app).await?).into_response()),
        Some("status") => Ok(Json(status(&app).await?).into_response()),
        Some("retry_failed") => {
            let retried = runs::retry_failed(&app.database, None).await?;
            app.notify_queued();
            Ok(Json(json!({ "message": format!("Retried {retried} failed jobs") })).into_response())
        }
        _ => Err(ApiError::bad_request("Invalid action")),
    }
}

/// Wakes the planner, in this process or another, and waits for the results of its tick.
async fn tick(app: &App) -> Result<TickResponse, ApiError> {
    let ready = scheduler::readiness(&app.database).await?;
    if !is_alive(&ready) {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "No scheduler is running on this database: start `barkeep up`, or `barkeep plan` beside this server",
        ));
    }
    if ready.scheduler_status == scheduler::WAITING {
        let reason = ready.scheduler_message.unwrap_or_default();
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("The scheduler is waiting for the provider: {reason}"),
        ));
    }
    let (since, began) = (Timestamp::now(), Instant::now());
    let before = scheduler::last_round(&app.database).await?.number;
    app.signals.wake_here();
    scheduler::wake(&app.database).await?;
    loop {
        let last = scheduler::last_round(&app.database).await?;
        if last.number > before {
            let round = last.results.unwrap_or_default();
            let jobs_dispatched = overview::claimed_since(&app.database, since).await?;
            return Ok(TickResponse {
                message: "Tick complete".to_owned(),
                duration: round.duration_ms,
                results: TickResults {
                    scanned: round.scanned,
                    slices_created: round.slices_created,
                    jobs_dispatched,
                    errors: round.errors,
                },
            });
        }
        if began.elapsed() > TICK_TIMEOUT {
            return Err(ApiError::new(
                StatusCode::GATEWAY_TIMEOUT,
                "The tick is still running: /readyz shows when the scheduler was last seen",
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn status(app: &App) -> Result<Status, ApiError> {
    let runs = async |statuses: &[&str]| {
        overview::runs(&app.database, None, &RunFilter { statuses, tickers: None, limit: MAX_RUNS }).await
    };
    let totals = overview::totals(&app.database, None).await?;
    Ok(Status {
        queued: totals.queued,
        running: totals.running,
        queued_jobs: runs(&["queued"]).await?,
        running_jobs: runs(&["running"]).await?,
        recent_jobs: runs(&["success", "failed", "cancelled"]).await?,
    })
}
