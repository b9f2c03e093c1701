//! What survives a crash: the variables that say so, and the search for tables that do not.

use std::time::Duration;

use super::{Dialect, Feature};

/// A setting, whatever a version calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SafetyVariable {
    RelayLogPurge,
    RelayLogRecovery,
    ApplierPlace,
    ReceiverPlace,
    ParallelWorkers,
    PreserveCommitOrder,
    SyncBinlog,
    FlushLogAtCommit,
    SyncRelayLog,
    SyncSourceInfo,
    BinlogFormat,
    BinlogChecksum,
    BinlogEncrypted,
    BinlogCompressed,
    EventScheduler,
}

/// Each setting with every name that it ever had, the newest first. They are asked with SHOW
/// VARIABLES, which leaves out what a server does not have, so that no version need be known:
/// names come and go here with almost every release (MySQL 8.0.26 renamed, 8.3 removed).
#[rustfmt::skip]
const NAMES: &[(SafetyVariable, &[&str])] = {
    use SafetyVariable as V;
    &[
        (V::RelayLogPurge, &["relay_log_purge"]),
        (V::RelayLogRecovery, &["relay_log_recovery"]),
        (V::ApplierPlace, &["relay_log_info_repository"]),
        (V::ReceiverPlace, &["master_info_repository"]),
        (V::ParallelWorkers, &["replica_parallel_workers", "slave_parallel_workers"]),
        (V::PreserveCommitOrder, &["replica_preserve_commit_order", "slave_preserve_commit_order"]),
        (V::SyncBinlog, &["sync_binlog"]),
        (V::FlushLogAtCommit, &["innodb_flush_log_at_trx_commit"]),
        (V::SyncRelayLog, &["sync_relay_log"]),
        (V::SyncSourceInfo, &["sync_source_info", "sync_master_info"]),
        (V::BinlogFormat, &["binlog_format"]),
        (V::BinlogChecksum, &["binlog_checksum"]),
        (V::BinlogEncrypted, &["binlog_encryption", "encrypt_binlog"]),
        (V::BinlogCompressed, &["binlog_transaction_compression", "log_bin_compress"]),
        (V::EventScheduler, &["event_scheduler"]),
    ]
};

/// Engines that roll back and recover, or hold no rows of their own.
const SAFE_ENGINES: &[&str] =
    &["InnoDB", "ROCKSDB", "TokuDB", "ndbcluster", "BLACKHOLE", "PERFORMANCE_SCHEMA"];
const SYSTEM_SCHEMAS: &[&str] = &["mysql", "information_schema", "performance_schema", "sys"];

impl SafetyVariable {
    /// Its names, the newest first.
    pub(crate) fn names(self) -> &'static [&'static str] {
        NAMES.iter().find(|(variable, _)| *variable == self).map_or(&[], |(_, names)| names)
    }
}

impl Dialect {
    /// The variables of crash safety, one a row: name and value.
    pub(crate) fn safety_variables() -> String {
        let names: Vec<&str> = NAMES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", list(&names))
    }

    /// Tables whose engine neither rolls back nor recovers: schema, name, engine; no more than
    /// `most`. The server ends the search itself after `limit`; where it cannot (MySQL 5.6),
    /// nothing is asked, since some versions open every table for it.
    pub(crate) fn unsafe_tables(self, most: u32, limit: Duration) -> Option<String> {
        let select = format!(
            "table_schema AS table_schema, table_name AS table_name, engine AS engine \
             FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND engine NOT IN ({}) \
             AND table_schema NOT IN ({}) LIMIT {most}",
            list(SAFE_ENGINES),
            list(SYSTEM_SCHEMAS)
        );
        let milliseconds = limit.as_millis();
        if self.has(Feature::StatementTimeHint) {
            Some(format!("SELECT /*+ MAX_EXECUTION_TIME({milliseconds}) */ {select}"))
        } else if self.has(Feature::StatementTimeSetting) {
            let seconds = limit.as_secs_f64();
            Some(format!("SET STATEMENT max_statement_time = {seconds} FOR SELECT {select}"))
        } else {
            None
        }
    }
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests {
    use primacy_types::ServerVersion;

    use super::*;

    #[test]
    fn the_search_for_tables_ends_by_itself_or_is_not_begun() {
        let sql = |version| Dialect::of(version).unsafe_tables(9, Duration::from_millis(150));
        let mysql = sql(ServerVersion::mysql(5, 7, 44)).unwrap();
        assert!(mysql.starts_with("SELECT /*+ MAX_EXECUTION_TIME(150) */ table_schema"), "{mysql}");
        assert!(mysql.ends_with("LIMIT 9"), "{mysql}");
        let mariadb = sql(ServerVersion::mariadb(10, 5, 23)).unwrap();
        assert!(mariadb.starts_with("SET STATEMENT max_statement_time = 0.15 FOR SELECT table"));
        assert_eq!(sql(ServerVersion::mysql(5, 6, 24)), None);
    }

    #[test]
    fn every_setting_is_asked_under_every_name() {
        let sql = Dialect::safety_variables();
        for (variable, names) in NAMES {
            assert_eq!(variable.names(), *names);
            assert!(names.iter().all(|name| sql.contains(&format!("'{name}'"))), "{variable:?}");
        }
    }
}
