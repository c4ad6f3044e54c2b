//! What crashes, other programs and other people leave in a cluster's way.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use cluster::{Cluster, ClusterError};
use rustix::process::{Pid, Signal};
use sqlx::Connection;

use crate::helper::Helper;
use crate::site::{Site, answer, connect, is_root, until};

#[tokio::test]
async fn a_killed_postmaster_is_started_again_with_all_that_was_committed() {
    let Some(site) = Site::new() else { return };
    let mut settings = site.settings();
    settings.durable = true;
    let cluster = Cluster::open(&settings).await.unwrap();
    let mut client = connect(&cluster).await;
    sqlx::raw_sql("create table kept (n int); insert into kept values (7)").execute(&mut client).await.unwrap();
    rustix::process::kill_process(site.postmaster().unwrap(), Signal::KILL).unwrap();

    let again = Cluster::open(&settings).await.unwrap();
    assert_eq!(answer(&again.url("postgres"), "select string_agg(n::text, ',') from kept").await, "7");
    again.close().await.unwrap();
    cluster.close().await.unwrap();
}

#[tokio::test]
async fn a_start_waits_for_backends_that_outlive_a_killed_postmaster() {
    let Some(site) = Site::new() else { return };
    let cluster = site.open().await;
    let mut busy = connect(&cluster).await;
    let backend: i32 = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut busy).await.unwrap();
    // A loop that looks for interrupts but never waits doesn't notice that the postmaster is gone.
    let query = tokio::spawn(async move {
        sqlx::raw_sql("do $$ begin loop perform 1; end loop; end $$").execute(&mut busy).await.unwrap_err();
    });
    let mut other = connect(&cluster).await;
    let running = "select count(*) from pg_stat_activity where pid = $1 and state = 'active' and query like 'do %'";
    while sqlx::query_scalar::<_, i64>(running).bind(backend).fetch_one(&mut other).await.unwrap() == 0 {}
    other.close().await.unwrap();
    rustix::process::kill_process(site.postmaster().unwrap(), Signal::KILL).unwrap();

    let settings = site.settings();
    let opening = tokio::spawn(async move { Cluster::open(&settings).await });
    let log = cluster.log();
    until("the first start was refused", || {
        let text = std::fs::read_to_string(&log).unwrap();
        text.contains("is still in use") || text.contains("already exists")
    })
    .await;
    assert!(!opening.is_finished());
    rustix::process::kill_process(Pid::from_raw(backend).unwrap(), Signal::KILL).unwrap();
    let again = opening.await.unwrap().unwrap();
    query.await.unwrap();
    connect(&again).await;
    again.close().await.unwrap();
    cluster.close().await.unwrap();
}

/// Until the kernel has taken its socket away, a killed server still seems to answer.
#[tokio::test]
async fn a_server_that_answers_in_its_last_moment_is_started_again() {
    let Some(site) = Site::new() else { return };
    let Ok(_) = std::fs::read_to_string("/proc/net/unix") else {
        eprintln!("left out: this system has no /proc/net/unix");
        return;
    };
    let cluster = site.open().await;
    let postmaster = site.postmaster().unwrap();
    rustix::process::kill_process(postmaster, Signal::STOP).unwrap();
    let at_the_socket = || {
        let socket = cluster.connect_options("postgres").get_socket().unwrap().display().to_string();
        let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
        sockets.lines().filter(|line| line.contains(&socket)).count()
    };
    let before = at_the_socket();
    let settings = site.settings();
    let opening = tokio::spawn(async move { Cluster::open(&settings).await });
    until("it is asked whether it answers, and connected to", || at_the_socket() >= before + 2).await;
    assert!(!opening.is_finished());
    rustix::process::kill_process(postmaster, Signal::KILL).unwrap();
    let again =
        tokio::time::timeout(Duration::from_secs(180), opening).await.expect("it waits for the dead").unwrap().unwrap();
    assert_ne!(site.postmaster(), Some(postmaster));
    connect(&again).await;
    again.close().await.unwrap();
    cluster.close().await.unwrap();
}

