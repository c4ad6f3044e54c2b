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
use providers::{
    MarketClock,
    alpaca::AlpacaSettings,
    budget::InProcess,
    registry::{self, Candidate},
};
use serde::Deserialize;

use server::auth::{Jwks, Secret};

use crate::provider_order::order_providers;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4780);

/// The options that several commands share. All are accepted with every command; which ones a command's help shows is
/// decided in `cli::help`.
#[derive(Args, Clone, Debug)]
pub(crate) struct CommonOptions {
    /// Directory of the private database, keys and secrets [default: ~/.local/share/barkeep]
    #[arg(long, global = true, env = "BARKEEP_DATA_DIR", value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,

    /// Use this PostgreSQL database (15 or newer) instead of a private one
    #[arg(long, global = true, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,

    /// Address and port to listen on [default: 127.0.0.1:4780]
    #[arg(long, global = true, env = "BARKEEP_LISTEN", value_name = "ADDRESS:PORT", value_parser = parse_listen_address)]
    pub(crate) listen: Option<SocketAddr>,

    /// Run the market clock from this instant, to work on history
    #[arg(long, global = true, env = "BARKEEP_AS_OF", value_name = "INSTANT", value_parser = market::instant)]
    pub(crate) as_of: Option<Timestamp>,

    /// Read settings from this file [default: barkeep.toml in the current directory, if it exists]
    #[arg(long, global = true, env = "BARKEEP_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Without a provider, store simulated bars in the database that DATABASE_URL or --database-url names
    #[arg(long, global = true, env = "BARKEEP_SIMULATED", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) simulated: bool,

    /// Print the result as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The settings of one run.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    /// `None`: a private cluster in the data directory. May contain a password.
    pub(crate) database_url: Option<Url>,
    pub(crate) listen: SocketAddr,
    pub(crate) as_of: Option<Timestamp>,
    /// The configured providers, in the order in which they are asked.
    pub(crate) providers: Vec<Arc<dyn Candidate>>,
    /// Whether a server in a provider's place says that it is a simulator; `None`: nobody has asked, or none responds.
    pub(crate) stand_in_simulates: Option<bool>,
    /// Whether simulated bars may be stored in the database that the settings name.
    pub(crate) simulated: bool,
    /// Every provider that Barkeep supports: its name, the variables that configure it, and whether it is configured.
    pub(crate) known_providers: Vec<(&'static str, &'static [&'static str], bool)>,
    /// Signs tokens instead of the secret in the data directory, for example Supabase's.
    pub(crate) jwt_secret: Option<Secret>,
    /// Further keys that sign tokens.
    pub(crate) jwks: Option<Jwks>,
    /// The server's address for browsers, if it isn't the one that it listens on, for example behind a proxy.
    pub(crate) public_url: Option<reqwest::Url>,
    /// Host names that the server answers to, besides those of loopback.
    pub(crate) allowed_hosts: Vec<String>,
    /// Days on which a market closes, or closes early, beyond the calendar's rules; and the hours of stocks.
    pub(crate) calendar_exceptions: calendar_exceptions::CalendarSettings,
    /// Whether to use the database's LISTEN and NOTIFY. Without them it is polled more often.
    pub(crate) notify: bool,
    /// Whether this process runs background upkeep: asset lists, splits and dividends, rechecks of unknown symbols, nightly
    /// verification. Without it other processes do, or none.
    pub(crate) upkeep: bool,
}

/// A database URL. `Debug` doesn't show it, since it may contain a password.
pub(crate) type Url = Secret;

/// `barkeep.toml`. Unknown names are errors, since a misspelt setting would be ignored silently.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigFile {
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
    alpaca: AlpacaSection,
    /// By the names of the variables.
    providers: BTreeMap<String, Secret>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct AlpacaSection {
    key_id: Option<Secret>,
    secret_key: Option<Secret>,
    data_url: Option<String>,
    trading_url: Option<String>,
}

impl Config {
    /// Reads options, environment and settings file. Opens no database and creates nothing.
    pub(crate) fn load(common: &CommonOptions) -> anyhow::Result<Self> {
        let file = read_file(common.config.as_deref())?;
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        if let Some(unknown) = file.providers.keys().find(|name| !PROVIDER_SETTINGS.contains(&name.as_str())) {
            bail!("unknown setting '{unknown}' in [providers]; the known ones are {}", PROVIDER_SETTINGS.join(", "));
        }
        let lookup = |name: &str| {
            let from_file = match name {
                "APCA_API_KEY_ID" => file.alpaca.key_id.as_ref().map(|s| s.0.clone()),
                "APCA_API_SECRET_KEY" => file.alpaca.secret_key.as_ref().map(|s| s.0.clone()),
                "APCA_API_DATA_URL" => file.alpaca.data_url.clone(),
                "APCA_API_BASE_URL" => file.alpaca.trading_url.clone(),
                name => file.providers.get(name).map(|s| s.0.clone()),
            };
            variable(name).or(from_file)
        };
        let known_providers =
            registry::all(lookup)?.iter().map(|c| (c.name(), c.variables(), !c.serves().is_empty())).collect();
        let providers = order_providers(
            registry::configured(lookup)?,
            lookup("BARKEEP_STOCKS").as_deref(),
            lookup("BARKEEP_CRYPTO").as_deref(),
        )?;
        let public_url =
            variable("BARKEEP_PUBLIC_URL").or(file.public_url).map(|text| parse_public_url(&text)).transpose()?;
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
            stand_in_simulates: None,
            simulated: common.simulated,
            known_providers,
            jwt_secret: variable("BARKEEP_JWT_SECRET")
                .or_else(|| variable("SUPABASE_JWT_SECRET"))
                .map(Secret)
                .or(file.jwt_secret),
            allowed_hosts,
            jwks: variable("BARKEEP_JWKS_URL").or(file.jwks_url).map(|url| Jwks::at(&url)).transpose()?,
            public_url,
            calendar_exceptions: calendar_exceptions::CalendarSettings {
                file: variable("BARKEEP_SESSIONS").map(PathBuf::from).or(file.sessions),
                hours: variable("BARKEEP_STOCK_HOURS")
                    .or(file.stock_hours)
                    .map(|text| text.trim().parse())
                    .transpose()?,
            },
            notify: on_or_off("BARKEEP_NOTIFY", variable("BARKEEP_NOTIFY"))?.or(file.notify).unwrap_or(true),
            upkeep: on_or_off("BARKEEP_UPKEEP", variable("BARKEEP_UPKEEP"))?.or(file.upkeep).unwrap_or(true),
        })
    }

