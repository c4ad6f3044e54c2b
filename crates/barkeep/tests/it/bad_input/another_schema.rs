//! A database that another version made: every command refuses it in one sentence, and changes nothing.

use sqlx::{Connection as _, PgConnection};

use crate::running::{Place, Up, empty_database};

/// As development versions left it.
const OLD_LEDGER: &str = "create schema barkeep;
    create table barkeep.migrations (
        version text primary key, name text not null, applied_at timestamptz not null default now()
    );
    insert into barkeep.migrations values ('20261124000100', '20261124000100_roles_and_users')";

/// Every command that opens the database, with what it can't do without.
const COMMANDS: [&[&str]; 22] = [
    &["up", "--listen", "127.0.0.1:0"],
    &["serve", "--listen", "127.0.0.1:0"],
    &["plan"],
    &["plan", "--dry-run"],
    &["work"],
    &["migrate"],
    &["token", "--user", "alice@example.com"],
    &["user", "list"],
    &["sign-in", "--user", "alice@example.com"],
    &["track", "AAPL"],
    &["untrack", "AAPL"],
    &["backfill", "AAPL"],
    &["refetch", "AAPL"],
    &["status"],
    &["coverage"],
    &["runs"],
    &["gaps"],
    &["retry"],
    &["doctor"],
    &["providers"],
    &["verify"],
    &["export", "AAPL", "h1"],
];

/// Those that don't.
const WITHOUT: [&str; 4] = ["db", "keys", "calendar", "market-sim"];

async fn objects(sql: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar(
        "select c.oid::regclass::text || c.relkind::text || coalesce(c.relacl::text, '') from pg_class c
        where c.relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace) order by 1",
    )
    .fetch_all(sql)
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_refuses_it_and_changes_nothing() {
    let place = Place::new();
    let help = place.printed(&["--help"]);
    // Under their groups' headings, before the options.
    let lines = help.lines().take_while(|line| *line != "Options:").filter(|line| line.starts_with("  "));
    let commands: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    for command in &commands {
        let listed = COMMANDS.iter().any(|args| args[0] == *command) || WITHOUT.contains(command);
        assert!(listed, "{command} isn't tried here");
    }
    for args in COMMANDS {
        assert!(commands.contains(&args[0]), "{} isn't in the help: {commands:?}", args[0]);
    }

    let database = empty_database().await;
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    sqlx::raw_sql(OLD_LEDGER).execute(&mut sql).await.unwrap();
    let before = objects(&mut sql).await;
    for args in COMMANDS {
        let output = place.run(&[args, &["--database-url", &database.url]].concat());
        assert!(!output.status.success(), "{args:?}");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(said.contains("older Barkeep") && said.contains("name an empty database"), "{args:?}: {said}");
    }
    assert_eq!(objects(&mut sql).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_private_one_it_says_where_it_is() {
    let place = Place::new();
    let up = Up::start(place.barkeep(&["up"])).await;
    let url = place.printed(&["db", "url"]);
    let mut sql = PgConnection::connect(url.trim()).await.unwrap();
    sqlx::query("update barkeep.migrations set checksum = ''").execute(&mut sql).await.unwrap();
    sql.close().await.unwrap();
    up.stop();
    for args in [&["status"][..], &["up", "--listen", "127.0.0.1:0"], &["migrate"]] {
        let said = place.complaint(args);
        assert!(said.contains("another migration") && said.contains("--data-dir"), "{args:?}: {said}");
        assert!(said.contains(&place.path().display().to_string()), "{args:?}: {said}");
    }
}
