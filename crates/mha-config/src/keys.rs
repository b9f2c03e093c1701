//! The 42 keys of an MHA file as data: where each may stand, what it takes, what holds if it is not
//! written, and what becomes of it in Primacy. Reading, the native file, the notices and the page in
//! `docs` follow this table.

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As it is written.
    pub name: &'static str,
    /// In which blocks it has a meaning.
    pub scope: Scope,
    /// What it takes.
    pub kind: Kind,
    /// What holds if it is not written, as it would be written; `None`: nothing, and `meaning` or
    /// `native` says what then happens.
    pub preset: Option<&'static str>,
    /// What MHA does with it.
    pub meaning: &'static str,
    /// What Primacy does with it.
    pub native: Native,
}

/// In which blocks a key has a meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope {
    /// In the block of a server.
    pub server: bool,
    /// In `[server default]` of the application's file.
    pub app: bool,
    /// In `[server default]` of the global file.
    pub global: bool,
}

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that nobody may see.
    Secret,
    /// A line for a shell.
    Script,
    /// A whole number in this range.
    Number {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// `0` or `1`.
    Flag,
    /// One of these, in capitals or not.
    Word(&'static [&'static str]),
}

/// What Primacy does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Native {
    /// It becomes what is named here: a key of the native file, or a part of one.
    Becomes(&'static str),
    /// It is obeyed without a key of the native file; the text says by what.
    Obeyed(&'static str),
    /// It has no meaning any more; the text says why. Who writes it gets a notice.
    Nothing(&'static str),
}

const SERVER: Scope = Scope { server: true, app: false, global: false };
const EVERYWHERE: Scope = Scope { server: true, app: true, global: true };
const DEFAULTS: Scope = Scope { server: false, app: true, global: true };
const APP: Scope = Scope { server: false, app: true, global: false };

const SECONDS: Kind = Kind::Number { min: 1, max: 1_000_000 };
const PORT: Kind = Kind::Number { min: 1, max: 65_535 };

const fn key(
    name: &'static str,
    scope: Scope,
    kind: Kind,
    preset: Option<&'static str>,
    meaning: &'static str,
    native: Native,
) -> Key {
    Key { name, scope, kind, preset, meaning, native }
}

use Kind::{Flag, Script, Secret, Text, Word};
use Native::{Becomes, Nothing, Obeyed};

const NO_NODE: &str = "no files are made or client programs run on database hosts: what is missing is \
                       replicated from a source of Primacy's own";

/// Every key, in the order in which they are documented.
pub const KEYS: &[Key] = &[
    key(
        "hostname",
        SERVER,
        Text,
        None,
        "the database host; every server needs it",
        Becomes("`address` of the server"),
    ),
    key(
        "ip",
        SERVER,
        Text,
        None,
        "the address for SQL and ssh [the first of `hostname`]",
        Becomes("the host in `address` of the server"),
    ),
    key(
        "port",
        EVERYWHERE,
        PORT,
        Some("3306"),
        "the server's port",
        Becomes("the port in `address` of the server"),
    ),
    key(
        "ssh_host",
        SERVER,
        Text,
        None,
        "the host for ssh, if it is another one",
        Becomes("`ssh_host` of the server"),
    ),
    key(
        "ssh_ip",
        SERVER,
        Text,
        None,
        "accepted and ignored",
        Nothing("MHA ignores it as well: write `ssh_host`"),
    ),
    key(
        "ssh_port",
        EVERYWHERE,
        PORT,
        Some("22"),
        "the port of sshd",
        Becomes("`ssh_port` of the cluster or the server"),
    ),
    key(
        "ssh_user",
        EVERYWHERE,
        Text,
        None,
        "who logs in at the hosts [the user of the manager]",
        Becomes("`ssh_user` of the cluster or the server"),
    ),
    key(
        "ssh_connection_timeout",
        EVERYWHERE,
        SECONDS,
        Some("5"),
        "limit of making an ssh connection",
        Nothing("every use of ssh has a limit of its own already"),
    ),
    key(
        "ssh_options",
        EVERYWHERE,
        Text,
        Some(""),
        "further options of ssh; the last block wins",
        Becomes("`ssh_options`"),
    ),
    key(
        "node_label",
        SERVER,
        Text,
        Some(""),
        "a text shown in trees",
        Nothing("servers are shown by their addresses"),
    ),
    key(
        "candidate_master",
        SERVER,
        Flag,
        Some("0"),
        "prefer this server as new master",
        Becomes("`promotion = \"prefer\"`"),
    ),
    key(
        "no_master",
        SERVER,
        Flag,
        Some("0"),
        "never promote this server",
        Becomes("`promotion = \"never\"`"),
    ),
    key(
        "ignore_fail",
        SERVER,
        Flag,
        Some("0"),
        "fail over although this slave is dead or broken",
        Becomes("`ignore_failure` of the server"),
    ),
    key(
        "skip_init_ssh_check",
        SERVER,
        Flag,
        Some("0"),
        "leave it out of the mesh test of ssh",
        Obeyed(
            "`masterha_check_ssh` leaves it out; the manager itself reaches each host on its own",
        ),
    ),
    key(
        "skip_reset_slave",
        EVERYWHERE,
        Flag,
        Some("0"),
        "leave a new master its settings as a slave",
        Becomes("`policy.keep_replication_settings`"),
    ),
    key(
        "user",
        EVERYWHERE,
        Text,
        Some("root"),
        "the account for everything",
        Becomes("`accounts.manager.user`"),
    ),
    key(
        "password",
        EVERYWHERE,
        Secret,
        Some(""),
        "its password",
        Becomes("a file of mode 0600, named by `accounts.manager.password_file`"),
    ),
    key(
        "repl_user",
        EVERYWHERE,
        Text,
        None,
        "the account in CHANGE MASTER [as the slave has it]",
        Becomes("`accounts.replication.user`"),
    ),
    key(
        "repl_password",
        EVERYWHERE,
        Secret,
        None,
        "its password [as the slave has it]",
        Becomes("a file of mode 0600, named by `accounts.replication.password_file`"),
    ),
    key(
        "disable_log_bin",
        EVERYWHERE,
        Flag,
        Some("0"),
        "apply differences without a binary log",
        Nothing("what is missing is replicated, and logged as `log_replica_updates` says"),
    ),
    key(
        "master_pid_file",
        EVERYWHERE,
        Text,
        Some(""),
        "given to shutdown_script",
        Obeyed("`shutdown_script` is given the path that the server itself reports (`pid_file`)"),
    ),
    key(
        "handle_raw_binlog",
        EVERYWHERE,
        Flag,
        Some("1"),
        "cut binary logs as bytes, not as text",
        Nothing("binary logs are always cut as bytes"),
    ),
    key(
        "remote_workdir",
        EVERYWHERE,
        Text,
        Some("/var/tmp"),
        "work files on database hosts",
        Nothing(NO_NODE),
    ),
    key(
        "master_binlog_dir",
        EVERYWHERE,
        Text,
        Some("/var/lib/mysql,/var/log/mysql"),
        "where a host's binary logs are",
        Obeyed(
            "every server says itself where its binary logs are (`log_bin_basename`); of a dead one that was \
             never seen this says it",
        ),
    ),
    key(
        "log_level",
        DEFAULTS,
        Word(&["debug", "info", "warning", "error"]),
        Some("info"),
        "what is logged",
        Obeyed("`primacy manager` logs so if it is started with the file of MHA"),
    ),
    key(
        "manager_workdir",
        APP,
        Text,
        Some("/var/tmp"),
        "state of the manager",
        Becomes("`manager.state_dir`"),
    ),
    key(
        "manager_log",
        APP,
        Text,
        None,
        "the manager's log [standard error]",
        Obeyed("`primacy manager` logs there if it is started with the file of MHA"),
    ),
    key(
        "client_bindir",
        EVERYWHERE,
        Text,
        None,
        "where mysql and mysqlbinlog are",
        Nothing(NO_NODE),
    ),
    key("client_libdir", EVERYWHERE, Text, None, "where their libraries are", Nothing(NO_NODE)),
    key(
        "check_repl_delay",
        EVERYWHERE,
        Flag,
        Some("1"),
        "do not promote a slave that lags",
        Becomes("`policy.check_lag`"),
    ),
    key(
        "check_repl_filter",
        DEFAULTS,
        Flag,
        Some("1"),
        "refuse if replication filters differ",
        Becomes("`policy.check_filters`"),
    ),
    key(
        "latest_priority",
        DEFAULTS,
        Flag,
        Some("1"),
        "prefer the slave that is furthest",
        Becomes("`policy.prefer_latest`"),
    ),
    key(
        "multi_tier_slave",
        DEFAULTS,
        Flag,
        Some("0"),
        "tolerate slaves of slaves",
        Becomes("`policy.multi_tier`"),
    ),
    key(
        "ping_interval",
        DEFAULTS,
        SECONDS,
        Some("3"),
        "seconds between two looks at the master",
        Becomes("`timing.ping_interval`, and `timing.ping_failures = 4`"),
    ),
    key(
        "ping_type",
        DEFAULTS,
        Word(&["SELECT", "CONNECT", "INSERT"]),
        Some("SELECT"),
        "how the master is looked at",
        Becomes("`policy.ping_type`"),
    ),
    key(
        "secondary_check_script",
        DEFAULTS,
        Script,
        None,
        "asked whether others see the master",
        Becomes("`secondary_check_script`"),
    ),
    key(
        "master_ip_failover_script",
        DEFAULTS,
        Script,
        None,
        "moves the address in a failover",
        Becomes("`failover_script`"),
    ),
    key(
        "master_ip_online_change_script",
        DEFAULTS,
        Script,
        None,
        "moves the address in a switch",
        Becomes("`switchover_script`"),
    ),
    key(
        "shutdown_script",
        DEFAULTS,
        Script,
        None,
        "stops the old master or powers its host off",
        Becomes("`shutdown_script`; without it `policy.unfenced = \"proceed\"`"),
    ),
    key(
        "report_script",
        DEFAULTS,
        Script,
        None,
        "told of every failover",
        Becomes("`report_script`"),
    ),
    key(
        "init_conf_load_script",
        DEFAULTS,
        Script,
        None,
        "prints further lines of `[server default]`",
        Obeyed("run whenever the file of MHA is read; a native file has what it printed then"),
    ),
    key(
        "use_gtid_auto_pos",
        EVERYWHERE,
        Flag,
        Some("1"),
        "let slaves of servers with GTID use it",
        Nothing("a replica goes on as it is: by GTID or by position"),
    ),
];

/// The key of this name.
pub fn key_named(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_forty_two_keys_each_once() {
        let mut names: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 42);
        assert!(KEYS.iter().all(|key| key_named(key.name).is_some_and(|k| k.name == key.name)));
    }
}
