//! A simulator on a port of its own, and questions to it.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use jiff::Timestamp;
use reqwest::{Client, Response};
use serde_json::Value;
use simulator::{Clock, Settings, SimError, Simulator, Source};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// Bars by symbol.
pub(crate) type Bars = BTreeMap<String, Vec<Value>>;

/// Serves until it is stopped or dropped.
pub(crate) struct Server {
    pub(crate) simulator: Simulator,
    pub(crate) address: SocketAddr,
    client: Client,
    stop: CancellationToken,
    task: JoinHandle<Result<(), SimError>>,
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

/// A made-up market on a Friday evening after Thanksgiving, whose clock stands; as many requests as a test wants.
pub(crate) fn made_up() -> Settings {
    let now = at("2026-11-28T02:00:00Z");
    Settings { clock: Clock::by(move || now), requests_per_minute: 1_000_000, ..Settings::new(Source::Synthetic) }
}

impl Server {
    pub(crate) async fn start(settings: Settings) -> Self {
        // An error says that another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let simulator = Simulator::new(settings).expect("good settings");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let stop = CancellationToken::new();
        let (serving, until) = (simulator.clone(), stop.clone());
        let task = tokio::spawn(async move { serving.serve(listener, until).await });
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        Self { simulator, address, client, stop, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// With the keys given, if any.
    pub(crate) async fn ask(&self, path: &str, keys: Option<(&str, &str)>) -> reqwest::Result<Response> {
        let mut request = self.client.get(self.url(path));
        if let Some((id, secret)) = keys {
            request = request.header("APCA-API-KEY-ID", id).header("APCA-API-SECRET-KEY", secret);
        }
        request.send().await
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.ask(path, Some(("id", "secret"))).await.expect(path)
    }

    /// Status and body.
    pub(crate) async fn json(&self, path: &str) -> (u16, Value) {
        let response = self.get(path).await;
        let status = response.status().as_u16();
        (status, response.json().await.expect("JSON"))
    }

    /// Status and `message`.
    pub(crate) async fn refusal(&self, path: &str) -> (u16, String) {
        let (status, body) = self.json(path).await;
        (status, body["message"].as_str().unwrap_or_else(|| panic!("{path}: {body}")).to_owned())
    }

    /// All bars, page by page, and how many pages they took.
    pub(crate) async fn all_pages(&self, path: &str) -> (Bars, usize) {
        let (mut all, mut pages, mut token) = (Bars::new(), 0, String::new());
        loop {
            let page = match token.is_empty() {
                true => path.to_owned(),
                false => format!("{path}&page_token={token}"),
            };
            let (status, body) = self.json(&page).await;
            assert_eq!(status, 200, "{page}: {body}");
            pages += 1;
            assert!(pages < 10_000, "{path} has no end");
            for (symbol, bars) in body["bars"].as_object().expect("an object") {
                all.entry(symbol.clone()).or_default().extend(bars.as_array().expect("a list").iter().cloned());
            }
            match &body["next_page_token"] {
                Value::Null => return (all, pages),
                next => token = next.as_str().expect("a token").replace('=', "%3D").replace('+', "%2B"),
            }
        }
    }

    /// All bars of a question that has one page.
    pub(crate) async fn bars(&self, path: &str) -> Bars {
        let (bars, pages) = self.all_pages(path).await;
        assert_eq!(pages, 1, "{path}");
        bars
    }

    pub(crate) async fn stop(self) -> Result<(), SimError> {
        self.stop.cancel();
        self.task.await.expect("no panic")
    }
}

pub(crate) fn starts(bars: &[Value]) -> Vec<&str> {
    bars.iter().map(|bar| bar["t"].as_str().expect("a start")).collect()
}

pub(crate) fn number(bar: &Value, field: &str) -> f64 {
    bar[field].as_f64().unwrap_or_else(|| panic!("no {field} in {bar}"))
}
