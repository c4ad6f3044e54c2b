//! Migrating: once, however many processes do it at once.

use std::{collections::BTreeSet, path::Path};

use cluster::{Cluster, ClusterSettings};
use store::{Database, StoreError, migrations, tracking, tracking::Source};
use testkit::{ALICE, OwnedDatabase, Owner};

use crate::site::{Site, rows_in, ticker};
use market::Timeframe;

for_every_owner! {
    migrating_twice_does_nothing_the_second_time,
    two_who_migrate_at_once_both_succeed,
    what_supabase_has_applied_is_not_applied_again,
    what_came_first_here_is_told_for_supabases_ledger,
    a_migration_that_fails_changes_nothing_and_is_named,
    the_ledger_is_closed_to_clients,
    a_database_with_another_ledger_is_refused_and_left_as_it_is,
    a_newer_migration_that_says_it_is_compatible_is_no_obstacle,
    a_project_that_has_other_migrations_in_supabases_ledger_is_no_obstacle,
}

for_one_owner! {
    sessions_that_differ_from_the_calendar_are_put_right,
}

async fn unmigrated(owner: Owner) -> OwnedDatabase {
    testkit::unmigrated(owner).await.unwrap()
}

/// Migrated by `migrations::migrate`, once for all.
async fn migrated(owner: Owner) -> OwnedDatabase {
    testkit::migrated(owner).await.unwrap()
}

async fn run(database: &Database, sql: &str) {
    let mut tx = database.begin().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut *tx).await.expect(sql);
    tx.commit().await.unwrap();
}

async fn rows(database: &Database, sql: &str) -> Vec<String> {
    rows_in(&mut database.begin().await.unwrap(), sql).await.expect(sql)
}

/// Our objects with their definitions from the catalog.
const CATALOG: &str = "select n.nspname, c.relname, c.relkind, c.relacl::text, pg_get_viewdef(c.oid) as v
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('public', 'barkeep', 'cron', 'auth')
    union all
    select n.nspname, p.oid::regprocedure::text, 'p', p.proacl::text, md5(p.prosrc)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('public', 'barkeep', 'cron', 'auth')
    union all
    select '', c.oid::regclass::text || ' ' || polname, 'y', '', pg_get_expr(polqual, polrelid)
    from pg_policy join pg_class c on c.oid = polrelid
    order by 1, 2, 3";

/// The migrations, oldest first: version, name, statements.
fn files() -> Vec<(String, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("supabase/migrations");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name.split('_').next().unwrap().to_owned(), name, std::fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(read).collect()
}

async fn migrating_twice_does_nothing_the_second_time(owner: Owner) {
    let site = unmigrated(owner).await;
    let names: Vec<String> = files().into_iter().map(|(_, name, _)| name).collect();
    assert_eq!(migrations::pending(&site.database).await.unwrap(), names);
    let first = migrations::migrate(&site.database).await.unwrap();
    assert_eq!(first.applied, names);
    assert!(first.unknown_to_supabase.is_empty());
    assert!(migrations::pending(&site.database).await.unwrap().is_empty());
    let before = rows(&site.database, CATALOG).await;
    let second = migrations::migrate(&site.database).await.unwrap();
    assert!(second.applied.is_empty());
    assert_eq!(rows(&site.database, CATALOG).await, before);
}

async fn two_who_migrate_at_once_both_succeed(owner: Owner) {
    let site = unmigrated(owner).await;
    let (one, other) = tokio::join!(migrations::migrate(&site.database), migrations::migrate(&site.database));
    let mut applied = [one.unwrap().applied.len(), other.unwrap().applied.len()];
    applied.sort_unstable();
    assert_eq!(applied, [0, files().len()]);
}

/// Applies the first `n` migrations as Supabase's CLI does, and records them in its ledger.
async fn push(site: &OwnedDatabase, n: usize) {
    run(
        &site.database,
        "create schema supabase_migrations;
        create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text)",
    )
    .await;
    for (version, name, statements) in files().into_iter().take(n) {
        run(&site.database, &statements).await;
        let note = format!("insert into supabase_migrations.schema_migrations values ('{version}', '{{}}', '{name}')");
        run(&site.database, &note).await;
    }
}