    /// Whether any provider is configured: by its keys, by name, or by the address of a server in its place.
    pub(crate) fn has_provider(&self) -> bool {
        !self.providers.is_empty()
    }

    /// Whether bars are real, as far as is known: a provider is asked at its own address, or a server in its place doesn't say
    /// that it is a simulator.
    pub(crate) fn has_real_provider(&self) -> bool {
        self.stand_in_simulates == Some(false) || self.providers.iter().any(|provider| provider.is_own_host())
    }

    /// Asks the servers that stand in a provider's place whether they are simulators: their addresses prove nothing.
    pub(crate) async fn ask_stand_ins(&mut self) {
        for provider in self.providers.iter().filter(|provider| !provider.is_own_host()) {
            let now: MarketClock = Arc::new(Timestamp::now);
            match provider.connect(now, &InProcess::default()).await {
                Ok(source) => self.stand_in_simulates = Some(source.endpoint().simulated),
                // It is said when the provider is connected.
                Err(error) => tracing::debug!(%error, "Whether {} is a simulator is not known", provider.name()),
            }
        }
    }

    /// Whether bars may be fetched: from a provider, or from the simulator where its bars belong.
    pub(crate) fn may_fetch(&self) -> bool {
        self.has_provider() || self.database_url.is_none() || self.simulated
    }

    /// Replaces the providers with a simulator at `address`.
    pub(crate) fn use_simulator(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let data_url = format!("http://{address}").parse().context("the simulator's address")?;
        self.providers =
            vec![Arc::new(AlpacaSettings { data_url, counted_as: Some("of its own"), ..AlpacaSettings::default() })];
        Ok(())
    }
}

/// Parses a variable that is `on` or `off`.
fn on_or_off(name: &str, value: Option<String>) -> anyhow::Result<Option<bool>> {
    match value.as_deref() {
        Some("on") => Ok(Some(true)),
        Some("off") => Ok(Some(false)),
        Some(other) => bail!("{name} must be on or off, not '{other}'"),
        None => Ok(None),
    }
}

/// The names allowed in `[providers]`.
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

fn parse_public_url(text: &str) -> anyhow::Result<reqwest::Url> {
    let url = text.trim().parse::<reqwest::Url>().ok();
    url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.host_str().is_some() && url.path() == "/")
        .with_context(|| {
            format!("public_url '{text}' isn't a server address: write for example https://barkeep.example.com")
        })
}

fn read_file(path: Option<&Path>) -> anyhow::Result<ConfigFile> {
    let path = match path {
        Some(path) => path,
        None if Path::new("barkeep.toml").exists() => Path::new("barkeep.toml"),
        None => return Ok(ConfigFile::default()),
    };
    let text =
        std::fs::read_to_string(path).with_context(|| format!("the settings file {} can't be read", path.display()))?;
    // The parser's full message quotes the line, which may contain a key.
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        anyhow::anyhow!("the settings file {} has an error in line {line}: {}", path.display(), error.message())
    })
}

/// Parses an address to listen on; `localhost` is 127.0.0.1.
fn parse_listen_address(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.replacen("localhost:", "127.0.0.1:", 1);
    numbers.parse().map_err(|_| "expected an address and a port, for example 127.0.0.1:4790".to_owned())
}

/// `$XDG_DATA_HOME/barkeep`, else `~/.local/share/barkeep`.
fn default_data_dir() -> anyhow::Result<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(dir) = absolute("XDG_DATA_HOME") {
        return Ok(dir.join("barkeep"));
    }
    match absolute("HOME") {
        Some(home) => Ok(home.join(".local/share/barkeep")),
        None => bail!("neither XDG_DATA_HOME nor HOME is set: choose a data directory with --data-dir"),
    }
}
