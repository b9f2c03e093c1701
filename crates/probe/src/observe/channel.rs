//! The channels of a replica, from its status and MySQL's connection tables.

use primacy_types::{
    Address, BinlogPosition, ChannelStatus, Millis, Positioning, ReceiverState, ReplicationError,
    TransactionSet,
};
use primacy_wire::{Row, Rows};

use super::facts::{count, counter};
use crate::dialect::{
    Column, Dialect, ENDED_IN_THE_MIDDLE, FILTERS, read_settings, waits_for_more,
};

/// Reads all channels.
pub(super) fn parse(
    dialect: Dialect,
    status: &Rows,
    tables: Option<&Rows>,
    counters: &Rows,
) -> Vec<ChannelStatus> {
    status.iter().map(|row| channel(dialect, row, tables, counters)).collect()
}

fn channel(dialect: Dialect, row: &Row, tables: Option<&Rows>, counters: &Rows) -> ChannelStatus {
    let name = Column::CHANNEL.of(row).unwrap_or_default();
    let table = tables.and_then(|rows| {
        rows.iter().find(|row| row.get("CHANNEL_NAME").unwrap_or_default() == name)
    });
    let text = |column: Column| column.of(row).unwrap_or_default().to_owned();
    let number = |column: Column| column.number(row).unwrap_or(0);
    let port = Column::PORT.of(row).and_then(|port| port.parse().ok()).unwrap_or(0);
    let applier_running = Column::APPLIER.of(row) == Some("Yes");
    let heartbeats = Column::HEARTBEATS
        .number(row)
        .or_else(|| table?.get("COUNT_RECEIVED_HEARTBEATS")?.parse().ok())
        .or_else(|| count(counters, "Slave_received_heartbeats"));
    let period = Column::HEARTBEAT_PERIOD
        .of(row)
        .or_else(|| table?.get("HEARTBEAT_INTERVAL"))
        .or_else(|| counter(counters, "Slave_heartbeat_period"));
    ChannelStatus {
        name: name.to_owned(),
        source: Address::new(text(Column::HOST), port),
        source_server_id: number(Column::SOURCE_ID).try_into().unwrap_or(0),
        source_uuid: Column::SOURCE_UUID.text(row).map(str::to_owned),
        receiver: match Column::RECEIVER.of(row) {
            Some("Yes") => ReceiverState::Running,
            // MariaDB says Preparing before its first attempt.
            Some("Connecting" | "Preparing") => ReceiverState::Connecting,
            _ => ReceiverState::Stopped,
        },
        applier_running,
        receiver_error: error(row, Column::RECEIVER_ERRNO, Column::RECEIVER_ERROR),
        applier_error: error(row, Column::APPLIER_ERRNO, Column::APPLIER_ERROR)
            .filter(|error| dialect.is_mariadb() || error.code != ENDED_IN_THE_MIDDLE),
        received: received(dialect, row),
        read: place(row, Column::READ_FILE, Column::READ_OFFSET),
        applied: place(row, Column::APPLIED_FILE, Column::APPLIED_OFFSET),
        relay_log: place(row, Column::RELAY_FILE, Column::RELAY_OFFSET),
        relay_log_space: number(Column::RELAY_SPACE),
        positioning: positioning(dialect, row),
        lag_seconds: Column::LAG.number(row),
        delay_seconds: number(Column::DELAY),
        heartbeat_period: period.and_then(seconds),
        heartbeats,
        connect_retry_seconds: number(Column::CONNECT_RETRY).try_into().unwrap_or(u32::MAX),
        filters: FILTERS
            .iter()
            .filter_map(|name| Some((name, row.get(name).filter(|value| !value.is_empty())?)))
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        user: text(Column::USER),
        settings: read_settings(dialect, row, table),
        applier_idle: applier_running && waits_for_more(&text(Column::APPLIER_STATE)),
    }
}

/// Seconds with a fraction, as `30.000`.
fn seconds(text: &str) -> Option<Millis> {
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Millis((seconds * 1000.0).round() as u64))
}

fn error(row: &Row, code: Column, text: Column) -> Option<ReplicationError> {
    let code = code.number(row).filter(|code| *code != 0)?;
    let message = text.of(row).unwrap_or_default().to_owned();
    Some(ReplicationError { code: code.try_into().unwrap_or(u32::MAX), message })
}

fn place(row: &Row, file: Column, offset: Column) -> Option<BinlogPosition> {
    Some(BinlogPosition::new(file.text(row)?, offset.number(row)?))
}

fn positioning(dialect: Dialect, row: &Row) -> Positioning {
    if dialect.is_mariadb() {
        match Column::USING_GTID.of(row) {
            Some("Slave_Pos") => Positioning::SlavePos,
            Some("Current_Pos") => Positioning::CurrentPos,
            _ => Positioning::FileAndPosition,
        }
    } else if Column::AUTO_POSITION.of(row) == Some("1") {
        Positioning::AutoPosition
    } else {
        Positioning::FileAndPosition
    }
}

/// What lies in the relay log or went through it; `None` where the server does not say.
///
/// MySQL keeps `Retrieved_Gtid_Set` in step with its relay logs (MySQL 5.6 counts the last
/// transaction already when its first event came, so that it may be there in part only).
///
/// MariaDB's `Gtid_IO_Pos` is a variable of the process, seen on 10.5, 10.11 and 11.8:
/// - empty before the first start and after each restart of the server, whatever the relay logs
///   hold: unknown;
/// - left as it was by CHANGE MASTER, which drops the relay logs, and by a receiver without GTID:
///   not believed where no thread runs and the relay log is empty, nor without GTID;
/// - set back to `gtid_slave_pos` when a start drops the relay logs: right.
fn received(dialect: Dialect, row: &Row) -> Option<TransactionSet> {
    let text = Column::RECEIVED.of(row)?;
    if dialect.is_mariadb() {
        let stopped =
            Column::RECEIVER.of(row) == Some("No") && Column::APPLIER.of(row) == Some("No");
        let dropped = stopped
            && Column::RELAY_OFFSET.number(row) == Some(4)
            && Column::RELAY_SPACE.number(row).is_some_and(|bytes| bytes < EMPTY_RELAY_LOG);
        // Empty while a thread runs: a start has set it to `gtid_slave_pos`, and that is empty.
        if (text.is_empty() && stopped) || dropped || !positioning(dialect, row).is_gtid() {
            return None;
        }
    }
    dialect.gtid_set(text).ok()
}

/// A MariaDB relay log that holds nothing but its header has 256 bytes; a second header, of an
/// encrypted one, has less than 100 more. An event of a transaction with its GTID event has at
/// least 42 + 19 bytes more, and the rotate and format events of the source about 300.
const EMPTY_RELAY_LOG: u64 = 400;
