//! Binance's market data host: crypto, without a key.
//!
//! In: a [`BarsRequest`]. Out: the pages of its bars; the forming candle comes as sent. Holds: quotes are in Tether
//! instead of dollars, and the provenance says so; each request weighs two of the 6,000 a minute that an address has.

mod settings;
mod wire;

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Ticker, Timeframe};
use reqwest::{StatusCode, Url};

pub use self::settings::BinanceSettings;
use crate::{
    Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchError, Limits, MarketClock,
    budget::{Accounts, Urgency},
    connection::{Connection, Setup},
    failures::refusal,
    http::Answer,
    one_ticker::{OneTicker, Reading, WindowQuery, Windows},
    settings::CRYPTO_VARIABLE,
    words::words,
};

const ROWS_PER_PAGE: i32 = 1_000;
/// 6,000 a minute, of which a request for candles weighs two.
const REQUESTS_PER_MINUTE: u32 = settings::WEIGHT_PER_MINUTE / settings::WEIGHT;

/// Bars and pairs from Binance.
pub struct BinanceSource {
    connection: Connection,
}

impl BinanceSource {
    /// Prepares requests to the server of `settings`, counted in `accounts`. A server that isn't Binance's own host
    /// is probed once for a simulator.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where no server responds, [`FetchError::BadData`] where it is
    /// neither Binance nor a simulator.
    pub async fn connect_on(
        settings: BinanceSettings,
        _market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Self, FetchError> {
        let setup = Setup {
            vendor: &settings::BINANCE,
            base: settings.url,
            key: None,
            wants_key: false,
            timeouts: settings.timeouts,
            requests_per_minute: REQUESTS_PER_MINUTE,
        };
        Ok(Self { connection: Connection::open(setup, accounts).await? })
    }

    fn refusal(&self, answer: &Answer, tickers: &[Ticker]) -> FetchError {
        let http = &self.connection.http;
        match answer.status.as_u16() {
            // Not available in this country: as with a rejected key, nothing is sent until that is fixed.
            451 => http.vendor.credentials(&http.provider, 451, words(&answer.body, &[])),
            _ => refusal(http, answer, tickers),
        }
    }
}

impl OneTicker for BinanceSource {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn timeframes(&self, asset_class: AssetClass) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, H4, M1, M5, M15, M30};
        match asset_class {
            AssetClass::Stock => &[],
            AssetClass::Crypto => &[M1, M5, M15, M30, H1, H4, D1],
        }
    }

    fn feed(&self, query: &WindowQuery<'_>) -> String {
        wire::feed(query.ticker).to_owned()
    }

    fn longest(&self, timeframe: Timeframe) -> Option<SignedDuration> {
        Some(timeframe.step().unwrap_or(SignedDuration::from_hours(24)) * ROWS_PER_PAGE)
    }

    fn request_url(&self, query: &WindowQuery<'_>) -> Result<Url, FetchError> {
        let mut url = self.connection.url(&["api", "v3", "klines"])?;
        let last = query.window.to().checked_sub(SignedDuration::from_nanos(1)).unwrap_or(query.window.from());
        url.query_pairs_mut()
            .append_pair("symbol", &wire::symbol(query.ticker))
            .append_pair("interval", wire::interval(query.timeframe))
            .append_pair("startTime", &query.window.from().as_millisecond().to_string())
            .append_pair("endTime", &last.as_millisecond().to_string())
            .append_pair("limit", &ROWS_PER_PAGE.to_string());
        Ok(url)
    }

    fn read(&self, query: &WindowQuery<'_>, answer: &Answer) -> Result<Reading, FetchError> {
        if answer.status != StatusCode::OK {
            return Err(self.refusal(answer, std::slice::from_ref(query.ticker)));
        }
        let http = &self.connection.http;
        let candles: Vec<wire::Candle> = answer.json(http)?;
        let bars: Result<_, _> = candles.into_iter().map(wire::Candle::into_bar).collect();
        bars.map(Reading::complete).map_err(|problem| http.bad_data(&problem))
    }
}

#[async_trait::async_trait]
impl BarSource for BinanceSource {
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
            rows_per_page: usize::try_from(ROWS_PER_PAGE).unwrap_or(1),
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
        let mut url = self.connection.url(&["api", "v3", "exchangeInfo"])?;
        url.query_pairs_mut().append_pair("symbol", &wire::symbol(ticker));
        let answer = self.connection.get(url, Urgency::Now, Duration::ZERO, &mut 0).await?;
        if answer.status != StatusCode::OK {
            let unknown = wire::is_unknown_symbol(&answer.body);
            return if unknown { Ok(None) } else { Err(self.refusal(&answer, std::slice::from_ref(ticker))) };
        }
        let list: wire::Exchange = answer.json(&self.connection.http)?;
        Ok(list.symbols.into_iter().next().map(|symbol| symbol.asset(ticker)))
    }

    async fn assets(&self, asset_class: AssetClass) -> Result<Option<Vec<Asset>>, FetchError> {
        if asset_class != AssetClass::Crypto {
            return Ok(None);
        }
        let url = self.connection.url(&["api", "v3", "exchangeInfo"])?;
        let answer = self.connection.get(url, Urgency::Now, Duration::ZERO, &mut 0).await?;
        if answer.status != StatusCode::OK {
            return Err(self.refusal(&answer, &[]));
        }
        let list: wire::Exchange = answer.json(&self.connection.http)?;
        let trading = list.symbols.into_iter().filter(wire::Symbol::is_trading);
        Ok(Some(trading.filter_map(|symbol| symbol.ticker().map(|ticker| symbol.asset(&ticker))).collect()))
    }
}

/// Binance's first trades: 2017-08-17.
const EARLIEST: Timestamp = Timestamp::constant(1_502_928_000, 0);

crate::candidate::candidate!(
    BinanceSettings,
    BinanceSource,
    settings::BINANCE,
    [CRYPTO_VARIABLE],
    [AssetClass::Crypto]
);

impl fmt::Debug for BinanceSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BinanceSource").field("endpoint", &self.connection.endpoint).finish_non_exhaustive()
    }
}
