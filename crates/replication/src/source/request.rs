//! What a replica asks for, read from its packets.

use primacy_types::{BinlogPosition, MySqlGtidSet};
use primacy_wire::packet::{Malformed, Reader};

use crate::gtid_set;

/// Who a replica says it is (`COM_REGISTER_SLAVE`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Registration {
    /// Its server id.
    pub(super) server_id: u32,
    /// `report_host`; empty if not configured.
    pub(super) host: String,
    /// `report_port`.
    pub(super) port: u16,
}

/// A request for events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DumpRequest {
    /// The replica's server id.
    pub(super) server_id: u32,
    /// See [`DumpFlags`].
    pub(super) flags: DumpFlags,
    /// From where. A MariaDB replica that uses GTIDs says that beforehand, and the place is not
    /// meant then.
    pub(super) place: BinlogPosition,
    /// The transactions that the replica has (MySQL's auto-position).
    pub(super) has: Option<MySqlGtidSet>,
}

/// Flags of a request for events. The two families use bit 1 for different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DumpFlags(pub(super) u16);

impl DumpFlags {
    /// End at the last event, in place of waiting for more.
    pub(super) fn non_block(self) -> bool {
        self.0 & 1 != 0
    }

    /// MariaDB: send the events with the statements' texts.
    pub(super) fn annotate(self) -> bool {
        self.0 & 2 != 0
    }

    /// MySQL 8.0.26 and later: send heartbeats of the second kind.
    pub(super) fn heartbeat_v2(self) -> bool {
        self.0 & 2 != 0
    }
}

/// Reads `COM_REGISTER_SLAVE`. User and password stand in it, too, and are passed over.
pub(super) fn parse_registration(argument: &[u8]) -> Result<Registration, Malformed> {
    let mut reader = Reader::new(argument);
    let server_id = reader.u32()?;
    let host = short_text(&mut reader)?;
    short_text(&mut reader)?;
    short_text(&mut reader)?;
    let port = reader.u16()?;
    Ok(Registration { server_id, host, port })
}

/// Reads `COM_BINLOG_DUMP`.
pub(super) fn parse_dump(argument: &[u8]) -> Result<DumpRequest, Malformed> {
    let mut reader = Reader::new(argument);
    let offset = u64::from(reader.u32()?);
    let flags = DumpFlags(reader.u16()?);
    let server_id = reader.u32()?;
    let place = BinlogPosition::new(file_name(reader.rest())?, offset);
    Ok(DumpRequest { server_id, flags, place, has: None })
}

/// Reads `COM_BINLOG_DUMP_GTID`.
pub(super) fn parse_dump_gtid(argument: &[u8]) -> Result<DumpRequest, Malformed> {
    let mut reader = Reader::new(argument);
    let flags = DumpFlags(reader.u16()?);
    let server_id = reader.u32()?;
    let length = reader.u32()?;
    let file = file_name(reader.bytes(usize::try_from(length).unwrap_or(usize::MAX))?)?;
    let low = u64::from(reader.u32()?);
    let offset = low | u64::from(reader.u32()?) << 32;
    let length = reader.u32()?;
    let has = gtid_set::decode(reader.bytes(usize::try_from(length).unwrap_or(usize::MAX))?)?;
    Ok(DumpRequest { server_id, flags, place: BinlogPosition::new(file, offset), has: Some(has) })
}

fn short_text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    let length = usize::from(reader.u8()?);
    Ok(String::from_utf8_lossy(reader.bytes(length)?).into_owned())
}

/// The base name of a binary log, up to the first NUL: MySQL 5.6 sends nothing but NULs where it
/// knows none.
fn file_name(bytes: &[u8]) -> Result<String, Malformed> {
    let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(name) if name.len() <= 512 && !name.contains('/') => Ok(name.to_owned()),
        _ => Err(Malformed("the name of the file that is asked for is none".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_real_replicas_sent() {
        let registered = parse_registration(b"\x02\0\0\0\t127.0.0.1\0\0)Y\0\0\0\0\0\0\0\0");
        let expected = Registration { server_id: 2, host: "127.0.0.1".to_owned(), port: 0x5929 };
        assert_eq!(registered, Ok(expected));

        let dump = parse_dump(b"\x1d\x03\0\0\x02\0\x02\0\0\0binlog.000002").unwrap();
        assert_eq!(dump.place, BinlogPosition::new("binlog.000002", 797));
        assert!(dump.flags.annotate() && !dump.flags.non_block() && dump.server_id == 2);
        assert_eq!(parse_dump(b"\x04\0\0\0\x02\0\x02\0\0\0").unwrap().place.file, "");

        let mut gtid = b"\0\0\x02\0\0\0\r\0\0\0".to_vec();
        gtid.extend_from_slice(&[0; 13]);
        gtid.extend_from_slice(b"\x04\0\0\0\0\0\0\0\x30\0\0\0\x01\0\0\0\0\0\0\0");
        gtid.extend_from_slice(b"\x06\xe7N\xeb\xe5B\x11\xf1\xa4y\x02\xfc\0\0\0\x01");
        gtid.extend_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        gtid.extend_from_slice(&[8, 0, 0, 0, 0, 0, 0, 0]);
        let dump = parse_dump_gtid(&gtid).unwrap();
        assert_eq!(dump.place, BinlogPosition::new("", 4));
        let has = dump.has.unwrap().to_string();
        assert_eq!(has, "06e74eeb-e542-11f1-a479-02fc00000001:1-7");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let _ = parse_registration(&bytes);
            let _ = parse_dump(&bytes);
            let _ = parse_dump_gtid(&bytes);
        }
    }
}
