//! A running server, for commands that go through it instead of to the database.

use anyhow::{Context as _, bail};
use market::Ticker;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use store::{tracking::Synced, users};

use server::{auth::Keys, interest::Wanted};

use crate::config::Config;

/// Where it is, and as whom to go there.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: Url,
    token: String,
    client: Client,
}

impl Server {
    /// The server that `--server` names, or `SUPABASE_URL` and `SUPABASE_ANON_KEY`, as the old client is configured. `None`:
    /// the database is meant.
    ///
    /// The token is `BARKEEP_TOKEN`'s, or the anon key; without either that of the local user, signed with the secret of
    /// the data directory.
    pub(super) fn chosen(named: Option<&str>, config: &Config) -> anyhow::Result<Option<Self>> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let (token, anon_key) = (variable("BARKEEP_TOKEN"), variable("SUPABASE_ANON_KEY"));
        let (address, token) = match (named, variable("SUPABASE_URL"), token.or(anon_key)) {
            (Some(address), _, Some(token)) => (address.to_owned(), token),
            (Some(address), _, None) => (
                address.to_owned(),
                Keys::open(config.jwt_secret.as_ref(), &config.data_dir)?.token(users::LOCAL, "", 300)?,
            ),
            (None, Some(address), Some(token)) => (address, token),
            (None, _, _) => return Ok(None),
        };
        let url: Url = address
            .parse()
            .ok()
            .filter(|url: &Url| ["http", "https"].contains(&url.scheme()) && url.host().is_some())
            .with_context(|| format!("'{address}' is no server's address: write http://127.0.0.1:4780"))?;
        let mut client = Client::builder().timeout(std::time::Duration::from_secs(30));
        if url.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]") {
            client = client.no_proxy();
        }
        Ok(Some(Self { url, token, client: client.build().context("no HTTP client could be made")? }))
    }

    /// Says what is wanted, as the old client does.
    pub(super) async fn track(&self, wanted: &Wanted) -> anyhow::Result<Synced> {
        let body = json!({
            "symbols": wanted.tickers,
            "source": wanted.source.as_str(),
            "timeframes": wanted.timeframes,
        });
        let answer = self.ask(Method::POST, &["functions", "v1", "sync-user-symbols"], Some(&body)).await?;
        serde_json::from_value(answer)
            .with_context(|| format!("{} answered with something else than it should", self.url))
    }

    /// Takes symbols off the watchlist; how many were on it.
    pub(super) async fn untrack(&self, tickers: &[Ticker]) -> anyhow::Result<i64> {
        let mut gone = 0;
        for ticker in tickers {
            match self.send(Method::DELETE, &["api", "v1", "watchlist", ticker.as_str()], None).await? {
                (status, _) if status.is_success() => gone += 1,
                (StatusCode::NOT_FOUND, _) => {}
                (status, answer) => return Err(self.refused(status, &answer)),
            }
        }
        Ok(gone)
    }

    async fn ask(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        match self.send(method, path, body).await? {
            (status, answer) if status.is_success() => Ok(answer),
            (status, answer) => Err(self.refused(status, &answer)),
        }
    }

    async fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<(StatusCode, Value)> {
        let mut url = self.url.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
            Err(()) => bail!("'{}' is no server's address: write http://127.0.0.1:4780", self.url),
        }
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| {
            let why = if error.is_timeout() { "there was no answer in time" } else { "nobody answers there" };
            anyhow::anyhow!(
                "{why} ({}): start `barkeep up`, check the address, or leave --server (or SUPABASE_URL) out to go to the \
                 database",
                self.url
            )
        })?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }

    fn refused(&self, status: StatusCode, answer: &Value) -> anyhow::Error {
        let words = answer["error"].as_str().or(answer["message"].as_str()).unwrap_or("no reason given");
        let hint = match status {
            StatusCode::UNAUTHORIZED => {
                ": set BARKEEP_TOKEN (barkeep token --user EMAIL) or SUPABASE_ANON_KEY (barkeep keys) to one of that server's"
            }
            StatusCode::NOT_FOUND => ": is it a Barkeep server?",
            _ => "",
        };
        anyhow::anyhow!("{} refused it ({status}: {words}){hint}", self.url)
    }
}
