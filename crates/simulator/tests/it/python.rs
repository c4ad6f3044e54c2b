//! Alpaca's own Python client against the simulator.

use std::{
    env,
    process::{Command, Stdio},
};

use simulator::Settings;

use crate::server::{Server, made_up};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/alpaca_py_check.py");

/// The script's exit code where neither the package nor a way to install it is there.
const LEFT_OUT: i32 = 77;

#[tokio::test(flavor = "multi_thread")]
async fn the_official_python_client_works_against_it() {
    let Some(python) = ["python3", "python"].into_iter().find(|name| runs(name)) else {
        eprintln!("Left out: no Python on this machine");
        return;
    };
    let credentials = Some(("key".to_owned(), "secret".to_owned()));
    let server = Server::start(Settings { credentials, ..made_up() }).await;
    let url = server.url("");
    let check = tokio::task::spawn_blocking(move || {
        // The client is kept from run to run, since installing it takes longer than all other tests here.
        Command::new(python).arg(SCRIPT).arg(url).arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/alpaca-py")).output()
    });
    let output = check.await.unwrap().expect("the script runs");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(LEFT_OUT) && env::var_os("CI").is_none() {
        eprintln!("Left out: {complained}");
        return;
    }
    assert!(output.status.success(), "{said}\n{complained}");
    eprintln!("{said}");
    assert!(server.simulator.stats().to("/v2/stocks/bars") > 1);
}

fn runs(name: &str) -> bool {
    Command::new(name)
        .args(["-c", "import sys; sys.exit(sys.version_info < (3, 8))"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
