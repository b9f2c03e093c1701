//! What a receiver says before events come, in the words of each flavour.

use primacy_types::ServerVersion;
use primacy_wire::packet::{COM_BINLOG_DUMP, COM_BINLOG_DUMP_GTID, COM_REGISTER_REPLICA};
use primacy_wire::{RawPacket, RawPackets, Session, quote};

use super::{ReceiveError, ReceiverOptions, SourceFacts};
use crate::event::Checksum;
use crate::gtid_set;
use crate::source::StartAt;

/// MariaDB: what its own replicas since 10.0 can do (GTID events).
const MARIADB_CAPABILITY: u32 = 4;
/// MariaDB: also send the texts of statements; MySQL 8.0.26 and later: heartbeats of the second
/// kind.
const FLAG_1: u16 = 2;
/// The longest host name that servers take in a registration (`HOSTNAME_LENGTH` of 5.6).
const MAX_HOST: usize = 60;

/// What was found and agreed.
pub(super) struct Agreed {
    pub(super) facts: SourceFacts,
    pub(super) checksum: Checksum,
}

/// Asks what must be known, and sets what the primary looks at when events are requested.
pub(super) async fn agree(
    session: &mut Session,
    options: &ReceiverOptions,
    start: &StartAt,
) -> Result<Agreed, ReceiveError> {
    let limit = options.limit;
    let version = session.version();
    let unfit = |session: &Session, reason: String| ReceiveError::Unfit {
        address: session.address().clone(),
        reason,
    };
    if let StartAt::Position(place) = start
        && place.offset > u64::from(u32::MAX)
    {
        let reason = format!("it can be asked for places up to 4 GiB only, not for {place}");
        return Err(unfit(session, reason));
    }
    let server_id = cell(session, "SELECT @@GLOBAL.server_id", options).await?;
    let Some(server_id) = server_id.and_then(|id| id.parse().ok()) else {
        return Err(unfit(session, "it does not say its server id".to_owned()));
    };
    if server_id == options.server_id {
        let reason = format!("it has the server id {server_id}, which is to be this receiver's");
        return Err(unfit(session, reason));
    }
    let mut server_uuid = None;
    if version.is_mysql() {
        let text = cell(session, "SELECT @@GLOBAL.server_uuid", options).await?;
        server_uuid = text.and_then(|text| text.parse().ok());
    }
    for statement in settings(version, options, start) {
        session.execute(&statement, limit).await?;
    }
    let checksum = match cell(session, "SELECT @master_binlog_checksum", options).await? {
        Some(name) if name.eq_ignore_ascii_case("CRC32") => Checksum::Crc32,
        _ => Checksum::Off,
    };
    let semi_sync = options.semi_sync && offer_acknowledgements(session, options).await?;
    Ok(Agreed { facts: SourceFacts { server_id, server_uuid, version, semi_sync }, checksum })
}

async fn cell(
    session: &mut Session,
    sql: &str,
    options: &ReceiverOptions,
) -> Result<Option<String>, ReceiveError> {
    let rows = session.query(sql, options.limit).await?;
    Ok(rows.first().and_then(|row| row.at(0)).map(str::to_owned))
}

