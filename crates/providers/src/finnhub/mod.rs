//! Finnhub: stocks, on plans that include candles.
//!
//! In: a [`BarsRequest`]. Out: the pages of its bars, minutes as traded and days split-adjusted. Holds: minutes are
//! requested a month at a time; `no_data` is a response without bars; lists of different lengths are an error.

mod wire;

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Ticker, Timeframe};
use reqwest::{StatusCode, Url};

use crate::{
    Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchError, Limits, MarketClock,
    budget::Accounts,
    connection::{Connection, Setup},
    failures::refusal,
    http::{Answer, Key},
    one_ticker::{OneTicker, Reading, WindowQuery, Windows},
    settings::{self, BaseUrl, Secret, SettingsError, Timeouts},
    vendor::Vendor,
    words::words,
};

pub const KEY_VARIABLE: &str = "FINNHUB_API_KEY";

static FINNHUB: Vendor = Vendor {
    name: "finnhub",
    empty: "`s` 'no_data' and no candles",
    own_domains: &["finnhub.io"],
    address: "https://finnhub.io",
    url_variable: "FINNHUB_API_URL",
    mend_keys: "check FINNHUB_API_KEY",
    mend_address: "check the network, and FINNHUB_API_URL where it is set",
    ..Vendor::PLAIN
};

const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);
const REQUESTS_PER_MINUTE: u32 = 60;
/// Candles of stocks go back to the last century; older ones are never requested.
const EARLIEST: Timestamp = Timestamp::constant(631_152_000, 0);

/// The settings for Finnhub.
#[derive(Clone, Debug)]
pub struct FinnhubSettings {
    pub url: BaseUrl,
    pub key: Option<Secret>,
    pub timeouts: Timeouts,
}

impl FinnhubSettings {
    /// Settings from `FINNHUB_API_KEY` and `FINNHUB_API_URL`.
    ///
    /// # Errors
    /// [`SettingsError`] for a key that isn't valid in a header and an invalid address.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let key = settings::key(&lookup, KEY_VARIABLE)?;
        Ok(Self { url: FINNHUB.address_from(&lookup)?, key, timeouts: Timeouts::default() })
    }

    /// Whether it is configured: a key, or a server that isn't Finnhub's own.
    pub fn is_configured(&self) -> bool {
        self.key.is_some() || !FINNHUB.owns(&self.url)
    }
}

/// Bars and symbols from Finnhub.
pub struct FinnhubSource {
    connection: Connection,
}

impl FinnhubSource {
    /// Prepares requests to the server of `settings`, counted in `accounts`. A server that isn't Finnhub's own host
    /// is probed once for a simulator.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where no server responds, [`FetchError::BadData`] where it is
    /// neither Finnhub nor a simulator.
    pub async fn connect_on(
        settings: FinnhubSettings,
        _market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Self, FetchError> {
        let key = settings.key.map(|secret| Key { header: "X-Finnhub-Token", scheme: "", secret });
        let setup = Setup {
            vendor: &FINNHUB,
            base: settings.url,
            key,
            wants_key: true,
            timeouts: settings.timeouts,
            requests_per_minute: REQUESTS_PER_MINUTE,
        };
        Ok(Self { connection: Connection::open(setup, accounts).await? })
    }
}

impl OneTicker for FinnhubSource {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Hourly bars of stocks are clock-aligned here and mix pre-market in; there are no 4-hour bars.
    fn timeframes(&self, asset_class: AssetClass) -> &'static [Timeframe] {
        use Timeframe::{D1, M1, M5, M15, M30};
        match asset_class {
            AssetClass::Stock => &[M1, M5, M15, M30, D1],
            AssetClass::Crypto => &[],
        }
    }

    fn feed(&self, _query: &WindowQuery<'_>) -> String {
        "us".to_owned()
    }

    fn longest(&self, timeframe: Timeframe) -> Option<SignedDuration> {
        timeframe.minutes().map(|_| MONTH)
    }

    fn request_url(&self, query: &WindowQuery<'_>) -> Result<Url, FetchError> {
        let (from, to) = wire::inclusive(query.window, query.timeframe);
        let mut url = self.connection.url(&["api", "v1", "stock", "candle"])?;
        url.query_pairs_mut()
            .append_pair("symbol", query.ticker.as_str())
            .append_pair("resolution", wire::resolution(query.timeframe))
            .append_pair("from", &from.to_string())
            .append_pair("to", &to.to_string());
        Ok(url)
    }

    fn read(&self, query: &WindowQuery<'_>, answer: &Answer) -> Result<Reading, FetchError> {
        let http = &self.connection.http;
        match answer.status {
            StatusCode::OK => {
                let bars = answer.json::<wire::Candles>(http)?.bars(query.timeframe);
                bars.map(Reading::complete).map_err(|problem| answer.bad_data(http, &problem))
            }
            StatusCode::FORBIDDEN => {
                let words = words(&answer.body, &http.secrets());
                Err(self.connection.unavailable(format!("{words} (candles of stocks need a paid plan)")))
            }
            _ => Err(refusal(http, answer, std::slice::from_ref(query.ticker))),
        }
    }
}

#[async_trait::async_trait]
impl BarSource for FinnhubSource {
    fn endpoint(&self) -> &Endpoint {
        &self.connection.endpoint
    }

    fn account(&self) -> &str {
        &self.connection.account
    }

    fn limits(&self, asset_class: AssetClass) -> Limits {
        let timeframes = self.timeframes(asset_class);
        if timeframes.is_empty() {
            return Limits::nothing();
        }
        self.connection.limits(Limits {
            timeframes: timeframes.to_vec(),
            split_adjusted: vec![Timeframe::D1],
            // A month of 15-minute bars, extended hours included.
            rows_per_page: 1_400,
            earliest: EARLIEST,
            grace: SignedDuration::from_mins(16),
            ..Limits::nothing()
        })
    }

    /// Fails at once if the budget is used up; between pages it waits for the budget, for two minutes at most.
    fn pages<'a>(&'a self, request: &'a BarsRequest) -> Box<dyn BarPages + 'a> {
        Box::new(Windows::new(self, request))
    }

    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
        self.connection.need_key()?;
        if ticker.asset_class() != AssetClass::Stock {
            return Ok(None);
        }
        let mut url = self.connection.url(&["api", "v1", "stock", "profile2"])?;
        url.query_pairs_mut().append_pair("symbol", ticker.as_str());
        let profile: Option<wire::Profile> = self.connection.look_up(url, Duration::ZERO).await?;
        Ok(profile.and_then(|profile| profile.asset(ticker)))
    }

    async fn assets(&self, asset_class: AssetClass) -> Result<Option<Vec<Asset>>, FetchError> {
        self.connection.need_key()?;
        if asset_class != AssetClass::Stock {
            return Ok(None);
        }
        let mut url = self.connection.url(&["api", "v1", "stock", "symbol"])?;
        url.query_pairs_mut().append_pair("exchange", "US");
        let list: Option<Vec<wire::Symbol>> = self.connection.look_up(url, Duration::ZERO).await?;
        Ok(list.map(|list| list.into_iter().filter_map(wire::Symbol::asset).collect()))
    }
}

crate::candidate::candidate!(FinnhubSettings, FinnhubSource, FINNHUB, [KEY_VARIABLE], [AssetClass::Stock]);

impl fmt::Debug for FinnhubSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FinnhubSource").field("endpoint", &self.connection.endpoint).finish_non_exhaustive()
    }
}
