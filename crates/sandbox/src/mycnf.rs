//! The option file of a sandbox server: a table of lines, and the versions that each is for.
//!
//! Small buffers, but durable (`sync_binlog`, `innodb_flush_log_at_trx_commit`): what a sandbox
//! shows about crashes must hold for real clusters.

use std::path::PathBuf;

use primacy_types::ServerVersion;

use crate::info::{ServerInfo, UpOptions};
use crate::installation::Installation;

/// Which servers a line is for.
enum For {
    All,
    MariaDb,
    MySql,
    /// MySQL from this version.
    MySqlFrom(u16, u16, u16),
    /// MySQL before this version.
    MySqlUntil(u16, u16, u16),
    /// Everything but MySQL from this version.
    NotMySqlFrom(u16, u16, u16),
}

impl For {
    fn has(&self, version: ServerVersion) -> bool {
        match *self {
            Self::All => true,
            Self::MariaDb => version.is_mariadb(),
            Self::MySql => version.is_mysql(),
            Self::MySqlFrom(a, b, c) => version.is_mysql() && version.at_least(a, b, c),
            Self::MySqlUntil(a, b, c) => version.is_mysql() && !version.at_least(a, b, c),
            Self::NotMySqlFrom(a, b, c) => version.is_mariadb() || !version.at_least(a, b, c),
        }
    }
}

/// Also used when the data folder's template is made, so that no log is resized at first start.
const SIZES: &[(For, &str)] = &[
    (For::All, "innodb_buffer_pool_size = 64M"),
    (For::NotMySqlFrom(8, 0, 30), "innodb_log_file_size = 16M"),
    (For::MySqlFrom(8, 0, 30), "innodb_redo_log_capacity = 16M"),
];

const LINES: &[(For, &str)] = &[
    (For::All, "skip_name_resolve = ON"),
    (For::All, "read_only = ON"),
    (For::MySqlFrom(5, 7, 8), "super_read_only = ON"),
    (For::All, "log_bin = binlog"),
    (For::All, "log_bin_index = binlog.index"),
    (For::All, "relay_log = relay"),
    (For::All, "relay_log_index = relay.index"),
    (For::NotMySqlFrom(8, 0, 34), "binlog_format = ROW"),
    (For::NotMySqlFrom(8, 0, 26), "log_slave_updates = ON"),
    (For::MySqlFrom(8, 0, 26), "log_replica_updates = ON"),
    (For::NotMySqlFrom(8, 0, 26), "slave_net_timeout = 10"),
    (For::MySqlFrom(8, 0, 26), "replica_net_timeout = 10"),
    (For::MySqlUntil(8, 0, 0), "master_info_repository = TABLE"),
    (For::MySqlUntil(8, 0, 0), "relay_log_info_repository = TABLE"),
    // Relay logs are data: what was received and acknowledged is not fetched a second time.
    (For::MySql, "relay_log_recovery = OFF"),
    (For::MySqlUntil(8, 0, 0), "explicit_defaults_for_timestamp = ON"),
    (For::All, "sync_binlog = 1"),
    (For::All, "innodb_flush_log_at_trx_commit = 1"),
    (For::All, "max_connections = 100"),
    // A probe that hangs up before it logged in must not get its host blocked.
    (For::All, "max_connect_errors = 1000000"),
    (For::All, "table_open_cache = 256"),
    (For::All, "table_definition_cache = 400"),
    (For::MySqlFrom(5, 7, 8), "table_open_cache_instances = 1"),
    (For::All, "innodb_log_buffer_size = 4M"),
    // On few cores the log writer's own threads cost more than they bring.
    (For::MySqlFrom(8, 0, 22), "innodb_log_writer_threads = OFF"),
    (For::All, "key_buffer_size = 1M"),
    (For::MySqlFrom(8, 0, 0), "temptable_max_ram = 16M"),
    (For::MariaDb, "aria_pagecache_buffer_size = 8M"),
    (For::All, "local_infile = OFF"),
    (For::MySqlFrom(5, 6, 34), "secure_file_priv = NULL"),
    (For::MySqlFrom(8, 0, 11), "mysqlx = OFF"),
    (For::MariaDb, "performance_schema = OFF"),
    (For::MySqlUntil(5, 7, 0), "performance_schema = OFF"),
    // MySQL 5.7 and later show replication's state in performance_schema's tables; the rest of
    // it is kept small.
    (For::MySqlFrom(5, 7, 0), "performance_schema = ON"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_instrument = 'memory/%=OFF'"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_instrument = 'wait/%=OFF'"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_max_thread_instances = 250"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_max_table_instances = 500"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_accounts_size = 10"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_hosts_size = 10"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_users_size = 10"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_digests_size = 100"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_max_digest_length = 256"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_max_sql_text_length = 256"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_events_statements_history_size = 2"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_events_statements_history_long_size = 10"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_events_stages_history_long_size = 10"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_events_waits_history_long_size = 10"),
    (For::MySqlFrom(5, 7, 0), "performance_schema_events_transactions_history_long_size = 10"),
    (For::MySqlFrom(8, 0, 0), "performance_schema_error_size = 0"),
];

