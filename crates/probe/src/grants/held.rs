//! Reading `SHOW GRANTS`: which privileges an account has, and what they include.

use std::collections::{BTreeMap, BTreeSet};

use crate::dialect::{Dialect, Feature};

/// Privileges of an account by object (`*.*`, `` `schema`.* ``).
#[derive(Clone, Debug)]
pub struct Held {
    dialect: Dialect,
    by_object: BTreeMap<String, BTreeSet<String>>,
}

/// What SUPER includes on MySQL 8.0 and later (`XA_RECOVER_ADMIN` is not among them).
const MYSQL_SUPER: &[&str] = &[
    "REPLICATION CLIENT",
    "REPLICATION_SLAVE_ADMIN",
    "SYSTEM_VARIABLES_ADMIN",
    "CONNECTION_ADMIN",
    "BINLOG_ADMIN",
    "SET_USER_ID",
    "SET_ANY_DEFINER",
];
/// What SUPER includes on MariaDB up to 10.11. REPLICATION MASTER ADMIN is not counted: SHOW SLAVE
/// HOSTS asks for it all the same.
const MARIADB_SUPER: &[&str] = &[
    "SLAVE MONITOR",
    "BINLOG MONITOR",
    "REPLICATION SLAVE ADMIN",
    "CONNECTION ADMIN",
    "BINLOG ADMIN",
    "BINLOG REPLAY",
    "SET USER",
];

impl Held {
    /// Reads the lines of `SHOW GRANTS`. Lines that grant roles, proxies or single tables, and
    /// MariaDB's `SET DEFAULT ROLE`, give nothing here.
    pub fn read<'a>(dialect: Dialect, lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut by_object: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in lines {
            // A role's own line is `GRANT `role`@`%` TO ...`: it has no ON.
            let Some((privileges, object)) = grant_line(line) else { continue };
            by_object.entry(object).or_default().extend(privileges);
        }
        Self { dialect, by_object }
    }

    /// Whether the account has a privilege on an object: there, or globally, or through ALL, or
    /// through SUPER as far as this version's SUPER includes it.
    pub fn has(&self, privilege: &str, object: &str) -> bool {
        let among = |object: &str| {
            self.by_object.get(object).is_some_and(|held| {
                held.contains("ALL PRIVILEGES") || held.contains("ALL") || held.contains(privilege)
            })
        };
        among("*.*") || among(object) || (self.super_includes(privilege) && among_super(self))
    }

    fn super_includes(&self, privilege: &str) -> bool {
        let dialect = self.dialect;
        if dialect.has(Feature::SuperIsPlain) {
            return false;
        }
        if dialect.is_mariadb() {
            return MARIADB_SUPER.contains(&privilege)
                || privilege == "READ_ONLY ADMIN" && !dialect.has(Feature::SuperSparesReadOnly);
        }
        MYSQL_SUPER.contains(&privilege)
    }
}

fn among_super(held: &Held) -> bool {
    held.by_object.get("*.*").is_some_and(|global| global.contains("SUPER"))
}

/// ``GRANT a, b ON `x`.* TO ...`` as its privileges and its object. The object's quotes are
/// backticks on every version; `\_` in it stands for `_`.
fn grant_line(line: &str) -> Option<(Vec<String>, String)> {
    let rest = line.strip_prefix("GRANT ")?;
    let (privileges, rest) = rest.split_once(" ON ")?;
    let (object, _) = rest.split_once(" TO ")?;
    if privileges.starts_with(['`', '\'']) || privileges == "PROXY" {
        return None;
    }
    let privileges = privileges.split(',').map(|name| name.trim().to_ascii_uppercase()).collect();
    Some((privileges, object.replace("\\_", "_")))
}
