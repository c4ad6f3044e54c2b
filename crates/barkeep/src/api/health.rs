//! `/healthz`: the process lives. `/readyz`: database migrated, scheduler alive.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use store::{
    health::{self, Readiness},
    providers::{FAILING, Health},
};

use super::{App, ProviderState};

/// A planner that ticks each minute and hasn't been seen for this long is not alive.
const SCHEDULER_LATE_SECS: i64 = 180;

/// The process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)))]
pub(super) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// Whether the scheduler lives. Asked of a server without one, of whoever plans on its database.
pub(crate) fn is_alive(ready: &Readiness) -> bool {
    let working = ![health::STARTING, health::STOPPED].contains(&ready.scheduler_status.as_str());
    working && ready.scheduler_seen_secs_ago.is_some_and(|secs| secs <= SCHEDULER_LATE_SECS)
}

/// The database is migrated and the scheduler alive.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200), (status = 503)))]
pub(super) async fn readyz(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let provider = match &*app.provider.borrow() {
        ProviderState::Connecting(why) => json!({ "state": "unreachable", "reason": why }),
        ProviderState::Connected(endpoints) => json!({
            "state": "connected",
            "name": endpoints.first().map(|endpoint| &endpoint.provider),
            "others": endpoints.iter().skip(1).map(|endpoint| &endpoint.provider).collect::<Vec<_>>(),
            "simulated": endpoints.iter().any(|endpoint| endpoint.simulated),
        }),
        ProviderState::Elsewhere => json!({ "state": "elsewhere" }),
    };
    // One that was connected to may have died since.
    let failing = store::providers::all(&app.database).await.unwrap_or_default();
    let failing = failing.into_iter().find(|health| health.failures >= FAILING);
    let provider = match failing {
        Some(Health { provider, last_error, .. }) => {
            json!({ "state": "failing", "name": provider, "reason": last_error })
        }
        None => provider,
    };
    match health::readiness(&app.database).await {
        Ok(ready) => {
            let alive = is_alive(&ready);
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
