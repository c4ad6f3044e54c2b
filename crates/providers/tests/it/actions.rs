//! Alpaca's corporate actions and its whole asset list.

use market::{Action, ActionKind, AssetClass, Ticker};
use providers::BarSource;

use crate::server::{KEY_ID, Say, Server, paged_answers, range};

fn tickers(names: &[&str]) -> Vec<Ticker> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

fn split(ticker: &str, day: &str, new: f64, old: f64) -> (Ticker, Vec<Action>) {
    (ticker.parse().unwrap(), vec![Action { ex_date: day.parse().unwrap(), kind: ActionKind::Split { new, old } }])
}

fn dividend(ticker: &str, day: &str, amount: f64) -> (Ticker, Vec<Action>) {
    (ticker.parse().unwrap(), vec![Action { ex_date: day.parse().unwrap(), kind: ActionKind::Dividend { amount } }])
}

#[tokio::test]
async fn splits_and_dividends_come_from_all_pages_with_their_ex_dates() {
    let own = ["alpaca/actions_1.json", "alpaca/actions_2.json"];
    let recorded =
        ["get_corporate_actions", "get_corporate_actions_1"].map(|n| format!("alpaca/alpaca-py__test_{n}.json"));
    // The tickers, the days, and what comes of them; of the first dividend the ex-date lies before the days.
    let cases = [
        (
            vec!["BRVO", "ALFA", "CHRL", "DLTA", "NEWN"],
            ("2025-01-02", "2025-08-07"),
            range("2025-01-02T05:00:00Z", "2025-08-08T04:00:00Z"),
            vec![
                split("ALFA", "2025-07-08", 8.0, 1.0),
                split("BRVO", "2025-03-10", 1.0, 25.0),
                dividend("CHRL", "2025-08-07", 0.4125),
                split("DLTA", "2025-05-19", 1.1, 1.0),
            ],
        ),
        (
            vec!["MNTS", "SRE", "MSBC", "FCF", "ZMTBY", "LVRO"],
            ("2023-05-05", "2024-08-07"),
            range("2023-05-05T04:00:00Z", "2024-08-08T04:00:00Z"),
            vec![
                split("MNTS", "2023-08-24", 1.0, 50.0),
                split("MSBC", "2023-05-19", 1.05, 1.0),
                split("SRE", "2023-08-22", 2.0, 1.0),
                dividend("ZMTBY", "2024-08-07", 0.086928),
            ],
        ),
    ];
    let answers = paged_answers(&own, &recorded.each_ref().map(String::as_str));
    for (bodies, (names, (start, end), range, expected)) in answers.iter().zip(cases) {
        let server = Server::replaying(bodies.iter().map(Say::json).collect()).await;
        let with_crypto = [&names[..], &["BTC-USD"]].concat();
        let actions = server.source().await.actions(&tickers(&with_crypto), range).await.unwrap().unwrap();
        assert_eq!(actions, expected.into_iter().collect());
        let asked = server.asked();
        assert_eq!(asked[0].path, "/v1/corporate-actions");
        assert_eq!(asked[0].query["symbols"], names.join(","));
        assert_eq!((asked[0].query["start"].as_str(), asked[0].query["end"].as_str()), (start, end));
        assert_eq!(asked[0].headers["apca-api-key-id"], KEY_ID);
        let first: serde_json::Value = serde_json::from_str(&bodies[0]).unwrap();
        assert_eq!(asked[1].query["page_token"], first["next_page_token"].as_str().unwrap());
    }
}

