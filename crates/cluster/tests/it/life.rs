//! Making, reopening, sharing and leaving a cluster.

use std::process::Command;

use cluster::{Cluster, ClusterSettings};

use crate::helper::Helper;
use crate::site::{Site, answer, connect};

#[tokio::test]
async fn what_was_written_is_there_after_closing_and_reopening() {
    let Some(site) = Site::new() else { return };
    let cluster = site.open().await;
    sqlx::raw_sql("create table kept (n int); insert into kept values (7)")
        .execute(&mut connect(&cluster).await)
        .await
        .unwrap();
    cluster.close().await.unwrap();
    assert_eq!(site.postmaster(), None);

    let cluster = site.open().await;
    assert_eq!(answer(&cluster.url("postgres"), "select string_agg(n::text, ',') from kept").await, "7");
    cluster.close().await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_utf8_with_checksums_and_without_tcp() {
    let Some(site) = Site::new() else { return };
    // As users have it: a test's own has no checksums.
    let cluster = Cluster::open(&ClusterSettings { durable: true, ..site.settings() }).await.unwrap();
    let url = cluster.url("postgres");
    let shown = "select concat_ws('|', current_setting('server_encoding'), current_setting('data_checksums'), \
                 current_setting('listen_addresses'), current_setting('unix_socket_permissions'), \
                 current_setting('TimeZone'), current_user, inet_server_addr())";
    assert_eq!(answer(&url, shown).await, "UTF8|on||0700|UTC|barkeep");
    cluster.close().await.unwrap();
}

#[tokio::test]
async fn a_cluster_is_fully_durable_unless_a_test_says_otherwise() {
    let Some(site) = Site::new() else { return };
    let shown = "select concat_ws('|', current_setting('fsync'), current_setting('synchronous_commit'), \
                 current_setting('full_page_writes'))";
    let mut settings = site.settings();
    for (durable, expected) in [(false, "off|off|off"), (true, "on|on|on")] {
        settings.durable = durable;
        let cluster = Cluster::open(&settings).await.unwrap();
        assert_eq!(answer(&cluster.url("postgres"), shown).await, expected);
        cluster.close().await.unwrap();
    }
}

#[tokio::test]
async fn psql_takes_the_url_whatever_its_environment_says() {
    let Some(site) = Site::new() else { return };
    let cluster = site.open().await;
    let mut psql = Command::new("psql");
    psql.args([&cluster.url("postgres"), "-XAtc", "select current_user"]);
    psql.env("PGPORT", "1").env("PGUSER", "somebody").env("PGSSLMODE", "require");
    match psql.output() {
        Ok(output) => assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "barkeep", "{output:?}"),
        Err(_) => eprintln!("left out: this machine has no psql"),
    }
    cluster.close().await.unwrap();
}

#[tokio::test]
async fn asking_whether_it_runs_starts_and_makes_nothing() {
    let Some(site) = Site::new() else { return };
    assert_eq!(Cluster::running(&site.settings()).await.unwrap(), None);
    assert!(!site.data_dir().exists());

    let cluster = site.open().await;
    let address = Cluster::running(&site.settings()).await.unwrap().unwrap();
    assert_eq!(address.url("postgres"), cluster.url("postgres"));
    cluster.close().await.unwrap();
    assert_eq!(Cluster::running(&site.settings()).await.unwrap(), None);
    assert_eq!(site.postmaster(), None);
}

#[tokio::test]
async fn a_server_whose_opener_was_killed_is_adopted() {
    let Some(site) = Site::new() else { return };
    let mut opener = Helper::spawn(&site.settings(), None, None);
    opener.url();
    let postmaster = site.postmaster();
    assert!(postmaster.is_some());
    opener.kill();

    let cluster = site.open().await;
    assert_eq!(site.postmaster(), postmaster);
    connect(&cluster).await;
    cluster.close().await.unwrap();
    assert_eq!(site.postmaster(), None);
}

#[tokio::test]
async fn ctrl_c_ends_barkeep_but_not_the_server() {
    let Some(site) = Site::new() else { return };
    let mut opener = Helper::spawn(&site.settings(), None, None);
    let url = opener.url();
    opener.interrupt_group();
    assert_eq!(answer(&url, "select 'here'").await, "here");
    site.open().await.close().await.unwrap();
}

#[tokio::test]
async fn the_last_to_leave_stops_the_server_and_nobody_earlier() {
    let Some(site) = Site::new() else { return };
    let mut other = Helper::spawn(&site.settings(), None, None);
    let url = other.url();
    let here = site.open().await;
    let also_here = site.open().await;

    other.close();
    assert_eq!(answer(&url, "select 'up'").await, "up");
    here.close().await.unwrap();
    assert_eq!(answer(&url, "select 'up'").await, "up");
    also_here.close().await.unwrap();
    assert_eq!(site.postmaster(), None);
    assert_eq!(Cluster::running(&site.settings()).await.unwrap(), None);
}

#[tokio::test]
async fn processes_that_begin_at_once_make_one_cluster() {
    let Some(site) = Site::new() else { return };
    let mut helpers: Vec<Helper> = (0..3).map(|_| Helper::spawn(&site.settings(), None, None)).collect();
    let cluster = site.open().await;
    let id = "select system_identifier::text || pg_postmaster_start_time() from pg_control_system()";
    let expected = answer(&cluster.url("postgres"), id).await;
    for helper in &mut helpers {
        assert_eq!(answer(&helper.url(), id).await, expected);
    }
    for helper in helpers {
        helper.close();
    }
    assert_eq!(answer(&cluster.url("postgres"), id).await, expected);
    cluster.close().await.unwrap();
    assert!(site.leftovers().is_empty());
}

#[tokio::test]
async fn opening_and_closing_by_many_at_once_never_meets_a_stopped_server() {
    let Some(site) = Site::new() else { return };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let settings = site.settings();
        tasks.spawn(async move {
            for _ in 0..5 {
                let cluster = Cluster::open(&settings).await.unwrap();
                assert_eq!(answer(&cluster.url("postgres"), "select 'up'").await, "up");
                cluster.close().await.unwrap();
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    assert_eq!(site.postmaster(), None);
}
