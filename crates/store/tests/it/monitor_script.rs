//! `monitor_multi_timeframe.sql` answers its ten questions with correct counts.

use market::Timeframe;
use store::{scheduler, tracking::Source};
use testkit::{ALICE, BOB, Owner};

use crate::{
    psql::psql,
    site::{Site, TUESDAY, range},
};

for_every_owner! {
    ten_questions_are_answered_on_a_fresh_database,
    ten_questions_are_answered_right,
}

for_one_owner! {
    the_verdict_names_the_worst,
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/sql/monitor_multi_timeframe.sql");

/// Title and rows of each query; `None` without psql.
fn answers(site: &Site, arguments: &[&str]) -> Option<Vec<(String, Vec<String>)>> {
    let printed = psql(&site.owned.owner_url, &[&["-At", "-f", SCRIPT], arguments].concat())?;
    let mut answers: Vec<(String, Vec<String>)> = Vec::new();
    for line in printed.lines() {
        match line.strip_prefix("== ").and_then(|l| l.strip_suffix(" ==")) {
            Some(title) => answers.push((title.to_owned(), Vec::new())),
            None => answers.last_mut().expect("a row before the first title").1.push(line.to_owned()),
        }
    }
    assert_eq!(answers.len(), 10, "{answers:?}");
    Some(answers)
}

async fn ten_questions_are_answered_on_a_fresh_database(owner: Owner) {
    let site = Site::at(owner, TUESDAY).await;
    let Some(answers) = answers(&site, &[]) else { return };
    assert_eq!(answers[0].1.len(), 60);
    assert_eq!(answers[1].1, [""; 0]);
    assert_eq!(answers[2].1, ["m15|20|20|0|0|100|100", "h1|20|20|0|0|200|200", "h4|20|20|0|0|150|150"]);
    assert!(answers[3].1[1].starts_with("h1|20|0|20|"), "{:?}", answers[3].1);
    assert_eq!(answers[5].0, "6. One symbol in detail: AAPL");
    assert_eq!(answers[5].1.len(), 3);
    for empty in [4, 6, 7, 8] {
        assert_eq!(answers[empty].1, [""; 0]);
    }
    assert_eq!(answers[9].1, ["down: the scheduler never ran; start \"barkeep up\"||0|0|0|0|0|"]);
}

/// TSLA complete and watched by two users, with seven runs per series; FRESH with a failed, a running and a queued
/// run.
async fn with_known_data(owner: Owner) -> Site {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["TSLA", "FRESH"], Source::Watchlist).await;
    site.track(BOB, &["TSLA"], Source::Watchlist).await;
    site.track(ALICE, &["TSLA", "AMD"], Source::ChartView).await;
    site.track(BOB, &["NVDA"], Source::RecentSearch).await;
    let monday = range("2026-11-23T14:30:00Z", "2026-11-23T21:00:00Z");
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4] {
        let series = site.definition("TSLA", timeframe).await;
        site.fill(&series).await;
        for _ in 0..6 {
            let run = site.held(&series, monday, "worker").await;
            assert!(site.answer(&run, &crate::site::expected(&series, monday)).await);
        }
    }
    let fresh = site.definition("FRESH", Timeframe::H1).await;
    site.held(&fresh, monday, "worker").await;
    site.run(
        "update job_runs set status = 'failed', failures = 5, error_code = 'refused', error_message = 'no such plan',
            finished_at = now(), worker = null, lease_until = null
        where status = 'running'",
    )
    .await;
    site.held(&fresh, range("2026-11-20T14:30:00Z", "2026-11-20T21:00:00Z"), "worker").await;
    site.enqueue(&fresh, &[range("2026-11-19T14:30:00Z", "2026-11-19T21:00:00Z")]).await;
    let background = site.definition("MSFT", Timeframe::H1).await;
    site.enqueue(&background, &[monday]).await;
    scheduler::heartbeat(&site.database, scheduler::SCHEDULER, "ok", "").await.unwrap();
    site
}

