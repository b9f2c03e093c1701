//! Makes events of packets, and follows in which file and where each one stands. No sockets here.

use std::sync::Arc;

use bytes::Bytes;
use primacy_binlog::event::{EventHeader, EventKind, Heartbeat};
use primacy_binlog::{FormatDescription, RawEvent};
use primacy_types::BinlogPosition;

use super::SEMI_SYNC;
use crate::event::Checksum;

/// What the primary sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// An event that stands in a file.
    Event(ReceivedEvent),
    /// What follows is from this file, and from there on.
    File(BinlogPosition),
    /// What the events that follow look like, because they do not begin at the file's head: the
    /// file's format description, changed by the primary so that it does not count. Also when
    /// GTIDs were asked for: MariaDB 11.8 finds them by an index and begins right there.
    Format(Bytes),
    /// The primary is there, and everything up to here has been sent.
    Heartbeat(BinlogPosition),
    /// Another event that the primary made up (MariaDB's lists of GTIDs).
    MadeUp(Bytes),
}

/// An event that stands in a file of the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedEvent {
    /// Base name of the file.
    pub file: Arc<str>,
    /// Where it begins.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Header, body and checksum. As in the file, but for a format description: its mark of a
    /// file in use is gone, and its creation time is 0 if the primary knows that the receiver has
    /// transactions of that file.
    pub bytes: Bytes,
    /// The primary waits until this event is acknowledged.
    pub wants_acknowledgement: bool,
}

/// Where the stream is.
#[derive(Debug)]
pub(super) struct Follow {
    semi_sync: bool,
    /// Whether events end in a checksum, before a format description has said it.
    checksum: Checksum,
    format: Option<FormatDescription>,
    file: Arc<str>,
    end: u64,
}

impl Follow {
    pub(super) fn new(semi_sync: bool, checksum: Checksum) -> Self {
        Self { semi_sync, checksum, format: None, file: Arc::from(""), end: 0 }
    }

    pub(super) fn position(&self) -> BinlogPosition {
        BinlogPosition::new(&*self.file, self.end)
    }

    /// The event in a packet; `Err` says what is wrong with it.
    pub(super) fn take(&mut self, packet: Bytes) -> Result<Received, String> {
        let (bytes, wants_acknowledgement) = self.unwrap(packet)?;
        let event = RawEvent::new(&bytes, 0).map_err(|error| error.to_string())?;
        let header = event.header();
        match header.kind {
            EventKind::FORMAT_DESCRIPTION => {
                let format = FormatDescription::decode(&event).map_err(|e| e.to_string())?;
                // MySQL 9.7 changes it (its creation time, its place) for whoever begins in the
                // middle, and leaves its checksum as it was where events have none.
                if format.has_checksums() {
                    event.verify(&format).map_err(|error| error.to_string())?;
                }
                self.format = Some(format);
                if header.end_position == 0 {
                    return Ok(Received::Format(bytes));
                }
            }
            EventKind::ROTATE if header.is_artificial() || header.end_position == 0 => {
                return self.enter(&event);
            }
            EventKind::HEARTBEAT | EventKind::HEARTBEAT_V2 => return self.heartbeat(&event),
            _ => self.verify(&event)?,
        }
        if header.is_artificial() {
            return Ok(Received::MadeUp(bytes));
        }
        let start = self.advance(&header)?;
        let (file, end) = (Arc::clone(&self.file), self.end);
        Ok(Received::Event(ReceivedEvent { file, start, end, bytes, wants_acknowledgement }))
    }

    /// Takes away what the packet has before the event.
    fn unwrap(&self, mut packet: Bytes) -> Result<(Bytes, bool), String> {
        if packet.first() != Some(&0) {
            return Err(format!("a packet that begins with {:02x?}", packet.first()));
        }
        if !self.semi_sync {
            return Ok((packet.split_off(1), false));
        }
        match packet.get(1..3) {
            Some([SEMI_SYNC, wants]) => {
                let wants = wants & 1 != 0;
                Ok((packet.split_off(3), wants))
            }
            other => Err(format!("an event without the header of semi-sync: {other:02x?}")),
        }
    }

    fn verify(&self, event: &RawEvent<'_>) -> Result<(), String> {
        let Some(format) = &self.format else {
            return Err(format!("a {} before any format description", event.kind()));
        };
        event.verify(format).map_err(|error| error.to_string())
    }

    /// Goes on in the file that an event names which the primary made up.
    fn enter(&mut self, event: &RawEvent<'_>) -> Result<Received, String> {
        let bytes = event.bytes();
        let mut body = bytes.get(EventHeader::LENGTH..).unwrap_or_default();
        let has_checksum = match &self.format {
            Some(format) => format.has_checksums(),
            None => self.checksum == Checksum::Crc32,
        };
        if has_checksum {
            let Some((covered, stored)) = bytes.split_last_chunk::<4>() else {
                return Err("a file's name without its checksum".to_owned());
            };
            if crc32fast::hash(covered).to_le_bytes() != *stored {
                return Err("the checksum of a file's name is wrong".to_owned());
            }
            body = body.get(..body.len().saturating_sub(4)).unwrap_or_default();
        }
        let Some((offset, name)) = body.split_first_chunk::<8>() else {
            return Err("the name of a file is missing".to_owned());
        };
        let name = match std::str::from_utf8(name) {
            Ok(name) if !name.is_empty() && name.len() <= 512 && !name.contains(['/', '\0']) => {
                name
            }
            _ => return Err("the name of a file is none".to_owned()),
        };
        self.file = Arc::from(name);
        self.end = u64::from_le_bytes(*offset);
        Ok(Received::File(self.position()))
    }

