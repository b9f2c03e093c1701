//! What came with which version, as a table. Sources: the reference manuals of MySQL 5.6 to 9.7
//! and MariaDB's documentation; MySQL 5.6 and 9.7 and MariaDB 10.5, 10.11 and 11.8 were asked
//! themselves.

/// The first version that can do something.
type Since = Option<(u16, u16, u16)>;

/// Something that not every server can do or calls the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    ReplicaWords,
    SourceWords,
    SourceVariables,
    BinaryLogStatus,
    ResetBinaryLogs,
    BinlogStatus,
    Channels,
    SuperReadOnly,
    ConnectionTables,
    ProcessingTransaction,
    HeartbeatStatus,
    HeartbeatColumns,
    WaitForExecutedGtidSet,
    ServerUuid,
    SemiSyncWaitPoint,
    SemiSyncWaitCount,
    ReceiverOnlyChange,
    Delay,
    RetryCount,
    Bind,
    TlsVersion,
    PublicKey,
    PrivilegeChecks,
    Compression,
    TlsCipherSuites,
    RowFormatCheck,
    PrimaryKeyCheck,
    NetworkNamespace,
    AutoFailover,
    AssignGtids,
    GtidOnly,
    DomainIds,
    EventOnReplica,
    MetadataLocks,
    SplitPrivileges,
    SetAnyDefiner,
    SuperSparesReadOnly,
    SuperIsPlain,
    StatementTimeHint,
    StatementTimeSetting,
    Always,
}

/// One row: what it is, and since when each flavour has it (`None`: not at all).
#[derive(Clone, Copy, Debug)]
pub struct FeatureRow {
    pub(super) feature: Feature,
    /// First version of MySQL.
    pub mysql: Since,
    /// First version of MariaDB.
    pub mariadb: Since,
    /// For people, and for the generated page.
    pub what: &'static str,
}

const fn row(feature: Feature, mysql: Since, mariadb: Since, what: &'static str) -> FeatureRow {
    FeatureRow { feature, mysql, mariadb, what }
}

/// All features.
#[rustfmt::skip]
pub const FEATURES: &[FeatureRow] = {
    use Feature as F;
    const EVER: Since = Some((0, 0, 0));
    &[
        row(F::ReplicaWords, Some((8, 0, 22)), None, "SHOW REPLICA STATUS, START REPLICA, SHOW REPLICAS"),
        row(F::SourceWords, Some((8, 0, 23)), None, "CHANGE REPLICATION SOURCE TO SOURCE_..."),
        row(F::SourceVariables, Some((8, 0, 26)), None, "log_replica_updates and its like"),
        row(F::BinaryLogStatus, Some((8, 2, 0)), None, "SHOW BINARY LOG STATUS"),
        row(F::ResetBinaryLogs, Some((8, 2, 0)), None, "RESET BINARY LOGS AND GTIDS"),
        row(F::BinlogStatus, None, Some((10, 5, 2)), "SHOW BINLOG STATUS"),
        row(F::Channels, Some((5, 7, 6)), EVER, "named channels"),
        row(F::SuperReadOnly, Some((5, 7, 8)), None, "super_read_only"),
        row(F::ProcessingTransaction, Some((8, 0, 1)), None, "PROCESSING_TRANSACTION in performance_schema.replication_applier_status_by_coordinator"),
        row(F::ConnectionTables, Some((5, 7, 2)), None, "performance_schema.replication_connection_*"),
        row(F::HeartbeatStatus, Some((5, 6, 0)), None, "heartbeats as status variables (used where no table has them)"),
        row(F::HeartbeatColumns, None, EVER, "heartbeats as columns of SHOW ALL SLAVES STATUS"),
        row(F::WaitForExecutedGtidSet, Some((5, 7, 5)), None, "WAIT_FOR_EXECUTED_GTID_SET"),
        row(F::ServerUuid, Some((5, 6, 0)), None, "server_uuid, gtid_executed, gtid_purged"),
        row(F::SemiSyncWaitPoint, Some((5, 7, 2)), EVER, "semi-sync before the engine commit"),
        row(F::SemiSyncWaitCount, Some((5, 7, 3)), None, "semi-sync waits for several replicas"),
        row(F::ReceiverOnlyChange, Some((5, 7, 4)), None, "change of source while the applier runs"),
        row(F::Delay, Some((5, 6, 0)), EVER, "delayed replicas"),
        row(F::RetryCount, Some((5, 6, 1)), None, "retry count as a setting of the channel"),
        row(F::Bind, Some((5, 6, 2)), None, "local address of the receiver"),
        row(F::TlsVersion, Some((5, 7, 10)), None, "TLS version of the receiver"),
        row(F::PublicKey, Some((8, 0, 4)), None, "RSA key for caching_sha2_password without TLS"),
        row(F::PrivilegeChecks, Some((8, 0, 18)), None, "PRIVILEGE_CHECKS_USER"),
        row(F::Compression, Some((8, 0, 18)), None, "compression of the receiver"),
        row(F::TlsCipherSuites, Some((8, 0, 19)), None, "TLS 1.3 cipher suites of the receiver"),
        row(F::RowFormatCheck, Some((8, 0, 19)), None, "REQUIRE_ROW_FORMAT"),
        row(F::PrimaryKeyCheck, Some((8, 0, 20)), None, "REQUIRE_TABLE_PRIMARY_KEY_CHECK"),
        row(F::NetworkNamespace, Some((8, 0, 22)), None, "NETWORK_NAMESPACE"),
        row(F::AutoFailover, Some((8, 0, 22)), None, "SOURCE_CONNECTION_AUTO_FAILOVER"),
        row(F::AssignGtids, Some((8, 0, 23)), None, "ASSIGN_GTIDS_TO_ANONYMOUS_TRANSACTIONS"),
        row(F::GtidOnly, Some((8, 0, 27)), None, "GTID_ONLY"),
        row(F::DomainIds, None, EVER, "filters by GTID domain"),
        row(F::EventOnReplica, Some((8, 3, 0)), None, "ALTER EVENT ... DISABLE ON REPLICA"),
        row(F::MetadataLocks, Some((5, 7, 3)), None, "performance_schema.metadata_locks (MariaDB's shows LOCK TABLES READ like a SELECT)"),
        row(F::SplitPrivileges, Some((8, 0, 0)), Some((10, 5, 2)), "SUPER is split into several privileges"),
        row(F::SetAnyDefiner, Some((8, 2, 0)), None, "SET_ANY_DEFINER in place of SET_USER_ID"),
        row(F::SuperSparesReadOnly, None, Some((10, 11, 0)), "SUPER no longer ignores read_only"),
        row(F::SuperIsPlain, None, Some((11, 0, 1)), "SUPER no longer includes the split privileges"),
        row(F::StatementTimeHint, Some((5, 7, 8)), None, "MAX_EXECUTION_TIME as a hint of a SELECT"),
        row(F::StatementTimeSetting, None, Some((10, 1, 2)), "SET STATEMENT max_statement_time = ... FOR ..."),
        row(F::Always, EVER, EVER, "every server"),
    ]
};

/// Since when each flavour has a feature: MySQL, MariaDB. One that stands in no row is had by
/// nobody; a test sees to it that there is none.
pub(crate) fn since(feature: Feature) -> (Since, Since) {
    let row = FEATURES.iter().find(|row| row.feature == feature);
    row.map_or((None, None), |row| (row.mysql, row.mariadb))
}
