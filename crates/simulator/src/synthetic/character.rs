//! The properties of a synthetic instrument, and its price level on any day.
//!
//! In: a ticker and the seed. Out: its price level at any time, without computing the time before. Holds: the level
//! is a sum of smooth lines of periods from eight hours to seven years, each as strong as in a random walk.

use market::{AssetClass, Ticker};

use super::noise::{mix, of_text, smooth, steady, unit};
use crate::listing;

/// Steps of the level in a day: a third each for the night and for both halves of the day.
pub(super) const STEPS_PER_DAY: i64 = 3;

/// 2^13 steps are seven and a half years.
const OCTAVES: u32 = 14;

/// The strength of this many octaves varies with the volatility of the market.
const NERVOUS_OCTAVES: u32 = 4;

/// The ratio of a move over one step to the move over a day, in standard deviations, for such a sum of lines.
const STEP_SHARE: f64 = 1.0 / 2.3;

/// Days from 1970-01-01 to 2026-01-01, the date of the listing's prices.
const PRICED_ON: i64 = 20_454;

/// A synthetic instrument.
#[derive(Clone, Debug)]
pub(super) struct Character {
    pub(super) key: u64,
    pub(super) class: AssetClass,
    /// Steps of the price in one unit of money: 100 for cents.
    pub(super) ticks: i64,
    /// Shares or coins of an average day.
    pub(super) daily_volume: f64,
    /// Standard deviation of a day's move, as a share of the price.
    pub(super) daily_move: f64,
    /// Shares or coins of an average trade.
    pub(super) trade_size: f64,
    /// The probability of a trade in a minute of thin trading: 0 to 1.
    pub(super) liquidity: f64,
    /// Natural logarithm of the price at step 0, before the lines are added.
    log_base: f64,
    /// Natural logarithm of the growth in one step.
    growth: f64,
}

impl Character {
    pub(super) fn new(ticker: &Ticker, seed: u64) -> Self {
        let key = mix(seed ^ mix(of_text(ticker.as_str())));
        let trait_of = |n: u64| unit(mix(key ^ mix(n)));
        let class = ticker.asset_class();
        let listed = listing::find(ticker);
        let (price, daily_volume) = match listed {
            Some(listed) => (listed.price, listed.daily_volume),
            None => (8.0 * steady((4.2 * trait_of(1)).exp()), 2e5 * steady((5.0 * trait_of(2)).exp())),
        };
        let (daily_move, yearly_growth) = match class {
            AssetClass::Stock => (0.010 + 0.014 * trait_of(3), 0.04 + 0.05 * trait_of(4)),
            AssetClass::Crypto => (0.028 + 0.012 * trait_of(3), 0.10 + 0.04 * trait_of(4)),
        };
        let ticks = match class {
            AssetClass::Crypto if price < 1.0 => 100_000,
            AssetClass::Crypto if price < 50.0 => 1_000,
            _ => 100,
        };
        let mut character = Self {
            key,
            class,
            ticks,
            daily_volume,
            daily_move,
            trade_size: match class {
                AssetClass::Stock => 60.0 + 120.0 * trait_of(5),
                AssetClass::Crypto => daily_volume / 40_000.0,
            },
            liquidity: steady((daily_volume * price / 2e9).powf(0.35)).clamp(0.12, 1.0),
            log_base: price.ln(),
            growth: yearly_growth / 365.25 / STEPS_PER_DAY as f64,
        };
        character.log_base -= character.log_level(PRICED_ON * STEPS_PER_DAY) - price.ln();
        character
    }

    /// The volatility of the market on a day since 1970: about 1, seldom below a half or above 2.
    pub(super) fn nerves(&self, day: i64) -> f64 {
        let line = |octave, salt| smooth(self.key ^ salt, day, octave);
        steady((0.25 * line(3, 11) + 0.3 * line(5, 12) + 0.35 * line(8, 13)).exp())
    }

    /// Price in units of money at a step since 1970.
    pub(super) fn level(&self, step: i64) -> f64 {
        steady(self.log_level(step).exp())
    }

    fn log_level(&self, step: i64) -> f64 {
        let strength = self.daily_move * STEP_SHARE;
        let nerves = self.nerves(step.div_euclid(STEPS_PER_DAY));
        let lines = (0..OCTAVES).map(|octave| {
            let strength = if octave < NERVOUS_OCTAVES { strength * nerves } else { strength };
            strength * f64::from(1_u32 << octave).sqrt() * smooth(self.key, step, octave)
        });
        self.log_base + self.growth * step as f64 + lines.sum::<f64>()
    }
}