const GTID: &[(For, &str)] = &[
    (For::MariaDb, "gtid_strict_mode = ON"),
    (For::MySql, "gtid_mode = ON"),
    (For::MySql, "enforce_gtid_consistency = ON"),
];

/// Without GTID the receiver continues where its stored position says. MySQL stores it in a table
/// every 10000 events unless told otherwise; a replica that was killed would receive again what
/// its relay log has (seen on 5.6.24: duplicate keys stop the applier).
const POSITIONS: &[(For, &str)] = &[
    (For::MySqlUntil(8, 0, 26), "sync_master_info = 1"),
    (For::MySqlFrom(8, 0, 26), "sync_source_info = 1"),
    // ON by default in MySQL 9.7.
    (For::MySqlFrom(8, 0, 0), "gtid_mode = OFF"),
    (For::MySqlFrom(8, 0, 0), "enforce_gtid_consistency = OFF"),
];

/// Every server acknowledges as a replica; who waits for acknowledgements is set at run time.
/// An hour's patience: a commit never passes unacknowledged without being noticed.
const SEMI_SYNC: &[(For, &str)] = &[
    (For::MySqlUntil(8, 0, 26), "plugin_load_add = semisync_master.so"),
    (For::MySqlUntil(8, 0, 26), "plugin_load_add = semisync_slave.so"),
    (For::MySqlFrom(8, 0, 26), "plugin_load_add = semisync_source.so"),
    (For::MySqlFrom(8, 0, 26), "plugin_load_add = semisync_replica.so"),
    (For::NotMySqlFrom(8, 0, 26), "rpl_semi_sync_slave_enabled = ON"),
    (For::MySqlFrom(8, 0, 26), "rpl_semi_sync_replica_enabled = ON"),
    (For::NotMySqlFrom(8, 0, 26), "rpl_semi_sync_master_timeout = 3600000"),
    (For::MySqlFrom(8, 0, 26), "rpl_semi_sync_source_timeout = 3600000"),
    (For::MariaDb, "rpl_semi_sync_master_wait_point = AFTER_SYNC"),
    (For::MySqlFrom(8, 0, 26), "rpl_semi_sync_source_wait_point = AFTER_SYNC"),
];

/// The sizes as command-line options, for a server that has no option file yet.
pub(crate) fn size_options(version: ServerVersion) -> Vec<String> {
    rows(SIZES, version).map(|line| format!("--{}", line.replace(' ', ""))).collect()
}

