//! Watchlists: private, in their order, and consistent with the user's interest.

use market::Timeframe;
use store::{
    StoreError, takeover,
    tracking::Source,
    watchlists::{self, Watchlist},
};
use testkit::{ALICE, BOB, Owner};
use uuid::Uuid;

use crate::site::{Site, TUESDAY, ticker, tickers};

for_every_owner! {
    what_is_watched_is_on_a_list_whoever_says_so,
    lists_are_their_owners_alone,
    lists_come_along_to_another_database,
}

for_one_owner! {
    a_symbol_on_two_lists_is_watched_until_it_is_off_both,
    a_list_keeps_the_order_that_it_is_given,
    a_name_is_given_once_and_is_not_empty,
    a_removed_list_takes_its_interest_along,
    the_state_changes_with_every_change_and_only_then,
}

const TIMEFRAMES: [Timeframe; 2] = [Timeframe::M15, Timeframe::D1];

/// The lists with their symbols.
async fn lists(site: &Site, user: Uuid) -> Vec<(String, Vec<String>)> {
    let mut all = Vec::new();
    for list in watchlists::of(&site.database, user).await.unwrap() {
        let items = watchlists::items(&site.database, user, list.id, 0, 100).await.unwrap();
        assert_eq!(list.symbols, i64::try_from(items.len()).unwrap());
        all.push((list.name, items.iter().map(|item| item.symbol.to_string()).collect()));
    }
    all
}

fn list(name: &str, symbols: &[&str]) -> (String, Vec<String>) {
    (name.to_owned(), symbols.iter().map(ToString::to_string).collect())
}

async fn first(site: &Site, user: Uuid) -> Watchlist {
    watchlists::of(&site.database, user).await.unwrap().remove(0)
}

async fn add(site: &Site, user: Uuid, list: Option<Uuid>, symbols: &[&str]) {
    watchlists::add(&site.database, user, list, &tickers(symbols), &TIMEFRAMES).await.unwrap();
}

/// The tracked symbols, by the rows that the planner uses.
async fn watched(site: &Site) -> Vec<String> {
    site.rows(
        "select s.ticker from user_symbol_tracking t join symbols s on s.id = t.symbol_id where t.source = 'watchlist'
        order by 1",
    )
    .await
}

async fn what_is_watched_is_on_a_list_whoever_says_so(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    assert_eq!(lists(&site, ALICE).await, []);
    site.track(ALICE, &["MSFT", "AAPL"], Source::Watchlist).await;
    site.track(ALICE, &["AAPL"], Source::Watchlist).await;
    site.track(ALICE, &["TSLA"], Source::ChartView).await;
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["AAPL", "MSFT"])]);
    site.untrack(ALICE, "AAPL", None).await;
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["MSFT"])]);
}

async fn a_symbol_on_two_lists_is_watched_until_it_is_off_both(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    add(&site, ALICE, None, &["KO"]).await;
    let drinks = watchlists::create(&site.database, ALICE, "Drinks").await.unwrap();
    add(&site, ALICE, Some(drinks), &["PEP", "KO"]).await;
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["KO"]), list("Drinks", &["PEP", "KO"])]);
    let main = first(&site, ALICE).await.id;
    assert!(watchlists::remove(&site.database, ALICE, main, &ticker("KO")).await.unwrap());
    assert_eq!(watched(&site).await, ["(KO)", "(PEP)"]);
    assert!(watchlists::remove(&site.database, ALICE, drinks, &ticker("KO")).await.unwrap());
    assert!(!watchlists::remove(&site.database, ALICE, drinks, &ticker("KO")).await.unwrap());
    assert_eq!(watched(&site).await, ["(PEP)"]);
    let enabled = "select distinct enabled from job_definitions where symbol = 'KO'";
    assert_eq!(site.rows(enabled).await, ["(f)"], "interest is taken back with it");
}

async fn a_list_keeps_the_order_that_it_is_given(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    add(&site, ALICE, None, &["KO", "PEP", "MCD"]).await;
    let id = first(&site, ALICE).await.id;
    let order = |symbols: &[&str]| {
        let (database, symbols) = (site.database.clone(), tickers(symbols));
        async move { watchlists::reorder(&database, ALICE, id, &symbols).await.unwrap() }
    };
    order(&["PEP", "MCD", "KO"]).await;
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["PEP", "MCD", "KO"])]);
    // From another tab that knows fewer, and with a symbol that isn't on the list.
    order(&["KO", "TSLA"]).await;
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["KO", "PEP", "MCD"])]);
    add(&site, ALICE, Some(id), &["AAPL"]).await;
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["KO", "PEP", "MCD", "AAPL"])]);
    let page = watchlists::items(&site.database, ALICE, id, 1, 2).await.unwrap();
    assert_eq!(page.iter().map(|item| item.symbol.as_str()).collect::<Vec<_>>(), ["PEP", "MCD"]);
}

