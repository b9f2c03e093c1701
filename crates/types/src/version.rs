//! Which server is spoken to: MySQL or MariaDB, and its version.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The two families of servers. Percona Server counts as MySQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavor {
    /// MySQL, Percona Server.
    MySql,
    /// MariaDB.
    MariaDb,
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

/// Flavour and version of a server, from `SELECT VERSION()` or the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServerVersion {
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// Major, minor and patch number.
    pub number: (u16, u16, u16),
}

/// The text is not the version of a MySQL or MariaDB server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a MySQL or MariaDB version")]
pub struct VersionError(pub String);

impl ServerVersion {
    /// A MySQL version.
    pub const fn mysql(major: u16, minor: u16, patch: u16) -> Self {
        Self { flavor: Flavor::MySql, number: (major, minor, patch) }
    }

    /// A MariaDB version.
    pub const fn mariadb(major: u16, minor: u16, patch: u16) -> Self {
        Self { flavor: Flavor::MariaDb, number: (major, minor, patch) }
    }

    /// Whether this is MariaDB.
    pub fn is_mariadb(self) -> bool {
        self.flavor == Flavor::MariaDb
    }

    /// Whether this is MySQL (any vendor's build).
    pub fn is_mysql(self) -> bool {
        self.flavor == Flavor::MySql
    }

    /// Whether the version number is at least this one, whatever the flavour.
    pub fn at_least(self, major: u16, minor: u16, patch: u16) -> bool {
        self.number >= (major, minor, patch)
    }
}

impl FromStr for ServerVersion {
    type Err = VersionError;

    /// Reads what a server says of itself. MariaDB sends `5.5.5-10.11.6-MariaDB` in its handshake
    /// to old replicas: that prefix is not its version.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || VersionError(text.chars().take(80).collect());
        let flavor = if text.to_ascii_lowercase().contains("mariadb") {
            Flavor::MariaDb
        } else {
            Flavor::MySql
        };
        let digits = match flavor {
            Flavor::MariaDb => text.strip_prefix("5.5.5-").unwrap_or(text),
            Flavor::MySql => text,
        };
        let mut parts = digits
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .next()
            .unwrap_or_default()
            .split('.')
            .map(str::parse::<u16>);
        let mut next = || parts.next().and_then(Result::ok);
        let (Some(major), Some(minor)) = (next(), next()) else {
            return Err(bad());
        };
        Ok(Self { flavor, number: (major, minor, next().unwrap_or(0)) })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor, patch) = self.number;
        write!(f, "{} {major}.{minor}.{patch}", self.flavor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_as_servers_write_them() {
        let cases = [
            ("5.6.24-log", ServerVersion::mysql(5, 6, 24)),
            ("9.7.4-1", ServerVersion::mysql(9, 7, 4)),
            ("8.0.36-28", ServerVersion::mysql(8, 0, 36)),
            ("5.5.5-10.11.6-MariaDB-log", ServerVersion::mariadb(10, 11, 6)),
            ("11.8.6-MariaDB-0+deb13u1", ServerVersion::mariadb(11, 8, 6)),
        ];
        for (text, version) in cases {
            assert_eq!(text.parse(), Ok(version), "{text}");
        }
        assert!("PostgreSQL 15".parse::<ServerVersion>().is_err());
    }
}