    fn heartbeat(&self, event: &RawEvent<'_>) -> Result<Received, String> {
        self.verify(event)?;
        let Some(format) = &self.format else { return Err("a heartbeat too early".to_owned()) };
        let heartbeat = Heartbeat::decode(event, format).map_err(|error| error.to_string())?;
        let file = String::from_utf8_lossy(heartbeat.file);
        Ok(Received::Heartbeat(BinlogPosition::new(file, heartbeat.position)))
    }

    /// Moves to the end of an event, and returns where it begins. Its header has only the low 32
    /// bits of its end.
    fn advance(&mut self, header: &EventHeader) -> Result<u64, String> {
        let low = u64::from(header.end_position);
        let length = u64::from(header.length);
        if low == 0 {
            // MariaDB 11.8 writes no places into the events inside a transaction.
            let start = self.end;
            self.end = start.saturating_add(length);
            return Ok(start);
        }
        // A format description stands at the head of the file, whatever was asked for.
        let head = header.kind == EventKind::FORMAT_DESCRIPTION;
        let mut end = if head { low } else { (self.end & !0xFFFF_FFFF) | low };
        if end < self.end && !head {
            end += 1 << 32;
        }
        // No event is so long: one that seems to be far ahead is really behind.
        if !head && end - self.end > 1 << 31 || end < length {
            let here = self.end;
            return Err(format!(
                "an event of {length} bytes that ends at {low} comes after {here}"
            ));
        }
        self.end = end;
        Ok(end - length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Maker;
    use proptest::prelude::*;

    const MAKER: Maker = Maker { server_id: 1, checksum: Checksum::Crc32 };

    fn packet(prefix: &[u8], event: &[u8]) -> Bytes {
        [prefix, event].concat().into()
    }

    #[test]
    fn the_first_word_names_the_file() {
        let place = BinlogPosition::new("binlog.000007", 4);
        let mut follow = Follow::new(false, Checksum::Crc32);
        let received = follow.take(packet(&[0], &MAKER.rotate(&place))).unwrap();
        assert_eq!(received, Received::File(place.clone()));
        let mut follow = Follow::new(true, Checksum::Crc32);
        let received = follow.take(packet(&[0, 0xEF, 0], &MAKER.rotate(&place))).unwrap();
        assert_eq!(received, Received::File(place.clone()));
        assert!(follow.take(packet(&[0], &MAKER.rotate(&place))).is_err());
        // One flipped bit.
        let mut event = MAKER.rotate(&place);
        event[25] ^= 1;
        assert!(Follow::new(false, Checksum::Crc32).take(packet(&[0], &event)).is_err());
    }

    #[test]
    fn a_changed_format_counts_where_events_have_no_checksums() {
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../binlog/tests/data/mysql-9.7-gtid/");
        let changed = |file: &str| {
            let log = std::fs::read(format!("{data}{file}")).unwrap();
            let length = u32::from_le_bytes(log[13..17].try_into().unwrap()) as usize;
            let mut event = log[4..4 + length].to_vec();
            event[71] ^= 1;
            Follow::new(false, Checksum::Crc32).take(packet(&[0], &event))
        };
        assert!(changed("row.binlog").is_err(), "it has a checksum, and that is wrong");
        assert!(matches!(changed("nochecksum.binlog"), Ok(Received::Event(_))));
    }

    #[test]
    fn places_go_on_beyond_four_gigabytes_and_never_back() {
        let header = |length, end_position| EventHeader {
            timestamp: 1,
            kind: EventKind::XID,
            server_id: 1,
            length,
            end_position,
            flags: Default::default(),
        };
        let mut follow = Follow::new(false, Checksum::Off);
        follow.end = 0xFFFF_FF00;
        assert_eq!(follow.advance(&header(0x200, 0x100)), Ok(0xFFFF_FF00));
        assert_eq!(follow.end, 0x1_0000_0100);
        assert!(follow.advance(&header(0x20, 0x80)).is_err());
        assert!(Follow::new(false, Checksum::Off).advance(&header(100, 50)).is_err());
        assert_eq!(follow.advance(&header(0x10, 0)), Ok(0x1_0000_0100));
        assert_eq!(follow.end, 0x1_0000_0110);
    }

    proptest! {
        #[test]
        fn arbitrary_packets_never_panic(bytes: Vec<u8>, semi_sync: bool) {
            let mut follow = Follow::new(semi_sync, Checksum::Crc32);
            let _ = follow.take(bytes.clone().into());
            let prefix: &[u8] = if semi_sync { &[0, 0xEF, 1] } else { &[0] };
            let mut event = bytes;
            if let Ok(length) = u32::try_from(event.len()) && let Some(field) = event.get_mut(9..13) {
                field.copy_from_slice(&length.to_le_bytes());
            }
            let _ = follow.take(packet(prefix, &event));
        }
    }
}
