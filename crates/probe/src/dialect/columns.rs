//! The columns of the replica status, under both vocabularies.

use primacy_wire::Row;

/// A column by its name since MySQL 8.0.22, and by its older name, which MariaDB keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) &'static str);

impl Column {
    /// The text of this column, whatever the server calls it; `None` for NULL.
    pub(crate) fn of<'a>(&self, row: &'a Row) -> Option<&'a str> {
        if row.has(self.0) { row.get(self.0) } else { row.get(self.1) }
    }

    /// The same, with the empty text as `None`.
    pub(crate) fn text<'a>(&self, row: &'a Row) -> Option<&'a str> {
        self.of(row).filter(|text| !text.is_empty())
    }

    /// The number in this column.
    pub(crate) fn number(&self, row: &Row) -> Option<u64> {
        self.of(row)?.parse().ok()
    }
}

#[rustfmt::skip]
impl Column {
    pub(crate) const HOST: Self = Self("Source_Host", "Master_Host");
    pub(crate) const PORT: Self = Self("Source_Port", "Master_Port");
    pub(crate) const USER: Self = Self("Source_User", "Master_User");
    pub(crate) const CONNECT_RETRY: Self = Self("Connect_Retry", "Connect_Retry");
    pub(crate) const READ_FILE: Self = Self("Source_Log_File", "Master_Log_File");
    pub(crate) const READ_OFFSET: Self = Self("Read_Source_Log_Pos", "Read_Master_Log_Pos");
    pub(crate) const APPLIED_FILE: Self = Self("Relay_Source_Log_File", "Relay_Master_Log_File");
    pub(crate) const APPLIED_OFFSET: Self = Self("Exec_Source_Log_Pos", "Exec_Master_Log_Pos");
    pub(crate) const RELAY_FILE: Self = Self("Relay_Log_File", "Relay_Log_File");
    pub(crate) const RELAY_OFFSET: Self = Self("Relay_Log_Pos", "Relay_Log_Pos");
    pub(crate) const RELAY_SPACE: Self = Self("Relay_Log_Space", "Relay_Log_Space");
    pub(crate) const RECEIVER: Self = Self("Replica_IO_Running", "Slave_IO_Running");
    pub(crate) const APPLIER: Self = Self("Replica_SQL_Running", "Slave_SQL_Running");
    pub(crate) const APPLIER_STATE: Self = Self("Replica_SQL_Running_State", "Slave_SQL_Running_State");
    pub(crate) const RECEIVER_ERRNO: Self = Self("Last_IO_Errno", "Last_IO_Errno");
    pub(crate) const RECEIVER_ERROR: Self = Self("Last_IO_Error", "Last_IO_Error");
    pub(crate) const APPLIER_ERRNO: Self = Self("Last_SQL_Errno", "Last_SQL_Errno");
    pub(crate) const APPLIER_ERROR: Self = Self("Last_SQL_Error", "Last_SQL_Error");
    pub(crate) const SOURCE_ID: Self = Self("Source_Server_Id", "Master_Server_Id");
    pub(crate) const SOURCE_UUID: Self = Self("Source_UUID", "Master_UUID");
    pub(crate) const LAG: Self = Self("Seconds_Behind_Source", "Seconds_Behind_Master");
    pub(crate) const DELAY: Self = Self("SQL_Delay", "SQL_Delay");
    /// The channel: MySQL 5.7 and later, MariaDB. MySQL 5.6 has neither.
    pub(crate) const CHANNEL: Self = Self("Channel_Name", "Connection_name");
    /// What was received: MySQL, MariaDB.
    pub(crate) const RECEIVED: Self = Self("Retrieved_Gtid_Set", "Gtid_IO_Pos");
    pub(crate) const AUTO_POSITION: Self = Self("Auto_Position", "Auto_Position");
    pub(crate) const USING_GTID: Self = Self("Using_Gtid", "Using_Gtid");
    /// MariaDB only.
    pub(crate) const HEARTBEATS: Self = Self("Replica_received_heartbeats", "Slave_received_heartbeats");
    /// MariaDB only.
    pub(crate) const HEARTBEAT_PERIOD: Self = Self("Replica_heartbeat_period", "Slave_heartbeat_period");
}

/// What limits the events that a replica applies.
pub(crate) const FILTERS: &[&str] = &[
    "Replicate_Do_DB",
    "Replicate_Ignore_DB",
    "Replicate_Do_Table",
    "Replicate_Ignore_Table",
    "Replicate_Wild_Do_Table",
    "Replicate_Wild_Ignore_Table",
    "Replicate_Rewrite_DB",
    "Replicate_Ignore_Server_Ids",
    "Replicate_Do_Domain_Ids",
    "Replicate_Ignore_Domain_Ids",
];
