//! Writes what undoes: the format description, statements, and the same as a binary log.

use std::slice::Iter;

use primacy_types::Flavor;

use super::{Step, Undo, UndoStatement, base64, invert};
use crate::event::{EventHeader, EventKind, FormatDescription};
use crate::reader::MAGIC;

/// Bytes of events that go into one statement, if a single event is not larger.
pub(super) const BATCH: usize = 512 << 10;

/// The format description for events without checksums and without a place: as if it stood in no
/// file, so that no server takes it for the beginning of one. Its own checksum is always there.
pub(super) fn head(original: &[u8]) -> Vec<u8> {
    const END_POSITION: usize = 13;
    const FLAGS: usize = 17;
    const CREATED: usize = EventHeader::LENGTH + 52;
    let mut bytes = original.to_vec();
    let mut clear = |from: usize, count: usize| {
        if let Some(place) = bytes.get_mut(from..from + count) {
            place.fill(0);
        }
    };
    clear(END_POSITION, 4);
    clear(FLAGS, 2);
    clear(CREATED, 4);
    if let Some((covered, stored)) = bytes.split_last_chunk_mut::<4>() {
        if let Some(algorithm) = covered.last_mut() {
            *algorithm = 0;
        }
        *stored = crc32fast::hash(covered).to_le_bytes();
    }
    bytes
}

/// Whether servers of this format write an event that names a transaction before each.
pub(super) fn names(format: &FormatDescription) -> bool {
    format.flavor == Flavor::MariaDb
        || format.version.is_none_or(|version| version.at_least(5, 7, 0))
}

/// The statements, one after another.
pub(super) struct Statements<'a> {
    steps: std::iter::Peekable<Iter<'a, Step>>,
    most: usize,
}

impl<'a> Statements<'a> {
    pub(super) fn new(steps: &'a [Step], statement: usize) -> Self {
        let most = base64::room(statement);
        Self { steps: steps.iter().peekable(), most: most.min(BATCH) }
    }
}

impl Iterator for Statements<'_> {
    type Item = UndoStatement;

    fn next(&mut self) -> Option<UndoStatement> {
        let first = self.steps.next()?;
        let mut events = [&first.map[..], &first.rows].concat();
        let mut tables = vec![&first.table];
        while let Some(step) = self.steps.next_if(|step| {
            events.len().saturating_add(step.map.len() + step.rows.len()) <= self.most
        }) {
            events.extend_from_slice(&step.map);
            events.extend_from_slice(&step.rows);
            if !tables.contains(&&step.table) {
                tables.push(&step.table);
            }
        }
        let tables: Vec<&str> = tables.into_iter().map(|name| &**name).collect();
        Some(UndoStatement { sql: base64::statement(&events), tables: tables.join(", ") })
    }
}

/// The whole as a file.
pub(super) fn binlog(undo: &Undo) -> Vec<u8> {
    let mut file = [&MAGIC[..], &undo.head].concat();
    let mut put = |event: &[u8]| {
        let begins = file.len();
        file.extend_from_slice(event);
        let end = u32::try_from(file.len()).unwrap_or_default().to_le_bytes();
        if let Some(place) = file.get_mut(begins + 13..begins + 17) {
            place.copy_from_slice(&end);
        }
    };
    match undo.flavor {
        // Number, domain, flags (none: it is a transaction), six bytes of nothing.
        Flavor::MariaDb => put(&made(EventKind::MARIADB_GTID, &[0; 8 + 4 + 1 + 6])),
        Flavor::MySql => {
            if undo.named {
                put(&made(EventKind::ANONYMOUS_GTID, &[0; 1 + 16 + 8]));
            }
            // Thread, time, no database, no error, no variables.
            let begin = [&[0; 13][..], b"\0BEGIN"].concat();
            put(&made(EventKind::QUERY, &begin));
        }
    }
    for step in &undo.steps {
        put(&step.map);
        put(&step.rows);
    }
    put(&made(EventKind::XID, &[0; 8]));
    file
}

fn made(kind: EventKind, body: &[u8]) -> Vec<u8> {
    let header = EventHeader {
        timestamp: 0,
        kind,
        server_id: 0,
        length: 0,
        end_position: 0,
        flags: crate::event::EventFlags::default(),
    };
    invert::finish([&header.to_bytes()[..], body].concat())
}
