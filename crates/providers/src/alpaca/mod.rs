//! Alpaca: stocks and crypto, and servers that speak its protocol (the simulator for one).
//!
//! In: a [`BarsRequest`]. Out: the pages of its bars, raw and ascending as sent. Holds: nothing is sent beyond the
//! budget; nothing is sent twice but for one case, the newest minutes that a free plan delays, where the range is cut
//! and requested again; no key shows up in an error or a `Debug`.

mod actions;
mod assets;
mod candidate;
mod failures;
mod nature;
mod pages;
mod paging;
mod settings;
mod wire;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use market::{Action, AssetClass, Range, Ticker, Timeframe};
use reqwest::StatusCode;
use serde::de::DeserializeOwned;

pub use self::settings::{
    AlpacaSettings, BaseUrl, DATA_URL_VARIABLE, Feed, InvalidUrl, KEY_ID_VARIABLE, SECRET_KEY_VARIABLE, Secret,
    SettingsError, TRADING_URL_VARIABLE,
};
use self::{failures::Failure, nature::Nature, pages::AlpacaPages, settings::DATA_URL, wire::ROWS_PER_PAGE};
pub use crate::MarketClock;
use crate::{
    Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchError, Limits,
    budget::{Account, Accounts, Allowance, InProcess, Urgency},
    http::{Answer, Http, Key, RequestSpec},
    probe::{SIMULATOR, probe},
    rates,
    vendor::Vendor,
    words::is_html,
};

/// Alpaca's data host, which most of this is about.
static ALPACA: Vendor = Vendor {
    name: "alpaca",
    empty: "`bars` {} or null, and `next_page_token` null",
    own_domains: &["alpaca.markets"],
    address: DATA_URL,
    url_variable: DATA_URL_VARIABLE,
    mend_keys: "check APCA_API_KEY_ID and APCA_API_SECRET_KEY",
    mend_address: "check the network, and APCA_API_DATA_URL and APCA_API_BASE_URL where they are set",
    ..Vendor::PLAIN
};

const KEY_HEADERS: [&str; 2] = ["APCA-API-KEY-ID", "APCA-API-SECRET-KEY"];

/// Keeps a request's address below 2,000 characters.
const SYMBOLS_PER_REQUEST: usize = 100;

/// The delay of a plan without real-time data: 15 minutes, and one for clock differences.
const HELD_BACK: SignedDuration = SignedDuration::from_mins(16);

/// Bars and assets from Alpaca's HTTP API.
pub struct AlpacaSource {
    endpoint: Endpoint,
    nature: Nature,
    http: Http,
    data_url: BaseUrl,
    trading_url: BaseUrl,
    feed: Feed,
    market_now: MarketClock,
    account: String,
    /// The data host's.
    budget: Arc<dyn Allowance>,
    /// The trading host's; the same where one server is both.
    trading_budget: Arc<dyn Allowance>,
    requests_per_minute: AtomicU32,
    /// Whether the plan was seen to delay the newest minutes.
    held_back: AtomicBool,
}

impl AlpacaSource {
    /// Prepares requests to the server of `settings`. A server that isn't Alpaca's own host is probed once for a
    /// simulator; nothing is sent to Alpaca itself yet.
    ///
    /// `market_now` is the market's clock; a plan's delay is counted from it.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where no server responds, [`FetchError::BadData`] where it is
    /// neither Alpaca nor a simulator.
    pub async fn connect(settings: AlpacaSettings, market_now: MarketClock) -> Result<Self, FetchError> {
        Self::connect_on(settings, market_now, &InProcess::default()).await
    }

