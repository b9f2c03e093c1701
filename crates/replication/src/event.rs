//! Events that a source makes up for its replicas: they stand in no file.
//!
//! All are written as MySQL 5.6 to 9.7 and MariaDB 10.5 to 11.8 write them (compared byte for
//! byte with what those servers sent).

use primacy_binlog::event::{EventFlags, EventHeader, EventKind};
use primacy_types::{BinlogPosition, MariaDbGtid};

/// Whether events end in a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// They do not.
    Off,
    /// CRC32.
    Crc32,
}

/// What all events made up by one source have alike.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    /// The source's own server id.
    pub server_id: u32,
    /// Whether the events that it sends now end in a checksum.
    pub checksum: Checksum,
}

impl Maker {
    /// Says from which file, and from where in it, the events come that follow.
    pub fn rotate(&self, to: &BinlogPosition) -> Vec<u8> {
        let mut body = to.offset.to_le_bytes().to_vec();
        body.extend_from_slice(to.file.as_bytes());
        self.event(EventKind::ROTATE, EventFlags::ARTIFICIAL, 0, &body)
    }

    /// Says that the source is there and has come to this place; `None` if the form of MySQL up
    /// to 8.0.25 cannot say it: the place is beyond 4 GiB.
    pub fn heartbeat(&self, at: &BinlogPosition) -> Option<Vec<u8>> {
        let low = u32::try_from(at.offset).ok()?;
        Some(self.event(EventKind::HEARTBEAT, EventFlags::default(), low, at.file.as_bytes()))
    }

    /// The same in MariaDB's form: a place beyond 4 GiB stands before the name, and the header
    /// has 0 for it.
    pub fn mariadb_heartbeat(&self, at: &BinlogPosition) -> Vec<u8> {
        if let Some(event) = self.heartbeat(at) {
            return event;
        }
        let mut body = at.offset.to_le_bytes().to_vec();
        body.extend_from_slice(at.file.as_bytes());
        self.event(EventKind::HEARTBEAT, EventFlags::default(), 0, &body)
    }

    /// The same in the form of MySQL 8.0.26 and later, which knows places beyond 4 GiB: fields
    /// with a number and a length, ended by 0.
    pub fn heartbeat_v2(&self, at: &BinlogPosition) -> Vec<u8> {
        const FILE: u8 = 1;
        const POSITION: u8 = 2;
        let mut body = Vec::new();
        for (number, value) in [
            (FILE, at.file.as_bytes().to_vec()),
            (POSITION, {
                let mut packed = Vec::new();
                primacy_wire::packet::put_lenenc_int(&mut packed, at.offset);
                packed
            }),
        ] {
            body.push(number);
            primacy_wire::packet::put_lenenc_bytes(&mut body, &value);
        }
        body.push(0);
        // The header's field has only the low 32 bits.
        self.event(EventKind::HEARTBEAT_V2, EventFlags::default(), at.offset as u32, &body)
    }

    /// MariaDB: says that everything up to this place is known to the replica, and what the last
    /// transactions up to there are.
    pub fn gtid_list(&self, at: &BinlogPosition, last: &[MariaDbGtid]) -> Vec<u8> {
        let mut body = (last.len() as u32 & 0x0FFF_FFFF).to_le_bytes().to_vec();
        for gtid in last {
            body.extend_from_slice(&gtid.domain.to_le_bytes());
            body.extend_from_slice(&gtid.server.to_le_bytes());
            body.extend_from_slice(&gtid.sequence.to_le_bytes());
        }
        self.event(EventKind::GTID_LIST, EventFlags::ARTIFICIAL, at.offset as u32, &body)
    }

    fn event(&self, kind: EventKind, flags: EventFlags, end_position: u32, body: &[u8]) -> Vec<u8> {
        let checksum = if self.checksum == Checksum::Crc32 { 4 } else { 0 };
        let length = (EventHeader::LENGTH + body.len() + checksum) as u32;
        let server_id = self.server_id;
        let header = EventHeader { timestamp: 0, kind, server_id, length, end_position, flags };
        let mut event = header.to_bytes().to_vec();
        event.extend_from_slice(body);
        if self.checksum == Checksum::Crc32 {
            event.extend_from_slice(&crc32fast::hash(&event).to_le_bytes());
        }
        event
    }
}

