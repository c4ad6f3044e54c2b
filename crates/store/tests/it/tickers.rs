//! The database's rule for tickers is the type's.

use market::{AssetClass, Calendar, Ticker};
use sqlx::Row;
use testkit::Owner;

use crate::site::Site;

for_one_owner! {
    every_canonical_ticker_is_accepted_by_the_table,
    asset_type_and_calendar_are_those_of_the_type,
    canonical_ticker_is_the_rule_of_the_type,
}

const WRITTEN: [&str; 50] = [
    "AAPL",
    "aapl",
    " MSFT ",
    "\tNVDA\n",
    "\u{a0}AMD\u{2003}",
    "\u{3000}MU",
    "BRK-B",
    "BRK.B",
    "brk-b",
    "BRK/B",
    "BTC/USD",
    "btc-usd",
    "BTC-USDT",
    "ETH/BTC",
    "A",
    "1",
    "A-B",
    "A-BC",
    "A-1",
    "A-b",
    "-A",
    "A-",
    "A.",
    ".A",
    "/A",
    "A/",
    "A/B/C",
    "A-B/C",
    "A/B-C",
    "A.B.C",
    "A--B",
    "A-B-C",
    "BF-A.B",
    "A/b",
    "",
    " ",
    "AAPL MSFT",
    "A'B",
    "ÄPFEL",
    "ıBM",
    "ſPY",
    "THISTICKERHAS16C",
    "THISTICKERHAS17CH",
    "  THISTICKERHAS16C  ",
    "BTC/USDTUSDTUSDT",
    "AAPL\u{200b}",
    "A\u{85}",
    "Å",
    "AAPL;",
    "A\\B",
];

fn generated() -> Vec<String> {
    let letters: Vec<char> = "ABYZabyz019.-/ -/.\u{a0}é'".chars().collect();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    (0..3_000).map(|_| (0..next(19)).map(|_| letters[next(letters.len())]).collect()).collect()
}

fn all() -> Vec<String> {
    WRITTEN.iter().map(ToString::to_string).chain(generated()).collect()
}

async fn canonical_ticker_is_the_rule_of_the_type(owner: Owner) {
    let site = Site::new(owner).await;
    let mut tx = site.database.begin().await.unwrap();
    let rows = sqlx::query("select t, barkeep.canonical_ticker(t) from unnest($1::text[]) t")
        .bind(all())
        .fetch_all(&mut *tx)
        .await
        .unwrap();
    assert_eq!(rows.len(), all().len());
    let mut accepted = 0;
    for row in rows {
        let (text, canonical): (String, Option<String>) = (row.get(0), row.get(1));
        let parsed = text.parse::<Ticker>().ok().map(|t| t.to_string());
        accepted += usize::from(parsed.is_some());
        assert_eq!(canonical, parsed, "{text:?}");
    }
    assert!(accepted > 300, "only {accepted} of the generated texts are tickers");
}

async fn every_canonical_ticker_is_accepted_by_the_table(owner: Owner) {
    let site = Site::new(owner).await;
    let mut tickers: Vec<String> =
        all().iter().filter_map(|text| text.parse::<Ticker>().ok()).map(|t| t.to_string()).collect();
    tickers.sort();
    tickers.dedup();
    let mut tx = site.database.begin().await.unwrap();
    sqlx::query("insert into symbols (ticker) select t from unnest($1::text[]) t on conflict do nothing")
        .bind(tickers)
        .execute(&mut *tx)
        .await
        .unwrap();
}

async fn asset_type_and_calendar_are_those_of_the_type(owner: Owner) {
    let site = Site::new(owner).await;
    let mut tx = site.database.begin().await.unwrap();
    for ticker in all().iter().filter_map(|text| text.parse::<Ticker>().ok()).take(400) {
        let row = sqlx::query("select a, barkeep.calendar_of(a) from barkeep.asset_type_of($1) a")
            .bind(ticker.as_str())
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        let class = ticker.asset_class();
        let asset_type = if class == AssetClass::Crypto { "crypto" } else { "stock" };
        assert_eq!(row.get::<&str, _>(0), asset_type, "{ticker}");
        assert_eq!(row.get::<&str, _>(1), Calendar::for_class(class).as_str(), "{ticker}");
    }
}
