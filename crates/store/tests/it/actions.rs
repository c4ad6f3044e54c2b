//! Splits and dividends beside the bars.

use jiff::civil::{Date, date};
use market::{Action, ActionKind, evidence::Verdict};
use store::{
    bars,
    corporate_actions::{self, Changes},
};
use testkit::Owner;

use crate::site::{Site, ticker};

for_every_owner! {
    what_a_provider_tells_replaces_what_was_noticed_and_never_the_reverse,
    a_split_that_the_bars_exclude_is_kept_and_not_applied,
    every_kept_stock_is_asked_about_once_a_day,
    a_signed_in_user_reads_them_and_writes_none,
}

for_one_owner! {
    a_list_that_comes_back_shorter_or_empty_takes_nothing_away_that_had_taken_effect,
    the_close_before_a_day_is_the_days_own_where_there_is_one,
}

const EVER: (Date, Date) = (date(1970, 1, 1), date(2030, 1, 1));
const TODAY: Date = date(2026, 11, 20);
const SPLIT: Action = Action { ex_date: date(2014, 6, 9), kind: ActionKind::Split { new: 7.0, old: 1.0 } };
const OTHER: Action = Action { ex_date: date(2014, 6, 9), kind: ActionKind::Split { new: 6.9, old: 1.0 } };
const DIVIDEND: Action = Action { ex_date: date(2014, 8, 7), kind: ActionKind::Dividend { amount: 0.47 } };

async fn what_a_provider_tells_replaces_what_was_noticed_and_never_the_reverse(owner: Owner) {
    let site = Site::new(owner).await;
    let aapl = ticker("AAPL");
    let keep = async |source: &str, told: &[Action]| {
        let changes = corporate_actions::store(&site.database, &aapl, source, EVER, TODAY, told).await.unwrap();
        (changes.listed, changes.withdrawn)
    };
    let kept = async || corporate_actions::applied(&site.database, None, &aapl).await.unwrap();
    assert_eq!(keep(corporate_actions::NOTICED, &[OTHER]).await, (1, 0));
    assert_eq!(kept().await, [OTHER]);
    assert_eq!(keep("alpaca", &[DIVIDEND, SPLIT, SPLIT]).await, (2, 0));
    assert_eq!(kept().await, [SPLIT, DIVIDEND]);
    assert_eq!(keep("alpaca", &[SPLIT, DIVIDEND]).await, (0, 0), "nothing new");
    assert_eq!(keep(corporate_actions::NOTICED, &[OTHER]).await, (0, 0));
    assert_eq!(kept().await, [SPLIT, DIVIDEND]);
    let nonsense = Action { ex_date: date(2015, 1, 1), kind: ActionKind::Split { new: 0.0, old: 1.0 } };
    assert_eq!(keep("alpaca", &[SPLIT, DIVIDEND, nonsense]).await, (0, 0));
    // Two dividends of one day add up.
    let special = Action { kind: ActionKind::Dividend { amount: 1.0 }, ..DIVIDEND };
    assert_eq!(keep("alpaca", &[SPLIT, DIVIDEND, special]).await, (1, 0));
    assert_eq!(kept().await, [SPLIT, Action { kind: ActionKind::Dividend { amount: 1.47 }, ..DIVIDEND }]);
    // A split that was detected some days off is the same as the listed one.
    let noticed = Action { ex_date: date(2020, 8, 27), kind: ActionKind::Split { new: 4.0, old: 1.0 } };
    let told = Action { ex_date: date(2020, 8, 31), ..noticed };
    assert_eq!(keep(corporate_actions::NOTICED, &[OTHER, noticed]).await, (1, 0));
    assert_eq!(keep("alpaca", &[SPLIT, DIVIDEND, special, told]).await, (1, 0));
    assert_eq!(kept().await.last(), Some(&told));
    let nobodys = corporate_actions::store(&site.database, &ticker("NOBODYS"), "alpaca", EVER, TODAY, &[SPLIT]).await;
    assert_eq!(nobodys.unwrap(), Changes::default());
}

