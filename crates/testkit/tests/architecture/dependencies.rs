//! Which crate may use which.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// What each crate may use of ours, whatever it uses for its tests.
const ALLOWED: &[(&str, &[&str])] = &[
    ("market", &[]),
    ("cluster", &[]),
    ("store", &["market"]),
    ("providers", &["market"]),
    ("simulator", &["market"]),
    ("engine", &["store", "providers", "market"]),
    ("server", &["store", "providers", "market"]),
    ("barkeep", &["engine", "server", "cluster", "store", "providers", "market", "simulator"]),
    ("testkit", &["store", "cluster", "market", "simulator", "providers"]),
];

/// It measures: whatever it needs.
const FREE: &str = "bench";

fn short(name: &str) -> &str {
    name.strip_prefix("barkeep-").unwrap_or(name)
}

/// Each crate, by its short name, and which others it is built with.
fn built_with() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(crate::workspace())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let packages = metadata["packages"].as_array().unwrap();
    let of = |package: &Value| {
        let dependencies = package["dependencies"].as_array().unwrap().iter();
        // With a path it is one of ours; `kind` is null for what the crate itself is built with.
        let ours = dependencies.filter(|d| !d["path"].is_null() && d["kind"] != "dev");
        ours.map(|dependency| short(&text(&dependency["name"])).to_owned()).collect()
    };
    packages.iter().map(|package| (short(&text(&package["name"])).to_owned(), of(package))).collect()
}

#[test]
fn crates_depend_on_one_another_in_one_direction() {
    let built_with = built_with();
    assert!(built_with.len() >= 7, "{built_with:?}");
    for (name, uses) in built_with.iter().filter(|(name, _)| *name != FREE) {
        let allowed = ALLOWED.iter().find(|(allowed, _)| allowed == name).map(|(_, allowed)| *allowed);
        let allowed = allowed.unwrap_or_else(|| panic!("nothing says which crates {name} may use"));
        for other in uses {
            assert!(allowed.contains(&other.as_str()), "{name} may not use {other}, only {allowed:?}");
        }
    }
}