async fn what_supabase_has_applied_is_not_applied_again(owner: Owner) {
    let all = files().len();
    for applied in [5, all] {
        let site = unmigrated(owner).await;
        push(&site, applied).await;
        let now = migrations::migrate(&site.database).await.unwrap();
        assert_eq!(now.applied.len(), all - applied);
        let unknown: Vec<String> = files().into_iter().skip(applied).map(|(version, _, _)| version).collect();
        assert_eq!(now.unknown_to_supabase, unknown);
        let again = migrations::migrate(&site.database).await.unwrap();
        assert!(again.applied.is_empty());
        assert_eq!(again.unknown_to_supabase, unknown);
        // By either way, the result is the same.
        let fresh = BTreeSet::from_iter(rows(&migrated(owner).await.database, CATALOG).await);
        let pushed = BTreeSet::from_iter(rows(&site.database, CATALOG).await);
        assert_eq!(pushed.difference(&fresh).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(fresh.difference(&pushed).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}

async fn what_came_first_here_is_told_for_supabases_ledger(owner: Owner) {
    let site = migrated(owner).await;
    push(&site, 0).await;
    let told = migrations::migrate(&site.database).await.unwrap().unknown_to_supabase;
    assert_eq!(told, files().into_iter().map(|(version, _, _)| version).collect::<Vec<_>>());
}

async fn a_migration_that_fails_changes_nothing_and_is_named(owner: Owner) {
    let site = unmigrated(owner).await;
    run(&site.database, "create table public.job_runs (mine int)").await;
    let before = rows(&site.database, CATALOG).await;
    let error = migrations::migrate(&site.database).await.unwrap_err();
    let StoreError::Refused(message) = error else { panic!("{error}") };
    assert!(message.contains("20261201001000_queue") && message.contains("job_runs"), "{message}");
    assert_eq!(rows(&site.database, CATALOG).await, before);
}

async fn sessions_that_differ_from_the_calendar_are_put_right(owner: Owner) {
    let site = Site::new(owner).await;
    let sum = "select calendar, count(*), sum(extract(epoch from close_at - open_at)) from barkeep.market_sessions
        group by 1 order by 1";
    let before = site.rows(sum).await;
    assert_eq!(before.len(), 2);
    for harm in [
        "delete from barkeep.market_sessions where session_date = '2026-11-27'",
        "update barkeep.market_sessions set close_at = close_at + interval '3 hours' where early",
        "delete from barkeep.market_sessions",
    ] {
        site.run(harm).await;
        assert_ne!(site.rows(sum).await, before);
        migrations::migrate(&site.database).await.unwrap();
        assert_eq!(site.rows(sum).await, before);
    }
}

async fn the_ledger_is_closed_to_clients(owner: Owner) {
    let site = unmigrated(owner).await;
    push(&site, files().len()).await;
    migrations::migrate(&site.database).await.unwrap();
    let held = "select r, p from unnest(array['anon', 'authenticated']) r,
        unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) p
        where has_table_privilege(r, 'barkeep.migrations', p)";
    assert!(rows(&site.database, held).await.is_empty());
    let forced = "select relrowsecurity and relforcerowsecurity as f from pg_class
        where oid = 'barkeep.migrations'::regclass";
    assert_eq!(rows(&site.database, forced).await, ["(t)"]);
}

/// What `barkeep.migrations` was before it kept checksums, and its first row then.
const OLD_LEDGER: &str = "create schema barkeep;
    create table barkeep.migrations (
        version text primary key, name text not null, applied_at timestamptz not null default now()
    );
    insert into barkeep.migrations values ('20261124000100', '20261124000100_roles_and_users')";

/// The ways in which a ledger can be foreign: whether the database is migrated first, what is done to it then, and
/// what the refusal mentions.
const OTHERS: [(bool, &str, &str); 6] = [
    (false, OLD_LEDGER, "older Barkeep, with the migration 20261124000100"),
    (
        true,
        "alter table barkeep.migrations drop column checksum, drop column compatible",
        "another migration 20261201000100_roles_and_users",
    ),
    (
        true,
        "update barkeep.migrations set checksum = md5('edited') where name like '%_gaps'",
        "another migration 20261201000900_gaps",
    ),
    (
        true,
        "insert into barkeep.migrations (version, name, checksum) values ('20261201000101', 'gone', '')",
        "older Barkeep, with the migration 20261201000101",
    ),
    (
        true,
        "insert into barkeep.migrations (version, name, checksum) values ('20990101000000', 'more', '')",
        "newer Barkeep, to 20990101000000_more",
    ),
    (
        false,
        "create schema supabase_migrations;
        create table supabase_migrations.schema_migrations (version text primary key, statements text[], name text);
        insert into supabase_migrations.schema_migrations values ('20261126000900', '{}', 'coverage')",
        "older Barkeep, with the migration 20261126000900",
    ),
];

async fn a_database_with_another_ledger_is_refused_and_left_as_it_is(owner: Owner) {
    for (is_migrated, change, named) in OTHERS {
        let site = if is_migrated { migrated(owner).await } else { unmigrated(owner).await };
        migrations::check(&site.database).await.unwrap();
        run(&site.database, change).await;
        let before = rows(&site.database, CATALOG).await;
        for refused in [migrations::check(&site.database).await, migrations::migrate(&site.database).await.map(drop)] {
            let error = refused.unwrap_err();
            assert!(matches!(error, StoreError::OtherSchema { .. }), "{error}");
            let message = error.to_string();
            assert!(message.contains(named) && message.contains("use the Barkeep that made it"), "{message}");
            assert!(!message.contains(". ") && !message.contains('\n'), "more than a sentence: {message}");
        }
        assert_eq!(rows(&site.database, CATALOG).await, before);
    }
}

async fn a_newer_migration_that_says_it_is_compatible_is_no_obstacle(owner: Owner) {
    let site = migrated(owner).await;
    run(
        &site.database,
        "insert into barkeep.migrations (version, name, checksum, compatible) values ('20990101000000', 'more', '', true)",
    )
    .await;
    migrations::check(&site.database).await.unwrap();
    assert!(migrations::migrate(&site.database).await.unwrap().applied.is_empty());
}

async fn a_project_that_has_other_migrations_in_supabases_ledger_is_no_obstacle(owner: Owner) {
    let site = unmigrated(owner).await;
    push(&site, 0).await;
    run(
        &site.database,
        "insert into supabase_migrations.schema_migrations values
        ('20251216044131', '{}', 'first'), ('20261124000101', '{}', 'theirs'), ('20990101000000', '{}', 'later')",
    )
    .await;
    migrations::check(&site.database).await.unwrap();
    assert_eq!(migrations::migrate(&site.database).await.unwrap().applied.len(), files().len());
    migrations::check(&site.database).await.unwrap();
}

/// A server of its own, since roles belong to the server: here Supabase's roles don't exist yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plain_owner_makes_the_roles_where_there_are_none() {
    // Not in TMPDIR: the server's user must be able to enter it.
    let folder = tempfile::Builder::new().prefix("bk").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let root_base = folder.path().join("base");
    let mut settings =
        ClusterSettings { root_base, durable: false, ..ClusterSettings::new(folder.path().join("data")) };
    settings.pg_bin = std::env::var_os("PG_BIN").map(Into::into);
    if std::env::var("BARKEEP_TEST_PG_SOURCE").is_ok_and(|source| source == "npm") {
        settings.search = cluster::BinarySearch::npm_only();
    }
    let cluster = Cluster::open(&settings).await.unwrap();
    let superuser = Database::connect(&cluster.url("postgres"), 2).await.unwrap();
    let mut tx = superuser.begin().await.unwrap();
    sqlx::raw_sql("create role plain login password 'barkeep' createrole").execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&cluster.url("postgres")).await.unwrap();
    for name in ["one", "two"] {
        let create = format!("create database {name} owner plain");
        sqlx::raw_sql(sqlx::AssertSqlSafe(create)).execute(&mut connection).await.unwrap();
    }

    // Two databases at once: each tries to create the roles.
    let connect = async |name| {
        let url = cluster.url(name).replace("user=barkeep", "user=plain&password=barkeep");
        Database::connect(&url, 4).await.unwrap()
    };
    let (one, two) = (connect("one").await, connect("two").await);
    let (first, second) = tokio::join!(migrations::migrate(&one), migrations::migrate(&two));
    first.unwrap();
    second.unwrap();
    for database in [one, two] {
        run(&database, &format!("insert into auth.users (id, email) values ('{ALICE}', 'alice@example.com')")).await;
        let of = [ticker("AAPL")];
        let synced = tracking::sync(&database, ALICE, &of, Source::Watchlist, &[Timeframe::H1]).await.unwrap();
        assert_eq!(synced.symbols_tracked, 1);
        database.close().await;
    }
    superuser.close().await;
    drop(connection);
    cluster.close().await.unwrap();
}
