//! A database that goes away while `up` runs, and comes back.

use std::{path::PathBuf, sync::Arc};

use sqlx::{Connection as _, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream, UnixStream},
    sync::watch,
};

use crate::running::{Market, PATIENCE, Place, Up, eventually, quiet_database};

/// Stands between Barkeep and its database, and can be cut.
struct Proxy {
    url: String,
    open: Arc<watch::Sender<bool>>,
}

/// Where the database's server really is.
enum Server {
    Socket(PathBuf),
    Tcp(String),
}

impl Proxy {
    async fn to(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (server, through) = match options.get_socket() {
            Some(folder) => (
                Server::Socket(folder.join(format!(".s.PGSQL.{}", options.get_port()))),
                format!(
                    "postgresql://{}@127.0.0.1:{port}/{}?sslmode=disable",
                    options.get_username(),
                    options.get_database().unwrap()
                ),
            ),
            None => {
                let mut through = reqwest::Url::parse(url).unwrap();
                through.set_host(Some("127.0.0.1")).unwrap();
                through.set_port(Some(port)).unwrap();
                (Server::Tcp(format!("{}:{}", options.get_host(), options.get_port())), through.to_string())
            }
        };
        let (open, state) = watch::channel(true);
        let server = Arc::new(server);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, mut state) = (Arc::clone(&server), state.clone());
                tokio::spawn(async move {
                    // Dropped at once while it is cut: the client sees its connection end.
                    if *state.borrow() {
                        tokio::select! {
                            () = forward(client, &server) => {}
                            _ = state.wait_for(|open| !*open) => {}
                        }
                    }
                });
            }
        });
        Self { url: through, open: Arc::new(open) }
    }

    fn cut(&self) {
        self.open.send_replace(false);
    }

    fn mend(&self) {
        self.open.send_replace(true);
    }
}

async fn forward(mut client: TcpStream, server: &Server) {
    let _ = match server {
        Server::Socket(path) => copy_bidirectional(&mut client, &mut UnixStream::connect(path).await.unwrap()).await,
        Server::Tcp(address) => copy_bidirectional(&mut client, &mut TcpStream::connect(address).await.unwrap()).await,
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_gone_requests_are_told_so_and_when_it_is_back_all_goes_on() {
    let (place, database) = (Place::new(), quiet_database().await);
    let proxy = Proxy::to(&database.url).await;
    let market = Market::start(Market::settings("2026-06-20T12:00:00Z")).await;
    let mut command = place.barkeep(&["up", "--database-url", &proxy.url, "--as-of", "2026-06-20T12:00:00Z"]);
    command.env("APCA_API_DATA_URL", market.url()).env("BARKEEP_LOG", "off");
    let up = Up::start(command).await;
    let keys: serde_json::Value = serde_json::from_str(&place.printed(&["keys", "--json"])).unwrap();
    let anon = keys["anon_key"].as_str().unwrap();
    let sync = |symbol: &str| format!(r#"{{"symbols":["{symbol}"],"source":"watchlist"}}"#);
    assert_eq!(up.sync(anon, &sync("KO")).await.0, 200);
    up.until(anon, "KO", "complete").await;

    proxy.cut();
    let pep = sync("PEP");
    let asked = async {
        tokio::join!(
            up.sync(anon, &pep),
            up.get(anon, "/api/v1/bars?symbol=KO&timeframe=m15"),
            up.get(anon, "/api/v1/events"),
            up.get(anon, "/readyz"),
            up.get(anon, "/healthz"),
        )
    };
    // The database stays away until all of them are answered.
    let answered = tokio::time::timeout(PATIENCE, asked).await;
    let (synced, bars, events, ready, alive) = answered.expect("an answer without a database");
    for (what, (status, answer)) in [("sync", synced), ("bars", bars), ("events", events)] {
        assert_eq!(status, 503, "{what}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("database can't be reached"), "{what}: {answer}");
    }
    assert_eq!((ready.0, ready.1["reason"].as_str()), (503, Some("the database can't be reached")));
    assert_eq!(alive.0, 200);

    proxy.mend();
    up.wait_until_ready().await;
    assert_eq!(up.sync(anon, &sync("PEP")).await.0, 200);
    up.until(anon, "PEP", "complete").await;
    assert!(up.stop().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_server_that_is_killed_is_started_again_and_all_goes_on() {
    let place = Place::new();
    let mut command = place.barkeep(&["up", "--as-of", "2026-06-20T12:00:00Z"]);
    command.env("BARKEEP_LOG", "off");
    let up = Up::start(command).await;
    let keys: serde_json::Value = serde_json::from_str(&place.printed(&["keys", "--json"])).unwrap();
    let anon = keys["anon_key"].as_str().unwrap();
    let before = postmaster(&place).await.unwrap();
    let killed = std::process::Command::new("kill").args(["-KILL", &before.to_string()]).status().unwrap();
    assert!(killed.success());

    eventually("another server runs", async || postmaster(&place).await.filter(|now| *now != before)).await;
    up.wait_until_ready().await;
    assert_eq!(up.sync(anon, r#"{"symbols":["KO"],"source":"watchlist"}"#).await.0, 200);
    up.until(anon, "KO", "complete").await;
    assert!(up.stop().success());
    assert!(postmaster(&place).await.is_none(), "the new server is stopped like the old one would have been");
}

/// The process of the private server, asked for over its own connection.
async fn postmaster(place: &Place) -> Option<i32> {
    let output = crate::running::finished(place.barkeep(&["db", "url"])).await;
    let url = String::from_utf8(output.stdout).unwrap();
    if !output.status.success() {
        return None;
    }
    let mut sql = sqlx::PgConnection::connect(url.trim()).await.ok()?;
    // The first line of its own lock file.
    let id: String = sqlx::query_scalar("select split_part(pg_read_file('postmaster.pid'), E'\\n', 1)")
        .fetch_one(&mut sql)
        .await
        .ok()?;
    id.parse().ok()
}
