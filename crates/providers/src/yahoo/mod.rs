//! Yahoo's charts: stocks, without a key, for personal use only and therefore off by default.
//!
//! In: a [`BarsRequest`]. Out: the pages of its bars, split-adjusted as Yahoo has them. Holds: bars of another length
//! than requested are rejected (Yahoo coarsens silently); what is null or isn't a bar yet is dropped; a day's bar
//! starts at New York's midnight.

mod chart;
mod events;
mod settings;

use std::{collections::BTreeMap, fmt, time::Duration};

use jiff::{SignedDuration, Timestamp};
use market::{Action, AssetClass, Range, Ticker, Timeframe};
use reqwest::{StatusCode, Url};

use self::chart::Said;
pub use self::settings::{SWITCH_VARIABLE, YahooSettings};
use crate::{
    Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchError, Limits, MarketClock,
    budget::{Accounts, Urgency},
    connection::{Connection, Setup},
    failures::refusal,
    http::{Answer, PATIENCE_BETWEEN_PAGES},
    one_ticker::{OneTicker, Reading, WindowQuery, Windows},
    words::words,
};

/// The limit isn't documented; about 360 an hour were seen to pass.
const REQUESTS_PER_MINUTE: u32 = 6;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Bars, splits and dividends from Yahoo's charts.
pub struct YahooSource {
    connection: Connection,
    market_now: MarketClock,
}

impl YahooSource {
    /// Prepares requests to the server of `settings`, counted in `accounts`. A server that isn't Yahoo's own host is
    /// probed once for a simulator.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where no server responds, [`FetchError::BadData`] where it is
    /// neither Yahoo nor a simulator.
    pub async fn connect_on(
        settings: YahooSettings,
        market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Self, FetchError> {
        let setup = Setup {
            vendor: &settings::YAHOO,
            base: settings.url,
            key: None,
            wants_key: false,
            timeouts: settings.timeouts,
            requests_per_minute: REQUESTS_PER_MINUTE,
        };
        Ok(Self { connection: Connection::open(setup, accounts).await?, market_now })
    }

    fn chart(&self, ticker: &Ticker, interval: &str, range: Range) -> Result<Url, FetchError> {
        let mut url = self.connection.url(&["v8", "finance", "chart", &chart::symbol(ticker)])?;
        // Both in whole seconds, the second one exclusive.
        let to = range.to().as_second() + i64::from(range.to().subsec_nanosecond() > 0);
        url.query_pairs_mut()
            .append_pair("period1", &range.from().as_second().to_string())
            .append_pair("period2", &to.to_string())
            .append_pair("interval", interval)
            .append_pair("includePrePost", "false")
            .append_pair("events", "div,splits");
        Ok(url)
    }

    /// The chart or the message in the response.
    fn said(&self, answer: &Answer, ticker: &Ticker) -> Result<Said, FetchError> {
        let http = &self.connection.http;
        match answer.status {
            StatusCode::OK => chart::said(answer, http),
            // These contain a message in the same place.
            StatusCode::NOT_FOUND | StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY
                if chart::is_chart(&answer.body) =>
            {
                Ok(Said::Words(words(&answer.body, &[])))
            }
            _ => Err(refusal(http, answer, std::slice::from_ref(ticker))),
        }
    }

    /// The error for a symbol that never traded.
    fn unknown(&self, status: StatusCode, ticker: &Ticker) -> FetchError {
        FetchError::Refused {
            provider: self.connection.http.provider.clone(),
            status: status.as_u16(),
            message: "a symbol that never traded".to_owned(),
            tickers: vec![ticker.clone()],
        }
    }

    /// The error for a message of Yahoo's.
    fn error_from(&self, words: String, status: StatusCode, ticker: &Ticker) -> FetchError {
        let lower = words.to_ascii_lowercase();
        if ["must be within the last", "not available for starttime", "not available for endtime"]
            .iter()
            .any(|words| lower.contains(words))
        {
            return self.connection.unavailable(words);
        }
        if status == StatusCode::OK {
            return self.connection.http.bad_data(&format!("'{words}' in place of a chart"));
        }
        FetchError::Refused {
            provider: self.connection.http.provider.clone(),
            status: status.as_u16(),
            message: words,
            tickers: vec![ticker.clone()],
        }
    }
}

impl OneTicker for YahooSource {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    /// For 30 minutes Yahoo sends hours, and it has no 4-hour bars.
    fn timeframes(&self, asset_class: AssetClass) -> &'static [Timeframe] {
        use Timeframe::{D1, H1, M1, M5, M15};
        match asset_class {
            AssetClass::Stock => &[M1, M5, M15, H1, D1],
            AssetClass::Crypto => &[],
        }
    }

    fn feed(&self, _query: &WindowQuery<'_>) -> String {
        "chart".to_owned()
    }

