//! Alpaca: stocks and crypto, and servers that speak its protocol (the simulator for one).
//!
//! In: a [`BarsRequest`]. Out: all pages of its bars, raw and ascending as sent. Holds: nothing is sent beyond the
//! budget; nothing is sent twice but for one case, the newest minutes that a free plan holds back, where the range is
//! cut and asked for again; no key shows up in an error or a `Debug`.

mod failures;
mod http;
mod paging;
mod probe;
mod rates;
mod settings;
mod wire;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Range, Ticker, Timeframe};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

pub use self::settings::{
    AlpacaSettings, BaseUrl, DATA_URL_VARIABLE, Feed, InvalidUrl, KEY_ID_VARIABLE, SECRET_KEY_VARIABLE, Secret,
    SettingsError, TRADING_URL_VARIABLE,
};
use self::{
    failures::{Failure, Refusal, is_html, presentable, words},
    http::{Answer, Http, Question},
    paging::Pages,
    probe::{Nature, SIMULATOR},
    wire::{BarsPage, ROWS_PER_PAGE, WireAsset},
};
use crate::{
    Asset, BarSource, BarsRequest, Endpoint, FetchError, FetchedBars, Limits,
    budget::{Budget, WINDOW},
};

/// What the market's clock says: a past instant where history is replayed.
pub type MarketClock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Keeps a request's address below 2,000 characters.
const SYMBOLS_PER_REQUEST: usize = 100;

/// What a plan without real-time data holds back: 15 minutes, and one for clocks that differ.
const HELD_BACK: SignedDuration = SignedDuration::from_mins(16);

/// Between pages the budget is waited for, so that pages already paid for aren't thrown away.
const PATIENCE_BETWEEN_PAGES: Duration = WINDOW.saturating_mul(2);

/// Bars and assets from Alpaca's HTTP API.
pub struct AlpacaSource {
    endpoint: Endpoint,
    nature: Nature,
    http: Http,
    data_url: BaseUrl,
    trading_url: BaseUrl,
    feed: Feed,
    market_now: MarketClock,
    /// The data host's.
    budget: Arc<Budget>,
    /// The trading host's; the same where one server is both.
    trading_budget: Arc<Budget>,
    /// Whether the plan was seen to hold the newest minutes back.
    held_back: AtomicBool,
}

impl AlpacaSource {
    /// Gets ready to ask the server of `settings`. One that isn't Alpaca's own host is asked once whether it is a
    /// simulator; Alpaca itself is not asked anything yet.
    ///
    /// `market_now` is the market's clock; what a plan holds back is counted from it.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where nobody answers there, [`FetchError::BadData`] where it is
    /// neither Alpaca nor a simulator.
    pub async fn connect(settings: AlpacaSettings, market_now: MarketClock) -> Result<Self, FetchError> {
        let trading_url = settings.trading_url();
        let mut http = Http::new(&settings)?;
        let nature = match settings.data_url.is_alpaca() {
            true => Nature::ALPACA,
            false => probe::probe(&http, &settings.data_url).await?,
        };
        if nature.simulated {
            http.become_simulator(SIMULATOR);
        }
        let address = settings.data_url.to_string();
        let endpoint = Endpoint { provider: http.provider.clone(), simulated: nature.simulated, address };
        let budget = Budget::new(nature.requests_per_minute);
        let trading_budget = match trading_url == settings.data_url {
            true => Arc::clone(&budget),
            false => Budget::new(Nature::ALPACA.requests_per_minute),
        };
        Ok(Self {
            endpoint,
            nature,
            http,
            data_url: settings.data_url,
            trading_url,
            feed: settings.feed.unwrap_or(Feed::Sip),
            market_now,
            budget,
            trading_budget,
            held_back: AtomicBool::new(false),
        })
    }

    /// Requests for bars that could be sent now.
    pub fn budget_left(&self) -> u32 {
        self.budget.left()
    }

