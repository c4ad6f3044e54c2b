//! How clients reach the private server.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The superuser that `initdb` makes, and that the users let in by `pg_ident.conf` connect as.
pub(crate) const ROLE: &str = "barkeep";

/// Names the socket file, no TCP port: fixed, since each server has a folder of its own.
pub(crate) const PORT: u16 = 5432;

/// The socket of a private server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterAddress {
    socket_dir: PathBuf,
}

impl ClusterAddress {
    pub(crate) fn new(socket_dir: PathBuf) -> Self {
        Self { socket_dir }
    }

    /// The folder of the server's socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// A URL of `database` that psql, sqlx and whatever else uses libpq's syntax take; there is no password in it. The
    /// port and TLS mode are spelled out so that `PGPORT` and `PGSSLMODE` don't change them.
    pub fn url(&self, database: &str) -> String {
        let host = percent_encoded(&self.socket_dir.to_string_lossy());
        let database = percent_encoded(database);
        format!("postgresql:///{database}?host={host}&port={PORT}&user={ROLE}&sslmode=disable")
    }

    /// The same for sqlx.
    pub fn connect_options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(PORT)
            .username(ROLE)
            .database(database)
            .ssl_mode(PgSslMode::Disable)
    }
}

/// All but RFC 3986's unreserved characters encoded, as libpq reads it back.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn sqlx_reads_the_url_as_it_was_meant() {
        let address = ClusterAddress::new(PathBuf::from("/tmp/a b&c=1/%run"));
        let options: PgConnectOptions = address.url("bar keep?").parse().unwrap();
        assert_eq!(options.get_socket().unwrap(), &PathBuf::from("/tmp/a b&c=1/%run"));
        assert_eq!(options.get_database(), Some("bar keep?"));
        assert_eq!(options.get_username(), ROLE);
        assert_eq!(options.get_port(), PORT);
    }
}