/// Synthetic.
#[tokio::test]
async fn a_server_without_actions_is_none_and_what_is_no_list_is_bad_data() {
    let server = Server::replaying(vec![
        Say::status(404, r#"{"message":"Not Found"}"#),
        Say::status(404, "<html>Not Found</html>"),
        Say::json("{}"),
        Say::json(r#"{"corporate_actions":{"forward_splits":{}},"next_page_token":null}"#),
        Say::json(r#"{"corporate_actions":{},"next_page_token":"again"}"#),
    ])
    .await;
    let source = server.source().await;
    let range = range("2026-01-01T05:00:00Z", "2026-02-01T05:00:00Z");
    assert_eq!(source.actions(&tickers(&["SPY"]), range).await.unwrap(), None);
    for _ in 0..4 {
        assert_eq!(source.actions(&tickers(&["SPY"]), range).await.unwrap_err().code(), "bad_data");
    }
}

/// Synthetic: of each list one record that can be read, twice, and some that can't.
#[tokio::test]
async fn a_record_that_can_not_be_read_costs_itself_and_equal_ones_are_one() {
    let first = Say::json(
        r#"{"corporate_actions":{
            "forward_splits":[
                {"id":"1","symbol":"ALFA","ex_date":"2026-01-05","new_rate":2,"old_rate":0},
                {"id":"2","symbol":"ALFA","ex_date":"2026-01-06","new_rate":2,"old_rate":1},
                {"id":"3","symbol":"ALFA","ex_date":"2026-01-06","new_rate":2,"old_rate":1}],
            "reverse_splits":[{"symbol":"BRVO","ex_date":"soon","new_rate":1,"old_rate":2}],
            "stock_dividends":[{"symbol":"CHRL","ex_date":"2026-01-07","rate":-0.1}],
            "cash_dividends":[
                {"id":"4","symbol":"ALFA","rate":0.26,"record_date":"2026-01-08"},
                {"id":"5","symbol":"ALFA","ex_date":"2026-01-08","rate":0.26,"payable_date":"2026-01-20"},
                {"id":"6","symbol":"ALFA","ex_date":"2026-01-08","rate":0.26,"payable_date":"2026-01-20"},
                {"id":"7","symbol":"ALFA","ex_date":"2026-01-08","rate":0.26,"payable_date":"2026-02-20"}]},
            "next_page_token":"more"}"#,
    );
    let second = Say::json(
        r#"{"corporate_actions":{"cash_dividends":[
            {"id":"8","symbol":"ALFA","ex_date":"2026-01-08","rate":0.26,"payable_date":"2026-01-20"}]},
            "next_page_token":null}"#,
    );
    let server = Server::replaying(vec![first, second]).await;
    let range = range("2026-01-01T05:00:00Z", "2026-02-01T05:00:00Z");
    let read = server.source().await.actions(&tickers(&["ALFA", "BRVO", "CHRL"]), range).await.unwrap().unwrap();
    let of_alfa = [
        split("ALFA", "2026-01-06", 2.0, 1.0),
        dividend("ALFA", "2026-01-08", 0.26),
        dividend("ALFA", "2026-01-08", 0.26),
    ];
    let of_alfa = of_alfa.into_iter().flat_map(|(_, actions)| actions).collect();
    assert_eq!(read, [("ALFA".parse().unwrap(), of_alfa)].into());
}

/// Synthetic.
#[tokio::test]
async fn the_whole_asset_list_leaves_out_what_we_can_not_write() {
    let server = Server::replaying(vec![
        Say::json(
            r#"[{"class":"us_equity","exchange":"NASDAQ","symbol":"AAPL","name":"Apple","status":"active"},
                {"class":"us_equity","exchange":"NASDAQ","symbol":"OLD","name":"Old","status":"inactive"},
                {"class":"us_equity","exchange":"NYSE","symbol":"A NAME WITH SPACES","name":"","status":"active"}]"#,
        ),
        Say::status(404, r#"{"message":"Not Found"}"#),
    ])
    .await;
    let source = server.source().await;
    let stocks = source.assets(AssetClass::Stock).await.unwrap().unwrap();
    assert_eq!(stocks.iter().map(|asset| asset.ticker.as_str()).collect::<Vec<_>>(), ["AAPL"]);
    let asked = &server.asked()[0];
    assert_eq!((asked.path.as_str(), asked.query["asset_class"].as_str()), ("/v2/assets", "us_equity"));
    assert_eq!(source.assets(AssetClass::Crypto).await.unwrap(), None);
}
