//! Tradier: stocks.
//!
//! In: a [`BarsRequest`]. Out: the pages of its bars: intraday bars of the session from time sales, daily bars from
//! the history. Holds: requests use New York's wall time, responses are read by their unix seconds; a list of one
//! comes as its single element; `null` is a response without bars.

mod settings;
mod wire;

use std::{fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Ticker, Timeframe};
use reqwest::{StatusCode, Url};

pub use self::settings::{TOKEN_VARIABLE, TradierSettings};
use crate::{
    Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchError, Limits, MarketClock,
    budget::Accounts,
    connection::{Connection, Setup},
    days::days_of,
    failures::refusal,
    http::{Answer, Key},
    one_ticker::{OneTicker, Reading, WindowQuery, Windows},
    words::words,
};

const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Tradier's daily bars go back to the last century; older ones are never requested.
const EARLIEST: Timestamp = Timestamp::constant(631_152_000, 0);

/// Bars and quotes from Tradier's market data.
pub struct TradierSource {
    connection: Connection,
    delay: SignedDuration,
}

impl TradierSource {
    /// Prepares requests to the server of `settings`, counted in `accounts`. A server that isn't Tradier's own host
    /// is probed once for a simulator.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where no server responds, [`FetchError::BadData`] where it is
    /// neither Tradier nor a simulator.
    pub async fn connect_on(
        settings: TradierSettings,
        _market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Self, FetchError> {
        let (delay, requests_per_minute) = (settings.delay(), settings.requests_per_minute());
        let key = settings.token.map(|secret| Key { header: "Authorization", scheme: "Bearer ", secret });
        let setup = Setup {
            vendor: &settings::TRADIER,
            base: settings.url,
            key,
            wants_key: true,
            timeouts: settings.timeouts,
            requests_per_minute,
        };
        Ok(Self { connection: Connection::open(setup, accounts).await?, delay })
    }
}

impl OneTicker for TradierSource {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    fn timeframes(&self, asset_class: AssetClass) -> &'static [Timeframe] {
        use Timeframe::{D1, M1, M5, M15};
        match asset_class {
            AssetClass::Stock => &[M1, M5, M15, D1],
            AssetClass::Crypto => &[],
        }
    }

    fn feed(&self, query: &WindowQuery<'_>) -> String {
        if query.timeframe == Timeframe::D1 { "history" } else { "timesales" }.to_owned()
    }

    fn longest(&self, _timeframe: Timeframe) -> Option<SignedDuration> {
        None
    }

    fn request_url(&self, query: &WindowQuery<'_>) -> Result<Url, FetchError> {
        let symbol = wire::symbol(query.ticker);
        if query.timeframe == Timeframe::D1 {
            let (first, last) = days_of(query.window);
            let mut url = self.connection.url(&["v1", "markets", "history"])?;
            url.query_pairs_mut()
                .append_pair("symbol", &symbol)
                .append_pair("interval", "daily")
                .append_pair("start", &first.to_string())
                .append_pair("end", &last.to_string());
            return Ok(url);
        }
        let (start, end) = wire::wall_times(query.window);
        let mut url = self.connection.url(&["v1", "markets", "timesales"])?;
        url.query_pairs_mut()
            .append_pair("symbol", &symbol)
            .append_pair("interval", wire::interval(query.timeframe))
            .append_pair("start", &start)
            .append_pair("end", &end)
            .append_pair("session_filter", "open");
        Ok(url)
    }

    fn read(&self, query: &WindowQuery<'_>, answer: &Answer) -> Result<Reading, FetchError> {
        let http = &self.connection.http;
        let too_old = || words(&answer.body, &http.secrets());
        match answer.status {
            StatusCode::OK | StatusCode::BAD_REQUEST if wire::is_too_old(&answer.body) => {
                Err(self.connection.unavailable(too_old()))
            }
            StatusCode::OK => {
                let bars = match query.timeframe {
                    Timeframe::D1 => answer.json::<wire::History>(http)?.bars(),
                    _ => answer.json::<wire::TimeSales>(http)?.bars(),
                };
                bars.map(Reading::complete).map_err(|problem| http.bad_data(&problem))
            }
            _ => Err(refusal(http, answer, std::slice::from_ref(query.ticker))),
        }
    }
}

#[async_trait::async_trait]
impl BarSource for TradierSource {
    fn endpoint(&self) -> &Endpoint {
        &self.connection.endpoint
    }

    fn account(&self) -> &str {
        &self.connection.account
    }

    fn limits(&self, asset_class: AssetClass) -> Limits {
        use Timeframe::{D1, M1, M5, M15};
        let timeframes = self.timeframes(asset_class);
        if timeframes.is_empty() {
            return Limits::nothing();
        }
        self.connection.limits(Limits {
            timeframes: timeframes.to_vec(),
            split_adjusted: vec![D1],
            // 20 days of minutes; a response has no pages.
            rows_per_page: 8_000,
            earliest: EARLIEST,
            // A day less than documented, since the edge moves meanwhile.
            depth: [(M1, DAY * 19), (M5, DAY * 39), (M15, DAY * 39)].into(),
            grace: self.delay,
            ..Limits::nothing()
        })
    }

    /// Fails at once if the budget is used up.
    fn pages<'a>(&'a self, request: &'a BarsRequest) -> Box<dyn BarPages + 'a> {
        Box::new(Windows::new(self, request))
    }

    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
        self.connection.need_key()?;
        if ticker.asset_class() != AssetClass::Stock {
            return Ok(None);
        }
        let mut url = self.connection.url(&["v1", "markets", "quotes"])?;
        url.query_pairs_mut().append_pair("symbols", &wire::symbol(ticker));
        let quotes: Option<wire::Quotes> = self.connection.look_up(url, Duration::ZERO).await?;
        Ok(quotes.and_then(|quotes| quotes.asset(ticker)))
    }
}

crate::candidate::candidate!(TradierSettings, TradierSource, settings::TRADIER, [TOKEN_VARIABLE], [AssetClass::Stock]);

impl fmt::Debug for TradierSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TradierSource").field("endpoint", &self.connection.endpoint).finish_non_exhaustive()
    }
}
