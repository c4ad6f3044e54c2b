//! The shared test server, for real.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod clocks;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};
use testkit::{TestDatabase, shared, template};

async fn count(url: &str, sql: &'static str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let count = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

async fn exists(database: &str) -> bool {
    let mut admin = shared().await.unwrap().connect().await.unwrap();
    let sql = "select exists (select from pg_database where datname = $1)";
    sqlx::query_scalar(sql).bind(database).fetch_one(&mut admin).await.unwrap()
}

async fn fill(url: String) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&url).await?;
    sqlx::raw_sql("create table seeded (n int); insert into seeded values (1), (2)").execute(&mut connection).await?;
    // Left open: a filler with a pool does no better.
    std::mem::forget(connection);
    Ok(())
}

#[tokio::test]
async fn a_test_has_a_copy_of_the_template_that_is_gone_after_it() {
    let template = template("testkit_copy", "1", fill).await.unwrap();
    let one = TestDatabase::create(Some(&template)).await.unwrap();
    let other = TestDatabase::create(Some(&template)).await.unwrap();
    let mut connection = PgConnection::connect(&one.url).await.unwrap();
    sqlx::raw_sql("delete from seeded").execute(&mut connection).await.unwrap();
    assert_eq!(count(&one.url, "select count(*) from seeded").await, 0);
    assert_eq!(count(&other.url, "select count(*) from seeded").await, 2);

    // With a connection still open.
    let name = one.name().to_owned();
    assert!(exists(&name).await);
    drop(one);
    // Each look takes a connection: minutes in all.
    let mut looks = 0..20_000;
    while exists(&name).await {
        assert!(looks.next().is_some(), "{name} stays");
    }
    assert!(exists(other.name()).await);
}

#[tokio::test]
async fn a_template_is_filled_once_per_fingerprint() {
    static FILLED: AtomicU32 = AtomicU32::new(0);
    let counting = async |url| {
        FILLED.fetch_add(1, Ordering::SeqCst);
        fill(url).await
    };
    // Anything that an earlier run left doesn't have this one's fingerprint.
    let fingerprint = std::process::id().to_string() + &format!("{:?}", std::time::SystemTime::now());
    let (one, same) = tokio::join!(
        template("testkit_once", &fingerprint, counting),
        template("testkit_once", &fingerprint, counting)
    );
    let (one, same) = (one.unwrap(), same.unwrap());
    assert_eq!(one, same);
    assert_eq!(FILLED.load(Ordering::SeqCst), 1);

    let changed = template("testkit_once", &(fingerprint + "changed"), counting).await.unwrap();
    assert_eq!(FILLED.load(Ordering::SeqCst), 2);
    assert!(exists(&changed).await && !exists(&one).await);
}

#[tokio::test]
async fn a_filling_that_fails_leaves_no_template() {
    let fingerprint = "fails";
    let failing = template("testkit_fails", fingerprint, async |_| anyhow::bail!("no")).await.unwrap_err();
    assert!(format!("{failing:#}").ends_with("no"), "{failing:#}");
    let name = template("testkit_fails", fingerprint, fill).await.unwrap();
    let copy = TestDatabase::create(Some(&name)).await.unwrap();
    assert_eq!(count(&copy.url, "select count(*) from seeded").await, 2);
    drop(copy);
    template("testkit_fails", "next", fill).await.unwrap();
}

const HELPER: &str = "BARKEEP_TEST_HELPER";

/// Run by the test below in a process of its own.
#[tokio::test]
#[ignore = "another test starts this in processes of its own"]
async fn use_the_server_and_wait() {
    if std::env::var_os(HELPER).is_none() {
        return;
    }
    let database = TestDatabase::create(None).await.unwrap();
    println!("\nDATA {}", shared().await.unwrap().private_data().unwrap().display());
    let _ = std::io::stdin().read(&mut [0]);
    drop(database);
}

/// A test process that uses the cluster in `folder`, the server's data, and the rest of what the process says.
fn helper(folder: &Path) -> (Child, PathBuf, impl Sized) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["use_the_server_and_wait", "--exact", "--ignored", "--nocapture"]);
    command.env(HELPER, "1").env("BARKEEP_TEST_CLUSTER_DIR", folder).env_remove("BARKEEP_TEST_DATABASE_URL");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let data = lines.find_map(|line| line.strip_prefix("DATA ").map(PathBuf::from)).unwrap();
    (child, data, lines)
}

#[test]
fn the_server_stops_after_the_last_test_process_even_if_that_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, data, _rest) = helper(folder.path());
    let pid_file = data.join("postmaster.pid");
    let server = std::fs::read_to_string(&pid_file).unwrap();
    let server = server.lines().next().unwrap();
    first.kill().unwrap();
    first.wait().unwrap();

    // The next process takes the same server over.
    let (mut second, _, _rest) = helper(folder.path());
    assert_eq!(std::fs::read_to_string(&pid_file).unwrap().lines().next().unwrap(), server);
    drop(second.stdin.take());
    assert!(second.wait().unwrap().success());

    let begun = Instant::now();
    while pid_file.exists() || folder.path().join("stopping").exists() {
        assert!(begun.elapsed() < Duration::from_secs(180), "the server was not stopped");
        std::thread::sleep(Duration::from_millis(20));
    }
    // Where root ran it, it lies outside the folder.
    std::fs::remove_dir_all(data.parent().unwrap()).unwrap();
}
