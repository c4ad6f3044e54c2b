//! Bars are returned as they were sent, and change only for the better.

use jiff::ToSpan;
use market::{Bar, Timeframe};
use store::bars::{self, InvalidBar, SeriesBars, ShapedBar};
use testkit::{ALICE, Owner};
use uuid::Uuid;

use crate::site::{Site, at, flat, range, ticker};

for_every_owner! {
    what_cannot_be_true_is_kept_apart,
    every_timeframe_has_its_partition,
    only_what_is_named_is_deleted,
}

for_one_owner! {
    more_bars_than_one_batch_are_stored,
    a_correction_of_a_final_bar_is_taken,
    fifteen_digits_come_back_as_sent,
    a_final_bar_never_becomes_provisional_again,
    a_provisional_bar_is_replaced_until_it_is_final,
    bars_that_are_there_already_are_not_rewritten,
    of_more_than_asked_for_the_newest_are_read,
}

const START: &str = "2026-11-23T14:30:00Z";

async fn aapl(site: &Site) -> Uuid {
    site.value("select id from symbols where ticker = 'AAPL'").await.parse().unwrap()
}

async fn put(site: &Site, bars: &[ShapedBar]) -> u64 {
    put_in(site, Timeframe::H1, bars).await
}

async fn put_in(site: &Site, timeframe: Timeframe, bars: &[ShapedBar]) -> u64 {
    let series = SeriesBars { symbol_id: aapl(site).await, timeframe, bars };
    let mut tx = site.database.begin().await.unwrap();
    let written = bars::store(&mut tx, "test/sip", &[series]).await.unwrap();
    tx.commit().await.unwrap();
    written[0]
}

async fn read(site: &Site) -> Vec<bars::StoredBar> {
    bars::read(&site.database, None, &ticker("AAPL"), Timeframe::H1, None, 100_000).await.unwrap().unwrap()
}

