//! `/healthz`: the process lives. `/readyz`: database migrated, scheduler alive.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use store::health;

use super::{App, ProviderState};

/// A planner that ticks each minute and hasn't been seen for this long is not alive.
const SCHEDULER_LATE_SECS: i64 = 180;

pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

pub(super) async fn readyz(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let provider = match &*app.provider.borrow() {
        ProviderState::Connecting(why) => json!({ "state": "unreachable", "reason": why }),
        ProviderState::Connected(engine) => {
            let endpoint = engine.source.endpoint();
            json!({ "state": "connected", "name": endpoint.provider, "simulated": endpoint.simulated })
        }
    };
    match health::readiness(&app.database).await {
        Ok(ready) => {
            let working = ![health::STARTING, health::STOPPED].contains(&ready.scheduler_status.as_str());
            let alive = working && ready.scheduler_seen_secs_ago.is_some_and(|secs| secs <= SCHEDULER_LATE_SECS);
            let status = if alive { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            let body = json!({
                "status": if alive { "ready" } else { "waiting for the scheduler" },
                "database": "migrated",
                "scheduler": {
                    "status": ready.scheduler_status,
                    "message": ready.scheduler_message,
                    "seen_seconds_ago": ready.scheduler_seen_secs_ago,
                },
                "provider": provider,
            });
            (status, Json(body))
        }
        Err(error) => {
            tracing::warn!(%error, "Not ready");
            let reason =
                if error.is_unreachable() { "the database can't be reached" } else { "the database is not in order" };
            (
                StatusCode::SERVICE_UNAVAILABLE,
                Json(json!({ "status": "not ready", "reason": reason, "provider": provider })),
            )
        }
    }
}
