//! What an open page is told: that something changed, soon, and never more than four times a second.

use std::time::Instant;

use reqwest::redirect::Policy;
use serde_json::Value;

use crate::running::{Served, http};

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_of_changes_and_at_most_four_times_a_second() {
    let served = Served::start().await;
    let link = served.place.printed(&["sign-in", "--database-url", &served.database.url]);
    let client = http::client_with().redirect(Policy::none()).build().unwrap();
    let signed_in = client.get(link.trim()).send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(client.get(served.up.url("/live")).header("x-barkeep", "1").send().await.unwrap().status(), 401);
    // Begun before anything can be told: a slow machine only makes the rate lower.
    let begun = Instant::now();
    let mut stream = client.get(served.up.url("/live")).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");

    // Much happens at once: fifty symbols are watched, and their bars come.
    let symbols: Vec<String> = (0..50).map(|n| format!("S{n}")).collect();
    let args: Vec<&str> = ["track", "--database-url", &served.database.url].into_iter().collect();
    let mut command = served.place.barkeep(&args);
    command.args(&symbols);
    let tracked = crate::running::finished(command).await;
    assert!(tracked.status.success(), "{}", String::from_utf8_lossy(&tracked.stderr));
    let (mut text, mut told) = (String::new(), 0_u32);
    let (mut series, mut lists) = (0, false);
    while series < 100 || told < 3 {
        let chunk = tokio::time::timeout(crate::running::PATIENCE, stream.chunk()).await.expect("something in time");
        text += std::str::from_utf8(&chunk.unwrap().expect("the stream goes on")).unwrap();
        while let Some((event, rest)) = text.split_once("\n\n") {
            if let Some(data) = event.strip_prefix("event: change\ndata: ") {
                let change: Value = serde_json::from_str(data).unwrap();
                told += 1;
                series += change["bars"].as_array().map_or(0, Vec::len);
                lists |= change["lists"] == true;
            }
            text = rest.to_owned();
        }
    }
    assert!(lists, "the list grew");
    let seconds = begun.elapsed().as_secs_f64(); // by the clock: a rate is what is promised, and waiting only lowers it
    assert!(f64::from(told) <= seconds * 4.0 + 2.0, "{told} in {seconds} s");
}
