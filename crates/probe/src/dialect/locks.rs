//! Sessions and locks: who is connected, ending a session, named locks, what blocks read_only.

use primacy_wire::quote;

use super::{Dialect, Feature};

impl Dialect {
    /// All sessions with their statements. Unlike the tables of the same purpose it is neither
    /// deprecated anywhere nor dependent on `performance_schema`.
    pub fn process_list(self) -> &'static str {
        "SHOW FULL PROCESSLIST"
    }

    /// Ends a session.
    pub fn kill(self, session_id: u64) -> String {
        if self.is_mariadb() {
            format!("KILL HARD CONNECTION {session_id}")
        } else {
            format!("KILL CONNECTION {session_id}")
        }
    }

    /// Open transactions with their age in seconds. `trx_started` is in the server's own time
    /// zone, whatever the session's is.
    pub fn transactions(self) -> &'static str {
        "SELECT trx_mysql_thread_id AS id, \
         TIMESTAMPDIFF(SECOND, trx_started, \
         COALESCE(CONVERT_TZ(NOW(), @@session.time_zone, 'SYSTEM'), NOW())) AS age, \
         trx_state AS state, trx_rows_modified AS rows_modified, trx_query AS statement \
         FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id <> CONNECTION_ID() \
         ORDER BY trx_started"
    }

    /// Prepared XA transactions.
    pub fn xa_recover(self) -> &'static str {
        "XA RECOVER"
    }

    /// Global read locks, backup locks and `LOCK TABLES` that other sessions hold; `None` where
    /// no table shows them.
    pub fn held_locks(self) -> Option<&'static str> {
        self.has(Feature::MetadataLocks).then_some(
            "SELECT l.OBJECT_TYPE AS kind, l.OBJECT_SCHEMA AS db, l.OBJECT_NAME AS name, \
             l.LOCK_TYPE AS mode, t.PROCESSLIST_ID AS id \
             FROM performance_schema.metadata_locks l \
             JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID \
             WHERE l.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_ID <> CONNECTION_ID() \
             AND (l.LOCK_DURATION = 'EXPLICIT' \
             AND l.OBJECT_TYPE NOT IN ('USER LEVEL LOCK', 'LOCKING SERVICE') \
             OR l.OBJECT_TYPE = 'TABLE' \
             AND l.LOCK_TYPE IN ('SHARED_READ_ONLY', 'SHARED_NO_READ_WRITE'))",
        )
    }

    /// The same through MariaDB's plugin `metadata_lock_info`, which need not be loaded. Locks of
    /// running transactions and commits are left out.
    pub fn held_locks_by_plugin(self) -> Option<&'static str> {
        self.is_mariadb().then_some(
            "SELECT LOCK_TYPE AS kind, TABLE_SCHEMA AS db, TABLE_NAME AS name, \
             LOCK_MODE AS mode, THREAD_ID AS id FROM information_schema.METADATA_LOCK_INFO \
             WHERE THREAD_ID <> CONNECTION_ID() AND (LOCK_MODE LIKE 'MDL_BACKUP_%' \
             AND LOCK_MODE NOT LIKE '%DML' AND LOCK_MODE <> 'MDL_BACKUP_COMMIT' \
             OR LOCK_TYPE LIKE 'Table%' \
             AND LOCK_MODE IN ('MDL_SHARED_READ_ONLY', 'MDL_SHARED_NO_READ_WRITE'))",
        )
    }

    /// Accounts with global privileges that are among these.
    pub fn grantees(self, privileges: &[&str]) -> String {
        let list: Vec<String> = privileges.iter().map(|name| quote(name)).collect();
        format!(
            "SELECT GRANTEE AS grantee, PRIVILEGE_TYPE AS privilege \
             FROM information_schema.USER_PRIVILEGES WHERE PRIVILEGE_TYPE IN ({}) \
             ORDER BY GRANTEE, PRIVILEGE_TYPE",
            list.join(",")
        )
    }

    /// Takes a named lock; the only cell is `1` if it was free within so many seconds.
    ///
    /// At most 64 characters. On MySQL 5.6 a session holds one: taking another releases the first.
    pub fn take_lock(self, name: &str, seconds: u32) -> String {
        format!("SELECT GET_LOCK({}, {seconds})", quote(name))
    }

    /// Which session holds a named lock; NULL if none does.
    pub fn lock_holder(self, name: &str) -> String {
        format!("SELECT IS_USED_LOCK({})", quote(name))
    }

    /// Gives a named lock back.
    pub fn release_lock(self, name: &str) -> String {
        format!("SELECT RELEASE_LOCK({})", quote(name))
    }
}
