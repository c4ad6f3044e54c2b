//! psql, where the machine has one.

use std::process::Command;

/// The output of psql; `None`, reported on stderr, without psql. On CI that fails.
pub(crate) fn psql(url: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("psql").args(["-X", "-v", "ON_ERROR_STOP=1", url]).args(arguments).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "psql can't be run: {error}");
            eprintln!("left out: psql can't be run: {error}");
            return None;
        }
    };
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "psql failed: {errors}");
    assert!(!errors.contains("ERROR"), "{errors}");
    Some(String::from_utf8(output.stdout).unwrap())
}
