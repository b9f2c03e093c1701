//! Our source with real replicas: one test for each promise and mode, on MariaDB 10.11 and MySQL
//! 9.7; other versions with `cargo xtask test --matrix`. A server that is not on this machine is printed and left
//! out, and a failure where `CI` or `PRIMACY_REQUIRE_SERVERS` is set.

#![expect(clippy::unwrap_used, reason = "tests and their helpers")]

mod archived;
mod files;
mod receives;
mod refused;
mod replica;
mod served;

use std::time::Duration;

/// More than any operation takes on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// Makes one test for each server out of each of these functions.
macro_rules! on_each_server {
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!(
            [mariadb_10_11 mysql_9_7], [mariadb_10_5 mariadb_11_8 mysql_5_6], $($tests)+
        );
    };
}
pub(crate) use on_each_server;
