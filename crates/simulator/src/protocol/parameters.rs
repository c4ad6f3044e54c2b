//! Parses the parameters of a query for bars.
//!
//! In: the query as sent, the market's clock and the delay. Out: a [`BarsQuery`], or Alpaca's message about what is
//! wrong with it. Parameters that Alpaca doesn't have are ignored, as Alpaca does.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp, civil::Date};
use market::{AssetClass, Calendar, Ticker};

use super::{Refusal, refusal::shortened, token::Token};
use crate::{data::BarsQuery, span::Span};

const MOST_ROWS: usize = 10_000;
const USUAL_ROWS: usize = 1_000;

/// The delay of the feed `delayed_sip` on every plan.
const DELAYED_SIP: SignedDuration = SignedDuration::from_mins(15);

const FEEDS: [&str; 6] = ["sip", "iex", "otc", "boats", "overnight", "delayed_sip"];
const ADJUSTMENTS: [&str; 5] = ["raw", "split", "dividend", "spin-off", "all"];

/// Names and values as sent, decoded.
pub(super) struct Parameters(pub(super) Vec<(String, String)>);

/// The query, and the spelling of its response.
#[derive(Clone, Debug)]
pub(super) struct ParsedQuery {
    pub(super) query: BarsQuery,
    /// By the index of their ticker.
    pub(super) symbols: Vec<String>,
    /// The token came with an empty page.
    pub(super) after_empty: bool,
}

/// The market's time, and the delay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) delay: SignedDuration,
}

impl Parameters {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(sent, _)| sent == name).map(|(_, value)| value.as_str())
    }

    /// A query for the symbols in the `symbols` parameter, or, in the single form, for `one`.
    pub(super) fn read(&self, class: AssetClass, one: Option<&str>, moment: Moment) -> Result<ParsedQuery, Refusal> {
        let symbols = self.symbols(class, one)?;
        let span: Span = match self.get("timeframe") {
            None => return Err(required("timeframe")),
            Some(text) => text.parse().map_err(|_| Refusal::invalid("timeframe", text))?,
        };
        let newest_first = match self.get("sort") {
            None | Some("asc") => false,
            Some("desc") => true,
            Some(other) => return Err(Refusal::invalid("sort", other)),
        };
        let calendar = Calendar::for_class(class);
        let horizon = self.horizon(class, moment)?;
        let (start, end) = self.range(calendar, horizon)?;
        let limit = match self.get("limit") {
            None => USUAL_ROWS,
            Some(text) => match text.parse() {
                Ok(limit @ 1..=MOST_ROWS) => limit,
                _ => return Err(Refusal::invalid("limit", text)),
            },
        };
        let token = self.token(span)?;
        let after = match &token {
            None => None,
            Some((token, sent)) => {
                let index = symbols.iter().position(|(symbol, _)| *symbol == token.symbol);
                Some((index.ok_or_else(|| Refusal::invalid("page_token", sent))?, token.start.as_second()))
            }
        };
        let (symbols, tickers) = symbols.into_iter().unzip();
        let query = BarsQuery {
            tickers,
            calendar,
            span,
            // Bars start on whole seconds: the first one not before `start`.
            first: start.as_second() + i64::from(start.subsec_nanosecond() > 0),
            last: end.as_second() - i64::from(end.subsec_nanosecond() < 0),
            horizon: horizon.now.as_second(),
            newest_first,
            after,
            limit,
        };
        Ok(ParsedQuery { query, symbols, after_empty: token.is_some_and(|(token, _)| token.after_empty) })
    }

    /// In the order of the response, each once.
    fn symbols(&self, class: AssetClass, one: Option<&str>) -> Result<Vec<(String, Ticker)>, Refusal> {
        let list = match one.or(self.get("symbols")) {
            None => return Err(required("symbols")),
            Some(list) => list,
        };
        let list: BTreeSet<&str> = if one.is_some() { BTreeSet::from([list]) } else { list.split(',').collect() };
        list.into_iter().map(|symbol| Ok((symbol.to_owned(), ticker(class, symbol)?))).collect()
    }

    /// Up to when bars may be served; parameters of stocks only are checked on the way.
    fn horizon(&self, class: AssetClass, moment: Moment) -> Result<Horizon, Refusal> {
        let free = Horizon { now: moment.now, strict: false };
        if class == AssetClass::Crypto {
            return Ok(free);
        }
        self.check_adjustment()?;
        if let Some(currency) = self.get("currency").filter(|currency| *currency != "USD") {
            return Err(Refusal::invalid("currency", currency));
        }
        if let Some(asof) = self.get("asof").filter(|asof| *asof != "-" && asof.parse::<Date>().is_err()) {
            return Err(Refusal::invalid("asof", asof));
        }
        let held_back = |delay: SignedDuration| moment.now.checked_sub(delay).unwrap_or(Timestamp::MIN);
        match self.get("feed") {
            Some(feed) if !FEEDS.contains(&feed) => Err(Refusal::invalid("feed", feed)),
            None | Some("sip") if moment.delay.is_positive() => {
                Ok(Horizon { now: held_back(moment.delay), strict: true })
            }
            Some("delayed_sip") => Ok(Horizon { now: held_back(moment.delay.max(DELAYED_SIP)), strict: false }),
            _ => Ok(free),
        }
    }

    fn check_adjustment(&self) -> Result<(), Refusal> {
        let Some(list) = self.get("adjustment") else { return Ok(()) };
        let kinds: Vec<&str> = list.split(',').collect();
        let once = kinds.iter().collect::<BTreeSet<_>>().len() == kinds.len();
        match once && kinds.iter().all(|kind| ADJUSTMENTS.contains(kind)) {
            true => Ok(()),
            false => Err(Refusal::invalid("adjustment", list)),
        }
    }

    /// First and last instant, both included.
    fn range(&self, calendar: Calendar, horizon: Horizon) -> Result<(Timestamp, Timestamp), Refusal> {
        let today = calendar.midnight(calendar.date_of(horizon.now)).unwrap_or(horizon.now);
        let start = match self.get("start") {
            None => today,
            Some(text) => instant(calendar, text, false).ok_or_else(|| unreadable("start", text))?,
        };
        let Some(text) = self.get("end") else { return Ok((start, horizon.now)) };
        let end = instant(calendar, text, true).ok_or_else(|| unreadable("end", text))?;
        if end < start {
            return Err(Refusal::END_BEFORE_START);
        }
        if horizon.strict && end > horizon.now {
            return Err(Refusal::RECENT_SIP);
        }
        Ok((start, end))
    }

    /// The token, and its text.
    fn token(&self, span: Span) -> Result<Option<(Token, &str)>, Refusal> {
        let Some(text) = self.get("page_token").filter(|text| !text.is_empty()) else { return Ok(None) };
        match Token::decode(text).filter(|token| token.span == span) {
            Some(token) => Ok(Some((token, text))),
            None => Err(Refusal::invalid("page_token", text)),
        }
    }
}

