//! Probes an address: whether it is a simulator, or something that speaks for the provider.
//!
//! In: the response to `GET /v1/market-sim`. Out: the [`Simulator`] as it declares itself, or nothing. Holds: only a
//! simulator that declares itself is treated as one, so that real bars are never stored as simulated ones, nor the
//! other way round.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    FetchError,
    budget::Urgency,
    failures::refusal,
    http::{Http, RequestSpec},
    settings::BaseUrl,
    words::{is_html, presentable},
};

pub(crate) const SIMULATOR: &str = "market-sim";

/// What a simulator can supply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Simulator {
    pub(crate) earliest: Timestamp,
    /// How long it delays a bar.
    pub(crate) delay: SignedDuration,
    pub(crate) requests_per_minute: u32,
}

/// Its declaration.
#[derive(Debug, Deserialize)]
struct Said {
    name: String,
    earliest: Timestamp,
    requests_per_minute: u32,
    delay_seconds: u32,
}

/// Probes the server at `base`, without keys and outside of any budget. `None`: not a simulator, and nothing
/// contradicts that it is the provider.
///
/// # Errors
/// [`FetchError::Transport`] where no server responds, and the errors of other responses.
pub(crate) async fn probe(http: &Http, base: &BaseUrl) -> Result<Option<Simulator>, FetchError> {
    let bad = |message: String| http.bad_data(&message);
    let url = base.at(&["v1", SIMULATOR]).ok_or_else(|| bad(format!("{base} has no paths")))?;
    let spec = RequestSpec { url, budget: None, urgency: Urgency::Now, patience: Duration::ZERO, with_keys: false };
    let answer = http.get(spec, &mut 0).await?;
    match answer.status {
        StatusCode::OK if is_html(&answer.body) => {
            Err(bad(format!("an HTML page at {}: check the address", answer.address)))
        }
        StatusCode::OK => {
            let said: Said = serde_json::from_slice(&answer.body).map_err(|error| {
                bad(format!("neither {} nor a simulator answers at {}: {error}", http.vendor.name, answer.address))
            })?;
            simulator(&said).map(Some).map_err(|problem| bad(format!("{problem} at {}", answer.address)))
        }
        // The provider, or a proxy in front of it, doesn't know the path or doesn't show it without keys.
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Ok(None)
        }
        _ => Err(refusal(http, &answer, &[])),
    }
}

fn simulator(said: &Said) -> Result<Simulator, String> {
    if said.name != SIMULATOR {
        return Err(format!("a server that calls itself '{}'", presentable(&said.name, &[])));
    }
    if said.requests_per_minute == 0 {
        return Err("a simulator that allows no requests".to_owned());
    }
    Ok(Simulator {
        earliest: said.earliest,
        delay: SignedDuration::from_secs(i64::from(said.delay_seconds)),
        requests_per_minute: said.requests_per_minute,
    })
}
