//! Bars in Alpaca's format.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::minute::Minute;

/// A bar in Alpaca's format.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct WireBar {
    pub(super) t: Timestamp,
    #[serde(serialize_with = "short")]
    pub(super) o: f64,
    #[serde(serialize_with = "short")]
    pub(super) h: f64,
    #[serde(serialize_with = "short")]
    pub(super) l: f64,
    #[serde(serialize_with = "short")]
    pub(super) c: f64,
    #[serde(serialize_with = "short")]
    pub(super) v: f64,
    /// Bars from a folder have neither this nor the next.
    pub(super) n: Option<u64>,
    pub(super) vw: Option<f64>,
}

pub(super) fn wire(bar: &Minute) -> Option<WireBar> {
    let t = Timestamp::from_second(bar.start).ok()?;
    let (n, vw) = (bar.trade_count(), bar.vwap());
    Some(WireBar { t, o: bar.open, h: bar.high, l: bar.low, c: bar.close, v: bar.volume(), n, vw })
}

/// Whole numbers without a decimal point, as Alpaca writes them.
fn short<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9e15;
    match number.fract() == 0.0 && number.abs() < EXACT {
        true => serializer.serialize_i64(*number as i64),
        false => serializer.serialize_f64(*number),
    }
}