/// Offset of a format description's creation time.
const CREATED: usize = EventHeader::LENGTH + 2 + 50;
/// Offset of the place where an event ends, in its header.
const END_POSITION: usize = 13;
/// Offset of the flags in an event's header.
const FLAGS: usize = 17;

/// A format description as it is sent, made of the one that stands in the file. Its mark of a file
/// in use is taken away, which its checksum does not cover.
///
/// With `in_the_middle`, what follows does not begin at the file's head: the replica must not
/// take it for a restart of the source (which would drop its temporary tables), nor its place for
/// its own. Then the checksum is made anew, if the event has one.
pub fn sent_format(bytes: &[u8], in_the_middle: bool, has_checksum: bool) -> Vec<u8> {
    let mut event = bytes.to_vec();
    if let Some(flags) = event.get_mut(FLAGS) {
        *flags &= !(EventFlags::BINLOG_IN_USE.0 as u8);
    }
    if !in_the_middle {
        return event;
    }
    for at in [END_POSITION, CREATED] {
        if let Some(field) = event.get_mut(at..at + 4) {
            field.fill(0);
        }
    }
    if has_checksum && let Some((covered, stored)) = event.split_last_chunk_mut::<4>() {
        *stored = crc32fast::hash(covered).to_le_bytes();
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAKER: Maker = Maker { server_id: 1, checksum: Checksum::Crc32 };

    fn at(file: &str, offset: u64) -> BinlogPosition {
        BinlogPosition::new(file, offset)
    }

    /// What MySQL 5.6.24, 9.7.4 and MariaDB 10.11.19 sent.
    #[test]
    fn events_are_made_as_servers_make_them() {
        let rotate = b"\0\0\0\0\x04\x01\0\0\0,\0\0\0\0\0\0\0 \0\x04\0\0\0\0\0\0\0binlog.000001\
            \xe9\xd2\xcan";
        assert_eq!(MAKER.rotate(&at("binlog.000001", 4)), rotate);
        let heartbeat =
            b"\0\0\0\0\x1b\x01\0\0\0$\0\0\0\xa8\x01\0\0\0\0binlog.000002\xeb\xd8\xa6\x89";
        assert_eq!(MAKER.heartbeat(&at("binlog.000002", 0x1a8)).unwrap(), heartbeat);
        let second = b"\0\0\0\0)\x01\0\0\0,\0\0\0\xd9\x01\0\0\0\0\x01\rbinlog.000002\
            \x02\x03\xfc\xd9\x01\0i\x06C\x16";
        assert_eq!(MAKER.heartbeat_v2(&at("binlog.000002", 0x1d9)), second);
        let list = b"\0\0\0\0\xa3\x01\0\0\0+\0\0\0\xff\x03\0\0 \0\x01\0\0\0\0\0\0\0\x01\0\0\0\
            \x04\0\0\0\0\0\0\0+7\x91\xc6";
        let last = [MariaDbGtid { domain: 0, server: 1, sequence: 4 }];
        assert_eq!(MAKER.gtid_list(&at("binlog.000001", 0x3ff), &last), list);
    }

    #[test]
    fn places_beyond_4_gib() {
        let far = at("b.000001", 5 << 32);
        assert_eq!(MAKER.heartbeat(&far), None);
        let mariadb = MAKER.mariadb_heartbeat(&far);
        assert_eq!(mariadb[13..17], [0; 4]);
        assert_eq!(mariadb[19..27], (5_u64 << 32).to_le_bytes());
        assert_eq!(MAKER.heartbeat_v2(&far).len(), 19 + 2 + 8 + 2 + 9 + 1 + 4);
    }

    #[test]
    fn without_checksums_events_are_four_bytes_shorter() {
        let maker = Maker { checksum: Checksum::Off, ..MAKER };
        let event = maker.rotate(&at("b.000001", 4));
        assert_eq!(event.len(), 19 + 8 + 8);
        assert_eq!(usize::from(event[9]), event.len());
    }
}