async fn ten_questions_are_answered_right(owner: Owner) {
    let site = with_known_data(owner).await;
    let Some(answers) = answers(&site, &["-v", "symbol=tsla"]) else { return };
    let rows = |n: usize| &answers[n - 1].1;

    let bars = async |timeframe: &str| {
        site.value(&format!("select count(*) from only ohlc_bars_v2_{timeframe}")).await.parse::<i64>().unwrap()
    };
    let (m15, h1, h4) = (bars("m15").await, bars("h1").await, bars("h4").await);
    assert!(m15 > 500 && h1 > 400 && h4 > 400);

    let of_tsla: Vec<&String> = rows(1).iter().filter(|row| row.starts_with("TSLA|")).collect();
    assert_eq!(of_tsla.len(), 3);
    for (row, (timeframe, bars)) in of_tsla.iter().zip([("m15", m15), ("h1", h1), ("h4", h4)]) {
        assert!(row.starts_with(&format!("TSLA|{timeframe}|{bars}|2026-")) || timeframe == "h4", "{row}");
        assert!(row.starts_with(&format!("TSLA|{timeframe}|{bars}|")), "{row}");
    }
    assert_eq!(rows(1).len(), 63);

    // Rows written: counted once each, though the same bars were fetched seven times.
    let stats: Vec<&str> = rows(2).iter().map(|row| row.rsplit_once('|').unwrap().0).collect();
    assert_eq!(stats, [format!("h1|11|2|1|7|1|{h1}"), format!("h4|7|0|0|7|0|{h4}"), format!("m15|7|0|0|7|0|{m15}")]);
    assert_eq!(rows(3), &["m15|21|21|4|0|100|300", "h1|21|21|4|0|100|300", "h4|21|21|4|0|100|300"]);
    assert!(rows(4)[1].starts_with("h1|21|1|20|"), "{:?}", rows(4));
    let tracking: Vec<&str> = rows(5).iter().map(|row| row.rsplit_once('|').unwrap().0).collect();
    assert_eq!(tracking, ["watchlist|300|2|2|3", "chart_view|200|1|2|2", "recent_search|100|1|1|1"]);

    assert_eq!(answers[5].0, "6. One symbol in detail: tsla");
    for (row, (timeframe, bars)) in rows(6).iter().zip([("m15", m15), ("h1", h1), ("h4", h4)]) {
        assert!(row.starts_with(&format!("{timeframe}|complete|{bars}|{bars}|{bars}|0|1.0000|")), "{row}");
    }
    assert_eq!(rows(7).len(), 1);
    assert!(rows(7)[0].starts_with("FRESH|h1|2026-11-23 "), "{:?}", rows(7));
    assert!(rows(7)[0].contains("|5|refused|no such plan|"), "{:?}", rows(7));
    let waiting: Vec<&str> = rows(8).iter().map(|row| row.split("|20").next().unwrap()).collect();
    assert_eq!(waiting, ["FRESH|300|t|1|1", "MSFT"], "the priority of MSFT begins with 20 too");
    assert!(rows(8)[1].starts_with("MSFT|200|f|1|0|"), "{:?}", rows(8));
    let of_fresh = site.value("select sum(expected_bars) from get_symbol_timeframe_coverage('FRESH')").await;
    assert_eq!(rows(9)[0], format!("FRESH|1|3|0|{of_fresh}|{of_fresh}|0.0"));
    assert_eq!(rows(9)[1], format!("TSLA|2|3|3|{0}|0|100.0", m15 + h1 + h4));
    assert_eq!(rows(9).len(), 2);
    assert!(rows(10)[0].starts_with("working|"), "{:?}", rows(10));
    assert!(rows(10)[0].contains("|2|1|0|21|1|"), "{:?}", rows(10));
}

async fn the_verdict_names_the_worst(owner: Owner) {
    let site = with_known_data(owner).await;
    let script = std::fs::read_to_string(SCRIPT).unwrap();
    let last = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&last, &script[script.find("\\echo '== 10.").expect("ten questions")..]).unwrap();
    for (change, verdict) in [
        ("select 1", "working"),
        ("update job_runs set created_at = now() - interval '16 minutes' where status = 'queued'", "behind"),
        ("update job_runs set status = 'failed', finished_at = now() where status = 'success'", "degraded"),
        ("update job_runs set lease_until = now() - interval '1 second' where status = 'running'", "degraded"),
        (
            "update job_runs set error_code = 'credentials', error_message = 'alpaca refuses the keys'
            where symbol = 'MSFT'",
            "stopped: alpaca refuses the keys",
        ),
        ("update orchestrator_heartbeat set status = 'failing'", "failing"),
        ("update orchestrator_heartbeat set last_seen = now() - interval '4 minutes'", "down"),
        ("update orchestrator_heartbeat set last_seen = now(), status = 'ok'; delete from job_runs", "healthy"),
    ] {
        site.run(change).await;
        let Some(answer) = psql(&site.owned.owner_url, &["-At", "-f", last.path().to_str().unwrap()]) else { return };
        assert!(answer.starts_with(&format!("== 10. Health ==\n{verdict}")), "after {change}: {answer}");
    }
}
