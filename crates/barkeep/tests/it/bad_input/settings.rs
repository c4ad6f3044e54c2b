//! Settings that are wrong: databases that aren't there, folders that can't be used, a `barkeep.toml` with a mistake.

use std::{fs, process::Command};

use crate::running::{Place, empty_database, finish, quiet_database};

const SECRET: &str = "hunter2-never-to-be-shown";

/// Runs a command that must fail and returns what it said, the last line of it the complaint.
#[track_caller]
fn failure(mut command: Command) -> String {
    command.env("BARKEEP_LOG", "trace");
    let shown = format!("{:?}", command.get_args().collect::<Vec<_>>());
    let output = finish(command);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{shown}: {error}");
    assert!(!error.contains("panicked") && !error.contains(SECRET), "{shown}: {error}");
    let complaint = error.find("error: ").map(|at| error[at..].to_owned());
    complaint.unwrap_or_else(|| panic!("{shown}: no complaint in {error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_can_not_be_had_is_told_apart_and_its_password_is_not_shown() {
    let place = Place::new();
    let database = quiet_database().await;
    let with = |from: &str, to: &str| database.url.replacen(from, to, 1);
    let urls = [
        ("nonsense".to_owned(), "postgresql://USER:PASSWORD@HOST"),
        (format!("mysql://root:{SECRET}@127.0.0.1/barkeep"), "postgresql://USER:PASSWORD@HOST"),
        (format!("postgresql://barkeep:{SECRET}@127.0.0.1:notaport/barkeep"), "postgresql://USER:PASSWORD@HOST"),
        (format!("postgresql://barkeep:{SECRET}@127.0.0.1:9/barkeep"), "refused"),
        (format!("postgresql://barkeep:{SECRET}@no-such-host.invalid/barkeep"), "DATABASE_URL"),
        (format!("postgresql:///barkeep?host=/no/such/folder&user=barkeep&password={SECRET}"), "DATABASE_URL"),
        (with(database.name(), "no_such_database"), "no_such_database"),
        (with("user=barkeep", "user=no_such_role"), "no_such_role"),
    ];
    // All at once: a server that may be starting is waited for.
    std::thread::scope(|scope| {
        for (url, named) in &urls {
            let place = &place;
            scope.spawn(move || {
                let error = failure(place.barkeep(&["coverage", "KO", "--database-url", url]));
                assert!(error.contains(*named), "{url}: {error}");
                assert!(error.contains("DATABASE_URL") || error.contains("database URL"), "{url}: {error}");
            });
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_somebodys_own_is_not_migrated_without_being_asked() {
    let place = Place::new();
    let empty = empty_database().await;
    let url = ["--database-url", &empty.url];
    for args in [&["coverage"][..], &["export", "KO", "m15"], &["track", "KO"], &["token", "--user", "a@example.com"]] {
        let error = failure(place.barkeep(&[args, &url].concat()));
        assert!(error.contains("barkeep migrate"), "{args:?}: {error}");
    }
    let printed = place.printed(&["migrate", url[0], url[1]]);
    assert!(printed.contains("Applied"), "{printed}");
    place.printed(&["coverage", url[0], url[1]]);
}

#[test]
fn without_postgres_to_be_found_the_message_says_where_it_was_looked_for() {
    let place = Place::new();
    let mut command = place.barkeep(&["migrate"]);
    command.env("PG_BIN", place.path().join("nowhere"));
    let error = failure(command);
    assert!(error.contains("PG_BIN") && error.contains("nowhere"), "{error}");
}

#[test]
fn a_data_directory_that_can_not_be_used_is_named() {
    let place = Place::new();
    let file = place.path().join("file");
    fs::write(&file, "").unwrap();
    for dir in [file.clone(), file.join("below")] {
        let dir = dir.to_str().unwrap();
        for args in [&["up", "--listen", "127.0.0.1:0"][..], &["keys"], &["migrate"], &["backfill", "KO"]] {
            let error = failure(place.bare(&[args, &["--data-dir", dir]].concat()));
            assert!(error.contains(dir), "{args:?}: {error}");
        }
    }
    let mut homeless = place.bare(&["keys"]);
    homeless.env_remove("HOME").env_remove("XDG_DATA_HOME");
    assert!(failure(homeless).contains("--data-dir"));
}

#[test]
fn a_mistake_in_the_settings_file_is_named_with_its_line_and_no_secret() {
    let place = Place::new();
    let path = place.path().join("barkeep.toml");
    for (text, named) in [
        (
            format!("listen = \"127.0.0.1:0\"\n[alpaca]\nsecret_key = \"{SECRET}\"\nkeyid = \"{SECRET}\"\n"),
            &["line 4", "keyid"][..],
        ),
        (format!("database_url = postgresql://a:{SECRET}@h/d\n"), &["line 1"]),
        (format!("listen = \"{SECRET}\"\n"), &["line 1"]),
        (format!("jwt_secret = [\"{SECRET}\"]\n"), &["line 1"]),
        (format!("\n\n[alpaca]\nkey_id = \"{SECRET}\nsecret_key = \"x\"\n"), &["line 4"]),
        (format!("as_of = \"{SECRET}\"\n"), &["line 1"]),
        ("data_dir = 7\n".to_owned(), &["line 1", "string"]),
    ] {
        fs::write(&path, &text).unwrap();
        let error = failure(place.barkeep(&["keys"]));
        for named in named {
            assert!(error.contains("barkeep.toml") && error.contains(named), "{text}: {error}");
        }
    }
    // A key written without quotes is a number, and a secret all the same.
    fs::write(&path, "[alpaca]\nkey_id = 8675309867530\n").unwrap();
    let error = failure(place.barkeep(&["keys"]));
    assert!(error.contains("line 2") && !error.contains("8675309867530"), "{error}");
    fs::write(&path, b"listen = \"\xff\"\n").unwrap();
    assert!(failure(place.barkeep(&["keys"])).contains("barkeep.toml"));

    fs::remove_file(&path).unwrap();
    let error = failure(place.barkeep(&["keys", "--config", "missing.toml"]));
    assert!(error.contains("missing.toml") && error.contains("can't be read"), "{error}");
}

#[test]
fn secrets_that_are_no_good_are_refused_without_being_shown() {
    let place = Place::new();
    let mut short = place.barkeep(&["keys"]);
    short.env("BARKEEP_JWT_SECRET", SECRET);
    assert!(failure(short).contains("32 characters"));
    let mut half = place.barkeep(&["backfill", "KO"]);
    half.env("APCA_API_SECRET_KEY", SECRET);
    assert!(failure(half).contains("APCA_API_KEY_ID"));
    let mut odd = place.barkeep(&["backfill", "KO"]);
    odd.env("APCA_API_KEY_ID", "PK").env("APCA_API_SECRET_KEY", format!("{SECRET} ü"));
    assert!(failure(odd).contains("APCA_API_SECRET_KEY"));
    for address in ["data.alpaca.markets", "ftp://127.0.0.1", "http://data.alpaca.markets"] {
        let mut command = place.barkeep(&["backfill", "KO"]);
        command.env("APCA_API_DATA_URL", address);
        assert!(failure(command).contains("APCA_API_DATA_URL"), "{address}");
    }
    let mut inside = place.barkeep(&["backfill", "KO"]);
    inside.env("APCA_API_DATA_URL", format!("http://PK:{SECRET}@127.0.0.1:9"));
    assert!(failure(inside).contains("keys in their own variables"));
    fs::write(place.path().join("jwt_secret"), "short").unwrap();
    assert!(failure(place.barkeep(&["keys"])).contains("jwt_secret"));
}
