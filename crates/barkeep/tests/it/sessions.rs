//! Sessions that a file closes and reopens, while Barkeep runs.

use sqlx::Connection as _;

use crate::running::{Market, Served, eventually};

const HEADER: &str = "calendar,date,change,close\n";

/// A Tuesday, noon in New York.
const AS_OF: &str = "2026-11-24T17:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_file_closes_a_session_and_its_gap_goes_away_and_reopens_it_and_it_is_filled() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let mut file = None;
    let logs = tempfile::tempdir().unwrap();
    let log = logs.path().join("log");
    let served = Served::start_with(|command| {
        let path = command.get_current_dir().unwrap().join("sessions.csv");
        command.stderr(std::fs::File::create(&log).unwrap());
        // The day is closed from the beginning.
        std::fs::write(&path, format!("{HEADER}XNYS,2026-11-18,closed\n")).unwrap();
        command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_SESSIONS", &path).args(["--as-of", AS_OF]);
        file = Some(path);
    })
    .await;
    let file = file.unwrap();
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    let bars = async || -> i64 {
        sqlx::query_scalar("select count(*) from ohlc_bars_v2 where timeframe = 'm15' and ts::date = '2026-11-18'")
            .fetch_one(&mut served.sql().await)
            .await
            .unwrap()
    };
    let gaps = async || -> i64 {
        sqlx::query_scalar("select count(*) from get_coverage_gaps('KO', 'm15', 14)")
            .fetch_one(&mut served.sql().await)
            .await
            .unwrap()
    };
    assert_eq!((bars().await, gaps().await), (0, 0));

    // Half of it is reopened, and filled without anybody asking; then the rest.
    std::fs::write(&file, format!("{HEADER}XNYS,2026-11-18,early\n")).unwrap();
    eventually("the half day's bars came", async || (bars().await == 14 && gaps().await == 0).then_some(())).await;
    std::fs::write(&file, HEADER).unwrap();
    eventually("the whole day's bars came", async || (bars().await == 26 && gaps().await == 0).then_some(())).await;
    let h1: Vec<String> = sqlx::query_scalar(
        "select to_char(ts at time zone 'UTC', 'HH24:MI') from ohlc_bars_v2
        where timeframe = 'h1' and ts::date = '2026-11-18' order by ts",
    )
    .fetch_all(&mut served.sql().await)
    .await
    .unwrap();
    assert_eq!(h1, ["14:30", "15:30", "16:30", "17:30", "18:30", "19:30", "20:30"]);

    // A session of which nothing is stored is closed: its gap goes away.
    sqlx::raw_sql(
        "update coverage_status set covered = covered - '{[2026-11-19 14:30+00, 2026-11-19 21:00+00)}'::tstzmultirange;
        update job_definitions set enabled = false;",
    )
    .execute(&mut served.sql().await)
    .await
    .unwrap();
    assert_eq!(gaps().await, 1);
    std::fs::write(&file, format!("{HEADER}XNYS,2026-11-19,closed\n")).unwrap();
    eventually("its gap went away", async || (gaps().await == 0).then_some(())).await;

    // What can't be meant changes nothing.
    std::fs::write(&file, format!("{HEADER}XNYS,2026-11-19,shut\n")).unwrap();
    eventually("it has been looked at", async || {
        std::fs::read_to_string(&log).unwrap().contains("Sessions are unchanged").then_some(())
    })
    .await;
    assert_eq!(gaps().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_sessions_that_cannot_be_meant_ends_the_start_and_names_the_line() {
    let place = crate::running::Place::new();
    let path = place.path().join("sessions.csv");
    std::fs::write(&path, format!("{HEADER}XNYS,2026-11-18,closed\nXNYS,2026-11-19,shut\n")).unwrap();
    std::fs::write(place.path().join("barkeep.toml"), "sessions = \"sessions.csv\"\n").unwrap();
    let calendar = ["calendar", "XNYS", "--from", "2026-11-17", "--to", "2026-11-20"];
    let told = place.complaint(&calendar);
    assert!(told.contains("sessions.csv: line 3: 'shut' isn't a valid change"), "{told}");
    std::fs::write(&path, format!("{HEADER}XNYS,2026-11-18,closed\n")).unwrap();
    let printed = place.printed(&calendar);
    assert!(!printed.contains("2026-11-18") && printed.contains("2026-11-19,"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_file_goes_by_the_sessions_of_the_planner_that_has_it() {
    let mut site = crate::parts::Site::new(|_| {}).await;
    let folder = tempfile::tempdir().unwrap();
    let (config, file) = (folder.path().join("barkeep.toml"), folder.path().join("sessions.csv"));
    // 17 June 2026 closes early, within a bar of an hour, and at another hour than half days do.
    std::fs::write(&file, format!("{HEADER}XNYS,2026-06-17,early,11:00\n")).unwrap();
    std::fs::write(&config, format!("sessions = '{}'\n", file.display())).unwrap();
    let _planner = site.part(&["plan", "--as-of", crate::parts::AS_OF, "--config", config.to_str().unwrap()]);
    let _worker = site.part(&["work"]);
    site.track(&["KO"]).await;
    let bars = async || -> Vec<String> {
        sqlx::query_scalar(
            "select to_char(ts at time zone 'America/New_York', 'HH24:MI') from ohlc_bars_v2
            where timeframe = 'h1' and ts::date = '2026-06-17' order by ts",
        )
        .fetch_all(&mut site.sql().await)
        .await
        .unwrap()
    };
    site.until_all_is_done().await;
    assert_eq!(bars().await, ["09:30", "10:30"]);
    std::fs::write(&file, HEADER).unwrap();
    let whole = ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"];
    eventually("the whole day's bars came", async || (bars().await == whole).then_some(())).await;
    // The bar that was cut was made again, whole: it is the sum of its quarters.
    let cut: (f64, f64) = sqlx::query_as(
        "select sum(volume) filter (where timeframe = 'h1'), sum(volume) filter (where timeframe = 'm15')
        from ohlc_bars_v2 where ts >= '2026-06-17 14:30+00' and ts < '2026-06-17 15:30+00'",
    )
    .fetch_one(&mut site.sql().await)
    .await
    .unwrap();
    assert_eq!(cut.0, cut.1);
}

#[tokio::test(flavor = "multi_thread")]
async fn stocks_are_kept_in_extended_hours_where_the_settings_say_so_and_in_regular_ones_again() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let mut served = Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_STOCK_HOURS", "extended").args(["--as-of", AS_OF]);
    })
    .await;
    let url = served.database.url.clone();
    let day = async |timeframe: &str| -> Vec<String> {
        let mut sql = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query_scalar(
            "select to_char(ts at time zone 'America/New_York', 'HH24:MI') from ohlc_bars_v2 b
            join symbols s on s.id = b.symbol_id and s.ticker = 'KO'
            where timeframe = $1 and (ts at time zone 'America/New_York')::date = '2026-11-18' order by ts",
        )
        .bind(timeframe)
        .fetch_all(&mut sql)
        .await
        .unwrap()
    };
    let wanted = r#"{"symbols":["KO"],"source":"watchlist","timeframes":["m15","h1","h4","d1"]}"#;
    served.up.sync(&served.anon_key, wanted).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    let (m15, h1) = (day("m15").await, day("h1").await);
    // Before the open and after the close there are quarters without a trade.
    assert!(m15.len() > 40 && m15[0].as_str() < "09:30" && m15[m15.len() - 1].as_str() >= "18:00", "{m15:?}");
    let hours: Vec<String> = (4..20).map(|hour| format!("{hour:02}:00")).collect();
    assert!(h1.len() > 12 && h1.iter().all(|start| hours.contains(start)), "{h1:?}");
    assert!(h1.contains(&"09:00".to_owned()), "{h1:?}");
    assert_eq!(day("h4").await, ["04:00", "08:00", "12:00", "16:00"]);
    assert_eq!(day("d1").await, ["00:00"]);
    // An hour is the sum of its quarters, on this grid too.
    let differing: i64 = sqlx::query_scalar(
        "select count(*) from ohlc_bars_v2 h
        where h.timeframe = 'h1' and h.ts >= '2026-11-02' and h.volume <> (
            select sum(q.volume) from ohlc_bars_v2 q
            where q.timeframe = 'm15' and q.symbol_id = h.symbol_id and q.ts >= h.ts and q.ts < h.ts + interval '1 hour'
        )",
    )
    .fetch_one(&mut served.sql().await)
    .await
    .unwrap();
    assert_eq!(differing, 0);

    // Another start says otherwise.
    let mut command = served.place.barkeep(&["up", "--database-url", &served.database.url, "--as-of", AS_OF]);
    command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_STOCK_HOURS", "regular");
    served.up.crash();
    served.up = crate::running::Up::start(command).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    assert_eq!(day("m15").await.len(), 26);
    assert_eq!(day("h1").await, ["09:30", "10:30", "11:30", "12:30", "13:30", "14:30", "15:30"]);
    assert_eq!(day("h4").await, ["09:30", "13:30"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn hours_that_cannot_be_meant_end_the_start_and_the_calendar_shows_those_that_can() {
    let place = crate::running::Place::new();
    let calendar = ["calendar", "XNYS", "--from", "2026-11-25", "--to", "2026-11-28"];
    std::fs::write(place.path().join("barkeep.toml"), "stock_hours = \"pre-market\"\n").unwrap();
    let told = place.complaint(&calendar);
    assert!(told.contains("'pre-market' isn't a valid choice of stock hours: use regular or extended"), "{told}");
    std::fs::write(place.path().join("barkeep.toml"), "stock_hours = \"extended\"\n").unwrap();
    let printed = place.printed(&calendar);
    assert!(printed.contains("2026-11-25,2026-11-25T09:00:00Z,2026-11-26T01:00:00Z,0"), "{printed}");
    assert!(printed.contains("2026-11-27,2026-11-27T09:00:00Z,2026-11-27T22:00:00Z,1"), "{printed}");
}