#[tokio::test]
async fn an_interrupted_initdb_is_cleared_away_and_done_again() {
    let Some(site) = Site::new() else { return };
    // On a busy machine initdb may be done before it is interrupted: then once more.
    for attempt in 0.. {
        assert!(attempt < 20, "initdb was never interrupted");
        let mut first = Helper::spawn(&site.settings(), None, None);
        let is_begun = || site.leftovers().iter().any(|folder| folder.join("global").exists());
        until("initdb is at work", || is_begun() || site.home().join("data").exists()).await;
        first.kill();
        if !site.home().join("data").exists() {
            break;
        }
        site.open().await.close().await.unwrap();
        std::fs::remove_dir_all(site.home().join("data")).unwrap();
    }
    assert!(!site.leftovers().is_empty());
    let cluster = site.open().await;
    connect(&cluster).await;
    cluster.close().await.unwrap();
    assert!(site.leftovers().is_empty(), "{:?}", site.leftovers());
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_does_not_keep_the_server_down() {
    let Some(site) = Site::new() else { return };
    if !std::path::Path::new("/proc/self/stat").exists() {
        eprintln!("left out: this system has no /proc");
        return;
    }
    let cluster = site.open().await;
    let data = cluster.server_data();
    cluster.close().await.unwrap();

    let owner = data.metadata().unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("600").stdin(Stdio::null()).current_dir("/");
    if is_root() {
        sleep.uid(owner.uid()).gid(owner.gid());
    }
    let mut stranger = sleep.spawn().unwrap();
    let pid_file = data.join("postmaster.pid");
    std::fs::write(&pid_file, format!("{}\n{}\n", stranger.id(), data.display())).unwrap();
    if is_root() {
        chown(&pid_file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let cluster = site.open().await;
    assert_ne!(site.postmaster(), Some(Pid::from_child(&stranger)));
    cluster.close().await.unwrap();
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn a_socket_folder_that_somebody_else_put_there_is_refused() {
    let Some(site) = Site::new() else { return };
    let mut settings = site.settings();
    // Too long for sockets, so the folder is in /tmp, where everybody can write.
    let long = "long".repeat(25);
    settings.data_dir = site.path().join(&long);
    let base = site.path().join("base");
    std::fs::create_dir(&base).unwrap();
    std::fs::set_permissions(&base, std::fs::Permissions::from_mode(0o755)).unwrap();
    settings.root_base = base.join(&long);
    let cluster = Cluster::open(&settings).await.unwrap();
    let address = Cluster::running(&settings).await.unwrap().unwrap();
    let folder = address.socket_dir().to_owned();
    assert!(folder.starts_with("/tmp") && !folder.starts_with(site.path()), "{folder:?}");
    cluster.close().await.unwrap();
    assert!(!folder.exists());

    let target = site.path().join("target");
    std::fs::create_dir(&target).unwrap();
    symlink(&target, &folder).unwrap();
    let error = Site::open_error(&settings).await;
    std::fs::remove_file(&folder).unwrap();
    assert!(matches!(&error, ClusterError::UnsafeDirectory { path, .. } if *path == folder), "{error}");
    assert!(error.to_string().contains("symbolic link"), "{error}");

    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
    let error = Site::open_error(&settings).await;
    std::fs::remove_dir(&folder).unwrap();
    assert!(matches!(&error, ClusterError::UnsafeDirectory { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_start_is_explained_by_its_log() {
    let Some(site) = Site::new() else { return };
    let cluster = site.open().await;
    let conf = cluster.server_data().join("postgresql.conf");
    cluster.close().await.unwrap();
    let good = std::fs::read_to_string(&conf).unwrap();
    std::fs::write(&conf, format!("{good}\nshared_buffers = 'plenty'\n")).unwrap();
    let error = Site::open_error(&site.settings()).await;
    assert!(matches!(error, ClusterError::NotStarted { .. }), "{error}");
    assert!(error.to_string().contains("\"shared_buffers\": \"plenty\""), "{error}");

    std::fs::write(&conf, good).unwrap();
    site.open().await.close().await.unwrap();
}

#[tokio::test]
async fn a_folder_with_other_files_is_not_taken_for_a_cluster() {
    let Some(site) = Site::new() else { return };
    let cluster = site.open().await;
    let data = cluster.server_data();
    cluster.close().await.unwrap();
    std::fs::remove_file(data.join("PG_VERSION")).unwrap();
    let error = Site::open_error(&site.settings()).await;
    assert!(matches!(&error, ClusterError::NotACluster { data: named } if *named == data), "{error}");
    assert!(data.join("postgresql.conf").exists());
}
