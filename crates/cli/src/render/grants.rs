//! `primacy grants`: SQL that gives an account what Primacy needs, each privilege with its reason.

use primacy_probe::Dialect;
use primacy_probe::grants::{Purpose, grants};
use primacy_types::ServerVersion;
use serde::Serialize;

/// The statements for one account on one version.
#[derive(Debug, Serialize)]
pub(crate) struct Statements {
    /// Flavour and version.
    pub(crate) server: String,
    /// `manager`, `replication`, `rewind` or `agent`.
    pub(crate) purpose: &'static str,
    /// As SQL writes it.
    pub(crate) account: String,
    /// In the order in which they are to be run.
    pub(crate) statements: Vec<Statement>,
}

/// One statement and why.
#[derive(Debug, Serialize)]
pub(crate) struct Statement {
    /// Without a semicolon.
    pub(crate) sql: String,
    /// One sentence.
    pub(crate) reason: &'static str,
    /// The rest works without it.
    pub(crate) optional: bool,
}

/// What is needed.
pub(crate) fn statements(version: ServerVersion, purpose: Purpose, account: &str) -> Statements {
    let list = grants(Dialect::of(version), purpose).iter().map(|grant| Statement {
        sql: grant.sql(account),
        reason: grant.reason,
        optional: grant.optional,
    });
    Statements {
        server: version.to_string(),
        purpose: match purpose {
            Purpose::Manager => "manager",
            Purpose::Replication => "replication",
            Purpose::Rewind => "rewind",
            Purpose::Agent => "agent",
            Purpose::Dump => "dump",
        },
        account: account.to_owned(),
        statements: list.collect(),
    }
}

/// As a script.
pub(crate) fn render(all: &Statements) -> String {
    let whose = match all.purpose {
        "manager" => "The manager's account",
        "rewind" => "The manager's account, besides, for rewinding returned primaries",
        "agent" => "The account that agents log in with",
        "dump" => "The account that agents log in with, besides, for giving logical dumps",
        _ => "The account that replicas log in with",
    };
    let mut text = format!(
        "-- {whose} on {}.\n-- It is not there yet? CREATE USER {} IDENTIFIED BY '...';\n",
        all.server, all.account
    );
    for statement in &all.statements {
        let optional = if statement.optional { "Optional: " } else { "" };
        text.push_str(&format!("\n-- {optional}{}\n{};\n", statement.reason, statement.sql));
    }
    text
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn a_script_for_the_replication_account() {
        let version = ServerVersion::mariadb(10, 11, 0);
        let all = statements(version, Purpose::Replication, "'repl'@'%'");
        assert_snapshot!(render(&all), @"
        -- The account that replicas log in with on MariaDB 10.11.0.
        -- It is not there yet? CREATE USER 'repl'@'%' IDENTIFIED BY '...';

        -- Replicas read the source's binary log with it.
        GRANT REPLICATION SLAVE ON *.* TO 'repl'@'%';
        ");
    }

    #[test]
    fn optional_privileges_say_so() {
        let all = statements(ServerVersion::mysql(9, 7, 0), Purpose::Manager, "'primacy'@'%'");
        let script = render(&all);
        assert!(script.contains("-- Optional: Lists prepared XA"), "{script}");
    }
}
