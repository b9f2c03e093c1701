//! MHA's switch, its monitor and its secondary check by the real program, on real servers and with an
//! `app1.cnf` as tutorials show it. Tests called `t_...` are scenarios of MHA's own suite.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "the program has limits of its own, and this is a test"
)]

mod mha_switch {
    mod application;
    mod held;
    mod monitor;
    mod online;
    mod refusals;
    mod secondary_check;
    mod terminal;
    mod took_over;
}

/// A test on the server of the short tier and, with `cargo xtask test --matrix`, on the others.
macro_rules! on_servers {
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
            #[ignore = "`cargo xtask test --matrix` runs it: the short tier has this test on MariaDB"]
            async fn mysql_9_7() {
                on("mysql-9.7").await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "`cargo xtask test --matrix` runs it: the short tier has this test on MariaDB"]
            async fn mysql_5_6() {
                on("mysql-5.6").await;
            }
        }
    )+ };
}
pub(crate) use on_servers;