async fn lists_are_their_owners_alone(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    add(&site, ALICE, None, &["KO"]).await;
    let hers = first(&site, ALICE).await.id;
    assert_eq!(lists(&site, BOB).await, []);
    assert_eq!(watchlists::items(&site.database, BOB, hers, 0, 10).await.unwrap(), []);
    let refused = watchlists::add(&site.database, BOB, Some(hers), &tickers(&["PEP"]), &TIMEFRAMES).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert!(!watchlists::remove(&site.database, BOB, hers, &ticker("KO")).await.unwrap());
    watchlists::reorder(&site.database, BOB, hers, &tickers(&["KO"])).await.unwrap();
    assert!(watchlists::delete(&site.database, BOB, hers).await.is_err());
    assert!(watchlists::rename(&site.database, BOB, hers, "Mine").await.is_err());
    let stolen =
        format!("insert into barkeep.watchlist_items (watchlist_id, symbol_id) select '{hers}', id from symbols");
    assert_eq!(site.refusal_as(BOB, &stolen).await, "42501");
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["KO"])]);
}

async fn a_name_is_given_once_and_is_not_empty(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let id = watchlists::create(&site.database, ALICE, " Tech ").await.unwrap();
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &[]), list("Tech", &[])]);
    for bad in ["", "   ", "Tech", &"x".repeat(61), "a\nb"] {
        let refused = watchlists::create(&site.database, ALICE, bad).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{bad:?}: {refused:?}");
    }
    assert!(watchlists::rename(&site.database, ALICE, id, "Watchlist").await.is_err());
    watchlists::rename(&site.database, ALICE, id, "Tech").await.unwrap();
    watchlists::rename(&site.database, ALICE, id, "Späteres 🚀").await.unwrap();
    assert_eq!(lists(&site, ALICE).await[1].0, "Späteres 🚀");
    assert!(watchlists::create(&site.database, BOB, "Späteres 🚀").await.is_ok());
}

async fn a_removed_list_takes_its_interest_along(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    add(&site, ALICE, None, &["KO"]).await;
    let other = watchlists::create(&site.database, ALICE, "Other").await.unwrap();
    add(&site, ALICE, Some(other), &["KO", "PEP"]).await;
    watchlists::delete(&site.database, ALICE, other).await.unwrap();
    assert_eq!(watched(&site).await, ["(KO)"]);
    assert!(watchlists::delete(&site.database, ALICE, other).await.is_err(), "there is none any more");
    watchlists::delete(&site.database, ALICE, first(&site, ALICE).await.id).await.unwrap();
    assert_eq!((lists(&site, ALICE).await, watched(&site).await), (vec![], vec![]));
    add(&site, ALICE, None, &["KO"]).await;
    assert_eq!(lists(&site, ALICE).await, [list("Watchlist", &["KO"])]);
}

async fn the_state_changes_with_every_change_and_only_then(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let mut seen = Vec::new();
    let mut look = async |site: &Site| {
        let state = watchlists::state(&site.database, ALICE).await.unwrap();
        assert!(!seen.contains(&state), "the same after a change: {seen:?}");
        seen.push(state.clone());
        assert_eq!(watchlists::state(&site.database, ALICE).await.unwrap(), state);
    };
    look(&site).await;
    add(&site, ALICE, None, &["KO", "PEP"]).await;
    look(&site).await;
    let id = first(&site, ALICE).await.id;
    watchlists::reorder(&site.database, ALICE, id, &tickers(&["PEP", "KO"])).await.unwrap();
    look(&site).await;
    watchlists::rename(&site.database, ALICE, id, "Drinks").await.unwrap();
    look(&site).await;
    site.untrack(ALICE, "KO", None).await;
    look(&site).await;
}

async fn lists_come_along_to_another_database(owner: Owner) {
    // From one private database to another: Supabase's users are its own, and are not copied.
    if matches!(owner, Owner::Supabase) {
        return;
    }
    let (old, new) = (Site::at(owner, TUESDAY).await, Site::at(owner, TUESDAY).await);
    add(&old, ALICE, None, &["KO", "PEP"]).await;
    let other = watchlists::create(&old.database, ALICE, "Other").await.unwrap();
    add(&old, ALICE, Some(other), &["MCD", "KO"]).await;
    let id = first(&old, ALICE).await.id;
    watchlists::reorder(&old.database, ALICE, id, &tickers(&["PEP", "KO"])).await.unwrap();
    // A user with lists there already keeps them.
    add(&new, ALICE, None, &["TSLA"]).await;
    takeover::copy_interest(&old.database, &new.database).await.unwrap();
    let all = [list("Watchlist", &["PEP", "KO", "TSLA"]), list("Other", &["MCD", "KO"])];
    let found = lists(&new, ALICE).await;
    assert_eq!(found[1], all[1]);
    let sorted = |(name, symbols): &(String, Vec<String>)| {
        let mut symbols = symbols.clone();
        symbols.sort();
        (name.clone(), symbols)
    };
    assert_eq!(sorted(&found[0]), sorted(&all[0]));
    let place = |symbol: &str| found[0].1.iter().position(|of| of == symbol);
    assert!(place("PEP") < place("KO"));
}
