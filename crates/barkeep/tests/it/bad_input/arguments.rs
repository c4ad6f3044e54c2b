//! Arguments that can't be, and surroundings in which a command can't work.

use std::{
    fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::running::{Market, Place, Up, finish, finished, quiet_database};

const KEY: &str = "PKWRONGKEYWRONGKEY";
const SECRET: &str = "sk-never-to-be-shown-0123456789";

/// Runs a command that must fail with `code` and returns what it said; nothing of it on standard output.
#[track_caller]
fn failure(command: Command, code: i32) -> String {
    let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let output = finish(command);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{shown}: {error}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{shown}");
    assert!(!error.contains("panicked"), "{shown}: {error}");
    error
}

#[test]
fn an_argument_that_can_not_be_is_named_before_anything_is_done() {
    let place = Place::new();
    for (args, named) in [
        (&["backfill", "--timeframes", "m15"][..], "SYMBOL"),
        (&["backfill", "--days", "3"], "SYMBOL"),
        (&["plan", "AAPL"], "--dry-run"),
        (&["work", "--concurrency", "65"], "--concurrency"),
        (&["backfill", "AA PL"], "AA PL"),
        (&["backfill", "🚀"], "🚀"),
        (&["backfill", "AAPL", "--timeframes", "m15,m7"], "m7"),
        (&["backfill", "AAPL", "--timeframes", "1M"], "1M"),
        (&["backfill", "AAPL", "--from", "yesterday"], "2026-11-23T14:30:00Z"),
        (&["backfill", "AAPL", "--to", "2026-13-01"], "2026-13-01"),
        (&["backfill", "AAPL", "--days", "0"], "--days"),
        (&["backfill", "AAPL", "--days", "7", "--from", "2026-01-01"], "--from"),
        (&["backfill", "AAPL", "--as-of", "noon"], "noon"),
        (&["track", "AAPL", "--source", "favourites"], "chart_view"),
        (&["track"], "SYMBOL"),
        (&["untrack", "AAPL", "--source", "all"], "chart_view"),
        (&["coverage", "AA PL"], "AA PL"),
        (&["export", "AAPL", "m7"], "m7"),
        (&["export", "AAPL", "m15", "--format", "xlsx"], "csv"),
        (&["calendar", "XLON", "--from", "2026-01-01", "--to", "2026-01-02"], "XLON"),
        (&["calendar", "XNYS", "--from", "2026-02-30", "--to", "2026-03-02"], "2026-02-30"),
        (&["token"], "--user"),
        (&["token", "--user", "a@example.com", "--days", "0"], "--days"),
        (&["up", "--listen", "4780"], "4780"),
        (&["up", "--concurrency", "0"], "--concurrency"),
        (&["market-sim", "--fault", "quake=0.1"], "malformed"),
        (&["market-sim", "--fault", "5xx=2"], "share"),
        (&["market-sim", "--requests-per-minute", "0"], "--requests-per-minute"),
        (&["market-sim", "--credentials", "PKONLY"], "colon"),
        (&["no-such-command"], "no-such-command"),
    ] {
        let error = failure(place.barkeep(args), 2);
        assert!(error.contains(named), "{args:?}: {error}");
    }
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0, "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn times_that_are_the_wrong_way_round_are_refused_with_what_to_change() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    for (args, named) in [
        (&["backfill", "KO", "--from", "2026-02-01", "--to", "2026-01-01"][..], "--from must be before --to"),
        (&["backfill", "KO", "--from", "2999-01-01"], "before now"),
        (&["export", "KO", "m15", "--from", "2026-02-01", "--to", "2026-01-01"], "2026-02-01"),
    ] {
        let error = failure(place.barkeep(&[args, &url].concat()), 1);
        assert!(error.contains(named), "{args:?}: {error}");
    }
    let error = failure(place.barkeep(&["calendar", "XNYS", "--from", "2026-02-01", "--to", "2026-01-01"]), 1);
    assert!(error.contains("--to must be after --from"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_or_untracking_of_what_nobody_has_says_how_to_get_it() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    let error = failure(place.barkeep(&["export", "NEVER", "m15", url[0], url[1]]), 1);
    assert!(error.contains("barkeep backfill NEVER"), "{error}");
    let error = failure(place.barkeep(&["untrack", "NEVER", url[0], url[1]]), 1);
    assert!(error.contains("none of these symbols"), "{error}");
    let error = failure(place.barkeep(&["token", "--user", "nobody", url[0], url[1]]), 1);
    assert!(error.contains("'nobody' is not an e-mail address"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_without_a_reachable_provider_says_the_address_and_does_not_try_on_and_on() {
    let (place, database) = (Place::new(), quiet_database().await);
    let mut command = place.barkeep(&["backfill", "KO", "--database-url", &database.url]);
    command.env("APCA_API_DATA_URL", "http://127.0.0.1:9");
    let error = failure(command, 1);
    assert!(error.contains("127.0.0.1:9") && error.contains("could not be reached"), "{error}");

    // Somebody answers there, but it is no provider.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>");
        }
    });
    let mut command = place.barkeep(&["backfill", "KO", "--database-url", &database.url]);
    command.env("APCA_API_DATA_URL", format!("http://{address}"));
    let error = failure(command, 1);
    assert!(error.contains("APCA_API_DATA_URL") || error.contains(&address.to_string()), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1, "asked once what it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_wrong_keys_runs_stay_queued_and_with_the_right_ones_they_are_done_at_once() {
    let (place, database) = (Place::new(), quiet_database().await);
    let mut settings = Market::settings("2026-06-20T12:00:00Z");
    settings.credentials = Some(("PKRIGHT".to_owned(), "right-secret".to_owned()));
    let market = Market::start(settings).await;
    let backfill = |key: &str, secret: &str| {
        let args = ["backfill", "KO", "--as-of", "2026-06-20T12:00:00Z", "--database-url", &database.url];
        let mut command = place.barkeep(&args);
        command.env("APCA_API_DATA_URL", market.url());
        command.env("APCA_API_KEY_ID", key).env("APCA_API_SECRET_KEY", secret).env("BARKEEP_LOG", "trace");
        command
    };
    let output = finished(backfill(KEY, SECRET)).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    let last = error.lines().last().unwrap();
    assert!(last.contains("APCA_API_KEY_ID") && last.contains("APCA_API_SECRET_KEY"), "{last}");
    assert!(!error.contains(KEY) && !error.contains(SECRET), "a key is shown");

    let queue = async || {
        use sqlx::Connection as _;
        let mut sql = sqlx::PgConnection::connect(&database.url).await.unwrap();
        let queue: Vec<(String, i32, i32)> =
            sqlx::query_as("select status, attempt, failures from job_runs").fetch_all(&mut sql).await.unwrap();
        let shown: Vec<Option<String>> =
            sqlx::query_scalar("select error_message from job_runs").fetch_all(&mut sql).await.unwrap();
        assert!(!shown.iter().flatten().any(|text| text.contains(KEY) || text.contains(SECRET)), "a key is stored");
        queue
    };
    let queued = queue().await;
    assert!(!queued.is_empty());
    assert!(queued.iter().all(|(status, _, failures)| status == "queued" && *failures == 0), "{queued:?}");
    let output = finished(backfill("PKRIGHT", "right-secret")).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default());
    assert!(queue().await.iter().all(|(status, _, _)| status == "success"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_up_on_a_directory_or_on_a_port_is_told_what_else_to_choose() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", &database.url];
    let up = Up::start(place.barkeep(&["up", url[0], url[1]])).await;
    let error = failure(place.barkeep(&["up", "--listen", "127.0.0.1:0", url[0], url[1]]), 1);
    assert!(error.contains("already running") && error.contains("--data-dir"), "{error}");
    let elsewhere = Place::new();
    let taken = up.address.trim_start_matches("http://");
    for command in ["up", "market-sim"] {
        let error = failure(elsewhere.barkeep(&[command, "--listen", taken]), 1);
        assert!(error.contains(taken) && error.contains("--listen"), "{command}: {error}");
    }
    let error = failure(elsewhere.barkeep(&["up", "--listen", "203.0.113.7:80"]), 1);
    assert!(error.contains("203.0.113.7:80") && error.contains("--listen"), "{error}");
    assert!(!elsewhere.path().join("postgres").exists(), "no database is made for nothing");
    assert!(up.stop().success());
}

#[test]
fn a_folder_of_bars_that_can_not_be_read_is_named() {
    let place = Place::new();
    let sim = |bars: &str| place.barkeep(&["market-sim", "--listen", "127.0.0.1:0", "--bars", bars]);
    let error = failure(sim("no-such-folder"), 1);
    assert!(error.contains("no-such-folder"), "{error}");
    fs::create_dir(place.path().join("empty")).unwrap();
    let error = failure(sim("empty"), 1);
    assert!(error.contains("empty"), "{error}");
    for (n, broken) in
        ["nonsense", "ts_utc,open,high,low,close,volume\n2026-01-02T14:30:00Z,1,2,x,1,5\n"].iter().enumerate()
    {
        let folder = place.path().join(format!("broken{n}"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("KO.csv"), broken).unwrap();
        let error = failure(sim(folder.to_str().unwrap()), 1);
        assert!(error.contains("KO.csv"), "{error}");
    }
}
