//! Captured answers of MySQL 5.6.24 and 9.7.4, MariaDB 10.11.19 and 11.8.6, read.

use primacy_types::{ChannelStatus, Millis, Positioning, ReceiverState, ServerVersion};

use super::*;
use crate::fixture::rows;

const MYSQL_5_6: Dialect = Dialect::of(ServerVersion::mysql(5, 6, 24));
const MYSQL_9_7: Dialect = Dialect::of(ServerVersion::mysql(9, 7, 4));
const MARIADB_10_11: Dialect = Dialect::of(ServerVersion::mariadb(10, 11, 19));
const MARIADB_11_8: Dialect = Dialect::of(ServerVersion::mariadb(11, 8, 6));

fn channel(dialect: Dialect, status: &str, tables: Option<&str>, counters: &str) -> ChannelStatus {
    let tables = tables.map(rows);
    let channels = channel::parse(dialect, &rows(status), tables.as_ref(), &rows(counters));
    assert_eq!(channels.len(), 1);
    channels.into_iter().next().unwrap()
}

fn mysql_9_7() -> ChannelStatus {
    channel(
        MYSQL_9_7,
        include_str!("fixtures/mysql-9.7-status.txt"),
        Some(include_str!("fixtures/mysql-9.7-tables.txt")),
        include_str!("fixtures/mysql-9.7-counters.txt"),
    )
}

fn mariadb(dialect: Dialect, status: &str) -> ChannelStatus {
    channel(dialect, status, None, include_str!("fixtures/mariadb-10.11-counters.txt"))
}

#[test]
fn a_replica_of_mysql_9_7() {
    let seen = mysql_9_7();
    assert_eq!(seen.name, "");
    assert_eq!(seen.source.to_string(), "127.0.0.1:42110");
    assert_eq!((seen.receiver, seen.applier_running), (ReceiverState::Running, true));
    assert_eq!(seen.positioning, Positioning::AutoPosition);
    assert_eq!(seen.heartbeat_period, Some(Millis(1000)));
    assert!(seen.heartbeats.unwrap() > 0);
    assert!(seen.applier_idle);
    assert_eq!(seen.settings["GET_SOURCE_PUBLIC_KEY"], "1");
    assert_eq!(seen.settings["SOURCE_RETRY_COUNT"], "99");
    assert!(!seen.settings.contains_key("IGNORE_SERVER_IDS"), "it is empty");
}

#[test]
fn without_the_connection_tables_heartbeats_are_unknown_and_the_rest_is_there() {
    let status = include_str!("fixtures/mysql-9.7-status.txt");
    let counters = include_str!("fixtures/mysql-9.7-counters.txt");
    let seen = channel(MYSQL_9_7, status, None, counters);
    assert_eq!((seen.heartbeats, seen.heartbeat_period), (None, None));
    assert_eq!(seen.settings["SOURCE_SSL"], "0");
    assert_eq!(seen.received, mysql_9_7().received);
}

#[test]
fn a_replica_of_mysql_5_6_has_its_heartbeats_in_the_counters() {
    let seen = channel(
        MYSQL_5_6,
        include_str!("fixtures/mysql-5.6-status.txt"),
        None,
        include_str!("fixtures/mysql-5.6-counters.txt"),
    );
    assert_eq!(seen.heartbeats, Some(165));
    assert_eq!(seen.heartbeat_period, Some(Millis(1000)));
    assert!(seen.applier_idle, "5.6 words the idle state in its own way");
    assert!(seen.settings.contains_key("MASTER_SSL"));
}

#[test]
fn a_mariadb_replica_whose_applier_is_stopped_holds_what_it_received() {
    let seen = mariadb(MARIADB_10_11, include_str!("fixtures/mariadb-10.11-ahead.txt"));
    assert_eq!((seen.receiver, seen.applier_running), (ReceiverState::Running, false));
    assert_eq!(seen.received.unwrap().to_string(), "0-1-40");
    assert_eq!(seen.positioning, Positioning::SlavePos);
    assert_eq!(seen.lag_seconds, None);
    assert!(!seen.applier_idle);
}

#[test]
fn what_mariadb_says_it_received_is_not_believed_once_its_relay_log_was_dropped() {
    let text = include_str!("fixtures/mariadb-10.11-dropped.txt");
    let seen = mariadb(MARIADB_10_11, text);
    assert!(text.contains("Gtid_IO_Pos: 0-1-40"), "the server still says so");
    assert_eq!(seen.received, None);
    assert_eq!(seen.settings["IGNORE_DOMAIN_IDS"], "5");
    assert_eq!(seen.delay_seconds, 3);
    assert!(seen.filters.contains("Replicate_Ignore_Domain_Ids=5"));
}

