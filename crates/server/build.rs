//! Brings the web client's libraries into the build: with npm, exactly as `web/package-lock.json` says.
//!
//! Out: `$OUT_DIR/libraries/`, which `src/web/assets.rs` embeds. With the feature `headless` nothing is fetched, and the server
//! has no pages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What is embedded, and where its package has it.
const LIBRARIES: [(&str, &str); 4] = [
    ("htmx.js", "htmx.org/dist/htmx.min.js"),
    ("htmx.LICENSE", "htmx.org/LICENSE"),
    ("lightweight-charts.js", "lightweight-charts/dist/lightweight-charts.standalone.production.mjs"),
    ("lightweight-charts.LICENSE", "lightweight-charts/LICENSE"),
];

const PINNED: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

fn main() {
    if let Err(problem) = bring() {
        println!("cargo::error={problem}");
    }
}

fn bring() -> Result<(), String> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).ok_or(format!("cargo did not set {name}"));
    let web = variable("CARGO_MANIFEST_DIR")?.join("../../web");
    let out = variable("OUT_DIR")?;
    for name in PINNED {
        println!("cargo::rerun-if-changed={}", web.join(name).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    let libraries = out.join("libraries");
    fs::create_dir_all(&libraries).map_err(|error| format!("{} can't be made: {error}", libraries.display()))?;
    if std::env::var_os("CARGO_FEATURE_HEADLESS").is_some() {
        for (name, _) in LIBRARIES {
            fs::write(libraries.join(name), "").map_err(|error| format!("{name} can't be written: {error}"))?;
        }
        return Ok(());
    }
    let folder = out.join("npm");
    fetch(&web, &folder)?;
    for (name, path) in LIBRARIES {
        let from = folder.join("node_modules").join(path);
        fs::copy(&from, libraries.join(name))
            .map_err(|error| format!("{} can't be copied: {error}", from.display()))?;
    }
    Ok(())
}

/// Runs `npm ci` in `folder`: without the packages' own scripts, and without the Postgres binaries.
fn fetch(web: &Path, folder: &Path) -> Result<(), String> {
    const OR_WITHOUT: &str = "or build without the web client: --features headless";
    fs::create_dir_all(folder).map_err(|error| format!("{} can't be made: {error}", folder.display()))?;
    for name in PINNED {
        fs::copy(web.join(name), folder.join(name)).map_err(|error| format!("web/{name} can't be copied: {error}"))?;
    }
    let npm = std::env::var_os("NPM").unwrap_or_else(|| "npm".into());
    let mut command = Command::new(&npm);
    command.args(["ci", "--omit=optional", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]);
    command.current_dir(folder).stdin(Stdio::null());
    match command.output() {
        Err(error) => Err(format!(
            "The web client's libraries come by npm, which can't be run ({}: {error}): install Node 20, {OR_WITHOUT}",
            npm.display()
        )),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr);
            let words = words.lines().filter(|line| !line.trim().is_empty()).take(3).collect::<Vec<_>>().join(" | ");
            Err(format!("npm could not fetch the web client's libraries ({words}): connect this machine, {OR_WITHOUT}"))
        }
    }
}
