//! The table `primacy.probe`: one row that the manager replaces every second on a primary, to see
//! that it still commits.

use super::Dialect;

impl Dialect {
    /// What creates the table where it is missing; the same on every version.
    pub fn create_probe_table(self) -> [&'static str; 2] {
        [
            "CREATE DATABASE IF NOT EXISTS primacy",
            "CREATE TABLE IF NOT EXISTS primacy.probe (\
             id TINYINT UNSIGNED NOT NULL, writes BIGINT UNSIGNED NOT NULL, \
             at_utc DATETIME(3) NOT NULL, PRIMARY KEY (id)) ENGINE=InnoDB",
        ]
    }

    /// What a session is told before it writes: a lock is given up after a second with an error
    /// that says so, and the row itself is logged, so that no replica evaluates the condition.
    pub fn prepare_write_probe(self) -> [&'static str; 2] {
        [
            "SET SESSION autocommit = 1, lock_wait_timeout = 1, innodb_lock_wait_timeout = 1",
            "SET SESSION binlog_format = 'ROW'",
        ]
    }

    /// Replaces the row, or does nothing and changes no row where the server is read-only. The
    /// manager's account may write on a read-only server, and one that has become a replica
    /// meanwhile must not get a transaction of its own. The condition is read with the locks of the
    /// statement held, and `SET GLOBAL read_only` waits for those.
    pub fn write_probe(self) -> &'static str {
        "INSERT INTO primacy.probe (id, writes, at_utc) \
         SELECT 1, 1, UTC_TIMESTAMP(3) FROM DUAL WHERE @@GLOBAL.read_only = 0 \
         ON DUPLICATE KEY UPDATE writes = primacy.probe.writes + 1, at_utc = UTC_TIMESTAMP(3)"
    }
}
