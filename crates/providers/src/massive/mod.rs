//! Massive, formerly Polygon: stocks.
//!
//! In: a [`BarsRequest`]. Out: the pages of its bars, unadjusted. Holds: minutes are requested a month at a time, as
//! longer ranges come with gaps; links to next pages are followed at our own address only, so that the key goes
//! nowhere else; what the plan doesn't supply yet does not count as empty.

mod reference;
mod settings;
mod wire;

use std::{
    collections::BTreeMap,
    fmt,
    sync::atomic::{AtomicBool, Ordering},
};

use jiff::{SignedDuration, Timestamp};
use market::{Action, AssetClass, Calendar, Range, Ticker, Timeframe};
use reqwest::{StatusCode, Url};

pub use self::settings::{KEY_VARIABLES, MassiveSettings, Plan};
use crate::{
    Asset, BarPages, BarSource, BarsRequest, Endpoint, FetchError, Limits, MarketClock,
    budget::Accounts,
    connection::{Connection, Setup},
    failures::{refusal, throttled},
    http::{Answer, Key},
    one_ticker::{OneTicker, Reading, WindowQuery, Windows},
    short_bar::ShortBar,
    words::words,
};

/// Rows are counted in minutes, whatever timeframe is requested.
const MINUTES_PER_PAGE: usize = 50_000;
const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);
/// The delay of plans with delayed data: 15 minutes, and one for clock differences.
const DELAYED: SignedDuration = SignedDuration::from_mins(16);
/// The longest delay of plans with end-of-day data.
const END_OF_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Bars, assets, splits and dividends from Massive's HTTP API.
pub struct MassiveSource {
    connection: Connection,
    plan: Plan,
    market_now: MarketClock,
    /// Whether the plan supplies nothing of the current day.
    end_of_day: AtomicBool,
}

impl MassiveSource {
    /// Prepares requests to the server of `settings`, counted in `accounts`. A server that isn't Massive's own host
    /// is probed once for a simulator.
    ///
    /// `market_now` is the market's clock; a plan's delay is counted from it.
    ///
    /// # Errors
    /// [`FetchError::Transport`] with the address where no server responds, [`FetchError::BadData`] where it is
    /// neither Massive nor a simulator.
    pub async fn connect_on(
        settings: MassiveSettings,
        market_now: MarketClock,
        accounts: &dyn Accounts,
    ) -> Result<Self, FetchError> {
        let key = settings.key.map(|secret| Key { header: "Authorization", scheme: "Bearer ", secret });
        let setup = Setup {
            vendor: &settings::MASSIVE,
            base: settings.url,
            key,
            wants_key: true,
            timeouts: settings.timeouts,
            requests_per_minute: settings.plan.requests_per_minute(),
        };
        let connection = Connection::open(setup, accounts).await?;
        let end_of_day = settings.plan == Plan::Free && !connection.endpoint.simulated;
        Ok(Self { connection, plan: settings.plan, market_now, end_of_day: AtomicBool::new(end_of_day) })
    }

    /// When the current day began in New York.
    fn today(&self) -> Option<Timestamp> {
        let calendar = Calendar::Xnys;
        calendar.midnight(calendar.date_of((self.market_now)()))
    }

    /// Outside of the plan: the current day if it was requested, else the past.
    fn not_authorized(&self, query: &WindowQuery<'_>, answer: &Answer) -> Reading {
        let words = words(&answer.body, &self.connection.http.secrets());
        let error = self.connection.unavailable(words);
        if self.today().is_some_and(|today| query.window.to() > today) {
            self.end_of_day.store(true, Ordering::Relaxed);
        }
        Reading::HeldBack(error)
    }
}