/// Up to when bars are served.
#[derive(Clone, Copy, Debug)]
struct Horizon {
    now: Timestamp,
    /// A query that names a later end is refused.
    strict: bool,
}

fn required(parameter: &str) -> Refusal {
    Refusal::form(parameter, &format!("query parameter '{parameter}' is required"))
}

fn unreadable(parameter: &str, text: &str) -> Refusal {
    Refusal::form(parameter, &format!("error parsing '{}' as RFC3339 or 2006-01-02 time", shortened(text)))
}

/// An instant, or a date: its first instant in the market's time zone or, as an end, its last whole second.
fn instant(calendar: Calendar, text: &str, end: bool) -> Option<Timestamp> {
    if text.len() > 10 {
        return text.parse().ok();
    }
    let date: Date = text.parse().ok()?;
    match end {
        true => calendar.midnight(date.tomorrow().ok()?)?.checked_sub(SignedDuration::from_secs(1)).ok(),
        false => calendar.midnight(date),
    }
}

/// The ticker of a symbol in Alpaca's spelling: `BRK.B`, `BTC/USD`.
fn ticker(class: AssetClass, symbol: &str) -> Result<Ticker, Refusal> {
    let letters = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
    match class {
        AssetClass::Stock => {
            let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'.';
            let ticker = symbol.parse::<Ticker>().ok().filter(|_| symbol.bytes().all(allowed));
            ticker.ok_or_else(|| Refusal::invalid("symbol", symbol))
        }
        AssetClass::Crypto => {
            let pair = symbol.split_once('/').is_some_and(|(base, quote)| letters(base) && letters(quote));
            let ticker = symbol.parse::<Ticker>().ok().filter(|ticker| pair && ticker.asset_class() == class);
            ticker.ok_or_else(|| {
                Refusal::invalid("symbol", &format!("{} does not match ^[A-Z]+/[A-Z]+$", shortened(symbol)))
            })
        }
    }
}
