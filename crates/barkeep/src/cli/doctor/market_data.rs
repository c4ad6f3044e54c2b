//! The provider: whether it answers, knows our key, and allows anything.

use engine::providers::connect;
use jiff::{SignedDuration, Timestamp};
use market::{AssetClass, Calendar, Range, Timeframe};
use providers::{BarSource, BarsRequest, FetchError, budget::Urgency};
use store::{Database, budget, clock, clock::SharedClock};

use super::Finding;
use crate::config::Config;

const REACHABLE: &str = "provider";
const KEY: &str = "provider's key";

/// Costs one request.
pub(super) async fn checks(config: &Config, database: &Database) -> anyhow::Result<Vec<Finding>> {
    if !config.has_provider() {
        return Ok(vec![Finding::warning(
            REACHABLE,
            "none is set up: bars are SIMULATED",
            "Set APCA_API_KEY_ID and APCA_API_SECRET_KEY (alpaca.markets, the free plan will do)",
        )]);
    }
    let clock = SharedClock::new(clock::read(database).await?);
    let routes = match connect::connect_read_only(&config.providers, database, &clock).await {
        Ok(routes) => routes,
        Err(error) => {
            return Ok(vec![Finding::broken(
                REACHABLE,
                error.to_string(),
                "Check the network, and the address where one is set (`barkeep providers`)",
            )]);
        }
    };
    let mut findings = Vec::new();
    for source in routes.all() {
        findings.extend(of(source.as_ref(), database, clock.now()).await?);
    }
    if routes.all().count() < config.providers.len() {
        findings.push(Finding::warning(
            REACHABLE,
            "not all that are set up can be reached",
            "`barkeep providers` says which; the others do their work meanwhile",
        ));
    }
    Ok(findings)
}

/// One provider: a quarter of an hour of the last session but one, as cheap as can be, and old enough for every plan.
async fn of(source: &dyn BarSource, database: &Database, now: Timestamp) -> anyhow::Result<Vec<Finding>> {
    let endpoint = source.endpoint();
    let mut findings = vec![Finding::ok(REACHABLE, format!("{} at {}", endpoint.provider, endpoint.address))];
    if let Some(standing) = budget::standing(database, source.account()).await?
        && let Some(until) = standing.blocked_until
        && standing.blocked_reason.as_deref() == Some("throttled")
    {
        findings.push(Finding::warning(
            "provider's budget",
            format!("{} has told us to wait until {until:.0}", endpoint.provider),
            "Nothing: it is waited for. If it happens often, others use the same key",
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
    let began = Timestamp::now();
    findings.push(match source.bars(&request).await {
        Ok(_) => Finding::ok(KEY, format!("good; answered in {} ms", Timestamp::now().duration_since(began).as_millis())),
        Err(error @ (FetchError::Credentials { .. } | FetchError::Refusing { .. })) => Finding::broken(
            KEY,
            error.to_string(),
            "Set it to one that the provider shows as active (`barkeep providers` names the variables); what is queued waits",
        ),
        Err(error @ FetchError::Throttled { .. }) => {
            Finding::warning(KEY, error.to_string(), "Nothing: it is waited for")
        }
        Err(error) => Finding::broken(KEY, error.to_string(), "Try again later; the provider's status page may say more"),
    });
    Ok(findings)
}
