//! A running `barkeep up`, and the binary for single commands.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use serde_json::Value;
use simulator::{Settings, Simulator};
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;
use testkit::TestDatabase;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Long enough for a busy machine with two cores; only a broken promise takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(180);

/// A data directory of its own, gone with what its private server kept elsewhere.
#[derive(Debug)]
pub(crate) struct Place {
    dir: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        // For the tests' own requests; whichever test is first installs it.
        rustls::crypto::ring::default_provider().install_default().ok();
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The binary on this data directory, cut off from the settings of whoever runs the tests.
    pub(crate) fn barkeep(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command.arg("--data-dir").arg(self.path());
        command
    }

    /// The same without naming the data directory.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_barkeep"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if [
                "APCA_",
                "BARKEEP_",
                "SUPABASE_",
                "MASSIVE_",
                "POLYGON_",
                "TRADIER_",
                "FINNHUB_",
                "YAHOO_",
                "BINANCE_",
                "COINBASE_",
            ]
            .iter()
            .any(|p| name.starts_with(p))
                || name == "DATABASE_URL"
            {
                command.env_remove(&*name);
            }
        }
        command.env("BARKEEP_LOG", "warn,sqlx=error");
        let args = args.iter().map(|arg| pooled::url(arg));
        command.args(args).current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        finish(self.barkeep(args))
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn printed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "barkeep {args:?} failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail and returns its complaint.
    pub(crate) fn complaint(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "barkeep {args:?} should have failed");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Run as root, the server's files lie where its user can reach them.
        if let Ok(elsewhere) = std::fs::read_to_string(self.path().join("postgres/elsewhere")) {
            let elsewhere = PathBuf::from(elsewhere.trim());
            if elsewhere.is_absolute() && elsewhere.components().count() > 3 {
                let _ = std::fs::remove_dir_all(elsewhere);
            }
        }
    }
}

/// `barkeep up`, killed when dropped.
#[derive(Debug)]
pub(crate) struct Up {
    process: Child,
    pub(crate) address: String,
}

impl Up {
    /// Starts it on a free port and waits until it is ready.
    pub(crate) async fn start(command: Command) -> Self {
        let up = Self::spawn(command);
        up.wait_until_ready().await;
        up
    }

    /// Starts it on a free port and waits until it has printed its address.
    pub(crate) fn spawn(command: Command) -> Self {
        Self::spawn_at("127.0.0.1:0", command)
    }

    /// The same where one says.
    pub(crate) fn spawn_at(listen: &str, mut command: Command) -> Self {
        let mut process =
            command.args(["--listen", listen]).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().expect("up prints its address").unwrap();
        // Read on, or the pipe fills and the process stops.
        std::thread::spawn(move || lines.for_each(drop));
        let address = first.split_whitespace().find(|word| word.starts_with("http://")).expect("an address").to_owned();
        Self { process, address }
    }

