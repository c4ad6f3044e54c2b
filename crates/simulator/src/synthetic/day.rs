//! The minutes of one synthetic day.
//!
//! In: an instrument, the day's hours, and the price levels at its start and end. Out: its minutes. Holds: a random
//! walk is bent so that it leads from the one level to the other, and every price and volume follows from the
//! instrument's key, the day and the minute alone.

use super::{
    character::Character,
    noise::{mix, unit},
};
use crate::minute::{Minute, PARTS};

pub(super) const MINUTES_PER_DAY: usize = 24 * 60;

/// The trading hours of a day, in minutes since `start`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hours {
    /// Unix seconds.
    pub(super) start: i64,
    /// Regular session; for a market that never closes, all day.
    pub(super) open: usize,
    pub(super) close: usize,
    pub(super) end: usize,
}

/// The start and end of a day's price, in units of money, and how far it deviates in between, as a share of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) stray: f64,
    /// Shares or coins of the whole day.
    pub(super) volume: f64,
}

/// What is usual for a minute of the day.
#[derive(Clone, Copy, Debug)]
struct Usual {
    /// Variance of its move, relative to an average minute of the session.
    variance: f64,
    /// Volume, relative to the same.
    volume: f64,
    /// The probability of a trade.
    trades: f64,
}

impl Hours {
    fn usual(&self, minute: usize, liquidity: f64) -> Usual {
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        if self.close - self.open >= MINUTES_PER_DAY {
            // Busiest when Europe and America trade at the same time.
            let wave = 1.0 - (share(minute, MINUTES_PER_DAY) - 0.62).abs();
            return Usual { variance: 0.4 + wave, volume: 0.4 + wave, trades: 0.9 + 0.1 * liquidity };
        }
        if minute < self.open {
            let near = share(minute, self.open).powi(3);
            let trades = liquidity * (0.08 + 0.85 * near);
            return Usual { variance: 0.06 + 0.3 * near, volume: 0.006 + 0.05 * near, trades };
        }
        if minute >= self.close {
            let near = share(self.end - minute, self.end - self.close).powi(3);
            let trades = liquidity * (0.06 + 0.85 * near);
            return Usual { variance: 0.05 + 0.3 * near, volume: 0.005 + 0.05 * near, trades };
        }
        let from_noon = 2.0 * share(minute - self.open, self.close - self.open) - 1.0;
        let smile = from_noon * from_noon;
        // The closing auction prints into the last minute.
        let auction = if minute + 1 == self.close { 6.0 } else { 1.0 };
        Usual { variance: 0.5 + 1.5 * smile, volume: (0.5 + 1.5 * smile) * auction, trades: 1.0 }
    }
}

/// Appends the minutes of a day to `minutes`, oldest first. `day` identifies the day.
pub(super) fn append(character: &Character, day: u64, hours: Hours, way: Way, minutes: &mut Vec<Minute>) {
    let key = mix(character.key ^ mix(day));
    let bits = |minute: usize| mix(key.wrapping_add(minute as u64));
    let usual: Vec<Usual> = (0..hours.end).map(|minute| hours.usual(minute, character.liquidity)).collect();

    // The walk and its variance up to each minute's start; the last entry is the day's end.
    let (mut walk, mut at, mut passed) = (Vec::with_capacity(hours.end + 1), 0.0, 0.0);
    for (minute, usual) in usual.iter().enumerate() {
        walk.push((at, passed));
        at += bell(bits(minute)) * usual.variance.sqrt();
        passed += usual.variance;
    }
    walk.push((at, passed));

    let ticks = character.ticks as f64;
    let stray = way.stray * way.from / passed.sqrt();
    let price = |minute: usize| {
        let (walked, variance) = walk[minute];
        let share = variance / passed;
        (way.from + (way.to - way.from) * share + stray * (walked - at * share)) * ticks
    };
    let session = (hours.close - hours.open) as f64;
    let mut next = price(0);
    for (minute, usual) in usual.iter().enumerate() {
        let before = std::mem::replace(&mut next, price(minute + 1));
        let luck = mix(bits(minute));
        if part(luck, 0) >= usual.trades {
            continue;
        }
        let more = mix(luck);
        let reach = stray * ticks * usual.variance.sqrt();
        let open = whole(before + reach * 0.3 * (part(luck, 1) - 0.5));
        let close = whole(next + reach * 0.3 * (part(luck, 2) - 0.5));
        let high = open.max(close) + (reach * part(luck, 3) * part(more, 0)) as i64;
        let low = (open.min(close) - (reach * part(more, 1) * part(more, 2)) as i64).max(1);
        let traded = way.volume / session * usual.volume * 4.0 * unit(more) * (0.1 + 0.9 * part(luck, 1)) * 0.91;
        let volume = match character.class {
            market::AssetClass::Stock => (traded as u128).max(1) * PARTS,
            // Coins to six decimals.
            market::AssetClass::Crypto => ((traded * 1e6) as u128).max(1) * (PARTS / 1_000_000),
        };
        let per_tick = PARTS / character.ticks as u128;
        let money = |ticks: i64| ticks as f64 / character.ticks as f64;
        minutes.push(Minute {
            start: hours.start + 60 * minute as i64,
            open: money(open),
            high: money(high),
            low: money(low),
            close: money(close),
            volume,
            turnover: volume * ((high + low + 2 * close) as u128 * per_tick / 4),
            trades: (traded / character.trade_size) as u64 + 1,
        });
    }
}

/// Roughly normal, mean 0, standard deviation 1: the sum of three even ones.
fn bell(bits: u64) -> f64 {
    2.0 * (part(bits, 0) + part(bits, 1) + part(bits, 2) - 1.5)
}

/// The n-th quarter of the bits, evenly spread over [0, 1).
fn part(bits: u64, n: u32) -> f64 {
    f64::from((bits >> (16 * n)) as u16) / 65_536.0
}

/// The nearest whole number of ticks, at least one.
fn whole(ticks: f64) -> i64 {
    ((ticks + 0.5) as i64).max(1)
}