    /// All pages of `range`, which is the request's own or the part of it that the plan gives.
    async fn pages(&self, request: &BarsRequest, range: Range, spent: &mut u32) -> Result<FetchedBars, Failure> {
        let mut pages = Pages::new(&request.tickers, request.timeframe, range);
        let mut token: Option<String> = None;
        loop {
            let mut url = self.url(&self.data_url, wire::bars_path(request.asset_class))?;
            let (start, end) = wire::inclusive(range);
            url.query_pairs_mut()
                .append_pair("symbols", &pages.symbols())
                .append_pair("timeframe", wire::timeframe(request.timeframe))
                .append_pair("start", &start)
                .append_pair("end", &end)
                .append_pair("limit", &ROWS_PER_PAGE.to_string())
                .append_pair("sort", "asc");
            if request.asset_class == AssetClass::Stock {
                url.query_pairs_mut().append_pair("adjustment", "raw").append_pair("feed", self.feed.as_str());
            }
            let patience = match &token {
                Some(token) => {
                    url.query_pairs_mut().append_pair("page_token", token);
                    PATIENCE_BETWEEN_PAGES
                }
                None => Duration::ZERO,
            };
            let question = Question { url, budget: Some(&self.budget), patience, with_keys: true };
            let page: BarsPage = self.read(self.http.get(question, spent).await?, &request.tickers)?;
            token = pages.add(page).map_err(|problem| self.bad_data(&problem))?;
            if token.is_none() {
                let (bars, provenance) = (pages.into_bars(), self.provenance(request.asset_class));
                return Ok(FetchedBars { bars, answered: Some(range), provenance, requests: *spent });
            }
        }
    }

    /// The JSON of an answer with status 200; any other is a failure.
    fn read<T: DeserializeOwned>(&self, answer: Answer, tickers: &[Ticker]) -> Result<T, Failure> {
        let Answer { status, headers, body, address } = &answer;
        if *status != StatusCode::OK {
            let (provider, words) = (&self.http.provider, words(body, &self.http.secrets()));
            return Err(Refusal { provider, address, status: *status, headers, words, tickers }.read());
        }
        serde_json::from_slice(body).map_err(|error| {
            let problem = if is_html(body) { "an HTML page".to_owned() } else { error.to_string() };
            self.bad_data(&format!("{problem} at {address}")).into()
        })
    }

    /// What may not be asked, before it costs a request.
    fn check(&self, request: &BarsRequest) -> Result<(), FetchError> {
        let refused = |problem: &str| FetchError::Refused {
            provider: self.http.provider.clone(),
            status: 400,
            message: format!("{problem}; not sent"),
            tickers: request.tickers.clone(),
        };
        if request.tickers.is_empty() || request.tickers.len() > SYMBOLS_PER_REQUEST {
            return Err(refused(&format!("{} tickers, 1 to {SYMBOLS_PER_REQUEST} are", request.tickers.len())));
        }
        if let Some(ticker) = request.tickers.iter().find(|ticker| ticker.asset_class() != request.asset_class) {
            return Err(refused(&format!("{ticker} among tickers of class {:?}", request.asset_class)));
        }
        if !timeframes(request.asset_class).contains(&request.timeframe) {
            return Err(refused(&format!("{} is to be derived, not fetched", request.timeframe)));
        }
        if request.asset_class == AssetClass::Stock { self.need_keys() } else { Ok(()) }
    }

    fn need_keys(&self) -> Result<(), FetchError> {
        match self.http.has_keys() {
            true => Ok(()),
            false => Err(FetchError::Credentials {
                provider: self.http.provider.clone(),
                status: 401,
                message: "no usable keys are set; not sent".to_owned(),
            }),
        }
    }

    /// The part of `range` that the plan gives now.
    fn given(&self, range: Range) -> Option<Range> {
        let newest = (self.market_now)().checked_sub(HELD_BACK).ok()?;
        Range::new(range.from(), range.to().min(newest)).ok()
    }

    fn is_held_back(&self, asset_class: AssetClass) -> bool {
        asset_class == AssetClass::Stock && self.held_back.load(Ordering::Relaxed)
    }

    fn provenance(&self, asset_class: AssetClass) -> String {
        let feed = match asset_class {
            AssetClass::Stock => self.feed.as_str(),
            AssetClass::Crypto => "us",
        };
        format!("{}/{feed}", self.http.provider)
    }

    fn url(&self, base: &BaseUrl, path: &[&str]) -> Result<reqwest::Url, FetchError> {
        base.at(path).ok_or_else(|| self.bad_data(&format!("{base} has no paths")))
    }