    fn longest(&self, timeframe: Timeframe) -> Option<SignedDuration> {
        (timeframe == Timeframe::M1).then_some(DAY * 7)
    }

    fn request_url(&self, query: &WindowQuery<'_>) -> Result<Url, FetchError> {
        self.chart(query.ticker, chart::interval(query.timeframe), query.window)
    }

    fn read(&self, query: &WindowQuery<'_>, answer: &Answer) -> Result<Reading, FetchError> {
        let http = &self.connection.http;
        let chart = match self.said(answer, query.ticker)? {
            Said::Chart(chart) => *chart,
            Said::Words(words) if chart::is_before_the_first_trade(&words) => return Ok(Reading::complete(Vec::new())),
            Said::Words(words) => return Err(self.error_from(words, answer.status, query.ticker)),
        };
        if chart.never_traded() {
            return Err(self.unknown(answer.status, query.ticker));
        }
        chart.bars(query).map(Reading::complete).map_err(|problem| http.bad_data(&problem))
    }
}

#[async_trait::async_trait]
impl BarSource for YahooSource {
    fn endpoint(&self) -> &Endpoint {
        &self.connection.endpoint
    }

    fn account(&self) -> &str {
        &self.connection.account
    }

    fn limits(&self, asset_class: AssetClass) -> Limits {
        use Timeframe::{H1, M1, M5, M15};
        let timeframes = self.timeframes(asset_class);
        if timeframes.is_empty() {
            return Limits::nothing();
        }
        self.connection.limits(Limits {
            timeframes: timeframes.to_vec(),
            from_open: vec![H1],
            split_adjusted: timeframes.to_vec(),
            // 59 days of 5 minutes; a page has no other limit.
            rows_per_page: 5_000,
            earliest: settings::EARLIEST,
            // A day less than documented, since the edge moves meanwhile.
            depth: [(M1, DAY * 29), (M5, DAY * 59), (M15, DAY * 59), (H1, DAY * 729)].into(),
            grace: SignedDuration::from_mins(20),
            ..Limits::nothing()
        })
    }

    /// Fails at once if the budget is used up; between pages it waits for the budget, for two minutes at most.
    fn pages<'a>(&'a self, request: &'a BarsRequest) -> Box<dyn BarPages + 'a> {
        Box::new(Windows::new(self, request))
    }

    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
        let now = (self.market_now)();
        let from = now.checked_sub(DAY * 7).unwrap_or(now);
        let Ok(range) = Range::new(from, now) else { return Ok(None) };
        let url = self.chart(ticker, "1d", range)?;
        let answer = self.connection.get(url, Urgency::Now, Duration::ZERO, &mut 0).await?;
        match self.said(&answer, ticker)? {
            Said::Chart(chart) => {
                chart.check_symbol(ticker).map_err(|problem| answer.bad_data(&self.connection.http, &problem))?;
                Ok(chart.asset(ticker))
            }
            Said::Words(words) if chart::is_before_the_first_trade(&words) => Ok(None),
            Said::Words(_) if answer.status == StatusCode::NOT_FOUND => Ok(None),
            Said::Words(words) => Err(self.error_from(words, answer.status, ticker)),
        }
    }

    /// Dividends come split-adjusted and are converted to the shares of their day, so splits up to now are requested too.
    async fn actions(
        &self,
        tickers: &[Ticker],
        range: Range,
    ) -> Result<Option<BTreeMap<Ticker, Vec<Action>>>, FetchError> {
        let http = &self.connection.http;
        let now: Timestamp = (self.market_now)();
        let Ok(until_now) = Range::new(range.from(), range.to().max(now)) else { return Ok(None) };
        let mut all = BTreeMap::new();
        for ticker in tickers.iter().filter(|ticker| ticker.asset_class() == AssetClass::Stock) {
            let url = self.chart(ticker, "1d", until_now)?;
            let answer = self.connection.get(url, Urgency::Now, PATIENCE_BETWEEN_PAGES, &mut 0).await?;
            let actions = match self.said(&answer, ticker)? {
                Said::Chart(chart) => {
                    chart.check_symbol(ticker).map_err(|problem| answer.bad_data(http, &problem))?;
                    events::actions(&http.provider, chart.events, range)
                }
                Said::Words(words) if chart::is_before_the_first_trade(&words) => Vec::new(),
                Said::Words(words) => return Err(self.error_from(words, answer.status, ticker)),
            };
            if !actions.is_empty() {
                all.insert(ticker.clone(), actions);
            }
        }
        Ok(Some(all))
    }
}

crate::candidate::candidate!(YahooSettings, YahooSource, settings::YAHOO, [SWITCH_VARIABLE], [AssetClass::Stock]);

impl fmt::Debug for YahooSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("YahooSource").field("endpoint", &self.connection.endpoint).finish_non_exhaustive()
    }
}
