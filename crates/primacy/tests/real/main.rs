//! The program on real servers: one test for each promise and mode, on MariaDB 10.11 and MySQL
//! 9.7; other versions with `--ignored`. A server that is not on this machine is printed and left
//! out, and a failure where `CI` or `PRIMACY_REQUIRE_SERVERS` is set.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests and their helpers")]

mod agents;
mod binlog_server;
mod election;
mod errant;
mod events;
mod failover;
mod hooks;
// The places where a manager can be made to die are in such builds only.
#[cfg(debug_assertions)]
mod journal;
mod mha;
mod missing;
mod network;
mod partial;
mod places;
mod refusals;
mod rescue;
mod restraint;
mod returning;
mod seen;
mod semi_sync;
mod ssh;
mod switchover;
mod tools;

use std::time::Duration;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_primacy");

/// More than any operation takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// Makes one test for each server out of each of these functions.
macro_rules! on_each_server {
    ($($test:ident),+ $(,)?) => { $(
        mod $test {
            async fn on(server: &str) {
                if primacy_testkit::is_provisioned(server) {
                    Box::pin(super::$test(server)).await;
                }
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb_10_11() {
                on("mariadb-10.11").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql_9_7() {
                on("mysql-9.7").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "run by `cargo xtask test --matrix`: needs a server version beyond the short tier"]
            async fn mariadb_10_5() {
                on("mariadb-10.5").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "run by `cargo xtask test --matrix`: needs a server version beyond the short tier"]
            async fn mariadb_11_8() {
                on("mariadb-11.8").await;
            }
        }
    )+ };
}
pub(crate) use on_each_server;

/// Makes one more test out of each of these functions: on MySQL 5.6, whose package has no
/// semi-sync.
macro_rules! on_mysql_5_6 {
    ($($test:ident),+ $(,)?) => {
        mod mysql_5_6 { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "run by `cargo xtask test --matrix`: needs a server version beyond the short tier"]
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
