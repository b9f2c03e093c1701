//! The program on real servers: one test for each promise and mode, on MariaDB 10.11 and MySQL
//! 9.7; other versions with `cargo xtask test --matrix`. A server that is not on this machine is printed and left
//! out, and a failure where `CI` or `PRIMACY_REQUIRE_SERVERS` is set.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests and their helpers")]

mod agent_account;
mod agents;
mod balancers;
mod binlog_server;
mod check_hosts;
mod disk_full;
mod dump;
mod election;
mod errant;
mod events;
mod failover;
mod fenced;
mod health;
mod hooks;
// The places where a manager can be made to die are in such builds only.
#[cfg(debug_assertions)]
mod journal;
mod mha;
mod missing;
mod network;
mod partial;
mod places;
mod readers;
mod rebuild;
// As with `journal`.
#[cfg(debug_assertions)]
mod rebuild_crashes;
mod rebuild_safety;
mod refusals;
mod rejoin;
mod relay_logs;
mod rescue;
mod restarting;
mod restraint;
mod returning;
mod rewind;
mod rules;
mod scripts;
mod seen;
mod semi_sync;
mod shutdown_script;
mod sidecar;
mod ssh;
mod starting;
mod supervised;
mod switchover;
mod tools;
mod unprivileged;

use std::time::Duration;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_primacy");

/// More than any operation takes on a busy machine.
const LONG: Duration = Duration::from_secs(60);

/// Makes one test for each server out of each of these functions.
macro_rules! on_each_server {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([mariadb_10_11 mysql_9_7], [mariadb_10_5 mariadb_11_8], $($tests)+);
    };
}
pub(crate) use on_each_server;

/// The same where little depends on the server, and what does is in other tests too: the short tier has
/// it on MariaDB alone.
macro_rules! on_mariadb_first {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([mariadb_10_11], [mysql_9_7 mariadb_10_5 mariadb_11_8], $($tests)+);
    };
}
pub(crate) use on_mariadb_first;

/// The same with MySQL.
macro_rules! on_mysql_first {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([mysql_9_7], [mariadb_10_11 mariadb_10_5 mariadb_11_8], $($tests)+);
    };
}
pub(crate) use on_mysql_first;

/// Makes one more test out of each of these functions: on MySQL 5.6, whose package has no semi-sync.
macro_rules! on_mysql_5_6 {
    ($($test:ident),+ $(,)?) => {
        mod mysql_5_6 {
            mod in_matrix { $(
                #[test]
                fn $test() {
                    primacy_testkit::on("mysql_5_6", super::super::$test);
                }
            )+ }
        }
    };
}
pub(crate) use on_mysql_5_6;

/// One test on MariaDB 10.11 alone: what it is about does not depend on the server.
macro_rules! on_mariadb {
    ($($tests:tt)+) => { primacy_testkit::on_servers!([mariadb_10_11], [], $($tests)+); };
}
pub(crate) use on_mariadb;

/// One test on MySQL 9.7 alone.
macro_rules! on_mysql {
    ($($tests:tt)+) => { primacy_testkit::on_servers!([mysql_9_7], [], $($tests)+); };
}
pub(crate) use on_mysql;