    /// As [`AlpacaSource::connect`], with requests counted in `accounts`.
    ///
    /// # Errors
    /// As [`AlpacaSource::connect`].
    pub async fn connect_on(
        settings: AlpacaSettings,
        market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Self, FetchError> {
        let trading_url = settings.trading_url();
        let mut http = Http::new(&ALPACA, &settings.data_url, keys(&settings), settings.timeouts())?;
        let nature = match settings.data_url.is_alpaca() {
            true => Nature::ALPACA,
            false => probe(&http, &settings.data_url).await?.map_or(Nature::ALPACA, Nature::from),
        };
        if nature.simulated {
            http.become_simulator(SIMULATOR);
            http.placeholder_keys(&KEY_HEADERS);
        }
        let address = settings.data_url.to_string();
        let endpoint = Endpoint { provider: http.provider.clone(), simulated: nature.simulated, address };
        let account = |url: &BaseUrl, requests_per_minute: u32| Account {
            name: settings.account(&endpoint.provider, url),
            provider: endpoint.provider.clone(),
            requests_per_minute,
        };
        let data_account = account(&settings.data_url, nature.requests_per_minute);
        let budget = accounts.open(&data_account);
        let trading_budget = match trading_url == settings.data_url {
            true => Arc::clone(&budget),
            false => accounts.open(&account(&trading_url, Nature::ALPACA.requests_per_minute)),
        };
        Ok(Self {
            endpoint,
            account: data_account.name,
            requests_per_minute: AtomicU32::new(nature.requests_per_minute),
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

    /// The JSON of an answer with status 200; any other is a failure.
    fn read<T: DeserializeOwned>(&self, answer: Answer, tickers: &[Ticker]) -> Result<T, Failure> {
        if answer.status != StatusCode::OK {
            return Err(failures::read(&self.http, &answer, tickers));
        }
        answer.json(&self.http).map_err(Failure::from)
    }

    /// Looks up what isn't about bars; `None` for a 404 that isn't a web page, which comes from something else.
    async fn look_up<T: DeserializeOwned>(
        &self,
        url: reqwest::Url,
        budget: &Arc<dyn Allowance>,
        patience: Duration,
        tickers: &[Ticker],
    ) -> Result<Option<T>, FetchError> {
        self.need_keys()?;
        let spec = RequestSpec { url, budget: Some(budget), urgency: Urgency::Now, patience, with_keys: true };
        let answer = self.http.get(spec, &mut 0).await?;
        if answer.status == StatusCode::NOT_FOUND && !is_html(&answer.body) {
            return Ok(None);
        }
        match self.read(answer, tickers) {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Fetch(error)) => Err(error),
            Err(Failure::RecentSip) => Err(self.bad_data("a rejection of bars where none were requested")),
        }
    }

    fn learn_limit(&self, headers: &reqwest::header::HeaderMap) {
        if let Some(limit) = rates::report(headers, Timestamp::now()).limit.filter(|limit| *limit > 0) {
            self.requests_per_minute.store(limit, Ordering::Relaxed);
        }
    }

    /// Rejects invalid requests before they cost anything.
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
            false => Err(self.http.vendor.credentials(
                &self.http.provider,
                401,
                "no usable keys are set; not sent".to_owned(),
            )),
        }
    }

    /// The part of `range` that the plan supplies now.
    fn available_range(&self, range: Range) -> Option<Range> {
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
        self.http.bad_data(message)
    }
}

/// Both, or none.
fn keys(settings: &AlpacaSettings) -> Vec<Key> {
    let (Some(id), Some(secret)) = (&settings.key_id, &settings.secret_key) else { return Vec::new() };
    if !id.is_sendable() || !secret.is_sendable() {
        return Vec::new();
    }
    let pairs = KEY_HEADERS.into_iter().zip([id, secret]);
    pairs.map(|(header, secret)| Key { header, scheme: "", secret: secret.clone() }).collect()
}

/// Timeframes that are fetched rather than derived. Alpaca's hourly bars of stocks are clock-aligned and mix
/// pre-market in.
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

    fn account(&self) -> &str {
        &self.account
    }

    fn limits(&self, asset_class: AssetClass) -> Limits {
        let grace = if self.is_held_back(asset_class) { HELD_BACK } else { SignedDuration::ZERO };
        Limits {
            timeframes: timeframes(asset_class).to_vec(),
            extended_hours: true,
            symbols_per_request: SYMBOLS_PER_REQUEST,
            rows_per_page: ROWS_PER_PAGE,
            earliest: self.nature.earliest(asset_class),
            grace: grace.max(self.nature.grace),
            requests_per_minute: self.requests_per_minute.load(Ordering::Relaxed),
            ..Limits::nothing()
        }
    }

    /// Fails at once if the budget is used up; between pages it waits for the budget, for two minutes at most.
    fn pages<'a>(&'a self, request: &'a BarsRequest) -> Box<dyn BarPages + 'a> {
        Box::new(AlpacaPages::new(self, request))
    }

    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
        assets::one(self, ticker).await
    }

    async fn assets(&self, asset_class: AssetClass) -> Result<Option<Vec<Asset>>, FetchError> {
        assets::all(self, asset_class).await
    }

    async fn actions(
        &self,
        tickers: &[Ticker],
        range: Range,
    ) -> Result<Option<BTreeMap<Ticker, Vec<Action>>>, FetchError> {
        actions::actions(self, tickers, range).await
    }
}

impl fmt::Debug for AlpacaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AlpacaSource")
            .field("endpoint", &self.endpoint)
            .field("trading_url", &self.trading_url.as_str())
            .field("feed", &self.feed)
            .finish_non_exhaustive()
    }
}
