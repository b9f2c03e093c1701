//! What every version says for every verb: the table as documentation.

use std::fmt::Write as _;
use std::time::Duration;

use primacy_types::{Address, BinlogPosition, Millis, Positioning, ServerVersion};
use secrecy::SecretString;

use super::*;

const MATRIX: &[ServerVersion] = &[
    ServerVersion::mysql(5, 6, 24),
    ServerVersion::mysql(5, 7, 44),
    ServerVersion::mysql(8, 0, 22),
    ServerVersion::mysql(8, 0, 36),
    ServerVersion::mysql(8, 4, 0),
    ServerVersion::mysql(9, 7, 0),
    ServerVersion::mariadb(10, 5, 23),
    ServerVersion::mariadb(10, 6, 0),
    ServerVersion::mariadb(10, 11, 0),
    ServerVersion::mariadb(11, 4, 0),
    ServerVersion::mariadb(11, 8, 0),
    ServerVersion::mariadb(12, 1, 0),
];

fn event() -> Event {
    Event {
        schema: "app".into(),
        name: "nightly".into(),
        definer: "app@localhost".into(),
        state: EventState::Enabled,
        originator: 1,
    }
}

pub(super) fn settings(start_at: StartAt) -> SourceSettings {
    SourceSettings {
        source: Address::new("db2", 3307),
        user: "repl".into(),
        password: SecretString::from("geheim"),
        start_at,
        heartbeat_period: Millis(1000),
        connect_retry_seconds: 1,
        retry_count: None,
        delay_seconds: 0,
        get_public_key: true,
        settings: [("MASTER_SSL".to_owned(), "1".to_owned())].into(),
    }
}

/// Statements by verb; versions that say the same stand together.
fn table(verbs: &[(&str, &dyn Fn(Dialect) -> String)]) -> String {
    let mut out = String::new();
    for (verb, say) in verbs {
        let _ = writeln!(out, "{verb}");
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for version in MATRIX {
            let said = say(Dialect::of(*version));
            match groups.iter_mut().find(|(text, _)| *text == said) {
                Some((_, versions)) => versions.push(version.to_string()),
                None => groups.push((said, vec![version.to_string()])),
            }
        }
        for (said, versions) in groups {
            let who =
                if versions.len() == MATRIX.len() { "all".into() } else { versions.join(", ") };
            let _ = writeln!(out, "  {said}\n      {who}");
        }
    }
    out
}

