//! Extractors for the caller. In: the `Authorization` header, or the session cookie. Out: a user, or the service role; row level
//! security decides what a user may see.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use store::{Database, browser_sessions, users};
use uuid::Uuid;

use super::{
    jwks::Jwks,
    keys::{BadToken, Claims, Keys},
    session::{csrf_token, digest, session_token},
};
use crate::error::ApiError;

#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Keys,
    database: Database,
    /// Public keys of another token issuer.
    jwks: Option<Jwks>,
    /// Whether browsers use https: cookies are `Secure` then.
    behind_https: bool,
}

/// A user with a valid token or session; the anonymous user for the `anon` key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User(pub(crate) Uuid);

/// A user with a valid token; cookies are ignored, because any origin may call these routes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenUser(pub(crate) Uuid);

/// A caller with the service role key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServiceRole;

/// The session of a browser; `None` where it isn't signed in.
#[derive(Clone, Debug)]
pub(crate) struct Session(pub(crate) Option<SignedIn>);

/// A session's user.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: Uuid,
    /// The CSRF token that the session's pages send with each write.
    pub(crate) csrf: String,
}

impl Authenticator {
    pub fn new(keys: Keys, database: Database, jwks: Option<Jwks>, behind_https: bool) -> Self {
        Self { keys, database, jwks, behind_https }
    }

    pub(crate) fn is_behind_https(&self) -> bool {
        self.behind_https
    }

    async fn signed_in(&self, token: &str) -> Result<Option<SignedIn>, ApiError> {
        let user = browser_sessions::user_of_session(&self.database, &digest(token)).await?;
        Ok(user.map(|user| SignedIn { user, csrf: csrf_token(token) }))
    }

    async fn claims(&self, token: &str) -> Result<Claims, ApiError> {
        let claims = match (self.keys.check(token), &self.jwks) {
            (Err(BadToken::Invalid), Some(jwks)) => jwks.check(token).await,
            (checked, _) => checked,
        };
        claims.map_err(|error| ApiError::unauthorized(error.to_string()))
    }

    async fn user(&self, token: &str) -> Result<User, ApiError> {
        let claims = self.claims(token).await?;
        let user = match (claims.role.as_str(), claims.sub) {
            ("anon", None) => users::ANONYMOUS,
            ("authenticated", Some(sub)) => {
                sub.parse().map_err(|_| ApiError::unauthorized("The token's sub isn't a user id"))?
            }
            ("service_role", _) => {
                return Err(ApiError::unauthorized(
                    "The service role key belongs to no user: send a user's token (barkeep token --user EMAIL)",
                ));
            }
            _ => return Err(ApiError::unauthorized("The token belongs to no user")),
        };
        // A token may outlive its user; and where Supabase manages the users, there may be no anonymous one.
        if !users::exists(&self.database, user).await? {
            return Err(ApiError::unauthorized(match user {
                users::ANONYMOUS => "Anonymous access is not enabled in this database: sign in".to_owned(),
                _ => format!("Unknown user {user}: not in this database"),
            }));
        }
        Ok(User(user))
    }
}

/// The token of the `Authorization` header; `None` where there is no such header.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let Some(header) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    header
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| Some(token.trim()))
        .ok_or_else(|| ApiError::unauthorized("The Authorization header must be 'Bearer' and a token"))
}

fn no_token() -> ApiError {
    ApiError::unauthorized("No token: send 'Authorization: Bearer' with the anon key or a user's token")
}

impl<S> FromRequestParts<S> for User
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        if let Some(token) = bearer(&parts.headers)? {
            return Authenticator::from_ref(state).user(token).await;
        }
        let token = session_token(&parts.headers).ok_or_else(no_token)?;
        let signed_in = Authenticator::from_ref(state).signed_in(token).await?;
        signed_in
            .map(|session| Self(session.user))
            .ok_or_else(|| ApiError::unauthorized("Your session has ended: sign in again"))
    }
}

impl<S> FromRequestParts<S> for TokenUser
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let token = bearer(&parts.headers)?.ok_or_else(no_token)?;
        Authenticator::from_ref(state).user(token).await.map(|User(user)| Self(user))
    }
}

impl<S> FromRequestParts<S> for Session
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match session_token(&parts.headers) {
            Some(token) => Ok(Self(Authenticator::from_ref(state).signed_in(token).await?)),
            None => Ok(Self(None)),
        }
    }
}

impl<S> FromRequestParts<S> for ServiceRole
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let token = bearer(&parts.headers)?.ok_or_else(|| {
            ApiError::unauthorized("No token: send 'Authorization: Bearer' with the service role key (barkeep keys)")
        })?;
        match Authenticator::from_ref(state).claims(token).await?.role.as_str() {
            "service_role" => Ok(Self),
            _ => Err(ApiError::forbidden("The service role key is required (barkeep keys)")),
        }
    }
}
