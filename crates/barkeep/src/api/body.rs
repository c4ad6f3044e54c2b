//! A JSON body, whatever its content type says; what is wrong with it is said in our form. An empty one counts as `{}`.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use super::{App, error::ApiError};

#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let bytes = Bytes::from_request(request, app)
            .await
            .map_err(|rejected| ApiError::new(rejected.status(), rejected.body_text()))?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(bytes)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format!("The body is not what is expected: {error}")))
    }
}
