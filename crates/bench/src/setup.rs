//! What the benchmarks share: the simulator, the binary, and a data directory for it.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use simulator::{Settings, Simulator, Source};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) struct SimulatedMarket {
    pub(crate) url: String,
    pub(crate) simulator: Simulator,
    _stop: DropGuard,
}

impl SimulatedMarket {
    pub(crate) async fn start(requests_per_minute: u32, latency_ms: u64) -> anyhow::Result<Self> {
        let mut settings = Settings::new(Source::Synthetic);
        settings.requests_per_minute = requests_per_minute;
        settings.latency = Duration::from_millis(latency_ms);
        let (simulator, stop) = (Simulator::new(settings)?, CancellationToken::new());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (server, stopped) = (simulator.clone(), stop.clone());
        tokio::spawn(async move { server.serve(listener, stopped).await });
        Ok(Self { url, simulator, _stop: stop.drop_guard() })
    }
}

/// A new data directory, and the simulator to use with it.
pub(crate) struct DataDir {
    dir: TempDir,
    market: String,
}

impl DataDir {
    pub(crate) fn new(market: &SimulatedMarket) -> anyhow::Result<Self> {
        Ok(Self { dir: tempfile::tempdir()?, market: market.url.clone() })
    }

    pub(crate) fn barkeep(&self, args: &[&str]) -> anyhow::Result<Command> {
        let binary: PathBuf = std::env::current_exe()?.with_file_name("barkeep");
        ensure!(binary.exists(), "{} doesn't exist: run cargo build --release", binary.display());
        let mut command = Command::new(binary);
        command.args(args).arg("--data-dir").arg(self.dir.path()).env("APCA_API_DATA_URL", &self.market);
        command.env("BARKEEP_LOG", "error").env_remove("DATABASE_URL").stdin(Stdio::null());
        Ok(command)
    }

    /// Runs a command and returns what it prints.
    pub(crate) fn output(&self, args: &[&str]) -> anyhow::Result<String> {
        let output = self.barkeep(args)?.output()?;
        ensure!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Root's cluster is in another directory, which its server's user can enter.
        if let Ok(elsewhere) = std::fs::read_to_string(self.dir.path().join("postgres/elsewhere")) {
            let elsewhere = PathBuf::from(elsewhere.trim());
            if elsewhere.is_absolute() && elsewhere.components().count() > 3 {
                let _ = std::fs::remove_dir_all(elsewhere);
            }
        }
    }
}

/// A running `barkeep up`, which is stopped when dropped.
pub(crate) struct Up {
    process: Child,
    pub(crate) url: String,
    pub(crate) anon_key: String,
}

impl Up {
    pub(crate) async fn start(data_dir: &DataDir) -> anyhow::Result<Self> {
        let mut command = data_dir.barkeep(&["up", "--json", "--listen", "127.0.0.1:0"])?;
        let mut process = command.stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("no output")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        let started: Value = serde_json::from_str(&line).context("up --json prints one object")?;
        let text = |name: &str| started[name].as_str().map(str::to_owned).with_context(|| format!("no {name}: {line}"));
        let up = Self { process, url: text("url")?, anon_key: text("anon_key")? };
        while reqwest::get(format!("{}/readyz", up.url)).await?.status() != 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(up)
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// Minimum, median and maximum of figures in seconds.
pub(crate) fn summary(mut figures: Vec<f64>) -> String {
    figures.sort_by(f64::total_cmp);
    match figures.as_slice() {
        [] => "none".to_owned(),
        [least, ..] => {
            let (median, most) = (figures[figures.len() / 2], figures[figures.len() - 1]);
            format!("min {least:.3} s, median {median:.3} s, max {most:.3} s of {}", figures.len())
        }
    }
}
