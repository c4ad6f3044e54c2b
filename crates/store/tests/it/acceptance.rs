//! The statements of existing users run unchanged.

use sqlx::{Connection, PgConnection, Row, postgres::PgRow};
use store::tracking::Source;
use testkit::{ALICE, Owner};

use crate::{
    psql::psql,
    site::{Site, TUESDAY},
};
use market::Timeframe;

for_every_owner! {
    the_statements_run_whole_on_a_fresh_database,
    the_statements_run_through_psql,
    the_statements_return_what_their_comments_say,
}

/// The files of statements: the project's own, and any in the folder beside the project.
fn files() -> Vec<&'static str> {
    let own = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statements.sql");
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/acceptance/verification.sql");
    let mut files = vec![own];
    files.extend(std::path::Path::new(beside).is_file().then_some(beside));
    files
}

fn read(file: &str) -> String {
    std::fs::read_to_string(file).expect(file)
}

async fn the_statements_run_whole_on_a_fresh_database(owner: Owner) {
    for file in files() {
        let site = Site::new(owner).await;
        site.run(&read(file)).await;
    }
}

async fn the_statements_run_through_psql(owner: Owner) {
    for file in files() {
        let site = Site::new(owner).await;
        let Some(printed) = psql(&site.owned.owner_url, &["-f", file]) else { return };
        assert!(printed.contains("trigger_auto_create_jobs"), "{printed}");
        assert!(printed.contains("orchestrator-tick"), "{printed}");
    }
}

/// The results of the statements that return rows, in order.
async fn results(site: &Site, statements: &str) -> Vec<Vec<PgRow>> {
    let mut connection = PgConnection::connect(&site.owned.owner_url).await.unwrap();
    let mut results = Vec::new();
    let without_comments: Vec<&str> = statements.lines().map(|l| l.split("--").next().unwrap()).collect();
    for statement in without_comments.join("\n").split(';').filter(|s| !s.trim().is_empty()) {
        let sql = sqlx::AssertSqlSafe(statement.to_owned());
        results.push(sqlx::raw_sql(sql).fetch_all(&mut connection).await.expect(statement));
    }
    results
}

async fn the_statements_return_what_their_comments_say(owner: Owner) {
    for file in files() {
        returned(owner, &read(file)).await;
    }
}

async fn returned(owner: Owner, statements: &str) {
    let site = Site::at(owner, TUESDAY).await;
    site.track(ALICE, &["TSLA"], Source::Watchlist).await;
    site.track(ALICE, &["NVDA"], Source::RecentSearch).await;
    site.track(ALICE, &["AMD"], Source::ChartView).await;
    for timeframe in [Timeframe::M15, Timeframe::H1, Timeframe::H4] {
        site.fill(&site.definition("TSLA", timeframe).await).await;
    }

    let mut results = results(&site, statements).await.into_iter();
    let mut next = || results.next().unwrap();
    let per_timeframe: Vec<(String, i64)> = next().iter().map(|r| (text(r, 0), r.get(1))).collect();
    assert_eq!(per_timeframe.len(), 3);
    assert!(per_timeframe.iter().all(|(_, count)| *count == 20), "{per_timeframe:?}");
    assert_eq!(next().len(), 1, "TSLA tracked");
    let tsla = next();
    assert_eq!(tsla.len(), 3);
    assert!(tsla.iter().all(|r| r.get::<i32, _>("priority") == 300 && r.get::<bool, _>("enabled")));
    for (symbol, priority) in [("NVDA", 100), ("AMD", 200)] {
        let rows = next();
        assert_eq!(rows.len(), 1, "{symbol}");
        assert_eq!(rows[0].get::<i32, _>("priority"), priority);
    }
    assert_eq!(next().len(), 3, "one run of each of TSLA's series");
    let bars = next();
    assert_eq!(bars.iter().map(|r| text(r, 1)).collect::<Vec<_>>(), ["h1", "h4", "m15"]);
    assert!(bars.iter().all(|r| r.get::<i64, _>("bars") > 0));
    let stats = next();
    assert_eq!(stats.len(), 3);
    assert_eq!(stats.iter().map(|r| r.get::<i64, _>("success")).sum::<i64>(), 3);
    assert_eq!(next().len(), 3, "AAPL's coverage");
    assert!(next().is_empty(), "an unknown user tracks nothing");
    assert_eq!(next().len(), 1, "one trigger of that name");
    assert!(next().is_empty(), "the insert");
    let test = next();
    assert_eq!(test.len(), 3);
    assert!(test.iter().all(|r| !r.get::<bool, _>("enabled")), "nothing is fetched for an inactive symbol");
    assert_eq!(next().len(), 1, "the schedule");
    assert_eq!(next().len(), 3, "the last runs");
    assert!(results.next().is_none());
}

fn text(row: &PgRow, column: usize) -> String {
    row.get(column)
}
