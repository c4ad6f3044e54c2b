//! A synthetic market, for any ticker and any time since 1990.
//!
//! In: a ticker and a day. Out: that day's minutes. Holds: they follow from seed, ticker and day alone, stocks trade
//! in the sessions of the New York Stock Exchange, and every minute of a regular session has a trade.

mod character;
mod day;
pub(crate) mod noise;

use jiff::civil::{Date, date};
use market::{AssetClass, Calendar, Calendars, Ticker};

use self::{
    character::{Character, STEPS_PER_DAY},
    day::{Hours, MINUTES_PER_DAY, Way},
};
use crate::{
    minute::Minute,
    settings::{CalendarSource, Settings},
};

/// The first day with bars.
pub(crate) const FIRST_DAY: Date = date(1990, 1, 1);

/// New York, in minutes before the regular session opens at 09:30: trading begins at 04:00.
const BEFORE_OPEN: usize = 330;
/// After the regular session, in minutes: until 20:00, on half days until 17:00.
const AFTER_CLOSE: i64 = 4 * 60;
const HALF_DAY_ENDS_AFTER_OPEN: usize = 450;

/// A synthetic market.
#[derive(Debug)]
pub(crate) struct Synthetic {
    seed: u64,
    unknown: Vec<Ticker>,
    calendars: CalendarSource,
}

/// An instrument of the market.
#[derive(Debug)]
pub(crate) struct Instrument {
    character: Character,
    calendars: Calendars,
}

impl Synthetic {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { seed: settings.seed, unknown: settings.unknown.clone(), calendars: settings.calendars.clone() }
    }

    /// All tickers but those reserved for misspellings.
    pub(crate) fn knows(&self, ticker: &Ticker) -> bool {
        let text = ticker.as_str();
        !text.starts_with("ZZ") && !text.contains("NOPE") && !self.unknown.contains(ticker)
    }

    pub(crate) fn instrument(&self, ticker: &Ticker) -> Option<Instrument> {
        self.knows(ticker).then(|| {
            // Prices are the same whichever hours are stored.
            let calendars = self.calendars.current().with_regular_hours();
            Instrument { character: Character::new(ticker, self.seed), calendars }
        })
    }
}

impl Instrument {
    /// Appends the minutes of a day of the instrument's market, oldest first.
    pub(crate) fn append(&self, date: Date, minutes: &mut Vec<Minute>) {
        let Instrument { character, calendars } = self;
        let Some(hours) = hours(calendars, character.class, date).filter(|_| date >= FIRST_DAY) else { return };
        let Ok(days) = date.since(jiff::civil::date(1970, 1, 1)) else { return };
        let day = i64::from(days.get_days());
        let step = day * STEPS_PER_DAY;
        // Crypto has no night: each day begins where the previous one ends.
        let steps = if character.class == AssetClass::Crypto { STEPS_PER_DAY } else { STEPS_PER_DAY - 1 };
        let nerves = character.nerves(day);
        let session = (hours.close - hours.open) as f64;
        let full = if character.class == AssetClass::Crypto { MINUTES_PER_DAY as f64 } else { 390.0 };
        let mood = noise::steady(
            (0.5 * noise::smooth(character.key ^ 21, day, 0) + 0.4 * noise::smooth(character.key ^ 22, day, 4)).exp(),
        );
        let way = Way {
            from: character.level(step),
            to: character.level(step + steps),
            stray: 0.7 * character.daily_move * nerves,
            volume: character.daily_volume * nerves * mood * session / full,
        };
        day::append(character, day as u64, hours, way, minutes);
    }
}

fn hours(calendars: &Calendars, class: AssetClass, date: Date) -> Option<Hours> {
    let calendar = Calendar::for_class(class);
    let session = calendars.sessions_of(calendar).session_on(date)?;
    if class == AssetClass::Crypto {
        return Some(Hours { start: session.open.as_second(), open: 0, close: MINUTES_PER_DAY, end: MINUTES_PER_DAY });
    }
    let length = session.close.duration_since(session.open).as_mins();
    let close = BEFORE_OPEN + usize::try_from(length).ok()?;
    let end = match session.early {
        true => BEFORE_OPEN + HALF_DAY_ENDS_AFTER_OPEN,
        false => BEFORE_OPEN + usize::try_from(length + AFTER_CLOSE).ok()?,
    };
    // Clocks change at night, so 04:00 is always the same time before the open.
    Some(Hours { start: session.open.as_second() - 60 * BEFORE_OPEN as i64, open: BEFORE_OPEN, close, end })
}
