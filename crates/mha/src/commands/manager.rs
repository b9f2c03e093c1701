//! The commands of the manager's host.

use super::shared::{CONF, FAILOVER, GENERAL, MONITOR, NEW_MASTER, PLACES, REMOVE_CONF, TARGET};
use crate::command::{Command, Kind, Opt, Unknown};
use crate::run;

pub(super) const MANAGER: Command = Command {
    name: "masterha_manager",
    about: "watch a primary, replace it when it is dead, and end",
    details: "Watches the primary of one application. When it is dead, does one failover and ends; \
              it never begins again by itself.",
    unknown: Unknown::Passed,
    options: &[
        CONF,
        PLACES,
        MONITOR,
        FAILOVER,
        REMOVE_CONF,
        NEW_MASTER,
        &[Opt::switch(
            "keep_running",
            "Go on with the new primary after a failover (Primacy's own)",
        )
        .alias(&["keep-running"])
        .own()],
        GENERAL,
    ],
    exits: &[
        (0, "a failover was done; with --check_only: one could be"),
        (1, "anything else: refused, failed, or ended by a signal"),
        (10, "the new primary is there, and at least one replica does not follow it"),
        (20, "with --monitor_only: the primary is dead"),
    ],
    built: Some(run::manager::run),
};

pub(super) const MASTER_SWITCH: Command = Command {
    name: "masterha_master_switch",
    about: "replace a dead primary, or move the role of one that is alive",
    details: "With --master_state=dead a failover by hand, with --master_state=alive a planned \
              switch.",
    unknown: Unknown::RefusedIf("master_state", "alive"),
    options: &[
        &[Opt::text("master_state", "dead or alive")],
        CONF,
        NEW_MASTER,
        PLACES,
        REMOVE_CONF,
        &[
            Opt::switch("interactive", "Ask before anything is done").or("1"),
            Opt::text("dead_master_host", "The dead primary").only("master_state", "dead"),
            Opt::text("dead_master_ip", "Its address [default: what its name resolves to]")
                .only("master_state", "dead"),
            Opt::number("dead_master_port", "Its port").or("3306").only("master_state", "dead"),
        ],
        FAILOVER,
        &[
            Opt::switch("check_only", "Check whether the switch can be done, and end")
                .only("master_state", "alive"),
            Opt::switch(
                "orig_master_is_new_slave",
                "Make the old primary a replica of the new one",
            )
            .only("master_state", "alive"),
            Opt::number(
                "running_updates_limit",
                "Refuse while a write runs longer than so many seconds",
            )
            .or("1")
            .only("master_state", "alive"),
            Opt::number(
                "running_seconds_limit",
                "Refuse while a query on the new primary runs longer than so many seconds",
            )
            .or("10")
            .only("master_state", "alive"),
            Opt::number(
                "seconds_behind_master",
                "Refuse while a replica lags more than so many seconds",
            )
            .or("30")
            .only("master_state", "alive"),
            Opt::switch("skip_lock_all_tables", "Do not lock the old primary's tables")
                .only("master_state", "alive"),
            Opt::number(
                "flush_tables",
                "Flush tables before: 0 no, 1 yes, 2 ask if someone can be asked",
            )
            .or("2")
            .only("master_state", "alive"),
        ],
        GENERAL,
    ],
    exits: &[
        (0, "done"),
        (1, "refused or failed"),
        (10, "the new primary is writable, and at least one replica does not follow it"),
    ],
    built: Some(crate::switch::run),
};

pub(super) const CHECK_SSH: Command = Command {
    name: "masterha_check_ssh",
    about: "test ssh from every server to every other",
    details: "Logs in to each server of the application, and from there to each other one.",
    unknown: Unknown::Passed,
    options: &[CONF, GENERAL],
    exits: &[(0, "all of them can be reached from each other"), (1, "one of them cannot")],
    built: Some(run::check_ssh::run),
};

pub(super) const CHECK_REPL: Command = Command {
    name: "masterha_check_repl",
    about: "check what a manager would check at its start, and replication's health",
    details: "The last line says whether the health is OK.",
    unknown: Unknown::Passed,
    options: &[CONF, PLACES, MONITOR, GENERAL],
    exits: &[(0, "all is well"), (1, "something is not")],
    built: Some(run::check_repl::run),
};

