//! The program on real servers: one test for each promise and mode, on MariaDB 10.11 and MySQL
//! 9.7; other versions with `--ignored`. A server that is not on this machine is printed and left
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

/// One test function of a module that has `on`. Only `cargo xtask test --matrix` runs a `twin`, which
/// the short tier has on the other of its two servers, and a `version` that the short tier does not get.
macro_rules! case {
    ($name:ident, $server:literal) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            on($server).await;
        }
    };
    ($name:ident, $server:literal, twin) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "`cargo xtask test --matrix` runs it: little in it depends on the server, and the short tier has it on the other of MariaDB 10.11 and MySQL 9.7"]
        async fn $name() {
            on($server).await;
        }
    };
    ($name:ident, $server:literal, version) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "`cargo xtask test --matrix` runs it: the short tier gets MariaDB 10.11 and MySQL 9.7 only, and this is another version"]
        async fn $name() {
            on($server).await;
        }
    };
}
pub(crate) use case;

/// A test on every server; `twin` keeps one of the first two out of the short tier.
macro_rules! on_servers {
    ($test:ident, $($mariadb:ident)?, $($mysql:ident)?) => {
        mod $test {
            async fn on(server: &str) {
                if primacy_testkit::is_provisioned(server) {
                    Box::pin(super::$test(server)).await;
                }
            }

            crate::case!(mariadb_10_11, "mariadb-10.11" $(, $mariadb)?);
            crate::case!(mysql_9_7, "mysql-9.7" $(, $mysql)?);
            crate::case!(mariadb_10_5, "mariadb-10.5", version);
            crate::case!(mariadb_11_8, "mariadb-11.8", version);
        }
    };
}
pub(crate) use on_servers;

/// Makes one test for each server out of each of these functions.
macro_rules! on_each_server {
    ($($test:ident),+ $(,)?) => { $( crate::on_servers!($test, , ); )+ };
}
pub(crate) use on_each_server;

/// The same where little in it depends on the server, and what does is in other tests too: the short
/// tier has it on MariaDB alone.
macro_rules! on_mariadb_first {
    ($($test:ident),+ $(,)?) => { $( crate::on_servers!($test, , twin); )+ };
}
pub(crate) use on_mariadb_first;

/// The same with MySQL.
macro_rules! on_mysql_first {
    ($($test:ident),+ $(,)?) => { $( crate::on_servers!($test, twin, ); )+ };
}
pub(crate) use on_mysql_first;

/// Makes one more test out of each of these functions: on MySQL 5.6, whose package has no
/// semi-sync.
macro_rules! on_mysql_5_6 {
    ($($test:ident),+ $(,)?) => {
        mod mysql_5_6 { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "`cargo xtask test --matrix` runs it: it needs MySQL 5.6, and the short tier gets MariaDB 10.11 and MySQL 9.7 only"]
            async fn $test() {
                if primacy_testkit::is_provisioned("mysql-5.6") {
                    Box::pin(super::$test("mysql-5.6")).await;
                }
            }
        )+ }
    };
}
pub(crate) use on_mysql_5_6;

/// One test on one server.
macro_rules! on_server {
    ($server:literal, $test:ident) => {
        mod $test {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on() {
                if primacy_testkit::is_provisioned($server) {
                    Box::pin(super::$test($server)).await;
                }
            }
        }
    };
}
pub(crate) use on_server;
