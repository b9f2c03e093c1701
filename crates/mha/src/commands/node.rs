//! The commands of the database hosts.

use super::shared::{GENERAL, NODE};
use crate::command::{Command, Opt, Unknown};
use crate::node;

/// How binary logs are read: what is left of it.
const RAW: &[Opt] = &[
    Opt::switch("handle_raw_binlog", "1: cut logs as bytes; 0, as text, is not done any more")
        .or("1"),
    Opt::switch("disable_log_bin", "Apply without writing to the binary log").or("0"),
];

pub(super) const SAVE_BINARY_LOGS: Command = Command {
    name: "save_binary_logs",
    about: "save what a dead primary's binary logs hold after a place",
    details: "Writes one file with all events from the place to the end of the last binary log.",
    unknown: Unknown::Refused,
    options: &[
        &[
            Opt::text("command", "test: say whether it can be done; save: do it"),
            Opt::text("start_file", "The binary log to begin in"),
            Opt::number("start_pos", "The place in it to begin at"),
            Opt::text(
                "binlog_prefix",
                "With test, in place of start_file: what the names begin with",
            ),
            Opt::text("binlog_dir", "Folders to look in, with commas between them")
                .or("/var/lib/mysql"),
            Opt::text(
                "relay_log_info",
                "Relay logs are meant: the file that names the current one",
            ),
            Opt::text("datadir", "The server's folder, for relative names in relay_log_info"),
            Opt::text("output_file", "The file to write"),
            Opt::switch("skip_filter", "Accepted: nothing has to be filtered out").or("0"),
            Opt::text("oldest_version", "Accepted: the files say what wrote them"),
        ],
        RAW,
        NODE,
        GENERAL,
    ],
    exits: &[
        (0, "done"),
        (1, "failed, or the command line is wrong"),
        (10, "there is nothing after the place"),
    ],
    built: Some(node::save_binary_logs),
};

pub(super) const APPLY_DIFF_RELAY_LOGS: Command = Command {
    name: "apply_diff_relay_logs",
    about: "find, cut out and apply what another replica has not received",
    details: "test: say whether it can be done. find: say where the difference begins. generate: cut it \
              out into a file. generate_and_send: and copy that to the other replica. apply: apply \
              such files.",
    unknown: Unknown::Refused,
    options: &[
        &[
            Opt::text("command", "test, find, generate, generate_and_send or apply"),
            Opt::text("relay_dir", "The folder of the relay logs"),
            Opt::text("current_relay_log", "The newest relay log"),
            Opt::text("relay_log_info", "In place of these: the file that names the current one"),
            Opt::text("datadir", "The server's folder, for relative names in relay_log_info"),
            Opt::text("latest_mlf", "What this replica has received: the primary's binary log"),
            Opt::number("latest_rmlp", "And the place in it"),
            Opt::text(
                "target_mlf",
                "What the other replica has received: the primary's binary log",
            ),
            Opt::number("target_rmlp", "And the place in it"),
            Opt::number("server_id", "This replica's server id"),
            Opt::number("master_server_id", "Accepted and not used"),
            Opt::text("scp_user", "To whom the file is copied: user").or("root"),
            Opt::text("scp_host", "Host"),
            Opt::number("scp_port", "Port").or("22"),
            Opt::text("ssh_options", "Options of ssh and scp"),
            Opt::text("slave_user", "The account to apply with").or("root"),
            Opt::secret("slave_pass", "Its password; --defaults_file is safer"),
            Opt::text("slave_host", "The server to apply to").or("127.0.0.1"),
            Opt::text("slave_ip", "Its address"),
            Opt::number("slave_port", "Its port").or("3306"),
            Opt::text("defaults_file", "An option file with user and password (Primacy's own)")
                .own(),
            Opt::text("target_version", "Accepted: the server is asked"),
            Opt::text("workdir", "The folder for files").or("/var/tmp"),
            Opt::text("timestamp", "What the names of files end with [default: now]"),
            Opt::text("diff_file_readtolatest", "The file to write"),
            Opt::text("apply_files", "The files to apply, in order, with commas between them"),
            Opt::switch("no_apply", "Do all but applying"),
        ],
        RAW,
        NODE,
        GENERAL,
    ],
    exits: &[
        (0, "done, or the other replica has everything"),
        (1, "failed, or the command line is wrong"),
        (22, "the server refused what was applied"),
    ],
    built: Some(node::apply_diff_relay_logs),
};

pub(super) const PURGE_RELAY_LOGS: Command = Command {
    name: "purge_relay_logs",
    about: "remove relay logs that are applied: for cron",
    details: "For replicas with relay_log_purge = 0. What is not applied is never removed.",
    unknown: Unknown::Refused,
    options: &[
        &[
            Opt::text("user", "The account").or("root"),
            Opt::secret("password", "Its password; --defaults_file is safer"),
            Opt::text("host", "The server; it must be on this host").or("127.0.0.1"),
            Opt::number("port", "Its port").or("3306"),
            Opt::text("socket", "Its socket"),
            Opt::text("defaults_file", "An option file with what is not given, in [client]"),
            Opt::text("workdir", "Where links to relay logs are made: the same file system")
                .or("/var/tmp"),
            Opt::text("relay_log_info", "The file that names the current relay log"),
            Opt::switch(
                "disable_relay_log_purge",
                "If relay_log_purge is 1, set it to 0 and go on; without this nothing is done then",
            ),
            Opt::switch("use_hardlink", "Link relay logs before they are removed").or("1"),
            Opt::switch("debug", "Say more"),
        ],
        GENERAL,
    ],
    exits: &[(0, "done, or there is nothing to do"), (1, "failed, or not done now")],
    built: Some(node::purge_relay_logs),
};

pub(super) const FILTER_MYSQLBINLOG: Command = Command {
    name: "filter_mysqlbinlog",
    about: "take what mysqlbinlog adds at its beginning and end out of its output",
    details: "Reads standard input and writes standard output. Nothing of Primacy needs it.",
    unknown: Unknown::Refused,
    options: &[GENERAL],
    exits: &[(0, "done"), (1, "something could not be read or written")],
    built: Some(node::filter_mysqlbinlog),
};