async fn a_list_that_comes_back_shorter_or_empty_takes_nothing_away_that_had_taken_effect(owner: Owner) {
    let site = Site::new(owner).await;
    let aapl = ticker("AAPL");
    let keep = async |told: &[Action]| {
        corporate_actions::store(&site.database, &aapl, "alpaca", EVER, TODAY, told).await.unwrap()
    };
    let announced = Action { ex_date: date(2026, 12, 1), ..SPLIT };
    assert_eq!(keep(&[SPLIT, DIVIDEND, announced]).await, Changes { listed: 3, withdrawn: 0 });
    // Without the split the amounts before it are in other shares.
    let earlier = |amount| Action { ex_date: date(2014, 5, 8), kind: ActionKind::Dividend { amount } };
    assert_eq!(keep(&[SPLIT, DIVIDEND, announced, earlier(3.29)]).await, Changes { listed: 1, withdrawn: 0 });
    assert_eq!(keep(&[DIVIDEND, announced, earlier(0.47)]).await, Changes { listed: 0, withdrawn: 1 });
    assert_eq!(corporate_actions::applied(&site.database, None, &aapl).await.unwrap()[0], earlier(3.29));
    site.run("delete from corporate_actions where ex_date = '2014-05-08'").await;
    assert_eq!(keep(&[]).await, Changes { listed: 0, withdrawn: 2 });
    assert_eq!(keep(&[]).await, Changes::default());
    let judged = corporate_actions::judged(&site.database, None, &aapl).await.unwrap();
    let verdicts: Vec<Verdict> = judged.iter().map(|judged| judged.verdict).collect();
    assert_eq!(verdicts, [Verdict::Withdrawn, Verdict::Withdrawn, Verdict::CalledOff]);
    let disputed = corporate_actions::disputed(&site.database).await.unwrap();
    assert!(disputed.len() == 2 && disputed.iter().all(|(ticker, _)| *ticker == aapl), "{disputed:?}");
    // It is listed again, with another amount.
    let dearer = Action { kind: ActionKind::Dividend { amount: 0.5 }, ..DIVIDEND };
    assert_eq!(keep(&[SPLIT, dearer]).await, Changes { listed: 2, withdrawn: 0 });
    assert_eq!(corporate_actions::applied(&site.database, None, &aapl).await.unwrap(), [SPLIT, dearer]);
    assert_eq!(corporate_actions::disputed(&site.database).await.unwrap(), []);
}

async fn a_split_that_the_bars_exclude_is_kept_and_not_applied(owner: Owner) {
    let site = Site::new(owner).await;
    let aapl = ticker("AAPL");
    corporate_actions::store(&site.database, &aapl, "alpaca", EVER, TODAY, &[SPLIT]).await.unwrap();
    let applied = async || corporate_actions::applied(&site.database, None, &aapl).await.unwrap();
    let day = |day: i32, open: f64, close: f64| {
        format!(
            "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
            select id, 'd1', '2014-06-{day:02}T04:00:00Z', {open}, {open} + {close}, 0.1, {close}, 1, 'test'
            from symbols where ticker = 'AAPL'
            on conflict (symbol_id, timeframe, ts) do update set open = excluded.open, close = excluded.close;"
        )
    };
    // Bars of one side show nothing.
    for (number, close) in [(2, 640.0), (3, 647.0), (4, 634.0), (5, 644.0), (6, 645.57)] {
        site.run(&day(number, close, close)).await;
    }
    assert_eq!(applied().await, [SPLIT]);
    site.run(&day(9, 92.7, 93.7)).await;
    assert_eq!(applied().await, [SPLIT]);
    let around = corporate_actions::judged(&site.database, None, &aapl).await.unwrap()[0].around.unwrap();
    assert_eq!((around.before, around.after, around.days, around.usual), (645.57, 92.7, 3, None));
    site.run(&day(9, 648.9, 655.9)).await;
    assert_eq!(applied().await, []);
    for (number, close) in [(10, 660.0), (11, 650.0), (12, 646.0)] {
        site.run(&day(number, close, close)).await;
    }
    let disputed = corporate_actions::disputed(&site.database).await.unwrap();
    let [(of, judged)] = disputed.as_slice() else { panic!("{disputed:?}") };
    assert_eq!((of, judged.verdict, judged.record.action), (&aapl, Verdict::Contradicted, SPLIT));
    let usual = judged.around.unwrap().usual.unwrap();
    assert!((0.005..0.02).contains(&usual), "{usual}");
    // Where daily bars lie further from the day, shorter ones tell.
    site.run(
        "delete from ohlc_bars_v2 where ts > '2014-06-07';
        insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
        select id, 'm15', t.ts, t.price, t.price, t.price, t.price, 1, 'test'
        from symbols, (values ('2014-06-06T19:45Z'::timestamptz, 645.5), ('2014-06-09T13:30Z', 92.7)) t (ts, price)
        where ticker = 'AAPL'",
    )
    .await;
    assert_eq!(applied().await, [SPLIT]);
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
    corporate_actions::store(&site.database, &aapl, "alpaca", EVER, TODAY, &[SPLIT]).await.unwrap();
    let read = corporate_actions::applied(&site.database, Some(store::users::ANONYMOUS), &aapl).await.unwrap();
    assert_eq!(read, [SPLIT]);
    for (role, privilege, may) in
        [("authenticated", "SELECT", "t"), ("authenticated", "INSERT", "f"), ("anon", "SELECT", "f")]
    {
        let asked = format!("select has_table_privilege('{role}', 'public.corporate_actions', '{privilege}')");
        assert_eq!(site.value(&asked).await, may, "{role} {privilege}");
    }
}
