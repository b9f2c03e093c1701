//! Where a server listens: a host and a TCP port.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The port that MySQL and MariaDB listen on unless told otherwise.
pub const DEFAULT_PORT: u16 = 3306;

/// Host name or IP address, and TCP port, of a database server.
///
/// Text form: `host:port`, `host` (port 3306), `[v6]:port`. The host is kept as it was written
/// (in lower case); nothing here resolves names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is not a server address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Nothing, or only a port, was written.
    #[error("{0:?} has no host name (write host:port)")]
    NoHost(String),
    /// The port is not a number from 1 to 65535.
    #[error("{0:?} has no valid port (1 to 65535)")]
    BadPort(String),
    /// A bracket or blank stands where none may stand.
    #[error("{0:?} is not host:port or [ipv6]:port")]
    Malformed(String),
}

impl Address {
    /// An address from its two parts; the host may be an IPv6 address with or without brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        let host: String = host.into();
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&host);
        Self { host: host.to_ascii_lowercase(), port }
    }

    /// The host name or IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad_port = || AddressError::BadPort(text.to_owned());
        let port = |digits: &str| match digits.parse::<u16>() {
            Ok(0) | Err(_) => Err(bad_port()),
            Ok(n) => Ok(n),
        };
        if text.contains(char::is_whitespace) {
            return Err(AddressError::Malformed(text.to_owned()));
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            match rest.split_once(']') {
                Some((host, "")) => (host, DEFAULT_PORT),
                Some((host, tail)) => match tail.strip_prefix(':') {
                    Some(digits) => (host, port(digits)?),
                    None => return Err(AddressError::Malformed(text.to_owned())),
                },
                None => return Err(AddressError::Malformed(text.to_owned())),
            }
        } else {
            match text.matches(':').count() {
                0 => (text, DEFAULT_PORT),
                1 => match text.split_once(':') {
                    Some((host, digits)) => (host, port(digits)?),
                    None => (text, DEFAULT_PORT),
                },
                // A bare IPv6 address: no port can be told apart from its last group.
                _ => (text, DEFAULT_PORT),
            }
        };
        if host.is_empty() {
            return Err(AddressError::NoHost(text.to_owned()));
        }
        if host.contains(['[', ']', '/', '@']) {
            return Err(AddressError::Malformed(text.to_owned()));
        }
        Ok(Self::new(host, port))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        };
        f.pad(&text)
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_being_written_and_read() {
        for text in ["db1:3307", "10.0.0.1:3306", "[fe80::1]:3306"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("DB1".parse::<Address>().unwrap().to_string(), "db1:3306");
        assert_eq!("::1".parse::<Address>().unwrap().to_string(), "[::1]:3306");
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        for text in ["", ":3306", "db1:0", "db1:70000", "db1:x", "[::1", "[::1]3306", "a b:1"] {
            assert!(text.parse::<Address>().is_err(), "{text:?} was taken");
        }
    }
}
