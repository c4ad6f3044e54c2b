//! The order in which providers are asked.
//!
//! In: the configured providers in their usual order, and the lists in `BARKEEP_STOCKS` and `BARKEEP_CRYPTO`. Out: one order for
//! both classes. Holds: of the providers of a class those that its list names come first, as named, then the others; a
//! provider of both classes has its place in each. Where two lists contradict each other, that of stocks decides.

use std::sync::Arc;

use anyhow::bail;
use market::AssetClass;
use providers::registry::Candidate;

/// The providers in the order of preference.
///
/// # Errors
/// Where the list of stocks names a provider that isn't configured. That of crypto was checked with the providers' settings.
pub(crate) fn order_providers(
    configured: Vec<Box<dyn Candidate>>,
    stocks: Option<&str>,
    crypto: Option<&str>,
) -> anyhow::Result<Vec<Arc<dyn Candidate>>> {
    let (stocks, crypto) = (names(stocks), names(crypto));
    if let Some(unknown) = stocks.iter().find(|name| !configured.iter().any(|c| c.name() == name.as_str())) {
        bail!(
            "BARKEEP_STOCKS names {unknown}, which is not configured: `barkeep providers` lists what each provider needs"
        );
    }
    let stocks = of_class(&configured, AssetClass::Stock, &stocks);
    let crypto = of_class(&configured, AssetClass::Crypto, &crypto);
    let order = merged(&stocks, &crypto);
    let mut providers: Vec<Arc<dyn Candidate>> = configured.into_iter().map(Arc::from).collect();
    providers.sort_by_key(|provider| order.iter().position(|name| *name == provider.name()));
    Ok(providers)
}

fn names(list: Option<&str>) -> Vec<String> {
    let names = list.unwrap_or_default().split([',', ' ']).map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

/// The names of the providers of a class: those of `list` first.
fn of_class(configured: &[Box<dyn Candidate>], class: AssetClass, list: &[String]) -> Vec<&'static str> {
    let mut names: Vec<&'static str> =
        configured.iter().filter(|c| c.serves().contains(&class)).map(|c| c.name()).collect();
    names.sort_by_key(|name| list.iter().position(|named| named == name).unwrap_or(usize::MAX));
    names
}

/// One order in which both hold.
fn merged(stocks: &[&'static str], crypto: &[&'static str]) -> Vec<&'static str> {
    let mut order = Vec::new();
    let mut others = crypto.iter().copied();
    for name in stocks {
        if crypto.contains(name) {
            // What comes before it for crypto comes before it here.
            order.extend(others.by_ref().take_while(|other| other != name).filter(|other| !stocks.contains(other)));
        }
        order.push(*name);
    }
    order.extend(others.filter(|other| !stocks.contains(other)));
    order
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use providers::registry;

    use super::{merged, order_providers};

    #[test]
    fn each_class_has_the_order_of_its_list() {
        let ordered = |stocks: &str, crypto: &'static str| -> Result<Vec<&str>, String> {
            let settings = move |name: &str| match name {
                "BARKEEP_YAHOO" => Some("on".to_owned()),
                "BARKEEP_CRYPTO" => Some(crypto.to_owned()),
                "APCA_API_KEY_ID" | "APCA_API_SECRET_KEY" | "MASSIVE_API_KEY" => Some("key".to_owned()),
                _ => None,
            };
            let configured = registry::configured(settings).unwrap();
            let ordered = order_providers(configured, Some(stocks), Some(crypto)).map_err(|error| error.to_string())?;
            Ok(ordered.iter().map(|provider| provider.name()).collect())
        };
        assert_eq!(ordered("", "binance").unwrap(), ["binance", "alpaca", "massive", "yahoo"]);
        assert_eq!(ordered("", "alpaca, binance").unwrap(), ["alpaca", "massive", "yahoo", "binance"]);
        assert_eq!(
            ordered("Yahoo alpaca", "coinbase,alpaca,binance").unwrap(),
            ["yahoo", "coinbase", "alpaca", "massive", "binance"]
        );
        let error = ordered("tradier", "binance").unwrap_err();
        assert!(error.starts_with("BARKEEP_STOCKS names tradier, which is not configured"), "{error}");
    }

    #[test]
    fn where_lists_contradict_each_other_that_of_stocks_decides() {
        assert_eq!(merged(&["alpaca", "other"], &["other", "alpaca"]), ["alpaca", "other"]);
        assert_eq!(merged(&[], &["binance"]), ["binance"]);
    }
}
