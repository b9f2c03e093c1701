//! Where an event stood in the file it was first written to, from its header: the header has
//! only the low 32 bits of where it ended.

use std::cmp::Ordering;

use primacy_types::BinlogPosition;

use crate::event::EventHeader;

/// Where an offset in a file is, seen from a place; without allocating where the file is the same.
pub(crate) fn compare(file: &str, offset: u64, place: &BinlogPosition) -> Ordering {
    if file == place.file {
        return offset.cmp(&place.offset);
    }
    BinlogPosition::new(file, offset).cmp(place)
}

/// Follows the positions of one original file.
///
/// Two things make positions less than exact. MariaDB since 11.7 writes 0 into the events inside
/// a transaction (`binlog_legacy_event_pos`): they are taken to follow each other. And a MariaDB
/// replica opens compressed events before it writes them to its relay log: they are then longer
/// than they were at the source. The first and the last event of a transaction are exact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Where the last event ended, as far as is known.
    end: u64,
    /// Where the last event ended that had a position.
    floor: u64,
}

impl Place {
    /// The next event stands at or after `offset`.
    pub(crate) const fn at(offset: u64) -> Self {
        Self { end: offset, floor: offset }
    }

    /// Where the event began and ended.
    pub(crate) fn of(&mut self, header: &EventHeader) -> (u64, u64) {
        let length = u64::from(header.length);
        if header.end_position == 0 {
            let start = self.end;
            self.end = start.saturating_add(length);
            return (start, self.end);
        }
        let low = u64::from(header.end_position);
        let mut end = (self.floor & !0xffff_ffff) | low;
        // Beyond four gigabytes the low bits begin anew.
        if end < self.floor && self.floor - end > 1 << 31 {
            end = end.saturating_add(1 << 32);
        }
        let mut start = end.saturating_sub(length);
        if start < self.floor && self.floor < end {
            start = self.floor;
        }
        (self.end, self.floor) = (end, end);
        (start, end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventFlags, EventKind};

    fn header(length: u32, end_position: u32) -> EventHeader {
        EventHeader {
            timestamp: 0,
            kind: EventKind::XID,
            server_id: 1,
            length,
            end_position,
            flags: EventFlags(0),
        }
    }

    #[test]
    fn positions_go_on_beyond_four_gigabytes() {
        let mut place = Place::at(4);
        assert_eq!(place.of(&header(100, 104)), (4, 104));
        let mut place = Place::at(0xffff_ff00);
        assert_eq!(place.of(&header(0x200, 0x100)), (0xffff_ff00, 0x1_0000_0100));
        assert_eq!(place.of(&header(0x10, 0x110)), (0x1_0000_0100, 0x1_0000_0110));
        assert_eq!(place.of(&header(0x10, 0)), (0x1_0000_0110, 0x1_0000_0120));
    }

    #[test]
    fn an_event_that_was_opened_on_its_way_begins_where_the_one_before_ended() {
        let mut place = Place::at(4);
        assert_eq!(place.of(&header(100, 104)), (4, 104));
        assert_eq!(place.of(&header(500, 204)), (104, 204));
        // Without a position it seems to go beyond the next, which has one.
        assert_eq!(place.of(&header(500, 0)), (204, 704));
        assert_eq!(place.of(&header(31, 300)), (269, 300));
    }
}
