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
    ($($tests:tt)+) => {
        primacy_testkit::on_servers!([mariadb_10_11], [mysql_9_7 mysql_5_6], $($tests)+);
    };
}
pub(crate) use on_servers;
