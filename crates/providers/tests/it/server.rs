//! A server on a free port of this machine that answers as a test says and remembers what it was asked.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, extract::Request, http::Response};
use jiff::Timestamp;
use market::{AssetClass, Range, Ticker, Timeframe};
use providers::{
    BarSource, BarsRequest, FetchedBars, MarketClock, Page,
    alpaca::{AlpacaSettings, AlpacaSource, Secret},
    budget::{InProcess, Urgency},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};

/// Our keys; no error and no `Debug` may show them.
pub(crate) const KEY_ID: &str = "PKTESTKEYID";
pub(crate) const SECRET_KEY: &str = "verysecretkey";

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Not decoded.
    pub(crate) path: String,
    /// Decoded.
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
}

/// What a server says.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: String,
    },
    /// Nothing, with the connection held open.
    Nothing,
}

impl Say {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: impl Into<String>) -> Self {
        Self::Answer { status, headers: vec![], body: body.into() }
    }

    pub(crate) fn header(self, name: &str, value: impl ToString) -> Self {
        match self {
            Self::Answer { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_string()));
                Self::Answer { status, headers, body }
            }
            Self::Nothing => Self::Nothing,
        }
    }

    /// What a full last page without bars looks like (recorded: alpaca-py, empty response).
    pub(crate) fn no_bars() -> Self {
        Self::json(r#"{"bars":{},"next_page_token":null}"#)
    }
}

/// A running server; stopped when dropped.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers each request as `say` does. The question whether it is a simulator gets a 404 unless `say` is
    /// [`Server::answering_all`]'s.
    pub(crate) async fn answering(say: impl Fn(&Asked) -> Say + Clone + Send + Sync + 'static) -> Self {
        Self::answering_all(move |asked| match asked.path.as_str() {
            "/v1/market-sim" => Say::status(404, r#"{"message":"Not Found"}"#),
            _ => say(asked),
        })
        .await
    }

    /// Gives one answer after the other; the last one for good.
    pub(crate) async fn replaying(answers: Vec<Say>) -> Self {
        let left = Arc::new(Mutex::new(answers.into_iter().rev().collect::<Vec<_>>()));
        Self::answering(move |_| {
            let mut left = left.lock().unwrap();
            if left.len() > 1 { left.pop().unwrap() } else { left[0].clone() }
        })
        .await
    }

    pub(crate) async fn answering_all(say: impl Fn(&Asked) -> Say + Clone + Send + Sync + 'static) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let app = Router::new().fallback(move |request: Request| {
            let (say, log) = (say.clone(), Arc::clone(&log));
            async move {
                let asked = Asked::from(&request);
                log.lock().unwrap().push(asked.clone());
                match say(&asked) {
                    Say::Answer { status, headers, body } => {
                        let response = Response::builder().status(status);
                        let response = headers.iter().fold(response, |response, (n, v)| response.header(n, v));
                        response.body(Body::from(body)).unwrap()
                    }
                    Say::Nothing => std::future::pending().await,
                }
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, asked, task }
    }

    /// Answers every request but the simulator question with `bytes` as they are and hangs up.
    pub(crate) async fn hanging_up_after(bytes: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                let probe = request.starts_with(b"GET /v1/market-sim");
                let not_found = "HTTP/1.1 404 Not Found\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(if probe { not_found } else { bytes }.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
        });
        Self { url, asked: Arc::default(), task }
    }

    /// What it was asked, without the question whether it is a simulator.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked_at_all().into_iter().filter(|asked| asked.path != "/v1/market-sim").collect()
    }

    pub(crate) fn asked_at_all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Settings with this server, our keys and short timeouts.
    pub(crate) fn settings(&self) -> AlpacaSettings {
        AlpacaSettings {
            data_url: self.url.parse().unwrap(),
            key_id: Some(Secret::from(KEY_ID)),
            secret_key: Some(Secret::from(SECRET_KEY)),
            connect_timeout: Duration::from_secs(60),
            timeout: Duration::from_secs(60),
            ..AlpacaSettings::default()
        }
    }

    pub(crate) async fn source(&self) -> AlpacaSource {
        connect(self.settings()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        let url = reqwest::Url::parse(&format!("http://server{}", request.uri())).unwrap();
        let headers = request.headers().iter();
        Self {
            path: url.path().to_owned(),
            query: url.query_pairs().into_owned().collect(),
            headers: headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect(),
        }
    }
}

/// The market's clock in these tests.
pub(crate) fn market_now() -> Timestamp {
    "2021-10-15T18:00:00Z".parse().unwrap()
}

