//! Waiting: always for something, never for a time. The one limit is for what would never come.

use std::{
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// Long enough for a busy machine with two cores; only a broken promise takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// Between two looks: short at first, since most things come at once.
fn pauses() -> impl Iterator<Item = Duration> {
    (0..).map(|look| Duration::from_millis(150.min(20 << look.min(3))))
}

/// Waits until `check` returns something.
pub(crate) async fn eventually<T>(what: &str, check: impl AsyncFn() -> Option<T>) -> T {
    let begun = Instant::now();
    for pause in pauses() {
        if let Some(found) = check().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {} s: {what}", PATIENCE.as_secs());
        tokio::time::sleep(pause).await;
    }
    unreachable!("there is always another look")
}

/// Between two turns of a loop that makes work for as long as its test lasts, and leaves others the machine.
pub(crate) async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Whether a process ends while there is patience.
pub(super) fn has_ended_in_time(process: &mut Child) -> bool {
    let begun = Instant::now();
    pauses()
        .inspect(|pause| std::thread::sleep(*pause))
        .take_while(|_| begun.elapsed() < PATIENCE)
        .any(|_| !matches!(process.try_wait(), Ok(None)))
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