    fn bad_data(&self, message: &str) -> FetchError {
        let message = presentable(message, &self.http.secrets());
        FetchError::BadData { provider: self.http.provider.clone(), message }
    }
}

/// What is fetched rather than derived. Alpaca's hours of stocks are the clock's and mix pre-market in.
fn timeframes(asset_class: AssetClass) -> &'static [Timeframe] {
    use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
    match asset_class {
        AssetClass::Stock => &[M1, M5, M15, M30, D1],
        AssetClass::Crypto => &[M1, M5, M15, M30, H1, H4, D1],
    }
}

#[async_trait::async_trait]
impl BarSource for AlpacaSource {
    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    fn limits(&self, asset_class: AssetClass) -> Limits {
        let grace = if self.is_held_back(asset_class) { HELD_BACK } else { SignedDuration::ZERO };
        Limits {
            timeframes: timeframes(asset_class).to_vec(),
            symbols_per_request: SYMBOLS_PER_REQUEST,
            rows_per_page: ROWS_PER_PAGE,
            earliest: self.nature.earliest(asset_class),
            grace: grace.max(self.nature.grace),
            requests_per_minute: self.budget.limit(),
        }
    }

    /// Fetches all pages. Fails at once where the budget is used up; between pages it is waited for, for two minutes
    /// at most.
    async fn bars(&self, request: &BarsRequest) -> Result<FetchedBars, FetchError> {
        self.check(request)?;
        let mut spent = 0;
        if !self.is_held_back(request.asset_class) {
            match self.pages(request, request.range, &mut spent).await {
                Err(Failure::RecentSip) => self.held_back.store(true, Ordering::Relaxed),
                Err(Failure::Fetch(error)) => return Err(error),
                Ok(fetched) => return Ok(fetched),
            }
            tracing::info!(provider = self.http.provider, "This plan holds the newest 15 minutes of stocks back");
        }
        let too_recent = || FetchError::Server {
            provider: self.http.provider.clone(),
            status: 403,
            message: "bars that ended 16 minutes ago are held back as too recent: check this machine's clock"
                .to_owned(),
        };
        match self.given(request.range) {
            None => {
                let provenance = self.provenance(request.asset_class);
                Ok(FetchedBars { bars: BTreeMap::new(), answered: None, provenance, requests: spent })
            }
            // Just refused as it is.
            Some(range) if range == request.range && spent > 0 => Err(too_recent()),
            Some(range) => match self.pages(request, range, &mut spent).await {
                Err(Failure::RecentSip) => Err(too_recent()),
                Err(Failure::Fetch(error)) => Err(error),
                Ok(fetched) => Ok(fetched),
            },
        }
    }

    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
        self.need_keys()?;
        let url = self.url(&self.trading_url, &["v2", "assets", &wire::symbol(ticker)])?;
        let question = Question { url, budget: Some(&self.trading_budget), patience: Duration::ZERO, with_keys: true };
        let answer = self.http.get(question, &mut 0).await?;
        // A page in HTML comes from something that isn't the asset list.
        if answer.status == StatusCode::NOT_FOUND && !is_html(&answer.body) {
            return Ok(None);
        }
        let asset: WireAsset = match self.read(answer, std::slice::from_ref(ticker)) {
            Ok(asset) => asset,
            Err(Failure::Fetch(error)) => return Err(error),
            Err(Failure::RecentSip) => return Err(self.bad_data("a refusal of bars where an asset was asked for")),
        };
        let unknown = || self.bad_data(&format!("{ticker} as an asset of class '{}'", asset.class));
        Ok(Some(Asset {
            ticker: ticker.clone(),
            asset_class: asset.asset_class().ok_or_else(unknown)?,
            active: asset.status == "active",
            name: asset.name.unwrap_or_default(),
            exchange: asset.exchange,
        }))
    }
}

impl fmt::Debug for AlpacaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlpacaSource")
            .field("endpoint", &self.endpoint)
            .field("trading_url", &self.trading_url.as_str())
            .field("feed", &self.feed)
            .field("budget_left", &self.budget_left())
            .finish_non_exhaustive()
    }
}
