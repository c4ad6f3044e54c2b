//! `/functions/v1/orchestrator?action=tick|status|retry_failed`: what the old system's scheduler was asked. For the service
//! key alone.

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
    health, runs,
    show::{self, Run, Which},
};
use utoipa::{IntoParams, ToSchema};

use crate::{app::App, auth::Service, error::ApiError, readiness::is_alive};

/// Longer than a planner that hears no notifications takes to look by itself.
const TICK_WITHIN: Duration = Duration::from_secs(20);

/// Of each kind.
const LISTED: i64 = 100;

#[derive(Debug, Deserialize, IntoParams)]
pub(crate) struct Question {
    /// `tick`, `status` or `retry_failed`
    action: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticked {
    message: String,
    /// Milliseconds that planning took.
    duration: i64,
    results: Results,
}

#[derive(Debug, Serialize, ToSchema)]
struct Results {
    /// Series that were due.
    scanned: i64,
    slices_created: i64,
    /// Runs that workers took up meanwhile.
    jobs_dispatched: i64,
    errors: Vec<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    /// All there are, however many are listed.
    queued: i64,
    running: i64,
    queued_jobs: Vec<Run>,
    running_jobs: Vec<Run>,
    recent_jobs: Vec<Run>,
}

/// Plans what is due, says how the queue stands, or queues what failed again.
#[utoipa::path(
    get, post, path = "/functions/v1/orchestrator", tag = "functions", params(Question),
    responses(
        (status = 200, description = "tick: what the round did; status: the queue; retry_failed: how many", body = Ticked),
        (status = 400, description = "Invalid action"),
        (status = 403, description = "Not the service key"),
        (status = 503, description = "No scheduler runs"),
    ),
    security(("bearer" = []))
)]
pub(crate) async fn orchestrator(
    State(app): State<App>,
    _: Service,
    Query(question): Query<Question>,
) -> Result<Response, ApiError> {
    match question.action.as_deref() {
        Some("tick") => Ok(Json(tick(&app).await?).into_response()),
        Some("status") => Ok(Json(status(&app).await?).into_response()),
        Some("retry_failed") => {
            let retried = runs::retry_failed(&app.database, None).await?;
            app.tell_queued();
            Ok(Json(json!({ "message": format!("Retried {retried} failed jobs") })).into_response())
        }
        _ => Err(ApiError::bad_request("Invalid action")),
    }
}

/// Has the planner go round, wherever it is, and waits for what comes of it.
async fn tick(app: &App) -> Result<Ticked, ApiError> {
    let ready = health::readiness(&app.database).await?;
    if !is_alive(&ready) {
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "No scheduler runs on this database: start `barkeep up`, or `barkeep plan` beside this server",
        ));
    }
    if ready.scheduler_status == health::WAITING {
        let why = ready.scheduler_message.unwrap_or_default();
        return Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("The scheduler waits for the provider: {why}"),
        ));
    }
    let (since, began) = (Timestamp::now(), Instant::now());
    let before = health::last_round(&app.database).await?.number;
    app.signals.wake_here();
    health::wake(&app.database).await?;
    loop {
        let last = health::last_round(&app.database).await?;
        if last.number > before {
            let round = last.results.unwrap_or_default();
            let jobs_dispatched = show::claimed_since(&app.database, since).await?;
            return Ok(Ticked {
                message: "Tick complete".to_owned(),
                duration: round.duration_ms,
                results: Results {
                    scanned: round.scanned,
                    slices_created: round.slices_created,
                    jobs_dispatched,
                    errors: round.errors,
                },
            });
        }
        if began.elapsed() > TICK_WITHIN {
            return Err(ApiError::new(
                StatusCode::GATEWAY_TIMEOUT,
                "The scheduler is still at it; /readyz says when it was last seen",
            ));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn status(app: &App) -> Result<Status, ApiError> {
    let listed = async |statuses: &[&str]| {
        show::runs(&app.database, None, &Which { statuses, tickers: None, limit: LISTED }).await
    };
    let totals = show::totals(&app.database, None).await?;
    Ok(Status {
        queued: totals.queued,
        running: totals.running,
        queued_jobs: listed(&["queued"]).await?,
        running_jobs: listed(&["running"]).await?,
        recent_jobs: listed(&["success", "failed", "cancelled"]).await?,
    })
}
