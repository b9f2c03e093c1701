//! MHA's own scenarios by its own commands: the same servers, the same configuration, the same words on
//! the command line, and its exit codes. The names are those of MHA's test files;
//! docs/mha-scenarios.md has the table.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "the program has limits of its own, and this is a test"
)]

mod mha_scenarios {
    pub(super) mod dual;
    pub(super) mod missing;
    pub(super) mod online;
    pub(super) mod plain;
    pub(super) mod site;
    pub(super) mod threads;
}
use mha_scenarios::{dual, missing, online, plain, threads};

macro_rules! on_server {
    ($scenario:path, $name:ident, $server:literal $(, $why:literal)?) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[ignore = $why])?
        async fn $name() {
            if primacy_testkit::is_provisioned($server) {
                Box::pin($scenario($server)).await;
            }
        }
    };
}

/// Scenarios that say most: on one server in the short tier, on the others with `cargo xtask test
/// --matrix`.
macro_rules! short {
    ($($from:ident :: $test:ident),+ $(,)?) => { $(
        mod $test {
            use super::$from::$test as scenario;

            on_server!(scenario, mariadb_10_11, "mariadb-10.11");
            on_server!(scenario, mysql_9_7, "mysql-9.7", "`cargo xtask test --matrix` runs it");
            on_server!(scenario, mysql_5_6, "mysql-5.6", "`cargo xtask test --matrix` runs it");
        }
    )+ };
}

/// All others: on three servers with `cargo xtask test --matrix`.
macro_rules! matrix {
    ($($from:ident :: $test:ident),+ $(,)?) => { $(
        mod $test {
            use super::$from::$test as scenario;

            on_server!(scenario, mariadb_10_11, "mariadb-10.11", "`cargo xtask test --matrix` runs it");
            on_server!(scenario, mysql_9_7, "mysql-9.7", "`cargo xtask test --matrix` runs it");
            on_server!(scenario, mysql_5_6, "mysql-5.6", "`cargo xtask test --matrix` runs it");
        }
    )+ };
}

short! {
    plain::t_normal_crash, missing::t_needsync_1_pass, missing::t_needsync_1_nocm, plain::t_slave_incorrect,
    threads::t_slave_sql_start2, threads::t_slave_sql_start3, threads::t_ignore_recovery1, dual::t_mm,
    dual::t_mm_3tier, dual::t_mm_subm_dead_noslave, online::t_online_mm_skip_reset, online::t_online_3tier,
}

matrix! {
    plain::a_source_by_another_name, plain::check_repl_filter, plain::t_conf, plain::t_advisory_select, plain::t_slave_stop, plain::t_dual_master_error,
    missing::t_needsync_1, missing::t_needsync_1_nopass, missing::t_needsync_1_ssh,
    missing::t_needsync_2_pass, missing::t_needsync_2_ssh, missing::t_save_master_log_pass, missing::t_save_master_log_ssh,
    missing::t_save_binlog_gtid, missing::t_normal_crash_nocm, threads::t_ignore_nostart,
    threads::t_ignore_recovery2, threads::t_ignore_recovery3, threads::t_new_master_heavy_wait,
    threads::t_latest_recovery1, threads::t_latest_recovery2, dual::t_mm_noslaves, dual::t_mm_normal,
    dual::t_mm_subm_dead_many, dual::t_mm_3tier_subm_dead, dual::t_4tier_subm_dead,
    dual::multi_tier_slave, online::t_online_slave_pass, online::t_online_mm, online::t_online_mm_3tier,
    online::t_online_mm_3tier_slave, online::t_online_3tier_slave, online::t_online_3tier_slave_keep,
}
