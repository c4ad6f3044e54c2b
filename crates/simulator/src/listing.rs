//! Well-known symbols for the asset list of the synthetic market, with rough prices and volumes.

use market::Ticker;

/// A listed stock, fund or pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) ticker: &'static str,
    pub(crate) name: &'static str,
    /// In the spelling of Alpaca's asset list.
    pub(crate) exchange: &'static str,
    /// In dollars, at the start of 2026.
    pub(crate) price: f64,
    /// Shares or coins.
    pub(crate) daily_volume: f64,
}

pub(crate) fn find(ticker: &Ticker) -> Option<&'static Listed> {
    LISTED.iter().find(|listed| listed.ticker == ticker.as_str())
}

pub(crate) fn tickers() -> impl Iterator<Item = Ticker> {
    LISTED.iter().filter_map(|listed| listed.ticker.parse().ok())
}

const fn listed(
    ticker: &'static str,
    exchange: &'static str,
    price: f64,
    daily_volume: f64,
    name: &'static str,
) -> Listed {
    Listed { ticker, name, exchange, price, daily_volume }
}

static LISTED: [Listed; 84] = [
    listed("AAPL", "NASDAQ", 271.0, 48e6, "Apple Inc. Common Stock"),
    listed("MSFT", "NASDAQ", 484.0, 22e6, "Microsoft Corporation Common Stock"),
    listed("NVDA", "NASDAQ", 187.0, 180e6, "NVIDIA Corporation Common Stock"),
    listed("GOOGL", "NASDAQ", 313.0, 34e6, "Alphabet Inc. Class A Common Stock"),
    listed("GOOG", "NASDAQ", 314.0, 22e6, "Alphabet Inc. Class C Capital Stock"),
    listed("TSLA", "NASDAQ", 450.0, 75e6, "Tesla, Inc. Common Stock"),
    listed("AMD", "NASDAQ", 214.0, 38e6, "Advanced Micro Devices, Inc. Common Stock"),
    listed("META", "NASDAQ", 660.0, 14e6, "Meta Platforms, Inc. Class A Common Stock"),
    listed("NFLX", "NASDAQ", 94.0, 35e6, "Netflix, Inc. Common Stock"),
    listed("ADBE", "NASDAQ", 350.0, 4e6, "Adobe Inc. Common Stock"),
    listed("AMZN", "NASDAQ", 231.0, 40e6, "Amazon.com, Inc. Common Stock"),
    listed("CRM", "NYSE", 265.0, 7e6, "Salesforce, Inc. Common Stock"),
    listed("CSCO", "NASDAQ", 77.0, 19e6, "Cisco Systems, Inc. Common Stock"),
    listed("INTC", "NASDAQ", 37.0, 85e6, "Intel Corporation Common Stock"),
    listed("ORCL", "NYSE", 195.0, 22e6, "Oracle Corporation Common Stock"),
    listed("QCOM", "NASDAQ", 171.0, 8e6, "QUALCOMM Incorporated Common Stock"),
    listed("TXN", "NASDAQ", 174.0, 6e6, "Texas Instruments Incorporated Common Stock"),
    listed("AVGO", "NASDAQ", 346.0, 28e6, "Broadcom Inc. Common Stock"),
    listed("MU", "NASDAQ", 285.0, 26e6, "Micron Technology, Inc. Common Stock"),
    listed("AMAT", "NASDAQ", 257.0, 7e6, "Applied Materials, Inc. Common Stock"),
    listed("LRCX", "NASDAQ", 171.0, 11e6, "Lam Research Corporation Common Stock"),
    listed("SPY", "ARCA", 682.0, 75e6, "SPDR S&P 500 ETF Trust"),
    listed("QQQ", "NASDAQ", 614.0, 52e6, "Invesco QQQ Trust, Series 1"),
    listed("IWM", "ARCA", 246.0, 32e6, "iShares Russell 2000 ETF"),
    listed("DIA", "ARCA", 480.0, 5e6, "SPDR Dow Jones Industrial Average ETF Trust"),
    listed("VTI", "ARCA", 335.0, 4e6, "Vanguard Total Stock Market ETF"),
    listed("VOO", "ARCA", 627.0, 8e6, "Vanguard S&P 500 ETF"),
    listed("GLD", "ARCA", 396.0, 12e6, "SPDR Gold Shares"),
    listed("TLT", "NASDAQ", 87.0, 35e6, "iShares 20+ Year Treasury Bond ETF"),
    listed("IBM", "NYSE", 296.0, 4e6, "International Business Machines Corporation Common Stock"),
    listed("BAC", "NYSE", 55.0, 36e6, "Bank of America Corporation Common Stock"),
    listed("JPM", "NYSE", 322.0, 9e6, "JPMorgan Chase & Co. Common Stock"),
    listed("WFC", "NYSE", 93.0, 14e6, "Wells Fargo & Company Common Stock"),
    listed("C", "NYSE", 117.0, 14e6, "Citigroup Inc. Common Stock"),
    listed("GS", "NYSE", 879.0, 2e6, "The Goldman Sachs Group, Inc. Common Stock"),
    listed("MS", "NYSE", 178.0, 6e6, "Morgan Stanley Common Stock"),
    listed("V", "NYSE", 351.0, 6e6, "Visa Inc. Class A Common Stock"),
    listed("MA", "NYSE", 571.0, 3e6, "Mastercard Incorporated Class A Common Stock"),
    listed("BRK.B", "NYSE", 503.0, 4e6, "Berkshire Hathaway Inc. Class B Common Stock"),
    listed("JNJ", "NYSE", 207.0, 8e6, "Johnson & Johnson Common Stock"),
    listed("PFE", "NYSE", 25.0, 45e6, "Pfizer Inc. Common Stock"),
    listed("MRK", "NYSE", 105.0, 11e6, "Merck & Co., Inc. Common Stock"),
    listed("LLY", "NYSE", 1075.0, 3e6, "Eli Lilly and Company Common Stock"),
    listed("UNH", "NYSE", 330.0, 8e6, "UnitedHealth Group Incorporated Common Stock"),
    listed("ABBV", "NYSE", 228.0, 6e6, "AbbVie Inc. Common Stock"),
    listed("PG", "NYSE", 143.0, 9e6, "The Procter & Gamble Company Common Stock"),
    listed("KO", "NYSE", 70.0, 16e6, "The Coca-Cola Company Common Stock"),
    listed("PEP", "NASDAQ", 144.0, 7e6, "PepsiCo, Inc. Common Stock"),
    listed("COST", "NASDAQ", 862.0, 2e6, "Costco Wholesale Corporation Common Stock"),
    listed("WMT", "NASDAQ", 111.0, 17e6, "Walmart Inc. Common Stock"),
    listed("HD", "NYSE", 344.0, 4e6, "The Home Depot, Inc. Common Stock"),
    listed("MCD", "NYSE", 306.0, 3e6, "McDonald's Corporation Common Stock"),
    listed("NKE", "NYSE", 64.0, 14e6, "NIKE, Inc. Class B Common Stock"),
    listed("DIS", "NYSE", 114.0, 9e6, "The Walt Disney Company Common Stock"),
    listed("T", "NYSE", 25.0, 38e6, "AT&T Inc. Common Stock"),
    listed("VZ", "NYSE", 41.0, 22e6, "Verizon Communications Inc. Common Stock"),
    listed("XOM", "NYSE", 120.0, 16e6, "Exxon Mobil Corporation Common Stock"),
    listed("CVX", "NYSE", 152.0, 8e6, "Chevron Corporation Common Stock"),
    listed("BA", "NYSE", 217.0, 7e6, "The Boeing Company Common Stock"),
    listed("CAT", "NYSE", 573.0, 3e6, "Caterpillar Inc. Common Stock"),
    listed("GE", "NYSE", 308.0, 5e6, "GE Aerospace Common Stock"),
    listed("F", "NYSE", 13.1, 55e6, "Ford Motor Company Common Stock"),
    listed("GM", "NYSE", 81.0, 9e6, "General Motors Company Common Stock"),
    listed("UBER", "NYSE", 82.0, 18e6, "Uber Technologies, Inc. Common Stock"),
    listed("PLTR", "NASDAQ", 178.0, 42e6, "Palantir Technologies Inc. Class A Common Stock"),
    listed("COIN", "NASDAQ", 226.0, 9e6, "Coinbase Global, Inc. Class A Common Stock"),
    listed("SHOP", "NASDAQ", 161.0, 8e6, "Shopify Inc. Class A Subordinate Voting Shares"),
    listed("PYPL", "NASDAQ", 58.0, 14e6, "PayPal Holdings, Inc. Common Stock"),
    listed("SMCI", "NASDAQ", 29.0, 26e6, "Super Micro Computer, Inc. Common Stock"),
    listed("MRVL", "NASDAQ", 85.0, 15e6, "Marvell Technology, Inc. Common Stock"),
    listed("ARM", "NASDAQ", 109.0, 6e6, "Arm Holdings plc American Depositary Shares"),
    listed("TSM", "NYSE", 304.0, 12e6, "Taiwan Semiconductor Manufacturing Company Ltd. American Depositary Shares"),
    listed("ASML", "NASDAQ", 1070.0, 1.4e6, "ASML Holding N.V. New York Registry Shares"),
    listed("BTC-USD", "CRYPTO", 87_500.0, 9_000.0, "Bitcoin / US Dollar"),
    listed("ETH-USD", "CRYPTO", 2_970.0, 160_000.0, "Ethereum / US Dollar"),
    listed("SOL-USD", "CRYPTO", 125.0, 1.9e6, "Solana / US Dollar"),
    listed("LTC-USD", "CRYPTO", 77.0, 600_000.0, "Litecoin / US Dollar"),
    listed("BCH-USD", "CRYPTO", 600.0, 40_000.0, "Bitcoin Cash / US Dollar"),
    listed("LINK-USD", "CRYPTO", 12.4, 3e6, "Chainlink / US Dollar"),
    listed("AVAX-USD", "CRYPTO", 12.5, 2e6, "Avalanche / US Dollar"),
    listed("UNI-USD", "CRYPTO", 5.7, 1.5e6, "Uniswap / US Dollar"),
    listed("AAVE-USD", "CRYPTO", 150.0, 90_000.0, "Aave / US Dollar"),
    listed("XRP-USD", "CRYPTO", 1.85, 60e6, "XRP / US Dollar"),
    listed("DOGE-USD", "CRYPTO", 0.122, 500e6, "Dogecoin / US Dollar"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_listed_ticker_is_canonical_and_listed_once() {
        let distinct: BTreeSet<Ticker> = tickers().collect();
        assert_eq!(distinct.len(), LISTED.len());
        assert!(distinct.iter().all(|ticker| find(ticker).is_some()));
    }
}
