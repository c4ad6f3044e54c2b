//! `supabase/schema.sql`: the whole schema of a database, generated, for reading. And the files that create it.

use std::{collections::BTreeMap, path::Path, process::Command};

use testkit::Owner;

use crate::site::{Site, rows_in};

const WRITE: &str = "BARKEEP_WRITE_SCHEMA";

/// Another major version formats the same differently.
const MAJOR: &str = "15";

/// `pg_dump` of the major version that the file was generated with. `None`, reported on stderr, if there is none; on
/// CI that fails.
fn pg_dump() -> Option<std::path::PathBuf> {
    let folders = [std::env::var("PG_BIN").ok(), Some(format!("/usr/lib/postgresql/{MAJOR}/bin")), Some(String::new())];
    let found = folders.into_iter().flatten().map(|folder| Path::new(&folder).join("pg_dump")).find(|program| {
        let version = Command::new(program).arg("--version").output();
        version.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).starts_with(&format!("pg_dump (PostgreSQL) {MAJOR}."))
        })
    });
    if found.is_none() {
        assert!(std::env::var_os("CI").is_none(), "there is no pg_dump {MAJOR}");
        eprintln!("left out: there is no pg_dump {MAJOR}");
    }
    found
}

/// Differences between machines for the same schema: versions, settings of the session, and tokens.
fn normalised(dump: &str) -> String {
    let mut text = format!(
        "-- Generated: what a database has when every migration is applied (PostgreSQL {MAJOR}, owner barkeep). Read it, don't edit\n\
         -- it. To make it anew: {WRITE}=1 cargo test -p barkeep-store --test it schema\n"
    );
    let mut blank = true;
    for line in dump.lines() {
        let noise = ["--", "SET ", "SELECT pg_catalog.set_config", "\\restrict", "\\unrestrict"];
        if noise.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        if line.is_empty() {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_generated_schema_is_that_of_a_database() {
    let Some(pg_dump) = pg_dump() else { return };
    let site = Site::new(Owner::Superuser).await;
    let server = site.value("select current_setting('server_version_num')::int / 10000, current_user").await;
    if server != format!("{MAJOR},barkeep") {
        eprintln!("left out: the server and its superuser are {server}");
        return;
    }
    let schemas = ["public", "barkeep", "auth", "cron"].map(|schema| format!("--schema={schema}"));
    let output = Command::new(pg_dump)
        .args(["--schema-only", "--no-owner", "--dbname", &site.owned.url])
        .args(schemas)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = normalised(&String::from_utf8(output.stdout).unwrap());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("supabase/schema.sql");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, text).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = written.lines().zip(text.lines()).find(|(a, b)| a != b);
    assert!(
        written == text,
        "supabase/schema.sql isn't what the migrations make, from {differing:?} on: {WRITE}=1 cargo test -p barkeep-store --test it \
         schema makes it anew"
    );
}

/// The names of what `create` creates in the migrations, by kind, with the file.
fn created() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("supabase/migrations");
    let mut created = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            assert!(!line.starts_with("create or replace"), "{} replaces something: {line}", path.display());
            assert!(!line.starts_with("drop "), "{} drops something: {line}", path.display());
            assert!(!line.starts_with("alter table"), "{} alters what another file made: {line}", path.display());
            for kind in ["function", "table"] {
                let Some(rest) = line.strip_prefix(&format!("create {kind} ")) else { continue };
                let name = rest.split(['(', ' ']).next().unwrap();
                created.push((format!("{kind} {name}"), path.file_stem().unwrap().to_str().unwrap().to_owned()));
            }
        }
    }
    created
}

/// Until the first release the files are edited in place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_is_written_once() {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for (name, _) in created() {
        *times.entry(name).or_default() += 1;
    }
    // Overloads: two signatures of one name.
    let overloaded = ["function barkeep.calendar_of", "function public.get_user_tracked_symbols_status"];
    let twice: Vec<_> = times.iter().filter(|(name, n)| **n > 1 && !overloaded.contains(&name.as_str())).collect();
    assert!(twice.is_empty(), "{twice:?}");
    let functions = times.iter().filter(|(name, _)| name.starts_with("function ")).map(|(_, n)| n).sum::<usize>();
    let site = Site::new(Owner::Superuser).await;
    let made = "select count(*) from pg_proc where pronamespace in ('barkeep'::regnamespace, 'public'::regnamespace)";
    assert_eq!(rows_in(&mut site.database.begin().await.unwrap(), made).await.unwrap(), [format!("({functions})")]);
}

#[test]
fn the_definition_of_a_gap_is_found_under_that_name() {
    let created = created();
    let (_, file) = created.iter().find(|(name, _)| name == "function public.get_coverage_gaps").unwrap();
    assert!(file.ends_with("_gaps"), "{file}");
}

/// Every file below `folder`, with its path below the workspace.
fn files_below(folder: &Path, found: &mut Vec<(String, String)>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files_below(&path, found);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
            found.push((path.strip_prefix(workspace).unwrap().display().to_string(), text));
        }
    }
}

/// The inputs of the build: the migrations, and every crate's sources except those of `bench`, which measures from
/// outside.
fn sources() -> Vec<(String, String)> {
    let store = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    files_below(&store.join("supabase/migrations"), &mut found);
    files_below(&store.join("sql"), &mut found);
    for member in std::fs::read_dir(store.parent().unwrap()).unwrap() {
        let member = member.unwrap().path();
        if !member.ends_with("bench") {
            files_below(&member.join("src"), &mut found);
        }
    }
    assert!(found.len() > 100);
    found
}

#[test]
fn the_table_of_bars_is_named_in_one_place_of_each_language() {
    let allowed = |path: &str| {
        path.starts_with("store/src/bars/")
            || path.ends_with("_bars.sql")
            // Privileges and policies belong to tables.
            || path.ends_with("_access.sql")
            // For users' own rows.
            || path == "store/sql/monitor_multi_timeframe.sql"
    };
    let named: Vec<_> = sources().into_iter().filter(|(_, text)| text.contains("ohlc_bars")).collect();
    assert!(named.iter().any(|(path, _)| path.ends_with("_bars.sql")));
    let elsewhere: Vec<_> = named.iter().map(|(path, _)| path).filter(|path| !allowed(path)).collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?} name the table of bars: ask store::bars or its SQL functions");
}

#[test]
fn one_function_makes_series_due() {
    let sets = |line: &&str| line.contains("next_due_at =") && !line.trim_start().starts_with("--");
    let mut setting = Vec::new();
    for (path, text) in sources() {
        setting.extend(text.lines().filter(sets).map(|line| format!("{path}: {}", line.trim())));
    }
    setting.sort();
    // The planner sets the next due time; all other code uses make_due.
    let planner = setting.iter().filter(|line| line.starts_with("store/src/definitions.rs")).count();
    assert_eq!((setting.len(), planner), (3, 2), "{setting:#?}");
    assert!(
        setting.iter().any(|line| line.ends_with("_definitions.sql: set next_due_at = p_at, due_reason = p_reason"))
    );
}
