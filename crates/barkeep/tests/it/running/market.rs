//! A simulated provider in the test's own process.

use std::net::SocketAddr;

use simulator::{Settings, Simulator};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::Served;

/// A simulated provider in this process, until dropped.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) simulator: Simulator,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl Market {
    /// Made-up bars whose clock stands at `as_of`, as many requests as one likes.
    pub(crate) fn settings(as_of: &str) -> Settings {
        let as_of: jiff::Timestamp = as_of.parse().unwrap();
        let mut settings = Settings::new(simulator::Source::Synthetic);
        settings.requests_per_minute = 100_000;
        settings.clock = simulator::Clock::by(move || as_of);
        settings
    }

    pub(crate) async fn start(settings: Settings) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), settings).await
    }

    pub(crate) async fn start_at(address: SocketAddr, settings: Settings) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (simulator, stop) = (Simulator::new(settings).unwrap(), CancellationToken::new());
        let (server, stopped) = (simulator.clone(), stop.clone());
        tokio::spawn(async move { server.serve(listener, stopped).await });
        Self { simulator, address, _stop: stop.drop_guard() }
    }

    /// One that doesn't answer the requests that `holds` says, until the token is cancelled: then these fail.
    pub(crate) async fn holding(
        settings: Settings,
        holds: impl Fn(&str) -> bool + Clone + Send + Sync + 'static,
    ) -> (Self, CancellationToken) {
        let simulator = Simulator::new(settings).unwrap();
        let (stop, fail) = (CancellationToken::new(), CancellationToken::new());
        let fails = fail.clone();
        let hold = move |request: axum::extract::Request, next: axum::middleware::Next| {
            let (fails, is_held) = (fails.clone(), holds(&request.uri().to_string()));
            async move {
                if is_held {
                    fails.cancelled().await;
                    return axum::response::IntoResponse::into_response(axum::http::StatusCode::SERVICE_UNAVAILABLE);
                }
                next.run(request).await
            }
        };
        let router = simulator.router().layer(axum::middleware::from_fn(hold));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(server.into_future());
        (Self { simulator, address, _stop: stop.drop_guard() }, fail)
    }

    /// For `APCA_API_DATA_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Sets the market's clock; the planner reads it before its next round.
pub(crate) async fn set_market_clock(served: &Served, to: &str) {
    let to: jiff::Timestamp = to.parse().unwrap();
    sqlx::query("update barkeep.market_clock set as_of = $1::timestamptz, set_at = clock_timestamp()")
        .bind(to.to_string())
        .execute(&mut served.sql().await)
        .await
        .unwrap();
}
