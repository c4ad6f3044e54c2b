//! The provider: whether it can be reached, accepts the key, and lets requests through.

use engine::providers::connect;
use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Calendar, Range, Timeframe};
use providers::{BarSource, BarsRequest, FetchError, budget::Urgency};
use store::{Database, budget, clock, clock::SharedClock};

use super::Finding;
use crate::config::Config;

const REACHABLE: &str = "provider";
const KEY: &str = "provider key";

/// Costs one request.
pub(super) async fn checks(config: &Config, database: &Database) -> anyhow::Result<Vec<Finding>> {
    if !config.has_provider() {
        return Ok(vec![Finding::warning(
            REACHABLE,
            "none is configured: bars are SIMULATED",
            "Set APCA_API_KEY_ID and APCA_API_SECRET_KEY (from alpaca.markets, the free plan is enough)",
        )]);
    }
    let clock = SharedClock::new(clock::read(database).await?);
    let routes = match connect::connect_read_only(&config.providers, database, &clock).await {
        Ok(routes) => routes,
        Err(error) => {
            return Ok(vec![Finding::broken(
                REACHABLE,
                error.to_string(),
                "Check the network, and the provider's address if you have set one (`barkeep providers` names the setting)",
            )]);
        }
    };
    let mut findings = Vec::new();
    for source in routes.all() {
        findings.extend(check_provider(source.as_ref(), database, clock.now()).await?);
    }
    if routes.all().count() < config.providers.len() {
        findings.push(Finding::warning(
            REACHABLE,
            "not all configured providers can be reached",
            "See `barkeep providers`; the other providers take over meanwhile",
        ));
    }
    Ok(findings)
}

/// Asks a provider for a quarter of an hour of the last session but one: a small request, and old enough for every plan.
async fn check_provider(source: &dyn BarSource, database: &Database, now: Timestamp) -> anyhow::Result<Vec<Finding>> {
    let endpoint = source.endpoint();
    let mut findings = vec![Finding::ok(REACHABLE, format!("{} at {}", endpoint.provider, endpoint.address))];
    if let Some(standing) = budget::account_budget(database, source.account()).await?
        && let Some(until) = standing.blocked_until
        && standing.blocked_reason.as_deref() == Some("throttled")
    {
        findings.push(Finding::warning(
            "provider budget",
            format!("{} asked to wait until {until:.0}", endpoint.provider),
            "Nothing: requests resume then. If it happens often, something else uses the same key",
        ));
        return Ok(findings);
    }
    let (asset_class, ticker) = match source.limits(AssetClass::Stock).timeframes.is_empty() {
        false => (AssetClass::Stock, "AAPL"),
        true => (AssetClass::Crypto, "BTC-USD"),
    };
    let Some(timeframe) = source.limits(asset_class).timeframes.into_iter().find(|t| *t >= Timeframe::M15) else {
        return Ok(findings);
    };
    let sessions = Calendar::Xnys.by_rules();
    let range = sessions
        .previous_session(now)
        .and_then(|last| sessions.previous_session(last.open))
        .and_then(|session| Range::new(session.open, session.open + SignedDuration::from_mins(15)).ok());
    let Some(range) = range else { return Ok(findings) };
    let request = BarsRequest { asset_class, tickers: vec![ticker.parse()?], timeframe, range, urgency: Urgency::Now };
    let started = Timestamp::now();
    findings.push(match source.bars(&request).await {
        Ok(_) => Finding::ok(
            KEY,
            format!("accepted; answered in {} ms", Timestamp::now().duration_since(started).as_millis()),
        ),
        Err(error @ (FetchError::Credentials { .. } | FetchError::Refusing { .. })) => Finding::broken(
            KEY,
            error.to_string(),
            "Set an active key (`barkeep providers` names the settings); queued runs wait until then",
        ),
        Err(error @ FetchError::Throttled { .. }) => {
            Finding::warning(KEY, error.to_string(), "Nothing: requests resume by themselves")
        }
        Err(error) => Finding::broken(KEY, error.to_string(), "Try again later, and see the provider's status page"),
    });
    Ok(findings)
}
