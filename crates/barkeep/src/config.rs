//! Settings: flags over environment over `barkeep.toml` over defaults.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use providers::alpaca::AlpacaSettings;
use serde::Deserialize;

use crate::cli::Common;

const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4780);

/// What a run of Barkeep goes by.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    /// None: a private cluster in the data directory. May hold a password: not for logs.
    pub(crate) database_url: Option<Url>,
    pub(crate) listen: SocketAddr,
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) alpaca: AlpacaSettings,
    /// Signs tokens in place of the secret in the data directory: Supabase's, for one.
    pub(crate) jwt_secret: Option<Secret>,
    /// Names under which the server may be called, besides loopback's.
    pub(crate) allowed_hosts: Vec<String>,
}

/// A text that no `Debug` shows.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // serde's own words would quote what stands there instead.
        let text =
            String::deserialize(deserializer).map_err(|_| serde::de::Error::custom("a text in quotes is expected"));
        text.map(Self)
    }
}

/// A database URL, whose password no `Debug` shows.
pub(crate) type Url = Secret;

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

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
    alpaca: AlpacaFile,
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
        let alpaca = AlpacaSettings::from_lookup(|name| {
            let written = match name {
                "APCA_API_KEY_ID" => file.alpaca.key_id.as_ref().map(|s| s.0.clone()),
                "APCA_API_SECRET_KEY" => file.alpaca.secret_key.as_ref().map(|s| s.0.clone()),
                "APCA_API_DATA_URL" => file.alpaca.data_url.clone(),
                "APCA_API_BASE_URL" => file.alpaca.trading_url.clone(),
                _ => None,
            };
            variable(name).or(written)
        })?;
        Ok(Self {
            data_dir: match common.data_dir.clone().or(file.data_dir) {
                Some(dir) => std::path::absolute(&dir)
                    .with_context(|| format!("the data directory {} can't be made absolute", dir.display()))?,
                None => default_data_dir()?,
            },
            database_url: common.database_url.clone().map(Secret).or(file.database_url),
            listen: common.listen.or(file.listen).unwrap_or(DEFAULT_LISTEN),
            as_of: common.as_of.or(file.as_of),
            alpaca,
            jwt_secret: variable("BARKEEP_JWT_SECRET")
                .or_else(|| variable("SUPABASE_JWT_SECRET"))
                .map(Secret)
                .or(file.jwt_secret),
            allowed_hosts: file.allowed_hosts,
        })
    }

    /// Whether a provider of real bars is set up: keys, or a server of one's own that isn't Alpaca's.
    pub(crate) fn has_provider(&self) -> bool {
        self.alpaca.key_id.is_some() || !self.alpaca.data_url.is_alpaca()
    }

    /// Whether its bars are real as far as the settings tell: keys, and Alpaca's own address.
    pub(crate) fn is_real(&self) -> bool {
        self.alpaca.key_id.is_some() && self.alpaca.data_url.is_alpaca()
    }
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
