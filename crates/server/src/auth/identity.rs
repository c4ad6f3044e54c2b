//! Who asks. In: the `Authorization` header, or the session's cookie. Out: a user, or the service; what a user may see is
//! for row level security to say.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use store::{Database, sign_in, users};
use uuid::Uuid;

use super::{
    jwks::Jwks,
    keys::{BadToken, Claims, Keys},
    session::{cookie, csrf_of, digest},
};
use crate::error::ApiError;

#[derive(Clone, Debug)]
pub struct Authenticator {
    keys: Keys,
    database: Database,
    /// Keys of whoever else signs tokens.
    jwks: Option<Jwks>,
    /// Whether browsers come by https: then cookies go over nothing else.
    behind_https: bool,
}

/// A user with a good token; the anonymous one for the `anon` key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User(pub(crate) Uuid);

/// The same by a token alone: where pages of any origin may ask, a cookie says nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenUser(pub(crate) Uuid);

/// Whoever has the service key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Service;

/// A browser that was signed in, or nobody.
#[derive(Clone, Debug)]
pub(crate) struct Session(pub(crate) Option<SignedIn>);

/// Who was signed in.
#[derive(Clone, Debug)]
pub(crate) struct SignedIn {
    pub(crate) user: Uuid,
    /// What the session's pages send with each write.
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
        let user = sign_in::session(&self.database, &digest(token)).await?;
        Ok(user.map(|user| SignedIn { user, csrf: csrf_of(token) }))
    }

    async fn claims(&self, token: &str) -> Result<Claims, ApiError> {
        let claims = match (self.keys.check(token), &self.jwks) {
            (Err(BadToken::Invalid), Some(jwks)) => jwks.check(token).await,
            (checked, _) => checked,
        };
        claims.map_err(|bad| ApiError::unauthorized(bad.to_string()))
    }

    async fn user(&self, token: &str) -> Result<User, ApiError> {
        let claims = self.claims(token).await?;
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
        let token = cookie(&parts.headers).ok_or_else(no_token)?;
        let signed_in = Authenticator::from_ref(state).signed_in(token).await?;
        signed_in
            .map(|of| Self(of.user))
            .ok_or_else(|| ApiError::unauthorized("This browser is not signed in any more"))
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
        match cookie(&parts.headers) {
            Some(token) => Ok(Self(Authenticator::from_ref(state).signed_in(token).await?)),
            None => Ok(Self(None)),
        }
    }
}

impl<S> FromRequestParts<S> for Service
where
    S: Send + Sync,
    Authenticator: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let token = bearer(&parts.headers)?.ok_or_else(|| {
            ApiError::unauthorized("No token: send 'Authorization: Bearer' with the service key (barkeep keys)")
        })?;
        match Authenticator::from_ref(state).claims(token).await?.role.as_str() {
            "service_role" => Ok(Self),
            _ => Err(ApiError::forbidden("This is for the service key alone (barkeep keys)")),
        }
    }
}