/// Says that we acknowledge, if the primary knows semi-sync. Whether it waits for it is its own
/// affair and may change; the header that asks stands before each event from now on.
async fn offer_acknowledgements(
    session: &mut Session,
    options: &ReceiverOptions,
) -> Result<bool, ReceiveError> {
    /// The primary's variable, and the one of the connection that it looks at. MySQL has renamed
    /// both in 8.0.26.
    const NAMES: [(&str, &str); 2] = [
        ("rpl_semi_sync_source_enabled", "rpl_semi_sync_replica"),
        ("rpl_semi_sync_master_enabled", "rpl_semi_sync_slave"),
    ];
    let sql = "SHOW GLOBAL VARIABLES LIKE 'rpl\\_semi\\_sync\\_%\\_enabled'";
    let rows = session.query(sql, options.limit).await?;
    let known: Vec<&str> = rows.iter().filter_map(|row| row.at(0)).collect();
    for (theirs, ours) in NAMES {
        if known.contains(&theirs) {
            session.execute(&format!("SET @{ours} = 1"), options.limit).await?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// The variables that a primary looks at when it begins to send.
fn settings(version: ServerVersion, options: &ReceiverOptions, start: &StartAt) -> Vec<String> {
    let period = options.heartbeat.as_nanos();
    let both = |name: &str, value: &str| {
        if version.is_mysql() && version.at_least(8, 0, 26) {
            format!("SET @master_{name} = {value}, @source_{name} = {value}")
        } else {
            format!("SET @master_{name} = {value}")
        }
    };
    let mut list = vec![
        both("heartbeat_period", &period.to_string()),
        both("binlog_checksum", "@@global.binlog_checksum"),
    ];
    if version.is_mysql() {
        let uuid = options.uuid;
        list.push(format!("SET @slave_uuid = '{uuid}', @replica_uuid = '{uuid}'"));
        return list;
    }
    list.push(format!("SET @mariadb_slave_capability = {MARIADB_CAPABILITY}"));
    if let StartAt::MariaDbGtids(pos) = start {
        list.push(format!("SET @slave_connect_state = {}", quote(&pos.to_string())));
        list.push("SET @slave_gtid_strict_mode = 1".to_owned());
        list.push("SET @slave_gtid_ignore_duplicates = 0".to_owned());
    }
    list
}

/// Registers, so that people see the receiver in the primary's list of replicas.
pub(super) async fn register(
    packets: &mut RawPackets,
    options: &ReceiverOptions,
) -> Result<(), ReceiveError> {
    let argument = registration(options);
    packets.command(COM_REGISTER_REPLICA, &argument, options.limit).await?;
    match packets.read(options.limit).await? {
        RawPacket::Data(_) => Ok(()),
        RawPacket::End => Err(ReceiveError::Ended { address: packets.address().clone() }),
    }
}

fn registration(options: &ReceiverOptions) -> Vec<u8> {
    let host = options.report_host.as_bytes();
    let host = &host[..host.len().min(MAX_HOST)];
    let mut out = options.server_id.to_le_bytes().to_vec();
    out.push(host.len() as u8);
    out.extend_from_slice(host);
    // User and password, which nobody needs to see there.
    out.extend_from_slice(&[0, 0]);
    out.extend_from_slice(&options.report_port.to_le_bytes());
    // Rank and the primary's id, which servers do not use.
    out.extend_from_slice(&[0; 8]);
    out
}

/// The request for events: command and argument.
pub(super) fn request(version: ServerVersion, server_id: u32, start: &StartAt) -> (u8, Vec<u8>) {
    let flag = version.is_mariadb() || version.at_least(8, 0, 26);
    let flags: u16 = if flag { FLAG_1 } else { 0 };
    if let StartAt::MySqlGtids(set) = start {
        let set = gtid_set::encode(set);
        let mut out = flags.to_le_bytes().to_vec();
        out.extend_from_slice(&server_id.to_le_bytes());
        out.extend_from_slice(&0_u32.to_le_bytes()); // No file name.
        out.extend_from_slice(&4_u64.to_le_bytes());
        out.extend_from_slice(&(set.len() as u32).to_le_bytes());
        out.extend_from_slice(&set);
        return (COM_BINLOG_DUMP_GTID, out);
    }
    let (file, offset) = match start {
        StartAt::Position(place) => (place.file.as_str(), place.offset),
        _ => ("", 4),
    };
    // The request has four bytes for the place; later ones were refused above.
    let offset = u32::try_from(offset).unwrap_or(u32::MAX);
    let mut out = offset.to_le_bytes().to_vec();
    out.extend_from_slice(&flags.to_le_bytes());
    out.extend_from_slice(&server_id.to_le_bytes());
    out.extend_from_slice(file.as_bytes());
    (COM_BINLOG_DUMP, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use primacy_types::BinlogPosition;

    /// What real replicas sent.
    #[test]
    fn requests_are_those_of_servers() {
        let place = StartAt::Position(BinlogPosition::new("binlog.000002", 797));
        let (code, argument) = request(ServerVersion::mariadb(10, 11, 6), 2, &place);
        assert_eq!(code, 0x12);
        assert_eq!(argument, b"\x1d\x03\0\0\x02\0\x02\0\0\0binlog.000002");
        let (_, argument) = request(ServerVersion::mysql(5, 6, 24), 2, &place);
        assert_eq!(argument[4..6], [0, 0]);
        let has = "3354fe7c-e543-11f1-ac87-02fc00000001:1-4".parse().unwrap();
        let (code, argument) = request(ServerVersion::mysql(9, 7, 4), 2, &StartAt::MySqlGtids(has));
        assert_eq!(code, 0x1e);
        assert_eq!(argument[..22], *b"\x02\0\x02\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\x30\0\0\0");
        assert_eq!(argument.len(), 70);
    }
}
