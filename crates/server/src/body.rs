//! A JSON body, whatever its content type says; what is wrong with it is said in our form. An empty one counts as `{}`.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// A list of 500 tickers takes 10 kB.
pub(crate) const LARGEST_BODY: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, Self::Rejection> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejected| ApiError::new(rejected.status(), rejected.body_text()))?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        serde_json::from_slice(bytes)
            .map(Self)
            .map_err(|error| ApiError::bad_request(format!("The body is not what is expected: {error}")))
    }
}
