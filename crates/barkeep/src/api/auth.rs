//! Who asks. In: the `Authorization` header. Out: a user; what they may see is for row level security to say.

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};
use store::{Database, users};
use uuid::Uuid;

use super::{App, error::ApiError};
use crate::keys::Keys;

#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    keys: Keys,
    database: Database,
}

/// A user with a good token; the anonymous one for the `anon` key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User(pub(crate) Uuid);

impl Authenticator {
    pub(crate) fn new(keys: Keys, database: Database) -> Self {
        Self { keys, database }
    }

    async fn user(&self, headers: &HeaderMap) -> Result<User, ApiError> {
        let token = bearer(headers)?;
        let claims = self.keys.check(token).map_err(|bad| ApiError::unauthorized(bad.to_string()))?;
        let user = match (claims.role.as_str(), claims.sub) {
            ("anon", None) => users::ANONYMOUS,
            ("authenticated", Some(sub)) => {
                sub.parse().map_err(|_| ApiError::unauthorized("The token's sub is no user's id"))?
            }
            ("service_role", _) => {
                return Err(ApiError::unauthorized(
                    "The service key names no user: send a user's token (barkeep token --user EMAIL)",
                ));
            }
            _ => return Err(ApiError::unauthorized("The token names no user")),
        };
        // A token outlives its user; and where Supabase keeps the users, the anonymous one may not be among them.
        if !users::exists(&self.database, user).await? {
            return Err(ApiError::unauthorized(match user {
                users::ANONYMOUS => "Anonymous use is not set up in this database: sign in".to_owned(),
                _ => format!("There is no user {user} in this database"),
            }));
        }
        Ok(User(user))
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, ApiError> {
    let header = headers.get(header::AUTHORIZATION).ok_or_else(|| {
        ApiError::unauthorized("No token: send 'Authorization: Bearer' with the anon key or a user's token")
    })?;
    header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| ApiError::unauthorized("The Authorization header must be 'Bearer' and a token"))
}

impl FromRequestParts<App> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        app.auth.user(&parts.headers).await
    }
}
