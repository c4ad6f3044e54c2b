//! Alpaca's corporate actions and its whole asset list.

use market::{Action, ActionKind, AssetClass, Ticker};
use providers::BarSource;

use crate::server::{KEY_ID, Say, Server, range, recorded};

fn tickers(names: &[&str]) -> Vec<Ticker> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test]
async fn recorded_splits_and_dividends_come_from_all_pages_with_their_ex_dates() {
    let Some(first) = recorded("alpaca/alpaca-py__test_get_corporate_actions.json") else { return };
    let Some(last) = recorded("alpaca/alpaca-py__test_get_corporate_actions_1.json") else { return };
    let server = Server::replaying(vec![Say::json(first), Say::json(last)]).await;
    let asked = tickers(&["MNTS", "SRE", "MSBC", "FCF", "ZMTBY", "LVRO", "BTC-USD"]);
    let range = range("2023-05-05T04:00:00Z", "2024-08-08T04:00:00Z");
    let actions = server.source().await.actions(&asked, range).await.unwrap().unwrap();
    let split =
        |day: &str, new, old| vec![Action { ex_date: day.parse().unwrap(), kind: ActionKind::Split { new, old } }];
    let expected = [
        ("MNTS", split("2023-08-24", 1.0, 50.0)),
        ("MSBC", split("2023-05-19", 1.05, 1.0)),
        ("SRE", split("2023-08-22", 2.0, 1.0)),
        (
            "ZMTBY",
            vec![Action { ex_date: "2024-08-07".parse().unwrap(), kind: ActionKind::Dividend { amount: 0.086928 } }],
        ),
    ];
    let expected = expected.map(|(ticker, actions)| (ticker.parse().unwrap(), actions));
    assert_eq!(actions, expected.into(), "FCF's ex-date lies a day before the range");
    let asked = server.asked();
    assert_eq!(asked[0].path, "/v1/corporate-actions");
    assert_eq!(asked[0].query["symbols"], "MNTS,SRE,MSBC,FCF,ZMTBY,LVRO");
    assert_eq!((asked[0].query["start"].as_str(), asked[0].query["end"].as_str()), ("2023-05-05", "2024-08-07"));
    assert_eq!(asked[0].headers["apca-api-key-id"], KEY_ID);
    assert!(asked[1].query["page_token"].starts_with("MDA3Q1ZS"));
}

/// Synthetic.
#[tokio::test]
async fn a_server_without_actions_is_none_and_what_makes_no_sense_is_bad_data() {
    let server = Server::replaying(vec![
        Say::status(404, r#"{"message":"Not Found"}"#),
        Say::status(404, "<html>Not Found</html>"),
        Say::json("{}"),
        Say::json(
            r#"{"corporate_actions":{"forward_splits":[{"symbol":"SPY","ex_date":"2026-01-05","new_rate":2,"old_rate":0}]},
                "next_page_token":null}"#,
        ),
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
