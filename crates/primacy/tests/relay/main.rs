//! The relay's protocol with real servers and real clients, on MariaDB 10.11 and MySQL 9.7; other
//! versions with `--ignored`. A server that is not on this machine is printed and left out, and a
//! failure where `CI` or `PRIMACY_REQUIRE_SERVERS` is set.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod door;
mod exact;
mod raw;
mod through;

use std::time::Duration;

/// More than any answer takes on a busy machine.
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
            #[ignore = "`cargo xtask test --matrix` runs it: it needs MariaDB 10.5, and the short tier gets MariaDB 10.11 and MySQL 9.7 only"]
            async fn mariadb_10_5() {
                on("mariadb-10.5").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "`cargo xtask test --matrix` runs it: it needs MariaDB 11.8, and the short tier gets MariaDB 10.11 and MySQL 9.7 only"]
            async fn mariadb_11_8() {
                on("mariadb-11.8").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "`cargo xtask test --matrix` runs it: it needs MySQL 5.6, and the short tier gets MariaDB 10.11 and MySQL 9.7 only"]
            async fn mysql_5_6() {
                on("mysql-5.6").await;
            }
        }
    )+ };
}
pub(crate) use on_each_server;
