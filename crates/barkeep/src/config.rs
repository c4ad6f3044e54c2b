//! Settings: flags over environment over `barkeep.toml` over defaults.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use clap::Args;
use engine::calendar_exceptions;
use jiff::Timestamp;
use market::AssetClass;
use providers::{
    alpaca::AlpacaSettings,
    registry::{self, Candidate},
};
use serde::Deserialize;

use server::auth::{Jwks, Secret};

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4780);

/// What every command takes.
#[derive(Args, Clone, Debug)]
pub(crate) struct Common {
    /// Where the private database, keys and secrets are [default: ~/.local/share/barkeep]
    #[arg(long, global = true, env = "BARKEEP_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// PostgreSQL 15 or newer to use instead of a private one
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// Where to listen [default: 127.0.0.1:4780; market-sim: 127.0.0.1:9100]
    #[arg(long, global = true, env = "BARKEEP_LISTEN", value_name = "ADDRESS:PORT", value_parser = address)]
    pub(crate) listen: Option<SocketAddr>,

    /// Runs the market's clock from that instant on, for history
    #[arg(long, global = true, env = "BARKEEP_AS_OF", value_name = "INSTANT", value_parser = market::instant)]
    pub(crate) as_of: Option<Timestamp>,

    /// Settings file [default: barkeep.toml in the current directory, where there is one]
    #[arg(long, global = true, env = "BARKEEP_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Prints the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// What a run of Barkeep goes by.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    /// None: a private cluster in the data directory. May hold a password: not for logs.
    pub(crate) database_url: Option<Url>,
    pub(crate) listen: SocketAddr,
    pub(crate) as_of: Option<Timestamp>,
    /// Those that are set up, in the order in which they are asked.
    pub(crate) providers: Vec<Arc<dyn Candidate>>,
    /// Every provider there is: its name, the variables that set it up, and whether they do.
    pub(crate) known_providers: Vec<(&'static str, &'static [&'static str], bool)>,
    /// Signs tokens in place of the secret in the data directory: Supabase's, for one.
    pub(crate) jwt_secret: Option<Secret>,
    /// Whose keys sign tokens besides the secret.
    pub(crate) jwks: Option<Jwks>,
    /// Where browsers find the server, where that is not where it listens: behind a proxy, for one.
    pub(crate) public_url: Option<reqwest::Url>,
    /// Names under which the server may be called, besides loopback's.
    pub(crate) allowed_hosts: Vec<String>,
    /// What is said of sessions.
    pub(crate) sessions: calendar_exceptions::Wanted,
    /// Whether to listen for notifications of the database and to send them. Without, one looks more often.
    pub(crate) notify: bool,
    /// Whether this process asks for lists of assets, splits and dividends by itself, looks unknown symbols up once more and
    /// looks stored bars over. Without, other processes do, or nobody.
    pub(crate) upkeep: bool,
}

/// A database URL, whose password no `Debug` shows.
pub(crate) type Url = Secret;

/// `barkeep.toml`. A name that isn't known is refused: a misspelt setting would be ignored in silence.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    data_dir: Option<PathBuf>,
    database_url: Option<Url>,
    listen: Option<SocketAddr>,
    as_of: Option<Timestamp>,
    jwt_secret: Option<Secret>,
    allowed_hosts: Vec<String>,
    public_url: Option<String>,
    jwks_url: Option<String>,
    sessions: Option<PathBuf>,
    stock_hours: Option<String>,
    notify: Option<bool>,
    upkeep: Option<bool>,
    alpaca: AlpacaFile,
    /// Under the names of the variables.
    providers: BTreeMap<String, Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AlpacaFile {
    key_id: Option<Secret>,
    secret_key: Option<Secret>,
    data_url: Option<String>,
    trading_url: Option<String>,
}

impl Config {
    /// Reads everything there is to read; opens and makes nothing.
    pub(crate) fn load(common: &Common) -> anyhow::Result<Self> {
        let file = read_file(common.config.as_deref())?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        if let Some(unknown) = file.providers.keys().find(|name| !PROVIDER_SETTINGS.contains(&name.as_str())) {
            bail!("'{unknown}' in [providers] is no setting of a provider: {} are", PROVIDER_SETTINGS.join(", "));
        }
        let lookup = |name: &str| {
            let written = match name {
                "APCA_API_KEY_ID" => file.alpaca.key_id.as_ref().map(|s| s.0.clone()),
                "APCA_API_SECRET_KEY" => file.alpaca.secret_key.as_ref().map(|s| s.0.clone()),
                "APCA_API_DATA_URL" => file.alpaca.data_url.clone(),
                "APCA_API_BASE_URL" => file.alpaca.trading_url.clone(),
                name => file.providers.get(name).map(|s| s.0.clone()),
            };
            variable(name).or(written)
        };
        let known_providers =
            registry::all(lookup)?.iter().map(|c| (c.name(), c.variables(), !c.serves().is_empty())).collect();
        let providers = in_order(registry::configured(lookup)?, lookup("BARKEEP_STOCKS"), lookup("BARKEEP_CRYPTO"))?;
        let public_url =
            variable("BARKEEP_PUBLIC_URL").or(file.public_url).map(|text| public_url(&text)).transpose()?;
        let mut allowed_hosts = file.allowed_hosts;
        allowed_hosts.extend(public_url.as_ref().and_then(|url| url.host_str()).map(str::to_owned));
        Ok(Self {
            data_dir: match common.data_dir.clone().or(file.data_dir) {
                Some(dir) => std::path::absolute(&dir)
                    .with_context(|| format!("the data directory {} can't be made absolute", dir.display()))?,
                None => default_data_dir()?,
            },
            database_url: common.database_url.clone().map(Secret).or(file.database_url),
            listen: common.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            as_of: common.as_of.or(file.as_of),
            providers,
            known_providers,
            jwt_secret: variable("BARKEEP_JWT_SECRET")
                .or_else(|| variable("SUPABASE_JWT_SECRET"))
                .map(Secret)
                .or(file.jwt_secret),
            allowed_hosts,
            jwks: variable("BARKEEP_JWKS_URL").or(file.jwks_url).map(|url| Jwks::at(&url)).transpose()?,
            public_url,
            sessions: calendar_exceptions::Wanted {
                file: variable("BARKEEP_SESSIONS").map(PathBuf::from).or(file.sessions),
                hours: variable("BARKEEP_STOCK_HOURS")
                    .or(file.stock_hours)
                    .map(|text| text.trim().parse())
                    .transpose()?,
            },
            notify: switch("BARKEEP_NOTIFY", variable("BARKEEP_NOTIFY"))?.or(file.notify).unwrap_or(true),
            upkeep: switch("BARKEEP_UPKEEP", variable("BARKEEP_UPKEEP"))?.or(file.upkeep).unwrap_or(true),
        })
    }

    /// Whether a provider is set up: by its keys, by name, or a server of one's own in its place.
    pub(crate) fn has_provider(&self) -> bool {
        !self.providers.is_empty()
    }

    /// Whether bars are real as far as the settings tell: some provider's own address is asked.
    pub(crate) fn is_real(&self) -> bool {
        self.providers.iter().any(|provider| provider.is_own_host())
    }

    /// A simulator at that address instead of any provider.
    pub(crate) fn simulate(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let data_url = format!("http://{address}").parse().context("the simulator's address")?;
        self.providers =
            vec![Arc::new(AlpacaSettings { data_url, counted_as: Some("of its own"), ..AlpacaSettings::default() })];
        Ok(())
    }
}

/// What a variable says that is on or off.
fn switch(name: &str, said: Option<String>) -> anyhow::Result<Option<bool>> {
    match said.as_deref() {
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(other) => bail!("{name} must be on or off, not '{other}'"),
        None => Ok(None),
    }
}

/// Settings of providers that `[providers]` takes.
const PROVIDER_SETTINGS: [&str; 14] = [
    "MASSIVE_API_KEY",
    "POLYGON_API_KEY",
    "MASSIVE_API_URL",
    "MASSIVE_PLAN",
    "TRADIER_TOKEN",
    "TRADIER_API_URL",
    "FINNHUB_API_KEY",
    "FINNHUB_API_URL",
    "BARKEEP_YAHOO",
    "YAHOO_API_URL",
    "BARKEEP_STOCKS",
    "BARKEEP_CRYPTO",
    "BINANCE_API_URL",
    "COINBASE_API_URL",
];

/// In the order that the two lists give, those not named after them as they come.
fn in_order(
    configured: Vec<Box<dyn Candidate>>,
    stocks: Option<String>,
    crypto: Option<String>,
) -> anyhow::Result<Vec<Arc<dyn Candidate>>> {
    let list = |text: Option<String>| -> Vec<String> {
        let text = text.unwrap_or_default();
        text.split([',', ' ']).map(|name| name.trim().to_ascii_lowercase()).filter(|name| !name.is_empty()).collect()
    };
    let (stocks, crypto) = (list(stocks), list(crypto));
    if let Some(unknown) = stocks.iter().find(|name| !configured.iter().any(|c| c.name() == name.as_str())) {
        bail!("BARKEEP_STOCKS names {unknown}, which is not set up: `barkeep providers` says what each needs");
    }
    let mut providers: Vec<Arc<dyn Candidate>> = configured.into_iter().map(Arc::from).collect();
    let place = |names: &[String], name: &str| names.iter().position(|n| n == name).unwrap_or(usize::MAX);
    // One that serves both classes goes by its place among the stocks, where it has one.
    providers.sort_by_key(|c| match place(&stocks, c.name()) {
        usize::MAX if c.serves().contains(&AssetClass::Stock) && !stocks.is_empty() => usize::MAX,
        usize::MAX => place(&crypto, c.name()),
        place => place,
    });
    Ok(providers)
}

fn public_url(text: &str) -> anyhow::Result<reqwest::Url> {
    let url = text.trim().parse::<reqwest::Url>().ok();
    url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.host_str().is_some() && url.path() == "/")
        .with_context(|| format!("public_url '{text}' is no address of a server: write https://barkeep.example.com"))
}

fn read_file(named: Option<&Path>) -> anyhow::Result<File> {
    let path = match named {
        Some(path) => path,
        None if Path::new("barkeep.toml").exists() => Path::new("barkeep.toml"),
        None => return Ok(File::default()),
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("the settings file {} can't be read", path.display()))?;
    // The parser's own words quote the line at fault, which may be the one with a key on it.
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        anyhow::anyhow!("the settings file {} is wrong in line {line}: {}", path.display(), error.message())
    })
}

/// An address to listen on; `localhost` is 127.0.0.1.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.replacen("localhost:", "127.0.0.1:", 1);
    numbers.parse().map_err(|_| "an address and a port such as 127.0.0.1:4790 are expected".to_owned())
}

/// `$XDG_DATA_HOME/barkeep`, else `~/.local/share/barkeep`.
fn default_data_dir() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(dir) = absolute("XDG_DATA_HOME") {
        return Ok(dir.join("barkeep"));
    }
    match absolute("HOME") {
        Some(home) => Ok(home.join(".local/share/barkeep")),
        None => bail!("neither XDG_DATA_HOME nor HOME says where data belongs: give --data-dir"),
    }
}
