//! `barkeep up` on a database of its own.

use std::process::Command;

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use testkit::TestDatabase;

use super::{Place, Up, eventually, http, quiet_database};

/// `barkeep up` on a database of its own in which nobody wants anything yet, and its keys.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) up: Up,
    pub(crate) anon_key: String,
    pub(crate) service_role_key: String,
    pub(crate) jwt_secret: String,
    pub(crate) place: Place,
    pub(crate) database: TestDatabase,
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// `change`: what the command gets besides.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let (place, database) = (Place::new(), quiet_database().await);
        let mut command = place.barkeep(&["up", "--database-url", &database.url]);
        change(&mut command);
        let up = Up::start(command).await;
        let keys: Value = serde_json::from_str(&place.printed(&["keys", "--json"])).unwrap();
        let key = |name: &str| keys[name].as_str().unwrap().to_owned();
        let (anon_key, service_role_key, jwt_secret) = (key("anon_key"), key("service_role_key"), key("jwt_secret"));
        Self { up, anon_key, service_role_key, jwt_secret, place, database }
    }

    pub(crate) async fn sql(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    /// Sends `body` as JSON; the status and the answer.
    pub(crate) async fn post(&self, token: &str, path: &str, body: &str) -> (u16, Value) {
        let answer = http::client()
            .post(self.up.url(path))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// Has the planner look now, and waits until it has.
    pub(crate) async fn tick(&self) -> Value {
        eventually("the planner has looked", async || {
            let path = "/functions/v1/orchestrator?action=tick";
            match self.post(&self.service_role_key, path, "").await {
                // It is still at it.
                (504, _) => None,
                (status, answer) => {
                    assert_eq!(status, 200, "{answer}");
                    Some(answer)
                }
            }
        })
        .await
    }

    /// Waits until nothing is under way, queued or due: from then on nothing happens by itself.
    pub(crate) async fn until_idle(&self) {
        eventually("nothing is left to do", async || {
            let open: i64 = sqlx::query_scalar(
                "select (select count(*) from job_runs where status in ('queued', 'running'))
                    + (select count(*) from job_definitions
                        where enabled and suspended_at is null and next_due_at <= barkeep.market_now())",
            )
            .fetch_one(&mut self.sql().await)
            .await
            .unwrap();
            (open == 0).then_some(())
        })
        .await;
    }

    /// A token of somebody else than the anonymous user.
    pub(crate) fn somebodys_token(&self) -> String {
        self.token("somebody@example.com")
    }

    /// A token of a user, who is made where there is none.
    pub(crate) fn token(&self, email: &str) -> String {
        let args = ["token", "--user", email, "--database-url", &self.database.url];
        self.place.printed(&args).trim().to_owned()
    }
}
