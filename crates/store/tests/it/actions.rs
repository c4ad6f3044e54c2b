//! Splits and dividends beside the bars.

use jiff::civil::{Date, date};
use market::{Action, ActionKind};
use store::{bars, corporate_actions};
use testkit::Owner;

use crate::site::{Site, ticker};

for_every_owner! {
    what_a_provider_tells_replaces_what_was_noticed_and_never_the_reverse,
    every_kept_stock_is_asked_about_once_a_day,
    the_close_before_a_day_is_the_days_own_where_there_is_one,
    a_signed_in_user_reads_them_and_writes_none,
}

const EVER: (Date, Date) = (date(1970, 1, 1), date(2030, 1, 1));
const SPLIT: Action = Action { ex_date: date(2014, 6, 9), kind: ActionKind::Split { new: 7.0, old: 1.0 } };
const OTHER: Action = Action { ex_date: date(2014, 6, 9), kind: ActionKind::Split { new: 6.9, old: 1.0 } };
const DIVIDEND: Action = Action { ex_date: date(2014, 8, 7), kind: ActionKind::Dividend { amount: 0.47 } };

async fn what_a_provider_tells_replaces_what_was_noticed_and_never_the_reverse(owner: Owner) {
    let site = Site::new(owner).await;
    let aapl = ticker("AAPL");
    let keep = async |source: &str, told: &[Action]| {
        corporate_actions::store(&site.database, &aapl, source, EVER, told).await.unwrap()
    };
    let kept = async || corporate_actions::for_symbol(&site.database, None, &aapl).await.unwrap();
    assert_eq!(keep(corporate_actions::NOTICED, &[OTHER]).await, 1);
    assert_eq!(keep("alpaca", &[DIVIDEND, SPLIT, SPLIT]).await, 2);
    assert_eq!(kept().await, [SPLIT, DIVIDEND]);
    assert_eq!(keep("alpaca", &[SPLIT, DIVIDEND]).await, 0, "nothing new");
    assert_eq!(keep(corporate_actions::NOTICED, &[OTHER]).await, 0);
    assert_eq!(kept().await, [SPLIT, DIVIDEND]);
    let nonsense = Action { ex_date: date(2015, 1, 1), kind: ActionKind::Split { new: 0.0, old: 1.0 } };
    assert_eq!(keep("alpaca", &[SPLIT, DIVIDEND, nonsense]).await, 0);
    // Two dividends of one day add up; one that is not listed any more was called off.
    let special = Action { kind: ActionKind::Dividend { amount: 1.0 }, ..DIVIDEND };
    assert_eq!(keep("alpaca", &[DIVIDEND, special]).await, 2);
    assert_eq!(kept().await, [Action { kind: ActionKind::Dividend { amount: 1.47 }, ..DIVIDEND }]);
    // A split that was detected some days off is the same as the listed one.
    let noticed = Action { ex_date: date(2020, 8, 27), kind: ActionKind::Split { new: 4.0, old: 1.0 } };
    let told = Action { ex_date: date(2020, 8, 31), ..noticed };
    assert_eq!(keep(corporate_actions::NOTICED, &[noticed]).await, 1);
    assert_eq!(keep("alpaca", &[told]).await, 3);
    assert_eq!(kept().await, [told]);
    assert_eq!(
        corporate_actions::store(&site.database, &ticker("NOBODYS"), "alpaca", EVER, &[SPLIT]).await.unwrap(),
        0
    );
}

async fn every_kept_stock_is_asked_about_once_a_day(owner: Owner) {
    let site = Site::new(owner).await;
    let due = async |limit| corporate_actions::take_due(&site.database, limit).await.unwrap();
    let first = due(15).await;
    assert_eq!(first.len(), 15);
    assert_eq!(due(50).await.len(), 5, "the rest of the seeded ones, and nobody twice");
    corporate_actions::mark_checked(&site.database, &first).await.unwrap();
    assert_eq!(corporate_actions::unknown(&site.database, &first, 3).await.unwrap(), [], "told of");
    let without = corporate_actions::unknown_though_checked(&site.database).await.unwrap();
    assert!(without.len() == 5 && without.iter().all(|ticker| !first.contains(ticker)), "{without:?}");
    corporate_actions::mark_unavailable(&site.database, &first[..1]).await.unwrap();
    let nobody = corporate_actions::unknown(&site.database, &[ticker("BTC-USD"), ticker("NOBODYS")], 3).await.unwrap();
    assert_eq!(nobody, [], "no stocks of ours");
    site.run("update symbols set actions_known_at = actions_known_at - interval '2 days'").await;
    let unknown = async |days| corporate_actions::unknown(&site.database, &first, days).await.unwrap().len();
    assert_eq!((unknown(3).await, unknown(1).await), (0, 15));
    site.run("update symbols set actions_checked_at = actions_checked_at - interval '6 minutes'").await;
    assert_eq!(due(50).await.len(), 5, "whose answer never came");
    site.run("update symbols set actions_checked_at = actions_checked_at - interval '1 day'").await;
    assert_eq!(due(50).await.len(), 20);
}

async fn the_close_before_a_day_is_the_days_own_where_there_is_one(owner: Owner) {
    let site = Site::new(owner).await;
    let bars = |timeframe: &str, ts: &str, close: f64| {
        format!(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
            select id, '{timeframe}', '{ts}', {close}, {close}, {close}, {close}, 1, 'test'
            from symbols where ticker = 'AAPL';"
        )
    };
    site.run(&bars("m15", "2014-08-06T19:45:00Z", 94.9)).await;
    let days = [date(2014, 8, 7), date(2014, 9, 7)];
    let aapl = ticker("AAPL");
    let before = async || bars::closes_before(&site.database, None, &aapl, &days).await.unwrap();
    assert_eq!(before().await, [(days[0], 94.9)].into());
    site.run(&bars("d1", "2014-08-06T04:00:00Z", 94.96)).await;
    assert_eq!(before().await, [(days[0], 94.96)].into());
}

async fn a_signed_in_user_reads_them_and_writes_none(owner: Owner) {
    let site = Site::new(owner).await;
    let aapl = ticker("AAPL");
    corporate_actions::store(&site.database, &aapl, "alpaca", EVER, &[SPLIT]).await.unwrap();
    let read = corporate_actions::for_symbol(&site.database, Some(store::users::ANONYMOUS), &aapl).await.unwrap();
    assert_eq!(read, [SPLIT]);
    for (role, privilege, may) in
        [("authenticated", "SELECT", "t"), ("authenticated", "INSERT", "f"), ("anon", "SELECT", "f")]
    {
        let asked = format!("select has_table_privilege('{role}', 'public.corporate_actions', '{privilege}')");
        assert_eq!(site.value(&asked).await, may, "{role} {privilege}");
    }
}
