//! MHA's own scenarios by its own commands: the same servers, the same configuration, the same words on
//! the command line, and its exit codes. The names are those of MHA's test files;
//! docs/mha-scenarios.md has the table.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the program has limits of its own, and this is a test"
)]

mod mha_scenarios {
    mod binlog_servers;
    mod dual;
    mod missing;
    mod online;
    mod plain;
    pub(super) mod site;
    mod threads;
}

/// Scenarios that say most: on MariaDB in the short tier, on MySQL too with `cargo xtask test --matrix`.
macro_rules! short {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([mariadb_10_11], [mysql_9_7 mysql_5_6], $($tests)+);
    };
}
pub(crate) use short;

/// All others: on three servers with `cargo xtask test --matrix`.
macro_rules! matrix {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([], [mariadb_10_11 mysql_9_7 mysql_5_6], $($tests)+);
    };
}
pub(crate) use matrix;
