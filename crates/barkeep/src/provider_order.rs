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
/// Where a list names a provider that isn't configured for its class.
pub(crate) fn order_providers(
    configured: Vec<Box<dyn Candidate>>,
    stocks: Option<&str>,
    crypto: Option<&str>,
) -> anyhow::Result<Vec<Arc<dyn Candidate>>> {
    let stocks = of_class(&configured, AssetClass::Stock, "BARKEEP_STOCKS", stocks)?;
    let crypto = of_class(&configured, AssetClass::Crypto, "BARKEEP_CRYPTO", crypto)?;
    let order = merged(&stocks, &crypto);
    let mut providers: Vec<Arc<dyn Candidate>> = configured.into_iter().map(Arc::from).collect();
    providers.sort_by_key(|provider| order.iter().position(|name| *name == provider.name()));
    Ok(providers)
}

/// The names of the providers of a class: those of `list` first.
fn of_class(
    configured: &[Box<dyn Candidate>],
    class: AssetClass,
    variable: &str,
    list: Option<&str>,
) -> anyhow::Result<Vec<&'static str>> {
    let list: Vec<String> = list
        .unwrap_or_default()
        .split([',', ' '])
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect();
    let mut names: Vec<&'static str> = configured
        .iter()
        .filter(|provider| provider.serves().contains(&class))
        .map(|provider| provider.name())
        .collect();
    if let Some(unknown) = list.iter().find(|name| !names.contains(&name.as_str())) {
        bail!(
            "{variable} names {unknown}, which is not configured: `barkeep providers` lists what each provider needs"
        );
    }
    names.sort_by_key(|name| list.iter().position(|named| named == name).unwrap_or(usize::MAX));
    Ok(names)
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
    use super::merged;

    #[test]
    fn a_provider_of_both_classes_has_its_place_in_each() {
        for (stocks, crypto, expected) in [
            (vec!["alpaca"], vec!["alpaca", "binance"], vec!["alpaca", "binance"]),
            (vec!["alpaca"], vec!["binance", "alpaca"], vec!["binance", "alpaca"]),
            (
                vec!["massive", "alpaca", "yahoo"],
                vec!["coinbase", "alpaca", "binance"],
                vec!["massive", "coinbase", "alpaca", "yahoo", "binance"],
            ),
            (vec!["massive"], vec!["coinbase", "binance"], vec!["massive", "coinbase", "binance"]),
            (vec![], vec!["binance"], vec!["binance"]),
            (vec!["alpaca", "other"], vec!["other", "alpaca"], vec!["alpaca", "other"]),
        ] {
            assert_eq!(merged(&stocks, &crypto), expected, "{stocks:?} and {crypto:?}");
        }
    }
}