pub(crate) async fn connect(settings: AlpacaSettings) -> AlpacaSource {
    AlpacaSource::connect(settings, Arc::new(market_now)).await.unwrap()
}

/// A source, and the account of what it may send.
#[derive(Clone)]
pub(crate) struct Counted {
    pub(crate) source: Arc<AlpacaSource>,
    accounts: Arc<InProcess>,
}

impl Counted {
    pub(crate) async fn connect(settings: AlpacaSettings) -> Self {
        let accounts = Arc::new(InProcess::default());
        let source = AlpacaSource::connect_on(settings, Arc::new(market_now), &*accounts).await.unwrap();
        Self { source: Arc::new(source), accounts }
    }

    /// Requests for bars that could be sent now.
    pub(crate) fn left(&self) -> u32 {
        self.accounts.left(self.source.account()).unwrap()
    }
}

pub(crate) fn request(tickers: &[&str], timeframe: Timeframe, from: &str, to: &str) -> BarsRequest {
    let tickers: Vec<Ticker> = tickers.iter().map(|ticker| ticker.parse().unwrap()).collect();
    let asset_class = tickers.first().map_or(AssetClass::Stock, Ticker::asset_class);
    BarsRequest { asset_class, tickers, timeframe, range: range(from, to), urgency: Urgency::Now }
}

/// Some bars of AMZN, for tests that are about something else.
pub(crate) fn any_request() -> BarsRequest {
    request(&["AMZN"], Timeframe::M15, "2021-10-15T16:00:00Z", "2021-10-15T17:15:00Z")
}

pub(crate) fn range(from: &str, to: &str) -> Range {
    Range::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
}

/// A market's clock that stands still.
pub(crate) fn clock(now: &str) -> MarketClock {
    let now: Timestamp = now.parse().unwrap();
    Arc::new(move || now)
}

/// The refusals of that name: the project's own, then the recorded one where it is.
pub(crate) fn refusals(name: &str) -> Vec<Refusal> {
    let own: Value = serde_json::from_str(&sent("refusals.json")).unwrap();
    assert!(own[name].is_object(), "there is no refusal {name}");
    let recorded = recorded(&format!("errors/{name}.json")).map(|text| serde_json::from_str(&text).unwrap());
    [own[name].clone()].into_iter().chain(recorded).map(Refusal).collect()
}

/// A refusal with its status, headers and body, as JSON.
#[derive(Debug)]
pub(crate) struct Refusal(pub(crate) Value);

impl Refusal {
    pub(crate) fn say(&self) -> Say {
        let Self(refusal) = self;
        let body = refusal["body"].as_str().map_or_else(|| refusal["body"].to_string(), str::to_owned);
        let say = Say::status(u16::try_from(refusal["status"].as_u64().unwrap()).unwrap(), body);
        let headers = refusal["headers"].as_object().unwrap().iter();
        headers.fold(say, |say, (name, value)| say.header(name, value.as_str().unwrap()))
    }
}

/// One after the other, all pages.
pub(crate) async fn all_pages(source: &dyn BarSource, request: &BarsRequest) -> Vec<Page> {
    let (mut pages, mut all) = (source.pages(request), vec![]);
    while let Some(page) = pages.next().await.unwrap() {
        all.push(page);
    }
    all
}

/// Start, open, high, low, close and volume of each bar.
pub(crate) fn rows(fetched: &FetchedBars, ticker: &str) -> Vec<(String, [f64; 5])> {
    let bars = fetched.bars.get(&ticker.parse().unwrap()).into_iter().flatten();
    bars.map(|bar| (bar.start.to_string(), [bar.open, bar.high, bar.low, bar.close, bar.volume])).collect()
}

/// An answer that was written for these tests: `tests/data/README.md` says after what.
pub(crate) fn sent(name: &str) -> String {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A recorded answer, where it is.
fn recorded(name: &str) -> Option<String> {
    let path = format!("{}/../../../shared/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).ok()
}

/// Answers to one question: the one that was written for it, then the one that was recorded, where it is.
pub(crate) fn answers(own: &str, other: &str) -> Vec<String> {
    [sent(own)].into_iter().chain(recorded(other)).collect()
}

/// The same for answers of several pages.
pub(crate) fn paged_answers(own: &[&str], others: &[&str]) -> Vec<Vec<String>> {
    let recorded: Option<Vec<String>> = others.iter().map(|name| recorded(name)).collect();
    [own.iter().map(|name| sent(name)).collect()].into_iter().chain(recorded).collect()
}
