//! The address of the private server.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

/// The superuser that `initdb` creates, and that the users in `pg_ident.conf` connect as.
pub(crate) const ROLE: &str = "barkeep";

/// Part of the socket file's name, not a TCP port. Fixed, since each server has its own directory.
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

    /// The directory of the server's socket.
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// A URL of `database` for psql, sqlx and everything else that takes libpq's syntax. It has no password. The port and TLS
    /// mode are included so that `PGPORT` and `PGSSLMODE` don't change them.
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

/// Percent-encodes everything but RFC 3986's unreserved characters, as libpq decodes it.
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