impl OneTicker for MassiveSource {
    fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Hourly bars of stocks are clock-aligned here and mix pre-market in.
    fn timeframes(&self, asset_class: AssetClass) -> &'static [Timeframe] {
        use Timeframe::{D1, M1, M5, M15, M30};
        match asset_class {
            AssetClass::Stock => &[M1, M5, M15, M30, D1],
            AssetClass::Crypto => &[],
        }
    }

    fn feed(&self, _query: &WindowQuery<'_>) -> String {
        "sip".to_owned()
    }

    fn longest(&self, timeframe: Timeframe) -> Option<SignedDuration> {
        timeframe.minutes().map(|_| MONTH)
    }

    fn available_range(&self, range: Range) -> Option<Range> {
        if !self.end_of_day.load(Ordering::Relaxed) {
            return Some(range);
        }
        Range::new(range.from(), range.to().min(self.today()?)).ok()
    }

    fn request_url(&self, query: &WindowQuery<'_>) -> Result<Url, FetchError> {
        let (multiplier, span) = wire::timeframe(query.timeframe);
        let (from, to) = wire::inclusive(query.window, query.timeframe);
        let path = ["v2", "aggs", "ticker", query.ticker.as_str(), "range", multiplier, span, &from, &to];
        let mut url = self.connection.url(&path)?;
        url.query_pairs_mut()
            .append_pair("adjusted", "false")
            .append_pair("sort", "asc")
            .append_pair("limit", &MINUTES_PER_PAGE.to_string());
        Ok(url)
    }

    fn read(&self, query: &WindowQuery<'_>, answer: &Answer) -> Result<Reading, FetchError> {
        let http = &self.connection.http;
        match answer.status {
            StatusCode::OK if wire::is_error(answer.status, &answer.body) => Err(throttled(http, answer)),
            StatusCode::OK => {
                let page: wire::Page<ShortBar<i64>> = answer.json(http)?;
                if let Some(other) = page.ticker.as_deref().filter(|other| *other != query.ticker.as_str()) {
                    return Err(answer.bad_data(http, &format!("bars of {other} where {} was asked for", query.ticker)));
                }
                if !page.has_results() && !page.is_empty(query.continued) {
                    return Err(answer.not_empty(http));
                }
                let next = page.next_url.map(|next| wire::follow(&self.connection, &next)).transpose()?;
                let bars = page.results.into_iter().flatten().map(wire::bar);
                let bars = bars.collect::<Result<_, _>>().map_err(|problem| http.bad_data(&problem))?;
                Ok(Reading::Part { bars, next })
            }
            StatusCode::FORBIDDEN if wire::is_not_authorized(&answer.body) => Ok(self.not_authorized(query, answer)),
            _ => Err(refusal(http, answer, std::slice::from_ref(query.ticker))),
        }
    }
}

#[async_trait::async_trait]
impl BarSource for MassiveSource {
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
        let depth = self.plan.depth();
        self.connection.limits(Limits {
            timeframes: timeframes.to_vec(),
            extended_hours: true,
            // How many 15-minute bars, the finest requested in bulk, a page has room for.
            rows_per_page: MINUTES_PER_PAGE / 15,
            earliest: Plan::EARLIEST,
            depth: depth.iter().flat_map(|depth| timeframes.iter().map(|timeframe| (*timeframe, *depth))).collect(),
            grace: if self.end_of_day.load(Ordering::Relaxed) { END_OF_DAY } else { DELAYED },
            ..Limits::nothing()
        })
    }

    /// Fails at once if the budget is used up; between pages it waits for the budget, for two minutes at most.
    fn pages<'a>(&'a self, request: &'a BarsRequest) -> Box<dyn BarPages + 'a> {
        Box::new(Windows::new(self, request))
    }

    async fn asset(&self, ticker: &Ticker) -> Result<Option<Asset>, FetchError> {
        reference::asset(&self.connection, ticker).await
    }

    async fn assets(&self, asset_class: AssetClass) -> Result<Option<Vec<Asset>>, FetchError> {
        match asset_class {
            AssetClass::Stock => reference::assets(&self.connection).await.map(Some),
            AssetClass::Crypto => Ok(None),
        }
    }

    async fn actions(
        &self,
        tickers: &[Ticker],
        range: Range,
    ) -> Result<Option<BTreeMap<Ticker, Vec<Action>>>, FetchError> {
        reference::actions(&self.connection, tickers, range).await.map(Some)
    }
}

crate::candidate::candidate!(MassiveSettings, MassiveSource, settings::MASSIVE, KEY_VARIABLES, [AssetClass::Stock]);

impl fmt::Debug for MassiveSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MassiveSource")
            .field("endpoint", &self.connection.endpoint)
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}
