//! `/healthz`: the process is alive. `/readyz`: the database is migrated and the scheduler alive.

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use store::{provider_health::ProviderHealth, scheduler};

use crate::{
    app::{App, ProviderState},
    readiness::is_alive,
};

/// The process is alive.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200)))]
pub(crate) async fn healthz() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// The database is migrated and the scheduler is alive.
#[utoipa::path(get, path = "/readyz", tag = "health", responses((status = 200), (status = 503)))]
pub(crate) async fn readyz(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let provider = match &*app.provider.borrow() {
        ProviderState::Connecting(error) => json!({ "state": "unreachable", "reason": error }),
        ProviderState::Connected(endpoints) => json!({
            "state": "connected",
            "name": endpoints.first().map(|endpoint| &endpoint.provider),
            "others": endpoints.iter().skip(1).map(|endpoint| &endpoint.provider).collect::<Vec<_>>(),
            "simulated": endpoints.iter().any(|endpoint| endpoint.simulated),
        }),
        ProviderState::Missing => json!({ "state": "missing", "reason": "no provider is set up: nothing is fetched" }),
        ProviderState::Elsewhere => json!({ "state": "elsewhere" }),
    };
    // A connected provider may fail later.
    let failing = store::provider_health::all(&app.database).await.unwrap_or_default();
    let failing = failing.into_iter().find(ProviderHealth::is_failing_now);
    let provider = match failing {
        Some(ProviderHealth { provider, last_error, failing_since, .. }) => {
            json!({ "state": "failing", "name": provider, "since": failing_since, "reason": last_error })
        }
        None => provider,
    };
    match scheduler::readiness(&app.database).await {
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
