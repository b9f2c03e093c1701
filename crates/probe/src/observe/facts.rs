//! The server's own facts, from its variables and counters.

use primacy_types::{
    Address, BinlogPosition, ChannelStatus, Epoch, GtidMode, SemiSyncStatus, ServerFacts,
    TransactionSet,
};
use primacy_wire::{Row, Rows};

use crate::dialect::Dialect;

/// The value of a counter.
pub(super) fn counter<'a>(counters: &'a Rows, name: &str) -> Option<&'a str> {
    let row = counters
        .iter()
        .find(|row| row.at(0).is_some_and(|counter| counter.eq_ignore_ascii_case(name)))?;
    row.at(1)
}

/// The same as a number.
pub(super) fn count(counters: &Rows, name: &str) -> Option<u64> {
    counter(counters, name)?.parse().ok()
}

/// Reads the answers to [`Dialect::variables`] and [`Dialect::counters`]. The error says what was
/// not understood.
pub(super) fn parse(
    dialect: Dialect,
    variables: &Rows,
    counters: &Rows,
    channels: Vec<ChannelStatus>,
) -> Result<ServerFacts, String> {
    let row = variables.first().ok_or("the variables have no row")?;
    let text = |name: &str| row.get(name).unwrap_or_default().to_owned();
    let on = |name: &str| row.get(name).map(Dialect::is_on);
    let number = |name: &str| row.get(name).and_then(|n| n.parse::<u32>().ok());
    let set = |name: &str| dialect.gtid_set(&text(name)).map_err(|error| error.to_string());

    let executed = dialect.executed_from(row).map_err(|error| error.to_string())?;
    let (logged, purged): (TransactionSet, Option<TransactionSet>) = if dialect.is_mariadb() {
        (set("gtid_binlog_pos")?, None)
    } else {
        (executed.clone(), Some(set("gtid_purged")?))
    };
    let gtid_on = dialect.is_mariadb() || text("gtid_mode").eq_ignore_ascii_case("on");
    let data_dir = text("datadir");
    Ok(ServerFacts {
        version: dialect.version(),
        server_id: number("server_id").ok_or("server_id is not a number")?,
        server_uuid: row.get("server_uuid").map(str::to_owned),
        read_only: on("read_only").ok_or("read_only was not told")?,
        super_read_only: on("super_read_only"),
        log_bin: on("log_bin").unwrap_or(false),
        log_replica_updates: on("log_replica_updates").unwrap_or(false),
        gtid_mode: if gtid_on { GtidMode::On } else { GtidMode::Off },
        gtid_strict: on("gtid_strict_mode"),
        executed,
        logged,
        purged,
        binlog: None,
        closed_binlogs: Vec::new(),
        channels,
        replicas: Vec::new(),
        semi_sync: SemiSyncStatus::default(),
        uptime_seconds: count(counters, "Uptime").unwrap_or(0),
        connections: count(counters, "Threads_connected")
            .and_then(|n| n.try_into().ok())
            .unwrap_or(0),
        max_connections: number("max_connections").unwrap_or(0),
        host_name: text("hostname"),
        pid_file: absolute(&text("pid_file"), &data_dir),
        binlog_base: text("log_bin_basename"),
        relay_log_base: text("relay_log_basename"),
        binlog_server: text("version_comment") == ServerFacts::BINLOG_SERVER,
        data_dir,
        epoch: None,
        safety: primacy_types::CrashSafety::default(),
    })
}

/// `pid_file` may be relative to the data directory.
fn absolute(path: &str, data_dir: &str) -> String {
    if path.is_empty() || path.starts_with('/') {
        return path.to_owned();
    }
    format!("{}/{}", data_dir.trim_end_matches('/'), path.trim_start_matches("./"))
}

/// What a replica reports of itself; no address where `report_host` is not set.
pub(super) fn reported_address(host: Option<&str>, port: Option<&str>) -> Option<Address> {
    let host = host.filter(|host| !host.is_empty())?;
    Some(Address::new(host, port?.parse().ok().filter(|port| *port != 0)?))
}

/// So many closed binary logs are remembered: replicas read the last few.
const MOST_CLOSED: usize = 16;

/// The end of the binary log.
pub(super) fn binlog_end(rows: &Rows) -> Option<BinlogPosition> {
    place(rows.first()?, "File", "Position")
}

/// Where the newest binary logs before the current one end.
pub(super) fn closed_binlogs(rows: &Rows) -> Vec<BinlogPosition> {
    let mut ends: Vec<_> =
        rows.iter().filter_map(|row| place(row, "Log_name", "File_size")).collect();
    ends.pop();
    ends.drain(..ends.len().saturating_sub(MOST_CLOSED));
    ends
}

fn place(row: &Row, file: &str, offset: &str) -> Option<BinlogPosition> {
    Some(BinlogPosition::new(row.get(file)?, row.get(offset)?.parse().ok()?))
}

/// The reign in the epoch table.
pub(super) fn epoch(rows: &Rows) -> Option<Epoch> {
    rows.first()?.get("epoch")?.parse().ok().map(Epoch)
}
