//! Flags over environment over `barkeep.toml` over defaults.

use std::fs;

use crate::running::{Place, Up, finish, http, quiet_database};

#[test]
fn the_flag_counts_before_the_environment_and_that_before_the_file() {
    let place = Place::new();
    let url = |name: &str| format!("postgresql://example/{name}");
    let printed = |flag: bool, variable: bool| {
        let mut command = place.barkeep(&["db", "url"]);
        if variable {
            command.env("DATABASE_URL", url("variable"));
        }
        if flag {
            command.args(["--database-url", &url("flag")]);
        }
        String::from_utf8(finish(command).stdout).unwrap().trim().to_owned()
    };
    assert_eq!(printed(false, false), "", "a private database that doesn't run has no address");
    fs::write(place.path().join("barkeep.toml"), format!("database_url = \"{}\"\n", url("file"))).unwrap();
    assert_eq!(printed(false, false), url("file"));
    assert_eq!(printed(false, true), url("variable"));
    assert_eq!(printed(true, true), url("flag"));
    assert_eq!(printed(true, false), url("flag"));

    fs::write(place.path().join("other.toml"), format!("database_url = \"{}\"\n", url("other"))).unwrap();
    let other = place.printed(&["db", "url", "--config", "other.toml"]);
    assert_eq!(other.trim(), url("other"), "a file that is named counts in place of the usual one");
}

#[test]
fn data_directories_follow_the_same_order() {
    let place = Place::new();
    let dir = |name: &str| place.path().join(name);
    let mut made = Vec::new();
    let mut keys = |flag: Option<&str>, variable: Option<&str>, expected: &str| {
        let mut command = place.bare(&["keys"]);
        command.env("XDG_DATA_HOME", dir("share"));
        if let Some(variable) = variable {
            command.env("BARKEEP_DATA_DIR", dir(variable));
        }
        if let Some(flag) = flag {
            // Relative ones are below where one is.
            command.args(["--data-dir", flag]);
        }
        assert!(finish(command).status.success());
        made.push(expected.to_owned());
        for name in ["share/barkeep", "file", "variable", "flag"] {
            let is_made = made.iter().any(|m| m == name);
            assert_eq!(dir(name).join("jwt_secret").exists(), is_made, "{name} when {expected} counts");
        }
    };
    keys(None, None, "share/barkeep");
    fs::write(dir("barkeep.toml"), "data_dir = \"file\"\n").unwrap();
    keys(None, None, "file");
    keys(None, Some("variable"), "variable");
    keys(Some("flag"), Some("variable"), "flag");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_goes_by_the_file_where_nothing_else_is_said() {
    let (place, database) = (Place::new(), quiet_database().await);
    let text = format!(
        "database_url = '{}'\nas_of = \"2026-06-20T12:00:00Z\"\njwt_secret = \"0123456789abcdef0123456789abcdef\"\n\
         allowed_hosts = [\"charts.example\"]\n",
        database.url
    );
    fs::write(place.path().join("barkeep.toml"), text).unwrap();
    let up = Up::start(place.barkeep(&["up"])).await;
    let answer = http::client().get(up.url("/readyz")).header("host", "charts.example").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let keys: serde_json::Value = serde_json::from_str(&place.printed(&["keys", "--json"])).unwrap();
    assert_eq!(keys["jwt_secret"], "0123456789abcdef0123456789abcdef");
    let anon = keys["anon_key"].as_str().unwrap();
    up.sync(anon, r#"{"symbols":["KO"],"source":"watchlist"}"#).await;
    up.until(anon, "KO", "complete").await;
    let latest = up.coverage(anon, "KO").await[0]["latest"].as_str().unwrap().to_owned();
    assert_eq!(latest, "2026-06-18T19:45:00Z", "the last bar before a holiday and the weekend of the market's clock");
}