/// The certificates that a server shows.
pub(crate) struct Certificates {
    pub(crate) ca: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// The option file of one server.
pub(crate) fn option_file(
    installation: &Installation,
    options: &UpOptions,
    server: &ServerInfo,
    user: Option<&str>,
    tls: Option<&Certificates>,
) -> String {
    let version = installation.version;
    let mut lines = vec!["# Written by `primacy sandbox up`.".to_owned(), "[mysqld]".into()];
    if let Some(user) = user {
        lines.push(format!("user = {user}"));
    }
    lines.extend([
        format!("basedir = {}", installation.basedir.display()),
        format!("lc_messages_dir = {}", installation.share_dir.display()),
        format!("plugin_dir = {}", installation.plugin_dir.display()),
        format!("datadir = {}", server.datadir.display()),
        format!("tmpdir = {}", server.dir.join("tmp").display()),
        format!("socket = {}", server.socket.display()),
        format!("pid_file = {}", server.pid_file.display()),
        format!("log_error = {}", server.error_log.display()),
        format!("bind_address = {}", server.address.host()),
        format!("port = {}", server.address.port()),
        format!("report_host = {}", server.address.host()),
        format!("report_port = {}", server.address.port()),
        format!("server_id = {}", server.server_id),
    ]);
    let mut tables = vec![SIZES, LINES];
    tables.push(if options.gtid { GTID } else { POSITIONS });
    if options.semi_sync {
        tables.push(SEMI_SYNC);
    }
    for table in tables {
        lines.extend(rows(table, version).map(str::to_owned));
    }
    if options.semi_sync && version.is_mysql() && version.at_least(5, 7, 3) {
        let name = if version.at_least(8, 0, 26) {
            "rpl_semi_sync_source_wait_for_replica_count"
        } else {
            "rpl_semi_sync_master_wait_for_slave_count"
        };
        lines.push(format!("{name} = {}", options.semi_sync_wait_count));
    }
    match tls {
        Some(tls) => lines.extend([
            format!("ssl_ca = {}", tls.ca.display()),
            format!("ssl_cert = {}", tls.certificate.display()),
            format!("ssl_key = {}", tls.key.display()),
        ]),
        // MariaDB 11.4 and later make a certificate at each start. MySQL's came with the template.
        None if version.is_mariadb() => lines.push("skip_ssl".into()),
        None => {}
    }
    lines.extend(options.extra_config.iter().cloned());
    lines.push(String::new());
    lines.join("\n")
}

fn rows(
    table: &'static [(For, &'static str)],
    version: ServerVersion,
) -> impl Iterator<Item = &'static str> {
    table.iter().filter(move |(servers, _)| servers.has(version)).map(|(_, line)| *line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::Role;
    use crate::installation::Bootstrap;

    fn file(version: ServerVersion, change: fn(&mut UpOptions)) -> String {
        let mut options = UpOptions::in_dir("t", "/t");
        change(&mut options);
        let installation = Installation {
            name: "x".into(),
            flavor: version.flavor,
            version,
            mysqld: "/usr/sbin/mysqld".into(),
            launcher: Vec::new(),
            share_dir: "/usr/share/mysql".into(),
            plugin_dir: "/usr/lib/mysql/plugin".into(),
            basedir: "/usr".into(),
            extra_env: Vec::new(),
            bootstrap: Bootstrap::Initialize,
            has_semisync: true,
            root: "/".into(),
        };
        let server = ServerInfo {
            name: "s1".into(),
            address: "127.0.0.1:3310".parse().unwrap(),
            role: Role::Primary,
            dir: "/t/s1".into(),
            datadir: "/t/s1/data".into(),
            socket: "/t/s1/sock".into(),
            pid_file: "/t/s1/pid".into(),
            config_file: "/t/s1/my.cnf".into(),
            error_log: "/t/s1/log".into(),
            server_id: 1,
            netns: None,
        };
        option_file(&installation, &options, &server, Some("mysql"), None)
    }

    #[test]
    fn every_server_starts_read_only_and_durable() {
        for version in [
            ServerVersion::mysql(5, 6, 24),
            ServerVersion::mysql(9, 7, 4),
            ServerVersion::mariadb(10, 5, 23),
            ServerVersion::mariadb(11, 8, 6),
        ] {
            let text = file(version, |_| ());
            for line in ["read_only = ON", "sync_binlog = 1", "port = 3310", "user = mysql"] {
                assert!(text.lines().any(|l| l == line), "{version}: no {line}");
            }
            assert_eq!(
                text.contains("\nsuper_read_only"),
                version == ServerVersion::mysql(9, 7, 4)
            );
        }
    }

    #[test]
    fn new_and_old_spellings_are_not_mixed() {
        let new = file(ServerVersion::mysql(9, 7, 4), |o| o.semi_sync = true);
        assert!(new.contains("rpl_semi_sync_source_wait_for_replica_count = 1"));
        assert!(new.contains("log_replica_updates"));
        assert!(!new.contains("slave") && !new.contains("master"), "{new}");
        let old = file(ServerVersion::mysql(5, 6, 24), |o| o.semi_sync = true);
        assert!(old.contains("semisync_master.so") && old.contains("master_info_repository"));
        assert!(!old.contains("replica") && !old.contains("secure_file_priv"), "{old}");
        let maria = file(ServerVersion::mariadb(10, 11, 6), |o| o.semi_sync = true);
        assert!(!maria.contains("plugin_load") && !maria.contains("gtid_mode"), "{maria}");
    }

    #[test]
    fn lines_of_the_user_come_last_and_win() {
        let text = file(ServerVersion::mariadb(10, 11, 6), |o| {
            o.extra_config = vec!["gtid_strict_mode = OFF".into()];
        });
        let (ours, theirs) = (text.find("strict_mode = ON"), text.find("strict_mode = OFF"));
        assert!(ours.is_some() && ours < theirs);
    }

    #[test]
    fn without_gtid_no_gtid_option_is_set() {
        assert!(!file(ServerVersion::mysql(5, 6, 24), |o| o.gtid = false).contains("gtid"));
        assert!(
            !file(ServerVersion::mysql(9, 7, 4), |o| o.gtid = false).contains("gtid_mode = ON")
        );
    }
}
