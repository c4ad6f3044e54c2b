//! A client for the tests' own servers, which speak plain HTTP: to read the machine's certificates for each client takes
//! longer than most requests.

use reqwest::{Client, ClientBuilder, IntoUrl, Response};

pub(crate) fn client() -> Client {
    client_with().build().unwrap()
}

/// The same, to be set up further.
pub(crate) fn client_with() -> ClientBuilder {
    Client::builder().tls_certs_only([])
}

pub(crate) async fn get(url: impl IntoUrl) -> reqwest::Result<Response> {
    client().get(url).send().await
}