#[test]
fn what_mariadb_received_without_gtid_is_unknown() {
    let text = include_str!("fixtures/mariadb-10.11-ahead.txt");
    let seen = mariadb(MARIADB_10_11, &text.replace("Using_Gtid: Slave_Pos", "Using_Gtid: No"));
    assert_eq!((seen.received, seen.positioning), (None, Positioning::FileAndPosition));
}

#[test]
fn mariadb_11_8_verifies_certificates_by_default_and_that_is_carried_over() {
    let seen = mariadb(MARIADB_11_8, include_str!("fixtures/mariadb-11.8-status.txt"));
    assert_eq!(seen.settings["MASTER_SSL"], "1");
    assert_eq!(seen.settings["MASTER_SSL_VERIFY_SERVER_CERT"], "1");
    assert!(seen.applier_idle);
}

#[test]
fn an_error_of_the_applier_is_told_with_its_number() {
    let text = include_str!("fixtures/mariadb-10.11-ahead.txt")
        .replace("Last_SQL_Errno: 0", "Last_SQL_Errno: 1062")
        .replace("Last_SQL_Error: ", "Last_SQL_Error: Duplicate entry");
    let error = mariadb(MARIADB_10_11, &text).applier_error.unwrap();
    assert_eq!((error.code, &*error.message), (1062, "Duplicate entry"));
}

#[test]
fn facts_of_mysql_9_7() {
    let counters = rows(include_str!("fixtures/mysql-9.7-counters.txt"));
    let variables = rows(include_str!("fixtures/mysql-9.7-variables.txt"));
    let facts = facts::parse(MYSQL_9_7, &variables, &counters, Vec::new()).unwrap();
    assert_eq!((facts.server_id, facts.read_only), (2, false));
    assert_eq!(facts.super_read_only, Some(false));
    assert_eq!(facts.executed, facts.logged);
    assert_eq!(facts.executed.as_mysql().unwrap().count(), 33 + 277);
    assert!(facts.purged.unwrap().is_empty());
    assert_eq!(facts.data_dir, "/var/lib/mysql/");
    let names = SemiSyncNames::from_rows(&counters);
    let semi_sync = semi_sync::parse(names, &counters, &variables);
    assert!(!semi_sync.available, "only the replica's plugin is loaded");
}

#[test]
fn facts_of_mariadb_10_11() {
    let counters = rows(include_str!("fixtures/mariadb-10.11-counters.txt"));
    let text = include_str!("fixtures/mariadb-10.11-variables.txt");
    let text = text.replace("gtid_slave_pos: 0-1-39", "gtid_slave_pos: 0-1-41,3-1-7");
    let facts = facts::parse(MARIADB_10_11, &rows(&text), &counters, Vec::new()).unwrap();
    assert_eq!(facts.executed.to_string(), "0-1-41,3-1-7");
    assert_eq!(facts.logged.to_string(), "0-1-39");
    assert_eq!((facts.super_read_only, facts.purged), (None, None));
    assert_eq!(facts.gtid_strict, Some(false));
    let names = SemiSyncNames::from_rows(&counters);
    let semi_sync = semi_sync::parse(names, &counters, &rows(&text));
    assert!(semi_sync.available && !semi_sync.source_enabled && !semi_sync.after_sync);
    assert_eq!((semi_sync.wait_count, semi_sync.timeout), (1, Millis(10_000)));
}

#[test]
fn a_pid_file_without_path_lies_in_the_data_directory() {
    let counters = rows(include_str!("fixtures/mysql-9.7-counters.txt"));
    let text = include_str!("fixtures/mysql-9.7-variables.txt");
    let text = text.replace("pid_file: /var/lib/mysql.pid", "pid_file: db2.pid");
    let facts = facts::parse(MYSQL_9_7, &rows(&text), &counters, Vec::new()).unwrap();
    assert_eq!(facts.pid_file, "/var/lib/mysql/db2.pid");
}

#[test]
fn a_replica_that_reports_no_host_has_no_address() {
    let text = "*** 1 ***\nServer_Id: 7\nHost: \nPort: 3306\nSource_Id: 1\n\
                *** 2 ***\nServer_Id: 8\nHost: db3\nPort: 3307\nSource_Id: 1\n";
    let seen = registered(&rows(text));
    assert_eq!((seen[0].server_id, seen[0].address.as_ref()), (7, None));
    assert_eq!(seen[1].address.as_ref().unwrap().to_string(), "db3:3307");
}
