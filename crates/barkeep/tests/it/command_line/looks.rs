//! `status`, `runs`, `gaps`, `retry`, `plan --dry-run`, `doctor`: what is going on, as tables and as JSON, and what to do.

use serde_json::Value;
use sqlx::{Connection as _, PgConnection};

use crate::running::{Market, Place, Served, finish, quiet_database};

const AS_OF: &str = "2026-06-18T23:00:00Z";

async fn served(market: &Market) -> Served {
    Served::start_with(|command| {
        command.env("APCA_API_DATA_URL", market.url()).args(["--as-of", AS_OF]);
    })
    .await
}

/// Runs a command on the served database as its users do; what it printed as JSON, and whether it succeeded.
fn look(served: &Served, market: &Market, args: &[&str]) -> (bool, Value) {
    let mut command = served.place.barkeep(&[args, &["--json", "--database-url", &served.database.url]].concat());
    command.env("APCA_API_DATA_URL", market.url());
    let output = finish(command);
    let json = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.success(), json)
}

/// A check of the doctor's.
fn found<'a>(findings: &'a Value, check: &str) -> &'a Value {
    findings
        .as_array()
        .unwrap()
        .iter()
        .find(|f| f["check"] == check)
        .unwrap_or_else(|| panic!("no {check}: {findings}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn status_gaps_and_the_dry_run_say_what_is_and_what_would_be() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    let (_, status) = look(&served, &market, &["status"]);
    assert_eq!((&status["scheduler"]["status"], &status["queue"]["series"]), (&"ok".into(), &3.into()), "{status}");
    assert_eq!(status["processes"][0]["alive"], true);
    assert_eq!(
        status["processes"][0]["address"].as_str().map(|a| format!("http://{a}")).as_ref(),
        Some(&served.up.address)
    );
    assert!(status["budgets"][0]["left"].as_i64().unwrap() > 0, "{status}");
    assert!(status["market_now"].as_str().unwrap().starts_with("2026-06-18T23:0"));
    assert_eq!(look(&served, &market, &["gaps"]).1, serde_json::json!([]));

    // A hole that nobody has queued, since its series is not due.
    let mut sql = served.sql().await;
    sqlx::query("alter table coverage_status disable trigger user").execute(&mut sql).await.unwrap();
    sqlx::query(
        "update coverage_status
        set covered = covered - '{[2026-06-10 13:30:00+00,2026-06-10 20:00:00+00)}'::tstzmultirange
        where symbol = 'KO' and timeframe = 'h1'",
    )
    .execute(&mut sql)
    .await
    .unwrap();
    let (_, gaps) = look(&served, &market, &["gaps", "ko"]);
    assert_eq!(gaps.as_array().unwrap().len(), 1, "{gaps}");
    assert_eq!(
        (&gaps[0]["timeframe"], &gaps[0]["bars"], &gaps[0]["state"]),
        (&"h1".into(), &7.into(), &"not queued".into())
    );
    let requests = market.simulator.stats().total();
    let (_, plan) = look(&served, &market, &["plan", "--dry-run", "KO"]);
    assert_eq!((&plan["total"], &plan["minimum"]), (&1.into(), &1.into()), "{plan}");
    let request = &plan["requests"][0];
    assert_eq!((&request["because"], &request["wanted_by"]), (&"interior gap".into(), &"watchlist".into()));
    assert_eq!((&request["timeframe"], &request["symbols"]), (&"m30".into(), &serde_json::json!(["KO"])));
    assert_eq!(market.simulator.stats().total(), requests, "a dry run sends nothing");
    let runs: i64 =
        sqlx::query_scalar("select count(*) from job_runs where status = 'queued'").fetch_one(&mut sql).await.unwrap();
    assert_eq!(runs, 0, "and queues nothing");
    // The tables say the same.
    let url = ["--database-url", served.database.url.as_str()];
    for (args, said) in [
        (vec!["status"], "scheduler   ok"),
        (vec!["gaps"], "not queued"),
        (vec!["runs", "KO"], "success"),
        (vec!["runs", "--status", "queued"], "No matching runs"),
        (vec!["retry"], "No failed runs to retry"),
    ] {
        let printed = served.place.printed(&[&args[..], &url].concat());
        assert!(printed.contains(said), "{args:?}: {printed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_nobody_knows_is_answered_with_the_one_that_was_meant() {
    let (place, database) = (Place::new(), quiet_database().await);
    let url = ["--database-url", database.url.as_str()];
    let error = |args: &[&str]| place.complaint(&[args, &url].concat());
    assert!(error(&["retry", "APPL"]).contains("Did you mean AAPL?"));
    assert!(error(&["export", "MSTF", "m15"]).contains("Did you mean MSFT?"));
    assert!(error(&["track", "AAPL,MSFT"]).contains("Separate them with spaces: AAPL MSFT"));
    assert!(error(&["track", "$AAPL"]).contains("Did you mean AAPL?"));
    let output = finish(place.barkeep(&["coverage", "NVDIA", url[0], url[1]]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Did you mean NVDA?"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_nothing_wrong_where_nothing_is() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    served.up.sync(&served.anon_key, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    served.up.until(&served.anon_key, "KO", "complete").await;
    let (well, findings) = look(&served, &market, &["doctor"]);
    assert!(well, "{findings}");
    for finding in findings.as_array().unwrap() {
        let expected = match finding["check"].as_str().unwrap() {
            // Tests run on history, and behind a pooler in one of the suites.
            "market clock" => "warning",
            "notifications" if crate::is_pooled() => "warning",
            _ => "ok",
        };
        assert_eq!(finding["state"], expected, "{finding}");
    }
    let printed = served.place.run(&["doctor", "--database-url", &served.database.url]);
    assert!(String::from_utf8_lossy(&printed.stdout).contains("row level security"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_names_each_thing_that_is_wrong_and_its_mend() {
    let mut settings = Market::settings(AS_OF);
    settings.credentials = Some(("PKRIGHT".to_owned(), "right".to_owned()));
    let market = Market::start(settings).await;
    let (place, database) = (Place::new(), quiet_database().await);
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    for statement in [
        "alter table job_runs disable row level security",
        "alter table user_symbol_tracking disable trigger trigger_auto_create_jobs",
        "grant insert on job_definitions to anon",
        "insert into user_symbol_tracking (user_id, symbol_id, source, priority)
            select (select id from auth.users limit 1), id, 'watchlist', 300 from symbols where ticker = 'AAPL'",
        "delete from job_definitions where symbol = 'AAPL'",
        "update symbols set listing = 'unknown' where ticker = 'TSLA'",
        "update symbols set actions_checked_at = now(), actions_known_at = null where ticker in ('MSFT', 'AMD')",
        "update job_definitions set enabled = true, priority = 77, updated_at = now() - interval '1 hour'
            where symbol in ('TSLA', 'AMD')",
        "insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, status, lease_until, attempt)
            select id, symbol, timeframe, job_type, '2026-06-20 00:00+00', '2026-06-21 00:00+00', 'running',
                now() - interval '10 minutes', 1 from job_definitions where symbol = 'AMD'",
        "insert into job_runs (job_def_id, symbol, timeframe, job_type, slice_from, slice_to, priority)
            select id, symbol, timeframe, job_type, '2026-06-20 00:00+00', '2026-06-21 00:00+00', 5
            from job_definitions where symbol = 'AMD'",
        "insert into ohlc_bars_v2 (symbol_id, timeframe, ts, open, high, low, close, volume, provider)
            select id, 'h1', '1970-01-20 14:30:00+00', 1, 1, 1, 1, 1, 'x' from symbols where ticker = 'AMD'",
        "create or replace function public.claim_queued_job() returns table (job_run_id uuid, symbol text, timeframe text,
                job_type text, slice_from timestamptz, slice_to timestamptz) language plpgsql as $$
            begin return query select id, symbol, timeframe, job_type, slice_from, slice_to from job_runs; end $$",
    ] {
        sqlx::query(statement).execute(&mut sql).await.expect(statement);
    }
    let mut command = place.barkeep(&["doctor", "--json", "--database-url", &database.url]);
    command
        .env("APCA_API_DATA_URL", market.url())
        .env("APCA_API_KEY_ID", "PKWRONG")
        .env("APCA_API_SECRET_KEY", "wrong");
    let output = finish(command);
    assert_eq!(output.status.code(), Some(1));
    let findings: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (check, named) in [
        ("row level security", "job_runs"),
        ("triggers", "trigger_auto_create_jobs"),
        ("anonymous clients", "job_definitions (INSERT)"),
        ("job definitions", "3 tracked series"),
        ("priorities", "definitions"),
        ("queue order", "queued runs"),
        ("slices", "overlap"),
        ("closed hours", "closed hours"),
        ("stale runs", "worker is gone"),
        ("bar times", "1 series"),
        ("functions", "claim_queued_job"),
        ("scheduler", "nothing is planned"),
        ("workers", "nothing is fetched"),
        ("provider key", "APCA_API_KEY_ID"),
    ] {
        let finding = found(&findings, check);
        assert_eq!(finding["state"], "broken", "{finding}");
        assert!(finding["found"].as_str().unwrap().contains(named), "{finding}");
        assert!(!finding["mend"].as_str().unwrap().is_empty(), "{finding}");
    }
    assert!(found(&findings, "unknown symbols")["found"].as_str().unwrap().contains("TSLA"));
    let actions = found(&findings, "splits and dividends");
    assert_eq!(
        actions["found"], "unknown of AMD: adjusted bars of these may be wrong",
        "MSFT isn't fetched: {actions}"
    );
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(!shown.contains("PKWRONG") && !shown.contains("\"wrong\""), "a key is shown");
    // Looking changes nothing.
    let left: i64 =
        sqlx::query_scalar("select count(*) from job_runs where attempt > 1").fetch_one(&mut sql).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_says_what_to_do_where_there_is_no_database_or_no_schema() {
    let (place, empty) = (Place::new(), crate::running::empty_database().await);
    let doctor = |url: &str| {
        let output = finish(place.barkeep(&["doctor", "--json", "--database-url", url]));
        assert_eq!(output.status.code(), Some(1));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let findings = doctor("postgresql://nobody@127.0.0.1:1/none");
    assert_eq!(found(&findings, "database reachable")["state"], "broken");
    let findings = doctor(&empty.url);
    assert!(found(&findings, "schema")["mend"].as_str().unwrap().contains("barkeep migrate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn interest_goes_through_a_running_server_where_one_is_named() {
    let market = Market::start(Market::settings(AS_OF)).await;
    let served = served(&market).await;
    let through = |args: &[&str], variables: &[(&str, &str)]| {
        // Of another machine: neither its database nor its secret is at hand.
        let place = Place::new();
        let mut command = place.barkeep(args);
        command.envs(variables.iter().copied());
        let output = finish(command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (url, anon) = (served.up.address.as_str(), served.anon_key.as_str());
    // As the old client is configured.
    let supabase = [("SUPABASE_URL", url), ("SUPABASE_ANON_KEY", anon)];
    let (code, printed, error) = through(&["track", "KO", "--json"], &supabase);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap()["symbols_tracked"], 1);
    let token = served.token("a@example.com");
    let as_a = [("BARKEEP_TOKEN", token.as_str())];
    let (code, printed, error) = through(&["track", "PEP", "--server", url], &as_a);
    assert!(code == Some(0) && printed.contains(&format!("through {url}")), "{printed} {error}");
    let named = |listed: Value| -> Vec<String> {
        listed["items"].as_array().unwrap().iter().map(|i| i["symbol"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(named(served.up.get(anon, "/api/v1/watchlist").await.1), ["KO"]);
    assert_eq!(named(served.up.get(&token, "/api/v1/watchlist").await.1), ["PEP"]);
    assert_eq!(through(&["untrack", "PEP", "--server", url], &as_a).0, Some(0));
    assert_eq!(named(served.up.get(&token, "/api/v1/watchlist").await.1), [""; 0]);
    // On the same machine the data directory's secret will do.
    let own = served.place.run(&["track", "IBM", "--server", url]);
    assert!(own.status.success(), "{}", String::from_utf8_lossy(&own.stderr));
    for (args, variables, said) in [
        (vec!["track", "KO", "--server", url], vec![("BARKEEP_TOKEN", "nonsense")], "barkeep token --user"),
        (
            vec!["track", "KO", "--server", "http://127.0.0.1:1"],
            vec![("BARKEEP_TOKEN", "x")],
            "can't connect to the server",
        ),
        (vec!["track", "KO", "--server", "localhost"], vec![("BARKEEP_TOKEN", "x")], "http://127.0.0.1:4780"),
        (vec!["untrack", "NEVER", "--server", url], as_a.to_vec(), "none of these symbols"),
    ] {
        let (code, _, error) = through(&args, &variables);
        assert!(code == Some(1) && error.contains(said), "{args:?}: {error}");
    }
}