async fn fifteen_digits_come_back_as_sent(owner: Owner) {
    let site = Site::new(owner).await;
    let mut sent = Vec::new();
    let prices = [
        "0.000000123456789012345",
        "123456789012345",
        "1.23456789012345",
        "99999.9999999999",
        "0.1",
        "260.34",
        "0.00012345",
        "67890.1234567891",
        "4503599627370.49",
        "1e-8",
        "3.3333333333333",
        "1234567.89012345",
    ];
    for (n, text) in prices.iter().enumerate() {
        let price: f64 = text.parse().unwrap();
        let mut bar = flat(at(START) + (n as i64).hours(), price);
        bar.bar.volume = price * 3.0;
        bar.bar.vwap = (n % 2 == 0).then_some(price / 3.0);
        bar.bar.trade_count = (n % 3 == 0).then_some(i64::MAX);
        sent.push(bar);
    }
    assert_eq!(put(&site, &sent).await, sent.len() as u64);
    let stored = read(&site).await;
    assert_eq!(stored.iter().map(|s| s.bar).collect::<Vec<Bar>>(), sent.iter().map(|s| s.bar).collect::<Vec<_>>());
    assert!(stored.iter().all(|s| s.is_final && s.provider == "test/sip"));
    // As text too, for psql: the shortest decimal is the one that was sent.
    let shown = site.rows("select open from ohlc_bars_v2 order by ts").await;
    for (text, shown) in prices.iter().zip(shown) {
        let shown = shown.trim_matches(['(', ')']);
        assert_eq!(shown.parse::<f64>().unwrap().to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
    }
}

async fn a_final_bar_never_becomes_provisional_again(owner: Owner) {
    let site = Site::new(owner).await;
    put(&site, &[flat(at(START), 100.0)]).await;
    let late = ShapedBar { is_final: false, ..flat(at(START), 90.0) };
    assert_eq!(put(&site, &[late]).await, 0);
    let stored = read(&site).await;
    assert_eq!((stored[0].bar.close, stored[0].is_final), (100.0, true));
}

async fn a_provisional_bar_is_replaced_until_it_is_final(owner: Owner) {
    let site = Site::new(owner).await;
    for (price, is_final) in [(90.0, false), (91.0, false), (91.0, true)] {
        assert_eq!(put(&site, &[ShapedBar { is_final, ..flat(at(START), price) }]).await, 1);
        let stored = read(&site).await;
        assert_eq!((stored.len(), stored[0].bar.close, stored[0].is_final), (1, price, is_final));
    }
}

async fn bars_that_are_there_already_are_not_rewritten(owner: Owner) {
    let site = Site::new(owner).await;
    let mut sent: Vec<ShapedBar> = (0..6).map(|n| flat(at(START) + n.hours(), 100.0)).collect();
    sent[1].bar.vwap = None;
    sent[2].bar.trade_count = None;
    put(&site, &sent).await;
    let versions = "select ts, xmin, fetched_at from ohlc_bars_v2 order by ts";
    let before = site.rows(versions).await;
    assert_eq!(put(&site, &sent).await, 0);
    assert_eq!(site.rows(versions).await, before);
    sent[3].bar.close = 100.5;
    assert_eq!(put(&site, &sent).await, 1);
    let after = site.rows(versions).await;
    let changed: Vec<usize> = (0..6).filter(|n| before[*n] != after[*n]).collect();
    assert_eq!(changed, [3]);
}

async fn a_correction_of_a_final_bar_is_taken(owner: Owner) {
    let site = Site::new(owner).await;
    put(&site, &[flat(at(START), 100.0)]).await;
    assert_eq!(put(&site, &[flat(at(START), 101.0)]).await, 1);
    assert_eq!(read(&site).await[0].bar.close, 101.0);
}

async fn more_bars_than_one_batch_are_stored(owner: Owner) {
    let site = Site::new(owner).await;
    let sent: Vec<ShapedBar> = (0..25_001).map(|n| flat(at("2024-01-01T00:00:00Z") + n.minutes(), 1.0)).collect();
    assert_eq!(put(&site, &sent).await, 25_001);
    assert_eq!(read(&site).await.len(), 25_001);
}

async fn of_more_than_asked_for_the_newest_are_read(owner: Owner) {
    let site = Site::new(owner).await;
    let sent: Vec<ShapedBar> = (0..10).map(|n| flat(at(START) + n.hours(), 100.0 + n as f64)).collect();
    put(&site, &sent).await;
    let day = range("2026-11-23T15:30:00Z", "2026-11-23T20:30:00Z");
    for user in [None, Some(ALICE)] {
        let of = ticker("AAPL");
        let bars = async |range, limit| {
            let bars = bars::read(&site.database, user, &of, Timeframe::H1, range, limit).await.unwrap().unwrap();
            bars.iter().map(|b| b.bar.close - 100.0).collect::<Vec<_>>()
        };
        assert_eq!(bars(Some(day), 100).await, [1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(bars(Some(day), 2).await, [4.0, 5.0]);
        assert_eq!(bars(None, 1).await, [9.0]);
        let none = bars::read(&site.database, user, &ticker("NONESUCH"), Timeframe::H1, None, 1).await.unwrap();
        assert_eq!(none, None);
    }
}

async fn what_cannot_be_true_is_kept_apart(owner: Owner) {
    let site = Site::new(owner).await;
    let mut bar = flat(at(START), 100.0).bar;
    bar.low = f64::NAN;
    let invalid = InvalidBar { bar, reason: "a price is not a positive finite number".to_owned() };
    for _ in 0..2 {
        let mut tx = site.database.begin().await.unwrap();
        let kept = std::slice::from_ref(&invalid);
        bars::quarantine(&mut tx, &ticker("AAPL"), Timeframe::M15, Timeframe::H1, "test/sip", kept).await.unwrap();
        tx.commit().await.unwrap();
    }
    let kept = "select symbol, timeframe, series, provider, reason, sent from barkeep.quarantined_bars";
    assert_eq!(
        site.rows(kept).await,
        ["(AAPL,m15,h1,test/sip,\"a price is not a positive finite number\",\"{100,100,NaN,100,10}\")"]
    );
    assert!(read(&site).await.is_empty());
}

async fn every_timeframe_has_its_partition(owner: Owner) {
    let site = Site::new(owner).await;
    for timeframe in Timeframe::ALL {
        put_in(&site, timeframe, &[flat(at(START), 1.0)]).await;
        let count = format!("select count(*) from only ohlc_bars_v2_{timeframe}");
        assert_eq!(site.value(&count).await, "1");
    }
}

async fn only_what_is_named_is_deleted(owner: Owner) {
    let site = Site::new(owner).await;
    let hours: Vec<_> = (0..6).map(|n| flat(at(START) + n.hours(), 1.0)).collect();
    put(&site, &hours).await;
    put_in(&site, Timeframe::M15, &hours).await;
    let delete = async |timeframe, symbol| {
        let mut tx = site.database.begin().await.unwrap();
        let middle = range("2026-11-23T15:30:00Z", "2026-11-23T17:30:00Z");
        let deleted = bars::delete(&mut tx, &[symbol], &[timeframe], middle).await.unwrap();
        tx.commit().await.unwrap();
        deleted
    };
    assert_eq!(delete(Timeframe::H1, ALICE).await, 0, "of a symbol that isn't there");
    assert_eq!(delete(Timeframe::H4, aapl(&site).await).await, 0);
    assert_eq!(delete(Timeframe::H1, aapl(&site).await).await, 2);
    let left: Vec<_> = read(&site).await.iter().map(|bar| bar.bar.start).collect();
    assert_eq!(left, [0, 3, 4, 5].map(|n| at(START) + n.hours()));
    let counts = "select timeframe, count(*) from ohlc_bars_v2 group by 1 order by 1";
    assert_eq!(site.rows(counts).await, ["(h1,4)", "(m15,6)"]);
    // Ranges without bounds, and none at all.
    let of = "array(select id from symbols), '{m15}'";
    assert_eq!(site.value(&format!("select barkeep.delete_bars({of}, '{{}}')")).await, "0");
    assert_eq!(site.value(&format!("select barkeep.delete_bars({of}, '{{(,)}}')")).await, "6");
}
