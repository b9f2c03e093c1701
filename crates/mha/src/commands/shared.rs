//! Groups of options that several commands have.

use crate::command::Opt;

/// Of every command.
pub(super) const GENERAL: &[Opt] =
    &[Opt::switch("help", "Print this help"), Opt::switch("version", "Print the version")];

pub(super) const CONF: &[Opt] = &[
    Opt::text("conf", "The application's configuration file"),
    Opt::text("global_conf", "The configuration of all applications; it need not be there")
        .or("/etc/masterha_default.cnf"),
];

/// Where a manager keeps its state and its log.
pub(super) const PLACES: &[Opt] = &[
    Opt::text(
        "manager_workdir",
        "The folder of status and flag files [default: the configured one]",
    )
    .alias(&["workdir"]),
    Opt::text("manager_log", "The log file [default: the configured one, else standard error]")
        .alias(&["log_output"]),
];

/// What is checked and waited for before and while a primary is watched.
pub(super) const MONITOR: &[Opt] = &[
    Opt::number("wait_on_monitor_error", "Wait so many seconds before ending after an error")
        .or("0"),
    Opt::switch(
        "ignore_fail_on_start",
        "Start although a server with ignore_fail is dead or broken",
    ),
    Opt::switch("skip_check_ssh", "Do not test ssh between the servers at the start")
        .alias(&["skip_ssh_check"]),
    Opt::number("seconds_behind_master", "The lag in seconds that is not healthy any more")
        .or("30"),
    Opt::switch("check_repl_health", "Also replication has to be healthy at the start"),
    Opt::switch("check_only", "Only what is checked at the start"),
    Opt::switch("monitor_only", "Only watch, and end when the primary is dead"),
];

/// Of whom a failover or switchover makes the new primary.
pub(super) const NEW_MASTER: &[Opt] = &[
    Opt::text("new_master_host", "The server that has to become the new primary"),
    Opt::number("new_master_port", "Its port").or("3306"),
];

/// How a failover is done.
pub(super) const FAILOVER: &[Opt] = &[
    Opt::number("last_failover_minute", "Refuse a failover so many minutes after the one before")
        .or("480"),
    Opt::switch("ignore_last_failover", "Go on whatever became of the failover before"),
    Opt::number("wait_on_failover_error", "Wait so many seconds before ending after an error")
        .or("0"),
    Opt::switch("skip_save_master_binlog", "Do not fetch the dead primary's binary logs"),
    Opt::switch("skip_change_master", "Level the replicas, and do not repoint them"),
    Opt::switch("skip_disable_read_only", "Leave the new primary read-only"),
    Opt::switch("wait_until_gtid_in_sync", "Wait until the replicas have what the new primary has")
        .or("1"),
    Opt::switch("ignore_binlog_server_error", "Go on although no binlog server can be read"),
    Opt::number("ssh_reachable", "Whether ssh to the dead primary works: 0 no, 1 yes, 2 find out")
        .or("2"),
];

/// Whether the old primary's block stays in the configuration.
pub(super) const REMOVE_CONF: &[Opt] = &[Opt::switch(
    "remove_dead_master_conf",
    "Remove the old primary's block from the configuration when all went well",
)
.alias(&["remove_orig_master_conf"])];

/// Whose status is asked for.
pub(super) const TARGET: &[Opt] = &[
    Opt::text("app", "The application's name: its file is /usr/local/masterha/conf/NAME.cnf"),
    Opt::text("status_dir", "The folder of the status file, with --app")
        .alias(&["workdir", "manager_workdir"]),
];

/// What the node commands take from a manager.
pub(super) const NODE: &[Opt] = &[
    Opt::text("client_bindir", "Accepted and not used: no client programs are started"),
    Opt::text("client_libdir", "Accepted and not used"),
    Opt::text("manager_version", "The version of the manager that asks"),
    Opt::switch("debug", "Say more"),
];