pub(super) const CHECK_STATUS: Command = Command {
    name: "masterha_check_status",
    about: "say whether a manager runs, and what it does",
    details: "",
    unknown: Unknown::Passed,
    options: &[
        CONF,
        TARGET,
        &[
            Opt::text("manager_log", "The log file to name in what is printed")
                .alias(&["log_output"]),
            Opt::number("ping_limit", "How old in seconds the last good ping may be").or("10"),
            Opt::switch("all", "Of every entry of daemontools"),
            Opt::text("basedir", "With --all: where its entries are").or("/service"),
            Opt::text("baselog", "With --all: where its logs are"),
        ],
        GENERAL,
    ],
    exits: &[
        (0, "running: PING_OK"),
        (1, "error; with --all: one of them is not running"),
        (2, "stopped: NOT_RUNNING"),
        (3, "PARTIALLY_RUNNING"),
        (10, "INITIALIZING_MONITOR"),
        (20, "PING_FAILING"),
        (21, "PING_FAILED"),
        (30, "RETRYING_MONITOR"),
        (31, "CONFIG_ERROR"),
        (32, "TIMESTAMP_OLD"),
        (50, "FAILOVER_RUNNING"),
        (51, "FAILOVER_ERROR"),
    ],
    built: Some(run::check_status::run),
};

pub(super) const STOP: Command = Command {
    name: "masterha_stop",
    about: "end a manager",
    details: "",
    unknown: Unknown::Passed,
    options: &[
        CONF,
        TARGET,
        &[
            Opt::switch(
                "abort",
                "End it also in the middle of a failover, in the end with SIGKILL",
            ),
            Opt::number("abort_timeout", "How many seconds it may take").or("5"),
        ],
        GENERAL,
    ],
    exits: &[
        (0, "it is stopped, or was not running"),
        (1, "it does a failover and --abort is not given, or it does not end"),
    ],
    built: Some(run::stop::run),
};

pub(super) const CONF_HOST: Command = Command {
    name: "masterha_conf_host",
    about: "add a server to an application's configuration, or remove it",
    details: "Comments and the order of the file stay as they are.",
    unknown: Unknown::Refused,
    options: &[
        &[
            Opt::text("command", "add, delete, or remove, which is the same"),
            Opt::text("conf", "The application's configuration file"),
            Opt::text("hostname", "The server"),
            Opt::text("block", "The block's name [default: server_HOSTNAME]"),
            Opt::text("params", "What is in the block besides: KEY=VALUE;KEY=VALUE"),
        ],
        GENERAL,
    ],
    exits: &[
        (0, "done, or the block to delete is not there"),
        (1, "the command line is wrong"),
        (255, "the block is there already, or a key is unknown"),
    ],
    built: Some(run::conf_host::run),
};

pub(super) const MASTER_MONITOR: Command = Command {
    name: "masterha_master_monitor",
    about: "watch a primary, and end when it is dead",
    details: "Prints the dead primary's host, address and port.",
    unknown: Unknown::Passed,
    options: &[
        CONF,
        PLACES,
        MONITOR,
        &[Opt::switch("interactive", "Ask if the primary is dead already").or("1")],
        GENERAL,
    ],
    exits: &[(1, "error"), (20, "the primary is dead")],
    built: Some(crate::monitor::run),
};

pub(super) const SECONDARY_CHECK: Command = Command {
    name: "masterha_secondary_check",
    about: "ask other hosts whether they reach the primary",
    details: "For secondary_check_script: logs in to each host over ssh and connects from there.",
    unknown: Unknown::Refused,
    options: &[
        &[
            Opt::new("secondary_host", Kind::List, "A host to ask; may be given several times")
                .alias(&["s"]),
            Opt::text("user", "The ssh user").or("root"),
            Opt::number("port", "The ssh port").or("22"),
            Opt::text("options", "ssh options; they take precedence over the usual ones"),
            Opt::text("master_host", "The primary"),
            Opt::text("master_ip", "Its address; if given, it is connected to and not the name"),
            Opt::number("master_port", "Its port").or("3306"),
            Opt::text("master_user", "Accepted and not used: nobody logs in to the primary"),
            Opt::secret("master_password", "Accepted and not used"),
            Opt::text("ping_type", "Accepted: a TCP connection is made whatever it is"),
            Opt::number("timeout", "The limit of each connection in seconds, from 1 to 600")
                .or("5"),
        ],
        GENERAL,
    ],
    exits: &[
        (0, "the primary is reached from none of them"),
        (1, "error"),
        (2, "one of the hosts cannot be asked"),
        (3, "the primary is reached from one of them"),
    ],
    built: Some(crate::secondary_check::run),
};
