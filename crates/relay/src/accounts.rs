//! The servers' own accounts, as read from `mysql.user`, and which of them a client is.
//!
//! Sources: "Access Control, Stage 1: Connection Verification" and "Specifying Account Names" in
//! MySQL's manual (5.6 to 9.7); "CREATE USER" and "mysql.user Table" in MariaDB's.

mod host;

use std::net::IpAddr;

use crate::credential::Credential;
pub use host::HostPattern;

/// How a client has to come (`REQUIRE` of `CREATE USER`, column `ssl_type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Require {
    /// As it likes.
    #[default]
    Nothing,
    /// Over TLS.
    Tls,
    /// With a certificate of its own: what is in it is not seen behind a relay.
    Certificate,
}

impl Require {
    /// Of the column `ssl_type`.
    pub fn parse(ssl_type: &str) -> Self {
        match ssl_type {
            "ANY" => Self::Tls,
            "X509" | "SPECIFIED" => Self::Certificate,
            _ => Self::Nothing,
        }
    }
}

/// One row of `mysql.user`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Name; empty for the anonymous account, which is everyone.
    pub user: String,
    /// From where.
    pub host: HostPattern,
    /// With what.
    pub credential: Credential,
    /// `ACCOUNT LOCK`.
    pub locked: bool,
    /// The password has to be changed first.
    pub expired: bool,
    /// How the client has to come.
    pub require: Require,
}

/// Where a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address; `None` over a unix socket.
    pub address: Option<IpAddr>,
    /// Its name, if the server looks names up: `localhost` over a unix socket.
    pub name: Option<String>,
}

impl Peer {
    /// Over a unix socket.
    pub fn local() -> Self {
        Self { address: None, name: Some("localhost".to_owned()) }
    }

    /// Over TCP, without a look at its name.
    pub fn at(address: IpAddr) -> Self {
        Self { address: Some(address.to_canonical()), name: None }
    }

    /// As errors name it: its name, or its address.
    pub fn shown(&self) -> String {
        match (&self.name, self.address) {
            (Some(name), _) => name.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => "localhost".to_owned(),
        }
    }
}

/// All accounts, in the order in which servers look through them.
#[derive(Clone, Debug, Default)]
pub struct Accounts {
    rows: Vec<Account>,
}

impl Accounts {
    /// Of the rows of `mysql.user` in the order of its primary key, without roles. The families
    /// differ in which of two patterns is the more specific one.
    pub fn new(mut rows: Vec<Account>, mariadb: bool) -> Self {
        // The most specific host first, then named accounts before the anonymous one; rows that
        // are alike stay as they came.
        rows.sort_by_key(|row| std::cmp::Reverse((row.host.rank(mariadb), !row.user.is_empty())));
        Self { rows }
    }

    /// All of them, in that order.
    pub fn rows(&self) -> &[Account] {
        &self.rows
    }

    /// The account that a client is: the first whose host is the client's and whose name is the
    /// client's or empty. Names are compared byte by byte.
    pub fn find(&self, user: &str, peer: &Peer) -> Option<&Account> {
        self.rows
            .iter()
            .find(|row| (row.user == user || row.user.is_empty()) && row.host.matches(peer))
    }

    /// Whether anybody may come from there: servers end the connection of others before a greeting,
    /// with error 1130.
    pub fn lets_in_from(&self, peer: &Peer) -> bool {
        self.rows.iter().any(|row| row.host.matches(peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::ClientPlugin;

    fn account(user: &str, host: &str) -> Account {
        Account {
            user: user.to_owned(),
            host: HostPattern::parse(host),
            credential: Credential::Empty(ClientPlugin::Native),
            locked: false,
            expired: false,
            require: Require::Nothing,
        }
    }

    fn found(rows: &[(&str, &str)], user: &str, peer: &Peer) -> Option<String> {
        let rows = rows.iter().map(|(user, host)| account(user, host)).collect();
        let accounts = Accounts::new(rows, true);
        let found = accounts.find(user, peer)?;
        Some(format!("{}@{}", found.user, found.host))
    }

    fn peer(address: &str, name: &str) -> Peer {
        let name = (!name.is_empty()).then(|| name.to_owned());
        Peer { address: Some(address.parse().unwrap()), name }
    }

    #[test]
    fn the_examples_of_the_manual() {
        let rows = [("root", "%"), ("jeffrey", "%"), ("root", "localhost"), ("", "localhost")];
        let here = Peer::local();
        assert_eq!(found(&rows, "jeffrey", &here).unwrap(), "@localhost");
        assert_eq!(found(&rows, "root", &here).unwrap(), "root@localhost");
        let rows = [("jeffrey", "%"), ("", "h1.example.net")];
        let h1 = peer("10.0.0.1", "h1.example.net");
        assert_eq!(found(&rows, "jeffrey", &h1).unwrap(), "@h1.example.net");
        let h2 = peer("10.0.0.2", "h2.example.net");
        assert_eq!(found(&rows, "jeffrey", &h2).unwrap(), "jeffrey@%");
        assert_eq!(found(&rows, "root", &h2), None);
    }

    #[test]
    fn the_more_specific_host_wins_whatever_the_order_of_rows() {
        let mut rows = vec![
            ("u", "10.1.2.3"),
            ("u", "10.1.2.0/24"),
            ("u", "10.1.0.0/255.255.0.0"),
            ("u", "10.1.2.%"),
            ("u", "10.%"),
            ("u", "%"),
            ("u", ""),
        ];
        let client = peer("10.1.2.3", "");
        while let Some((_, host)) = rows.first().copied() {
            for _ in 0..rows.len() {
                rows.rotate_left(1);
                assert_eq!(found(&rows, "u", &client), Some(format!("u@{host}")));
            }
            rows.retain(|(_, other)| *other != host);
        }
    }

    #[test]
    fn nobody_comes_from_a_host_that_no_row_has() {
        let accounts = Accounts::new(vec![account("u", "localhost"), account("", "10.%")], false);
        assert!(accounts.lets_in_from(&Peer::local()));
        assert!(accounts.lets_in_from(&peer("10.9.9.9", "")));
        assert!(!accounts.lets_in_from(&peer("11.9.9.9", "")));
    }
}
