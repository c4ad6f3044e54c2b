//! People who sign in with a password: each sees their own, a wrong one is nobody, and a session can be ended.

use std::{io::Write as _, process::Stdio};

use reqwest::{Client, Response, redirect::Policy};

use crate::running::{Served, http};

const PASSWORD: &str = "correct horse battery";

/// `barkeep user ...` with a password on standard input: whether it succeeded, and what it said.
fn user(served: &Served, args: &[&str], password: &str) -> (bool, String) {
    let mut command = served.place.barkeep(&[&["user"], args, &["--database-url", &served.database.url]].concat());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    writeln!(process.stdin.take().unwrap(), "{password}").unwrap();
    let output = process.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|part| String::from_utf8(part).unwrap()).concat();
    assert!(!said.contains(PASSWORD), "{said}");
    (output.status.success(), said)
}

fn add(served: &Served, email: &str) {
    let (is_done, said) = user(served, &["add", email, "--password-stdin"], PASSWORD);
    assert!(is_done, "{said}");
}

fn browser() -> Client {
    http::client_with().redirect(Policy::none()).build().unwrap()
}

async fn sign_in(served: &Served, email: &str, password: &str) -> Response {
    let form = format!("email={}&password={}", email.replace('@', "%40"), password.replace(' ', "+"));
    browser()
        .post(served.up.url("/sign-in"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", &served.up.address)
        .body(form)
        .send()
        .await
        .unwrap()
}

fn cookie(response: &Response) -> String {
    assert_eq!(response.status(), 303);
    response.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

async fn page(served: &Served, path: &str, cookie: &str) -> String {
    browser().get(served.up.url(path)).header("cookie", cookie).send().await.unwrap().text().await.unwrap()
}

fn csrf(page: &str) -> String {
    page.split_once(r#"name="csrf" content=""#).unwrap().1.split('"').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_sign_in_and_see_each_their_own() {
    let served = Served::start().await;
    let form = http::get(served.up.url("/sign-in")).await.unwrap().text().await.unwrap();
    assert!(!form.contains("<form") && form.contains("barkeep user add"), "nobody has a password yet: {form}");
    add(&served, "ann@example.com");
    add(&served, "bob@example.com");
    let (ann, bob) = (
        cookie(&sign_in(&served, "Ann@Example.com", PASSWORD).await),
        cookie(&sign_in(&served, "bob@example.com", PASSWORD).await),
    );
    let token = csrf(&page(&served, "/welcome", &ann).await);
    let write = async |cookie: &str, token: &str| {
        let request = browser().post(served.up.url("/watchlist")).header("cookie", cookie);
        let request = request.header("origin", &served.up.address).header("x-csrf-token", token);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.body("symbols=KO").send().await.unwrap().status().as_u16()
    };
    assert_eq!(write(&bob, &token).await, 403, "another session's token");
    assert_eq!(write(&ann, &token).await, 303);
    assert!(page(&served, "/", &ann).await.contains("row-KO"));
    for path in ["/watchlist", "/coverage", "/jobs"] {
        assert!(!page(&served, path, &bob).await.contains("KO"), "{path}");
    }
    let (_, listed) = user(&served, &["list"], "");
    assert!(listed.contains("ann@example.com") && listed.contains("bob@example.com"), "{listed}");
    assert!(!listed.contains("anonymous") && !listed.contains("argon2"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_like_an_unknown_address_and_not_too_often() {
    let served = Served::start().await;
    add(&served, "ann@example.com");
    let (wrong, unknown) = (
        sign_in(&served, "ann@example.com", "correct horse batterz").await,
        sign_in(&served, "eve@example.com", PASSWORD).await,
    );
    assert_eq!((wrong.status(), unknown.status()), (401.try_into().unwrap(), 401.try_into().unwrap()));
    assert!(wrong.headers().get("set-cookie").is_none());
    let (wrong, unknown) = (wrong.text().await.unwrap(), unknown.text().await.unwrap());
    assert!(wrong.contains("Wrong email or password"));
    assert_eq!(wrong, unknown);
    for _ in 0..9 {
        assert_eq!(sign_in(&served, "ann@example.com", "again and again").await.status(), 401);
    }
    let late = sign_in(&served, "ann@example.com", PASSWORD).await;
    assert_eq!((late.status(), &late.headers()["retry-after"]), (429.try_into().unwrap(), &"900".parse().unwrap()));
    // Whoever else comes, and who comes later, is let in.
    add(&served, "bob@example.com");
    assert_eq!(sign_in(&served, "bob@example.com", PASSWORD).await.status(), 303);
    sqlx::query("update barkeep.sign_in_failures set at = at - interval '16 minutes'")
        .execute(&mut served.sql().await)
        .await
        .unwrap();
    assert_eq!(sign_in(&served, "ann@example.com", PASSWORD).await.status(), 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_where_somebody_signs_out_or_gets_another_password() {
    let served = Served::start().await;
    add(&served, "ann@example.com");
    let (here, there) = (
        cookie(&sign_in(&served, "ann@example.com", PASSWORD).await),
        cookie(&sign_in(&served, "ann@example.com", PASSWORD).await),
    );
    let token = csrf(&page(&served, "/welcome", &here).await);
    let out = browser()
        .post(served.up.url("/sign-out"))
        .header("cookie", &here)
        .header("origin", &served.up.address)
        .header("x-csrf-token", &token)
        .send()
        .await
        .unwrap();
    assert_eq!(out.status(), 303);
    // Whoever kept the cookie has nothing of it.
    assert!(page(&served, "/welcome", &here).await.contains("Sign in to see"));
    assert!(page(&served, "/welcome", &there).await.contains("Current data provider"));
    let (is_done, said) = user(&served, &["password", "ann@example.com", "--password-stdin"], "another one altogether");
    assert!(is_done, "{said}");
    assert!(page(&served, "/welcome", &there).await.contains("Sign in to see"));
    assert_eq!(sign_in(&served, "ann@example.com", PASSWORD).await.status(), 401);
    let again = cookie(&sign_in(&served, "ann@example.com", "another one altogether").await);
    assert!(user(&served, &["remove", "ann@example.com"], "").0);
    assert!(page(&served, "/welcome", &again).await.contains("Sign in to see"));
    assert_eq!(sign_in(&served, "ann@example.com", "another one altogether").await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_with_users_says_what_can() {
    let served = Served::start().await;
    for (args, password, says) in [
        (&["add", "ann@example.com", "--password-stdin"][..], "short", "at least 10 are required"),
        (&["add", "not an address", "--password-stdin"], PASSWORD, "is not an e-mail address"),
        (&["password", "eve@example.com", "--password-stdin"], PASSWORD, "barkeep user add eve@example.com"),
        (&["remove", "eve@example.com"], "", "there is no user eve@example.com"),
        (&["remove", "local@barkeep.localhost"], "", "can't be removed"),
        (&["add", "ann@example.com"], "", "--password-stdin"),
    ] {
        let (is_done, said) = user(&served, args, password);
        assert!(!is_done && said.contains(says), "{args:?}: {said}");
    }
    add(&served, "ann@example.com");
    let (is_done, said) = user(&served, &["add", "ann@example.com", "--password-stdin"], PASSWORD);
    assert!(!is_done && said.contains("barkeep user password ann@example.com"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_https_a_cookie_goes_over_nothing_else() {
    let served = Served::start_with(|command| {
        command.env("BARKEEP_PUBLIC_URL", "https://barkeep.example.com");
    })
    .await;
    add(&served, "ann@example.com");
    let signed_in = sign_in(&served, "ann@example.com", PASSWORD).await;
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let by_name = browser().get(served.up.url("/sign-in")).header("host", "barkeep.example.com").send().await.unwrap();
    assert_eq!(by_name.status(), 200, "its name is one that the server goes by");
    let wrong = served
        .place
        .barkeep(&["sign-in", "--database-url", &served.database.url])
        .env("BARKEEP_PUBLIC_URL", "barkeep.example.com")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&wrong.stderr);
    assert!(!wrong.status.success() && said.contains("for example https://barkeep.example.com"), "{said}");
}
