//! Another process that opens a cluster: this test binary once more, told by its environment what to do.

use std::io::{BufRead, BufReader, Lines, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use cluster::{BinarySearch, Cluster, ClusterSettings};
use rustix::process::{Pid, Signal};

use crate::site::is_root;

const DATA_DIR: &str = "BARKEEP_HELPER_DATA_DIR";
const ROOT_BASE: &str = "BARKEEP_HELPER_ROOT_BASE";
const NPM_TREE: &str = "BARKEEP_HELPER_NPM_TREE";

/// What the helper process runs: opens, says so, waits for the end of its input, closes.
#[test]
#[ignore = "the other tests start this in processes of its own"]
fn open_and_hold() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let mut settings = ClusterSettings { durable: false, ..ClusterSettings::new(data_dir) };
    if let Some(base) = std::env::var_os(ROOT_BASE) {
        settings.root_base = base.into();
    }
    if let Some(tree) = std::env::var_os(NPM_TREE) {
        settings.search = BinarySearch { machine: false, web_tree: Some(tree.into()), npm: None };
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        // As at a terminal, also where whoever runs the tests has Ctrl-C ignored: in the background, say.
        let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt()).unwrap();
        tokio::spawn(async move {
            interrupt.recv().await;
            std::process::exit(130);
        });
        match Cluster::open(&settings).await {
            Ok(cluster) => {
                println!("\nREADY {}", cluster.url("postgres"));
                let _ = std::io::stdin().read(&mut [0]);
                cluster.close().await.unwrap();
                println!("\nCLOSED");
            }
            Err(error) => println!("\nERROR {error}"),
        }
    });
}

pub(crate) struct Helper {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Begins to open `settings`' cluster as `user` (a uid; root only) in a process group of its own.
    pub(crate) fn spawn(settings: &ClusterSettings, user: Option<u32>, npm_tree: Option<&Path>) -> Self {
        let program = std::env::current_exe().unwrap();
        Self::spawn_program(&program, settings, user, npm_tree)
    }

    /// The same with a copy of this program, where the other user can't enter the folder of the original.
    pub(crate) fn spawn_program(
        program: &Path,
        settings: &ClusterSettings,
        user: Option<u32>,
        npm_tree: Option<&Path>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(["helper::open_and_hold", "--exact", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(DATA_DIR, &settings.data_dir).env(ROOT_BASE, &settings.root_base).current_dir("/");
        if let Some(tree) = npm_tree {
            command.env(NPM_TREE, tree);
        }
        if let Some(uid) = user {
            assert!(is_root());
            command.uid(uid).gid(uid);
        }
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        // While another test starts a process, that one holds what this one has just written the copy with.
        let mut child = loop {
            match command.spawn() {
                Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                spawned => break spawned.unwrap(),
            }
        };
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Waits until it has opened the cluster, and gives the URL it got; or, for `Err`, what it said instead.
    pub(crate) fn outcome(&mut self) -> Result<String, String> {
        let mut error: Option<String> = None;
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            if let Some(url) = line.strip_prefix("READY ") {
                return Ok(url.to_owned());
            }
            match (&mut error, line.strip_prefix("ERROR ")) {
                (None, Some(begin)) => error = Some(begin.to_owned()),
                (Some(error), _) => *error += &line,
                (None, None) => {}
            }
        }
        Err(error.unwrap_or_default())
    }

    pub(crate) fn url(&mut self) -> String {
        self.outcome().unwrap()
    }

    /// As `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// As Ctrl-C at a terminal does: everybody in the process group gets it.
    pub(crate) fn interrupt_group(&mut self) {
        let group = Pid::from_child(&self.child);
        // Waiting would close it, and so let the helper end as it does when all is well.
        let input = self.child.stdin.take();
        rustix::process::kill_process_group(group, Signal::INT).unwrap();
        self.child.wait().unwrap();
        drop(input);
    }

    /// Lets it close its cluster, and waits for it.
    pub(crate) fn close(mut self) {
        drop(self.child.stdin.take());
        let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        assert!(rest.iter().any(|line| line == "CLOSED"), "{rest:?}");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
