//! Checks the Host header against a list, which stops DNS rebinding.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::error::ApiError;

/// Names without port, lower case.
#[derive(Clone, Debug)]
pub struct AllowedHosts(Vec<String>);

impl AllowedHosts {
    /// The names of the loopback interface, the listen address, and `more` from the settings.
    pub fn new(listen: SocketAddr, more: &[String]) -> Self {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "[::1]".to_owned()];
        names.push(match listen {
            SocketAddr::V4(v4) => v4.ip().to_string(),
            SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
        });
        names.extend(more.iter().map(|name| name.to_ascii_lowercase()));
        Self(names)
    }

    fn allows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.to_ascii_lowercase();
        self.0.contains(&name)
    }
}

pub(crate) async fn check(State(hosts): State<Arc<AllowedHosts>>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().authority().map(|authority| authority.as_str()));
    match host {
        Some(host) if hosts.allows(host) => next.run(request).await,
        _ => {
            ApiError::new(StatusCode::MISDIRECTED_REQUEST, "Unknown host name: add it to allowed_hosts in barkeep.toml")
                .into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn only_listed_hosts_are_allowed() {
        let hosts = AllowedHosts::new("127.0.0.1:4780".parse().unwrap(), &["Charts.example".to_owned()]);
        for good in ["localhost:4780", "127.0.0.1", "[::1]:4780", "charts.example:443", "LOCALHOST"] {
            assert!(hosts.allows(good), "{good}");
        }
        for bad in ["evil.example", "localhost.evil.example:4780", "", "127.0.0.1.nip.example", "[::2]"] {
            assert!(!hosts.allows(bad), "{bad}");
        }
    }
}
