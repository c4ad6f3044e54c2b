//! Finds out who stands behind an address: Alpaca's own host, a simulator, or something that speaks for Alpaca.
//!
//! In: the answer of `GET /v1/market-sim`. Out: [`Nature`]. Holds: only a simulator that says so is taken for one, so
//! that real bars are never kept as simulated ones, nor the other way round.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use market::AssetClass;
use reqwest::StatusCode;

use super::{
    failures::{Failure, Refusal, is_html, presentable, words},
    http::{Http, Question},
    settings::BaseUrl,
    wire::WireSimulator,
};
use crate::FetchError;

pub(super) const SIMULATOR: &str = "market-sim";

/// Who answers, and what it can give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nature {
    pub(super) simulated: bool,
    earliest_stock: Timestamp,
    earliest_crypto: Timestamp,
    /// How long a bar may still change or be held back, not counting the plan.
    pub(super) grace: SignedDuration,
    pub(super) requests_per_minute: u32,
}

impl Nature {
    /// Alpaca's free plan: stocks since 2016, crypto since 2021, 200 requests a minute. A bar is recomputed for trades
    /// reported late until about 30 s after its end; twice that is waited.
    pub(super) const ALPACA: Self = Self {
        simulated: false,
        earliest_stock: Timestamp::constant(1_451_606_400, 0),
        earliest_crypto: Timestamp::constant(1_609_459_200, 0),
        grace: SignedDuration::from_secs(60),
        requests_per_minute: 200,
    };

    pub(super) fn earliest(&self, asset_class: AssetClass) -> Timestamp {
        match asset_class {
            AssetClass::Stock => self.earliest_stock,
            AssetClass::Crypto => self.earliest_crypto,
        }
    }
}

/// Asks the server at `base`, without keys and outside of any budget.
///
/// # Errors
/// [`FetchError::Transport`] where nobody answers, and what other answers say.
pub(super) async fn probe(http: &Http, base: &BaseUrl) -> Result<Nature, FetchError> {
    let bad = |message: String| FetchError::BadData { provider: http.provider.clone(), message };
    let url = base.at(&["v1", SIMULATOR]).ok_or_else(|| bad(format!("{base} has no paths")))?;
    let question = Question { url, budget: None, patience: Duration::ZERO, with_keys: false };
    let answer = http.get(question, &mut 0).await?;
    match answer.status {
        StatusCode::OK if is_html(&answer.body) => {
            Err(bad(format!("an HTML page at {}: check the address", answer.address)))
        }
        StatusCode::OK => {
            let simulator: WireSimulator = serde_json::from_slice(&answer.body).map_err(|error| {
                let error = presentable(&error.to_string(), &http.secrets());
                bad(format!("neither Alpaca nor a simulator answers at {}: {error}", answer.address))
            })?;
            simulated(&simulator).map_err(|problem| bad(format!("{problem} at {}", answer.address)))
        }
        // Alpaca and what stands in front of it don't know the path, or don't show it to strangers.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Ok(Nature::ALPACA)
        }
        status => {
            let words = words(&answer.body, &http.secrets());
            let (provider, headers, address) = (&http.provider, &answer.headers, &answer.address);
            match (Refusal { provider, address, status, headers, words, tickers: &[] }).read() {
                Failure::Fetch(error) => Err(error),
                Failure::RecentSip => Ok(Nature::ALPACA),
            }
        }
    }
}

fn simulated(simulator: &WireSimulator) -> Result<Nature, String> {
    if simulator.name != SIMULATOR {
        return Err(format!("a server that calls itself '{}'", presentable(&simulator.name, &[])));
    }
    if simulator.requests_per_minute == 0 {
        return Err("a simulator that allows no requests".to_owned());
    }
    Ok(Nature {
        simulated: true,
        earliest_stock: simulator.earliest,
        earliest_crypto: simulator.earliest,
        grace: SignedDuration::from_secs(i64::from(simulator.delay_seconds)),
        requests_per_minute: simulator.requests_per_minute,
    })
}
