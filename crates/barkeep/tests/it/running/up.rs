//! Processes that go on: `barkeep up`, and the parts.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::{eventually, http, waiting::has_ended_in_time};

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
        let mut process = command.args(["--listen", listen]).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let first = lines.next().expect("up prints its address").unwrap();
        // Read on, or the pipe fills and the process stops.
        std::thread::spawn(move || lines.for_each(drop));
        let address = first.split_whitespace().find(|word| word.starts_with("http://")).expect("an address").to_owned();
        Self { process, address }
    }

    pub(crate) async fn wait_until_ready(&self) {
        eventually("up is ready", async || {
            let ready = http::get(format!("{}/readyz", self.address)).await;
            ready.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    /// Asks for symbols; the status and the body.
    pub(crate) async fn sync(&self, token: &str, body: &str) -> (u16, Value) {
        let answer = http::client()
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
        let answer = http::client().get(self.url(path)).bearer_auth(token).send().await.unwrap();
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
        assert!(has_ended_in_time(&mut self.process), "up does not stop");
        self.process.wait().unwrap()
    }
}

impl Drop for Up {
    /// Asked first, so that its private server is stopped with it.
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        if !has_ended_in_time(&mut self.process) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// A part without an address, killed when dropped.
#[derive(Debug)]
pub(crate) struct Part(Child);

impl Part {
    /// Starts it and waits until it has said that it is at work.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
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