    pub(crate) async fn wait_until_ready(&self) {
        eventually("up is ready", async || {
            let ready = reqwest::get(format!("{}/readyz", self.address)).await;
            ready.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Asks for symbols; the status and the body.
    pub(crate) async fn sync(&self, token: &str, body: &str) -> (u16, Value) {
        let answer = reqwest::Client::new()
            .post(self.url("/functions/v1/sync-user-symbols"))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let answer = reqwest::Client::new().get(self.url(path)).bearer_auth(token).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The series of a symbol as `/api/v1/coverage` tells them.
    pub(crate) async fn coverage(&self, token: &str, symbol: &str) -> Vec<Value> {
        let (status, body) = self.get(token, &format!("/api/v1/coverage?symbol={symbol}")).await;
        assert_eq!(status, 200, "{body}");
        body["series"].as_array().unwrap().clone()
    }

    /// Waits until m15, h1 and h4 of a symbol have come to `state`.
    pub(crate) async fn until(&self, token: &str, symbol: &str, state: &str) {
        eventually(&format!("{symbol} is {state}"), async || {
            let series = self.coverage(token, symbol).await;
            series.iter().all(|s| s["state"] == state).then_some(())
        })
        .await;
    }

    /// As a crash would end it.
    pub(crate) fn kill(mut self) {
        self.crash();
    }

    /// The same, to be replaced.
    pub(crate) fn crash(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to stop, as a service manager does, and waits for its end.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let begun = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "up does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Up {
    /// Asked first, so that its private server is stopped with it.
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        for _ in 0..500 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A part without an address, killed when dropped.
#[derive(Debug)]
pub(crate) struct Part(Child);

impl Part {
    /// Starts it and waits until it has said that it is at work.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        lines.next().expect("a part says that it is at work").unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        Self(process)
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Asks it to stop, and waits for its end.
    pub(crate) fn stop(mut self) -> std::process::ExitStatus {
        self.signal("TERM");
        self.0.wait().unwrap()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command to its end, which must come while there is patience.
pub(crate) fn finish(command: Command) -> Output {
    finish_within(PATIENCE, command)
}

/// The same for one that may take longer.
pub(crate) fn finish_within(patience: Duration, mut command: Command) -> Output {
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = process.id().to_string();
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || sender.send(process.wait_with_output()));
    ended.recv_timeout(patience).map(Result::unwrap).unwrap_or_else(|_| {
        let _ = Command::new("kill").args(["-KILL", &id]).status();
        panic!("it does not end: {:?}", command.get_args());
    })
}

/// The same, beside others.
pub(crate) async fn finished(command: Command) -> Output {
    tokio::task::spawn_blocking(move || finish(command)).await.unwrap()
}

/// `barkeep up` on a database of its own in which nobody wants anything yet, and its keys.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) up: Up,
    pub(crate) anon_key: String,
    pub(crate) service_role_key: String,
    pub(crate) jwt_secret: String,
    pub(crate) place: Place,
    pub(crate) database: TestDatabase,
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// `change`: what the command gets besides.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        let (place, database) = (Place::new(), quiet_database().await);
        let mut command = place.barkeep(&["up", "--database-url", &database.url]);
        change(&mut command);
        let up = Up::start(command).await;
        let keys: Value = serde_json::from_str(&place.printed(&["keys", "--json"])).unwrap();
        let key = |name: &str| keys[name].as_str().unwrap().to_owned();
        let (anon_key, service_role_key, jwt_secret) = (key("anon_key"), key("service_role_key"), key("jwt_secret"));
        Self { up, anon_key, service_role_key, jwt_secret, place, database }
    }

    pub(crate) async fn sql(&self) -> PgConnection {
        PgConnection::connect(&self.database.url).await.unwrap()
    }

    /// Sends `body` as JSON; the status and the answer.
    pub(crate) async fn post(&self, token: &str, path: &str, body: &str) -> (u16, Value) {
        let answer = reqwest::Client::new()
            .post(self.up.url(path))
            .bearer_auth(token)
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or(Value::Null))
    }

    /// A token of somebody else than the anonymous user.
    pub(crate) fn somebodys_token(&self) -> String {
        self.token("somebody@example.com")
    }

    /// A token of a user, who is made where there is none.
    pub(crate) fn token(&self, email: &str) -> String {
        let args = ["token", "--user", email, "--database-url", &self.database.url];
        self.place.printed(&args).trim().to_owned()
    }
}

/// A simulated provider in this process, until dropped.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) simulator: Simulator,
    pub(crate) address: SocketAddr,
    _stop: DropGuard,
}

impl Market {
    /// Made-up bars whose clock stands at `as_of`, as many requests as one likes.
    pub(crate) fn settings(as_of: &str) -> Settings {
        let as_of: jiff::Timestamp = as_of.parse().unwrap();
        let mut settings = Settings::new(simulator::Source::Synthetic);
        settings.requests_per_minute = 100_000;
        settings.clock = simulator::Clock::by(move || as_of);
        settings
    }

    pub(crate) async fn start(settings: Settings) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), settings).await
    }

    pub(crate) async fn start_at(address: SocketAddr, settings: Settings) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (simulator, stop) = (Simulator::new(settings).unwrap(), CancellationToken::new());
        let (server, stopped) = (simulator.clone(), stop.clone());
        tokio::spawn(async move { server.serve(listener, stopped).await });
        Self { simulator, address, _stop: stop.drop_guard() }
    }

    /// For `APCA_API_DATA_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Waits until `check` returns something.
pub(crate) async fn eventually<T>(what: &str, check: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = check().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// A database with the schema, for an `up` that is given its database.
pub(crate) async fn database() -> TestDatabase {
    let fingerprint = format!("{:x}", store::migrations::fingerprint());
    let template = testkit::template("barkeep", &fingerprint, async |url| {
        let database = store::Database::connect(&url, 2).await?;
        store::migrations::migrate(&database).await?;
        database.close().await;
        Ok(())
    })
    .await
    .unwrap();
    let database = TestDatabase::create(Some(&template)).await.unwrap();
    pooled::add(&database);
    database
}

/// An empty one.
pub(crate) async fn empty_database() -> TestDatabase {
    let database = TestDatabase::create(None).await.unwrap();
    pooled::add(&database);
    database
}

/// Test databases by the URL under which the pooler has them.
mod pooled {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex},
    };

    use testkit::TestDatabase;

    static URLS: LazyLock<Mutex<HashMap<String, String>>> = LazyLock::new(Mutex::default);

    pub(super) fn add(database: &TestDatabase) {
        if crate::POOLED && testkit::pooler_is_installed() {
            URLS.lock().unwrap().insert(database.url.clone(), database.pooled_url().unwrap());
        }
    }

    /// What a command is to be given for an argument: for a test database's URL the pooler's.
    pub(super) fn url(argument: &str) -> String {
        URLS.lock().unwrap().get(argument).cloned().unwrap_or_else(|| argument.to_owned())
    }
}

/// The same, in which nobody wants anything: without the seeded definitions' background work.
pub(crate) async fn quiet_database() -> TestDatabase {
    let database = database().await;
    let mut sql = PgConnection::connect(&database.url).await.unwrap();
    sqlx::query("update job_definitions set enabled = false, base_priority = null").execute(&mut sql).await.unwrap();
    database
}
