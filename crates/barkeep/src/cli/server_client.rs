//! A client of a running server, for commands that use it instead of the database.

use anyhow::{Context as _, bail};
use market::Ticker;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::{Value, json};
use store::{tracking::Synced, users};

use server::{auth::Keys, interest::SymbolInterest};

use crate::config::Config;

/// A server's address, and the token to use with it.
#[derive(Debug)]
pub(super) struct ServerClient {
    pub(super) url: Url,
    token: String,
    client: Client,
}

impl ServerClient {
    /// The server of `--server`, or of `SUPABASE_URL` and `SUPABASE_ANON_KEY`, which clients made for Supabase use. `None`: use
    /// the database.
    ///
    /// The token is `BARKEEP_TOKEN` or the anon key, else one for the local user, signed with the secret in the data
    /// directory.
    pub(super) fn from_option(address: Option<&str>, config: &Config) -> anyhow::Result<Option<Self>> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let (token, anon_key) = (variable("BARKEEP_TOKEN"), variable("SUPABASE_ANON_KEY"));
        let (address, token) = match (address, variable("SUPABASE_URL"), token.or(anon_key)) {
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
            .with_context(|| format!("'{address}' isn't a server address: write for example http://127.0.0.1:4780"))?;
        let mut client = Client::builder().timeout(std::time::Duration::from_secs(30));
        if url.host_str().is_some_and(|host| host == "localhost" || host.starts_with("127.") || host == "[::1]") {
            client = client.no_proxy();
        }
        Ok(Some(Self { url, token, client: client.build().context("could not create an HTTP client")? }))
    }

    /// Tracks symbols, with the request that clients made for Supabase send.
    pub(super) async fn track(&self, interest: &SymbolInterest) -> anyhow::Result<Synced> {
        let body = json!({
            "symbols": interest.tickers,
            "source": interest.source.as_str(),
            "timeframes": interest.timeframes,
        });
        let answer = self.request(Method::POST, &["functions", "v1", "sync-user-symbols"], Some(&body)).await?;
        serde_json::from_value(answer).with_context(|| format!("unexpected response from {}", self.url))
    }

    /// Removes symbols from the watchlist. Returns how many were on it.
    pub(super) async fn untrack(&self, tickers: &[Ticker]) -> anyhow::Result<i64> {
        let mut removed = 0;
        for ticker in tickers {
            match self.send(Method::DELETE, &["api", "v1", "watchlist", ticker.as_str()], None).await? {
                (status, _) if status.is_success() => removed += 1,
                (StatusCode::NOT_FOUND, _) => {}
                (status, answer) => return Err(self.rejected(status, &answer)),
            }
        }
        Ok(removed)
    }

    async fn request(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<Value> {
        match self.send(method, path, body).await? {
            (status, answer) if status.is_success() => Ok(answer),
            (status, answer) => Err(self.rejected(status, &answer)),
        }
    }

    async fn send(&self, method: Method, path: &[&str], body: Option<&Value>) -> anyhow::Result<(StatusCode, Value)> {
        let mut url = self.url.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(path)),
            Err(()) => bail!("'{}' isn't a server address: write for example http://127.0.0.1:4780", self.url),
        }
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| {
            let problem = if error.is_timeout() { "the server didn't answer in time" } else { "can't connect to the server" };
            anyhow::anyhow!(
                "{problem} ({}): start `barkeep up`, check the address, or leave out --server (or SUPABASE_URL) to use the \
                 database",
                self.url
            )
        })?;
        let status = answer.status();
        Ok((status, answer.json().await.unwrap_or(Value::Null)))
    }

    fn rejected(&self, status: StatusCode, answer: &Value) -> anyhow::Error {
        let reason = answer["error"].as_str().or(answer["message"].as_str()).unwrap_or("no reason given");
        let hint = match status {
            StatusCode::UNAUTHORIZED => {
                ": set BARKEEP_TOKEN (barkeep token --user EMAIL) or SUPABASE_ANON_KEY (barkeep keys) to a token of that server"
            }
            StatusCode::NOT_FOUND => ": is it a Barkeep server?",
            _ => "",
        };
        anyhow::anyhow!("{} rejected the request ({status}: {reason}){hint}", self.url)
    }
}
