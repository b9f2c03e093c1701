//! Undoing what a server alone has: the mark that it was done, and the history without it.

use std::time::Duration;

use primacy_types::{BinlogPosition, MySqlGtidSet};
use primacy_wire::quote;

use super::{Dialect, Feature};

/// Before the names of transactions that are undone and whose history is forgotten.
const REWOUND: &str = "gone: ";

impl Dialect {
    /// What creates the table of undoings where it is missing; the same on every version. It is
    /// not meant for the binary log: each server has its own.
    pub fn create_rewound_table(self) -> [&'static str; 2] {
        [
            "CREATE DATABASE IF NOT EXISTS primacy",
            "CREATE TABLE IF NOT EXISTS primacy.rewound (\
             fingerprint CHAR(64) CHARACTER SET ascii NOT NULL, transactions LONGTEXT NOT NULL, \
             kept LONGTEXT NOT NULL, history LONGTEXT NOT NULL, at_utc DATETIME(3) NOT NULL, \
             PRIMARY KEY (fingerprint)) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        ]
    }

    /// Marks transactions as undone: by the fingerprint of their events, with their names, what is
    /// kept, and the text of the history that the server shall have.
    pub fn write_rewound(
        self,
        fingerprint: &str,
        transactions: &str,
        kept: &str,
        history: &str,
    ) -> String {
        let [fingerprint, transactions, kept, history] =
            [fingerprint, transactions, kept, history].map(quote);
        format!(
            "INSERT INTO primacy.rewound (fingerprint, transactions, kept, history, at_utc) \
             VALUES ({fingerprint}, {transactions}, {kept}, {history}, UTC_TIMESTAMP(3))"
        )
    }

    /// The mark of these transactions, as `kept` and `history`; no row if they are not undone.
    pub fn read_rewound(self, fingerprint: &str) -> String {
        let fingerprint = quote(fingerprint);
        format!(
            "SELECT kept AS kept, history AS history FROM primacy.rewound \
             WHERE fingerprint = {fingerprint}"
        )
    }

    /// The names of other transactions that are undone, as `transactions`, of those whose history is not
    /// what it should be yet; beside the mark of these.
    pub fn read_other_rewound(self, fingerprint: &str) -> String {
        let fingerprint = quote(fingerprint);
        format!(
            "SELECT transactions AS transactions FROM primacy.rewound \
             WHERE fingerprint <> {fingerprint} AND transactions NOT LIKE '{REWOUND}%'"
        )
    }

    /// The mark of transactions that the history has not any more: a server may give their names
    /// to others.
    pub fn finish_rewound(self, fingerprint: &str) -> String {
        let fingerprint = quote(fingerprint);
        format!(
            "UPDATE primacy.rewound SET transactions = CONCAT('{REWOUND}', transactions) \
             WHERE fingerprint = {fingerprint} AND transactions NOT LIKE '{REWOUND}%'"
        )
    }

    /// What the storage engine has committed is on disk afterwards, whatever its settings.
    pub fn flush_engine_logs(self) -> &'static str {
        "FLUSH LOCAL ENGINE LOGS"
    }

    /// Removes the server's own binary logs and, with them, the GTIDs of its history.
    pub fn forget_history(self) -> &'static str {
        self.pick(Feature::ResetBinaryLogs, "RESET BINARY LOGS AND GTIDS", "RESET MASTER")
    }

    /// Gives a server without history (MySQL) the transactions that it has.
    pub fn set_gtid_purged(self, set: &MySqlGtidSet) -> String {
        format!("SET GLOBAL gtid_purged = {}", quote(&set.to_string()))
    }

    /// The last transaction of each domain and server in the binary log (MariaDB), as
    /// `gtid_binlog_state`, and where replication stands, as `gtid_slave_pos`.
    pub fn gtid_state(self) -> Option<&'static str> {
        self.is_mariadb().then_some(
            "SELECT @@global.gtid_binlog_state AS gtid_binlog_state, \
             @@global.gtid_slave_pos AS gtid_slave_pos",
        )
    }

    /// Gives a server without history (MariaDB) the last transactions that it has. Of a domain the
    /// one that stands last is the newest.
    pub fn set_gtid_binlog_state(self, state: &str) -> Option<String> {
        self.is_mariadb().then(|| format!("SET GLOBAL gtid_binlog_state = {}", quote(state)))
    }

    /// Up to `count` events of the server's own binary log.
    pub fn binlog_events(self, from: &BinlogPosition, count: u32) -> String {
        let BinlogPosition { file, offset } = from;
        format!("SHOW BINLOG EVENTS IN {} FROM {offset} LIMIT {count}", quote(file))
    }

    /// Limits how long this session waits for the locks of rows; at least one second.
    pub fn row_lock_wait_timeout(self, wait: Duration) -> String {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        format!("SET SESSION innodb_lock_wait_timeout = {}", seconds.max(1))
    }

    /// Settings under which row events are not applied exactly, one a row: name and value; for
    /// [`Dialect::loosens_rows`].
    pub fn row_settings(self) -> &'static str {
        "SHOW VARIABLES WHERE Variable_name IN ('slave_exec_mode', 'replica_exec_mode', \
         'rbr_exec_mode', 'slave_type_conversions', 'replica_type_conversions', \
         'slave_run_triggers_for_rbr', 'sql_log_bin', 'max_allowed_packet')"
    }

    /// The value that a setting of [`Dialect::row_settings`] should have, if this one loosens how
    /// row events are applied: rows that are missing are passed over, values are converted,
    /// triggers run.
    pub fn loosens_rows(name: &str, value: &str) -> Option<&'static str> {
        let exact = match name.to_ascii_lowercase().as_str() {
            "slave_exec_mode" | "replica_exec_mode" | "rbr_exec_mode" => "STRICT",
            "slave_type_conversions" | "replica_type_conversions" => "",
            "slave_run_triggers_for_rbr" => "NO",
            _ => return None,
        };
        (!value.eq_ignore_ascii_case(exact)).then_some(exact)
    }
}

#[cfg(test)]
mod tests {
    use primacy_types::ServerVersion;

    use super::*;

    #[test]
    fn history_is_forgotten_in_the_words_of_each_version() {
        let forget = |version| Dialect::of(version).forget_history();
        assert_eq!(forget(ServerVersion::mysql(8, 4, 0)), "RESET BINARY LOGS AND GTIDS");
        for old in [ServerVersion::mysql(8, 0, 36), ServerVersion::mariadb(11, 8, 0)] {
            assert_eq!(forget(old), "RESET MASTER");
        }
    }

    #[test]
    fn settings_that_loosen_rows_are_named_with_what_they_should_be() {
        assert_eq!(Dialect::loosens_rows("slave_exec_mode", "IDEMPOTENT"), Some("STRICT"));
        assert_eq!(Dialect::loosens_rows("rbr_exec_mode", "STRICT"), None);
        assert_eq!(Dialect::loosens_rows("slave_type_conversions", "ALL_LOSSY"), Some(""));
        assert_eq!(Dialect::loosens_rows("slave_run_triggers_for_rbr", "NO"), None);
        assert_eq!(Dialect::loosens_rows("max_allowed_packet", "1024"), None);
    }
}
