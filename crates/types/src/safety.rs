//! What a server's settings do to its logs and positions when it, or its host, dies.

use serde::{Deserialize, Serialize};

/// Settings that decide what survives a crash and what can be rescued afterwards. Each is `None`
/// where the version does not have it, or it was not seen yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CrashSafety {
    /// `relay_log_purge`: relay logs are removed as soon as they are applied.
    pub relay_log_purge: Option<bool>,
    /// `relay_log_recovery`: at a restart what was received and not applied is thrown away.
    pub relay_log_recovery: Option<bool>,
    /// Where the applier's place is kept (`relay_log_info_repository`; MySQL before 8.3).
    pub applier_place: Option<Repository>,
    /// Where the receiver's place is kept (`master_info_repository`; MySQL before 8.3).
    pub receiver_place: Option<Repository>,
    /// Threads that apply side by side (`replica_parallel_workers` and its older names).
    pub parallel_workers: Option<u32>,
    /// They commit in the order of the source (MySQL `replica_preserve_commit_order`).
    pub preserve_commit_order: Option<bool>,
    /// `sync_binlog`: the binary log is forced to disk after so many commits; 0: never.
    pub sync_binlog: Option<u64>,
    /// `innodb_flush_log_at_trx_commit`.
    pub flush_log_at_commit: Option<u64>,
    /// `sync_relay_log`.
    pub sync_relay_log: Option<u64>,
    /// `sync_source_info`, `sync_master_info`.
    pub sync_source_info: Option<u64>,
    /// `binlog_format`.
    pub binlog_format: Option<String>,
    /// `binlog_checksum`.
    pub binlog_checksum: Option<String>,
    /// Binary and relay logs are encrypted on disk (`binlog_encryption`, `encrypt_binlog`).
    pub binlog_encrypted: Option<bool>,
    /// Events are compressed (`binlog_transaction_compression`, `log_bin_compress`).
    pub binlog_compressed: Option<bool>,
    /// `event_scheduler`.
    pub event_scheduler: Option<String>,
    /// Tables whose engine neither rolls back nor recovers.
    pub unsafe_tables: Option<UnsafeTables>,
}

/// Where MySQL keeps a replication position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Repository {
    /// A table, in step with the transaction.
    Table,
    /// A file, which may be behind after a crash.
    File,
}

/// Tables outside the system schemas whose engine neither rolls back nor recovers, as far as the
/// manager's account sees them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsafeTables {
    /// How many; no more than the query's limit are counted.
    pub count: u32,
    /// The first few as `schema.table (engine)`.
    pub examples: Vec<String>,
    /// The server's uptime in seconds when this was looked at.
    pub at_uptime: u64,
}
