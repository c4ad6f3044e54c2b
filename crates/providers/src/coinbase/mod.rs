//! Coinbase Exchange: crypto, without a key.
//!
//! In: a [`BarsRequest`]. Out: the pages of its bars. Holds: at most 300 candles are requested at once; they come
//! newest first, and candles before the start are dropped.

mod settings;

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Bar, Ticker, Timeframe};
use reqwest::{StatusCode, Url};
use serde::Deserialize;

pub use self::settings::CoinbaseSettings;
use crate::{
    Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchError, Limits, MarketClock,
    budget::Accounts,
    connection::{Connection, Setup},
    failures::refusal,
    http::Answer,
    number::Number,
    one_ticker::{OneTicker, Reading, WindowQuery, Windows},
    settings::CRYPTO_VARIABLE,
    words::{is_html, words},
};

const CANDLES_PER_REQUEST: i32 = 300;
/// Ten a second are allowed; half of that is used.
const REQUESTS_PER_MINUTE: u32 = 300;
/// Its candles begin in 2015.
const EARLIEST: Timestamp = Timestamp::constant(1_420_070_400, 0);

/// Start in unix seconds, low, high, open, close, volume.
#[derive(Debug, Deserialize)]
struct Candle(i64, Number, Number, Number, Number, Number);

#[derive(Debug, Deserialize)]
struct Product {
    id: String,
    #[serde(default)]
    display_name: String,
    status: String,
}

/// Bars and pairs from Coinbase.
pub struct CoinbaseSource {
    connection: Connection,
}

impl CoinbaseSource {
    /// Prepares requests to the server of `settings`, counted in `accounts`. A server that isn't Coinbase's own host
    /// is probed once for a simulator.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where no server responds, [`FetchError::BadData`] where it is
    /// neither Coinbase nor a simulator.
    pub async fn connect_on(
        settings: CoinbaseSettings,
        _market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Self, FetchError> {
        let setup = Setup {
            vendor: &settings::COINBASE,
            base: settings.url,
            key: None,
            wants_key: false,
            timeouts: settings.timeouts,
            requests_per_minute: REQUESTS_PER_MINUTE,
        };
        Ok(Self { connection: Connection::open(setup, accounts).await? })
    }

    fn refusal(&self, answer: &Answer, ticker: &Ticker) -> FetchError {
        let http = &self.connection.http;
        // There is no such pair; a web page would come from something that isn't Coinbase.
        if answer.status == StatusCode::NOT_FOUND && !is_html(&answer.body) {
            return FetchError::Refused {
                provider: http.provider.clone(),
                status: 404,
                message: words(&answer.body, &[]),
                tickers: vec![ticker.clone()],
            };
        }
        refusal(http, answer, std::slice::from_ref(ticker))
    }
}

impl OneTicker for CoinbaseSource {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    /// There are neither 30-minute nor 4-hour candles.
    fn timeframes(&self, asset_class: AssetClass) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, M1, M5, M15};
        match asset_class {
            AssetClass::Stock => &[],
            AssetClass::Crypto => &[M1, M5, M15, H1, D1],
        }
    }

    fn feed(&self, _query: &WindowQuery<'_>) -> String {
        "exchange".to_owned()
    }

    fn longest(&self, timeframe: Timeframe) -> Option<SignedDuration> {
        Some(step(timeframe) * CANDLES_PER_REQUEST)
    }

    fn request_url(&self, query: &WindowQuery<'_>) -> Result<Url, FetchError> {
        let mut url = self.connection.url(&["products", query.ticker.as_str(), "candles"])?;
        // The end is inclusive, and a candle that starts there would be the 301st.
        let last = query.window.to().checked_sub(SignedDuration::from_nanos(1)).unwrap_or(query.window.from());
        let seconds = |at: Timestamp| Timestamp::from_second(at.as_second()).unwrap_or(at).to_string();
        url.query_pairs_mut()
            .append_pair("granularity", &step(query.timeframe).as_secs().to_string())
            .append_pair("start", &seconds(query.window.from()))
            .append_pair("end", &seconds(last));
        Ok(url)
    }

    fn read(&self, query: &WindowQuery<'_>, answer: &Answer) -> Result<Reading, FetchError> {
        if answer.status != StatusCode::OK {
            return Err(self.refusal(answer, query.ticker));
        }
        let http = &self.connection.http;
        let candles: Vec<Candle> = answer.json(http)?;
        let bars: Result<_, _> = candles.into_iter().rev().map(bar).collect();
        bars.map(Reading::complete).map_err(|problem| http.bad_data(&problem))
    }
}

fn step(timeframe: Timeframe) -> SignedDuration {
    timeframe.step().unwrap_or(SignedDuration::from_hours(24))
}

fn bar(Candle(start, low, high, open, close, volume): Candle) -> Result<Bar, String> {
    let start = Timestamp::from_second(start).map_err(|_| format!("a candle at {start} s"))?;
    let [open, high, low, close, volume] = [open, high, low, close, volume].map(Number::value);
    Ok(Bar { start, open, high, low, close, volume, vwap: None, trade_count: None })
}

fn asset(product: Product) -> Option<Asset> {
    let ticker: Ticker = product.id.parse().ok()?;
    (ticker.asset_class() == AssetClass::Crypto).then_some(Asset {
        ticker,
        asset_class: AssetClass::Crypto,
        name: product.display_name,
        exchange: "Coinbase".to_owned(),
        active: product.status == "online",
    })
}

#[async_trait::async_trait]
impl BarSource for CoinbaseSource {
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
            rows_per_page: usize::try_from(CANDLES_PER_REQUEST).unwrap_or(1),
            earliest: EARLIEST,
            grace: SignedDuration::from_secs(30),
            ..Limits::nothing()
        })
    }

    /// Fails at once if the budget is used up; between pages it waits for the budget, for two minutes at most.
    fn pages<'a>(&'a self, request: &'a BarsRequest) -> Box<dyn BarPages + 'a> {
        Box::new(Windows::new(self, request))
    }

    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
        if ticker.asset_class() != AssetClass::Crypto {
            return Ok(None);
        }
        let url = self.connection.url(&["products", ticker.as_str()])?;
        let product: Option<Product> = self.connection.look_up(url, Duration::ZERO).await?;
        Ok(product.and_then(asset))
    }

    async fn assets(&self, asset_class: AssetClass) -> Result<Option<Vec<Asset>>, FetchError> {
        if asset_class != AssetClass::Crypto {
            return Ok(None);
        }
        let url = self.connection.url(&["products"])?;
        let products: Option<Vec<Product>> = self.connection.look_up(url, Duration::ZERO).await?;
        let assets = products.map(|products| products.into_iter().filter_map(asset));
        Ok(assets.map(|assets| assets.filter(|asset| asset.active).collect()))
    }
}

crate::candidate::candidate!(
    CoinbaseSettings,
    CoinbaseSource,
    settings::COINBASE,
    [CRYPTO_VARIABLE],
    [AssetClass::Crypto]
);

impl fmt::Debug for CoinbaseSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoinbaseSource").field("endpoint", &self.connection.endpoint).finish_non_exhaustive()
    }
}