#[test]
fn replication_in_every_dialect() {
    insta::assert_snapshot!(table(&[
        ("replica status", &|d| d.replica_status().into()),
        ("end of the binary log", &|d| d.binlog_status().into()),
        ("connected replicas", &|d| d.registered_replicas().into()),
        ("stop the receiver", &|d| d.stop(Threads::Receiver, "")),
        ("start the applier of a channel", &|d| d.start(Threads::Applier, "o'k")),
        ("stop both", &|d| d.stop(Threads::Both, "")),
        ("forget the source", &|d| d.reset_replica_all("")),
        ("connection tables", &|d| d.connection_tables().map_or("none", |_| "joined").into()),
        ("wait for transactions", &|d| {
            let set = d.gtid_set(if d.is_mariadb() { "0-1-5" } else { "" }).unwrap();
            d.wait_for_gtids(&set, Duration::from_millis(1500))
        }),
        ("set gtid_slave_pos", &|d| {
            d.set_gtid_slave_pos(&"0-1-5".parse().unwrap()).unwrap_or("none".into())
        }),
    ]), @r###"
    replica status
      SHOW SLAVE STATUS
          MySQL 5.6.24, MySQL 5.7.44
      SHOW REPLICA STATUS
          MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      SHOW ALL SLAVES STATUS
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    end of the binary log
      SHOW MASTER STATUS
          MySQL 5.6.24, MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36
      SHOW BINARY LOG STATUS
          MySQL 8.4.0, MySQL 9.7.0
      SHOW BINLOG STATUS
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    connected replicas
      SHOW SLAVE HOSTS
          MySQL 5.6.24, MySQL 5.7.44, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
      SHOW REPLICAS
          MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
    stop the receiver
      STOP SLAVE IO_THREAD
          MySQL 5.6.24
      STOP SLAVE IO_THREAD FOR CHANNEL ''
          MySQL 5.7.44
      STOP REPLICA IO_THREAD FOR CHANNEL ''
          MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      STOP SLAVE '' IO_THREAD
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    start the applier of a channel
      START SLAVE SQL_THREAD
          MySQL 5.6.24
      START SLAVE SQL_THREAD FOR CHANNEL 'o''k'
          MySQL 5.7.44
      START REPLICA SQL_THREAD FOR CHANNEL 'o''k'
          MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      START SLAVE 'o''k' SQL_THREAD
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    stop both
      STOP SLAVE
          MySQL 5.6.24
      STOP SLAVE FOR CHANNEL ''
          MySQL 5.7.44
      STOP REPLICA FOR CHANNEL ''
          MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      STOP SLAVE ''
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    forget the source
      RESET SLAVE ALL
          MySQL 5.6.24
      RESET SLAVE ALL FOR CHANNEL ''
          MySQL 5.7.44
      RESET REPLICA ALL FOR CHANNEL ''
          MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      RESET SLAVE '' ALL
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    connection tables
      none
          MySQL 5.6.24, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
      joined
          MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
    wait for transactions
      SELECT WAIT_UNTIL_SQL_THREAD_AFTER_GTIDS('', 2)
          MySQL 5.6.24
      SELECT WAIT_FOR_EXECUTED_GTID_SET('', 2)
          MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      SELECT MASTER_GTID_WAIT('0-1-5', 1.500)
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    set gtid_slave_pos
      none
          MySQL 5.6.24, MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      SET GLOBAL gtid_slave_pos = '0-1-5'
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    "###);
}

#[test]
fn writability_and_the_rest_in_every_dialect() {
    insta::assert_snapshot!(table(&[
        ("close to writes", &|d| d.close_to_writes().join("; ")),
        ("open to the manager", &|d| d.open_to_manager().unwrap_or("nothing").into()),
        ("open to all", &|d| d.open_to_all().into()),
        ("beyond read_only", &|d| d.privileges_beyond_read_only().join(", ")),
        ("disable an event on a replica", &|d| {
            d.alter_event(&event(), EventState::DisabledOnReplica)
        }),
        ("end a session", &|d| d.kill(42)),
        ("held locks", &|d| d.held_locks().map_or("none", |_| "performance_schema").into()),
        ("variables", &|d| d.variables(SemiSyncNames::default())),
        ("counters", &|d| d.counters()),
    ]), @r###"
    close to writes
      SET GLOBAL read_only = 1
          MySQL 5.6.24, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
      SET GLOBAL read_only = 1; SET GLOBAL super_read_only = 1
          MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
    open to the manager
      nothing
          MySQL 5.6.24, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
      SET GLOBAL super_read_only = 0
          MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
    open to all
      SET GLOBAL read_only = 0
          all
    beyond read_only
      SUPER
          MySQL 5.6.24, MySQL 5.7.44
      SUPER, CONNECTION_ADMIN
          MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      SUPER, READ_ONLY ADMIN
          MariaDB 10.5.23, MariaDB 10.6.0
      READ_ONLY ADMIN
          MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    disable an event on a replica
      ALTER DEFINER = `app`@`localhost` EVENT `app`.`nightly` DISABLE ON SLAVE
          MySQL 5.6.24, MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
      ALTER DEFINER = `app`@`localhost` EVENT `app`.`nightly` DISABLE ON REPLICA
          MySQL 8.4.0, MySQL 9.7.0
    end a session
      KILL CONNECTION 42
          MySQL 5.6.24, MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      KILL HARD CONNECTION 42
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    held locks
      none
          MySQL 5.6.24, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
      performance_schema
          MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
    variables
      SELECT @@global.server_id AS server_id, @@global.server_uuid AS server_uuid, @@global.read_only AS read_only, @@global.log_bin AS log_bin, @@global.log_slave_updates AS log_replica_updates, @@global.gtid_mode AS gtid_mode, @@global.gtid_executed AS gtid_executed, @@global.gtid_purged AS gtid_purged, @@global.max_connections AS max_connections, @@global.hostname AS hostname, @@global.pid_file AS pid_file, @@global.datadir AS datadir, @@global.log_bin_basename AS log_bin_basename, @@global.relay_log_basename AS relay_log_basename, @@global.version_comment AS version_comment
          MySQL 5.6.24
      SELECT @@global.server_id AS server_id, @@global.server_uuid AS server_uuid, @@global.read_only AS read_only, @@global.super_read_only AS super_read_only, @@global.log_bin AS log_bin, @@global.log_slave_updates AS log_replica_updates, @@global.gtid_mode AS gtid_mode, @@global.gtid_executed AS gtid_executed, @@global.gtid_purged AS gtid_purged, @@global.max_connections AS max_connections, @@global.hostname AS hostname, @@global.pid_file AS pid_file, @@global.datadir AS datadir, @@global.log_bin_basename AS log_bin_basename, @@global.relay_log_basename AS relay_log_basename, @@global.version_comment AS version_comment
          MySQL 5.7.44, MySQL 8.0.22
      SELECT @@global.server_id AS server_id, @@global.server_uuid AS server_uuid, @@global.read_only AS read_only, @@global.super_read_only AS super_read_only, @@global.log_bin AS log_bin, @@global.log_replica_updates AS log_replica_updates, @@global.gtid_mode AS gtid_mode, @@global.gtid_executed AS gtid_executed, @@global.gtid_purged AS gtid_purged, @@global.max_connections AS max_connections, @@global.hostname AS hostname, @@global.pid_file AS pid_file, @@global.datadir AS datadir, @@global.log_bin_basename AS log_bin_basename, @@global.relay_log_basename AS relay_log_basename, @@global.version_comment AS version_comment
          MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      SELECT @@global.server_id AS server_id, @@global.read_only AS read_only, @@global.log_bin AS log_bin, @@global.log_slave_updates AS log_replica_updates, @@global.gtid_strict_mode AS gtid_strict_mode, @@global.gtid_binlog_pos AS gtid_binlog_pos, @@global.gtid_slave_pos AS gtid_slave_pos, @@global.max_connections AS max_connections, @@global.hostname AS hostname, @@global.pid_file AS pid_file, @@global.datadir AS datadir, @@global.log_bin_basename AS log_bin_basename, @@global.relay_log_basename AS relay_log_basename, @@global.version_comment AS version_comment
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    counters
      SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime','Threads_connected','Slave_received_heartbeats','Slave_heartbeat_period') OR Variable_name LIKE 'Rpl_semi_sync%'
          MySQL 5.6.24
      SHOW GLOBAL STATUS WHERE Variable_name IN ('Uptime','Threads_connected') OR Variable_name LIKE 'Rpl_semi_sync%'
          MySQL 5.7.44, MySQL 8.0.22, MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    "###);
}

#[test]
fn a_change_of_source_in_every_dialect() {
    let say = |d: Dialect, start: StartAt, scope: ChangeScope| {
        d.change_source("", &settings(start), scope, false).map_or_else(
            |_| "refused: both threads must be stopped".to_owned(),
            |change| change.redacted().to_owned(),
        )
    };
    insta::assert_snapshot!(table(&[
        ("by GTID", &|d| say(d, StartAt::Gtid(Positioning::SlavePos), ChangeScope::BothStopped)),
        ("by GTID, applier runs", &|d| {
            say(d, StartAt::Gtid(Positioning::AutoPosition), ChangeScope::ReceiverStopped)
        }),
        ("by position", &|d| {
            let place = BinlogPosition::new("binlog.000007", 154);
            say(d, StartAt::Position(place), ChangeScope::BothStopped)
        }),
    ]), @r###"
    by GTID
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_AUTO_POSITION = 1, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, MASTER_SSL = 1
          MySQL 5.6.24
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_AUTO_POSITION = 1, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, MASTER_SSL = 1 FOR CHANNEL ''
          MySQL 5.7.44
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_AUTO_POSITION = 1, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, GET_MASTER_PUBLIC_KEY = 1, MASTER_SSL = 1 FOR CHANNEL ''
          MySQL 8.0.22
      CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'db2', SOURCE_PORT = 3307, SOURCE_USER = 'repl', SOURCE_PASSWORD = '***', SOURCE_AUTO_POSITION = 1, SOURCE_HEARTBEAT_PERIOD = 1.000, SOURCE_CONNECT_RETRY = 1, SOURCE_DELAY = 0, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_SSL = 1 FOR CHANNEL ''
          MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      CHANGE MASTER '' TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_USE_GTID = slave_pos, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, MASTER_SSL = 1
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    by GTID, applier runs
      refused: both threads must be stopped
          MySQL 5.6.24, MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_SSL = 1 FOR CHANNEL ''
          MySQL 5.7.44
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, GET_MASTER_PUBLIC_KEY = 1, MASTER_SSL = 1 FOR CHANNEL ''
          MySQL 8.0.22
      CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'db2', SOURCE_PORT = 3307, SOURCE_USER = 'repl', SOURCE_PASSWORD = '***', SOURCE_HEARTBEAT_PERIOD = 1.000, SOURCE_CONNECT_RETRY = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_SSL = 1 FOR CHANNEL ''
          MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
    by position
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_AUTO_POSITION = 0, MASTER_LOG_FILE = 'binlog.000007', MASTER_LOG_POS = 154, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, MASTER_SSL = 1
          MySQL 5.6.24
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_AUTO_POSITION = 0, MASTER_LOG_FILE = 'binlog.000007', MASTER_LOG_POS = 154, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, MASTER_SSL = 1 FOR CHANNEL ''
          MySQL 5.7.44
      CHANGE MASTER TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_AUTO_POSITION = 0, MASTER_LOG_FILE = 'binlog.000007', MASTER_LOG_POS = 154, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, GET_MASTER_PUBLIC_KEY = 1, MASTER_SSL = 1 FOR CHANNEL ''
          MySQL 8.0.22
      CHANGE REPLICATION SOURCE TO SOURCE_HOST = 'db2', SOURCE_PORT = 3307, SOURCE_USER = 'repl', SOURCE_PASSWORD = '***', SOURCE_AUTO_POSITION = 0, SOURCE_LOG_FILE = 'binlog.000007', SOURCE_LOG_POS = 154, SOURCE_HEARTBEAT_PERIOD = 1.000, SOURCE_CONNECT_RETRY = 1, SOURCE_DELAY = 0, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_SSL = 1 FOR CHANNEL ''
          MySQL 8.0.36, MySQL 8.4.0, MySQL 9.7.0
      CHANGE MASTER '' TO MASTER_HOST = 'db2', MASTER_PORT = 3307, MASTER_USER = 'repl', MASTER_PASSWORD = '***', MASTER_USE_GTID = no, MASTER_LOG_FILE = 'binlog.000007', MASTER_LOG_POS = 154, MASTER_HEARTBEAT_PERIOD = 1.000, MASTER_CONNECT_RETRY = 1, MASTER_DELAY = 0, MASTER_SSL = 1
          MariaDB 10.5.23, MariaDB 10.6.0, MariaDB 10.11.0, MariaDB 11.4.0, MariaDB 11.8.0, MariaDB 12.1.0
    "###);
}
