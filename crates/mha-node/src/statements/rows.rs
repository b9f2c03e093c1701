//! Rows as `BINLOG` statements: the tables' descriptions, then rows, without checksums and in
//! portions below every server's limit.

use primacy_binlog::{EventHeader, EventKind, FormatDescription, RawEvent, undo};

use super::Statement;

/// So many bytes of events go into one statement, if a single event is not larger: some 1.4 MB as
/// text, below the 4 MB that MySQL 5.6 takes.
const PORTION: usize = 1 << 20;

/// The rows of a statement as far as they were seen.
#[derive(Default)]
pub(super) struct Rows {
    maps: Vec<Vec<u8>>,
    events: Vec<u8>,
    /// Where the last rows event begins in `events`.
    last: usize,
    flags_at: usize,
}

impl Rows {
    pub(super) fn map(&mut self, event: &RawEvent<'_>, format: &FormatDescription) {
        let map = bare(event, format);
        if self.events.is_empty() {
            self.events.extend(self.maps.concat());
        }
        self.events.extend_from_slice(&map);
        self.maps.push(map);
    }

    pub(super) fn rows(
        &mut self,
        event: &RawEvent<'_>,
        format: &FormatDescription,
        ends: bool,
        into: &mut Vec<Statement>,
    ) {
        let bytes = bare(event, format);
        let has_rows = self.last > 0;
        if has_rows && self.events.len().saturating_add(bytes.len()) > PORTION {
            self.cut(into);
        }
        if self.events.is_empty() {
            self.events.extend(self.maps.concat());
        }
        self.last = self.events.len();
        self.flags_at = EventHeader::LENGTH + table_number(event.kind(), format);
        self.events.extend_from_slice(&bytes);
        if ends {
            self.cut(into);
            self.maps.clear();
        }
    }

    /// Makes a statement of what is there. Its last rows end the statement for the server, which
    /// closes the tables then; what follows names them again.
    fn cut(&mut self, into: &mut Vec<Statement>) {
        if let Some(flags) = self.events.get_mut(self.last.saturating_add(self.flags_at)) {
            *flags |= 1;
        }
        into.push(Statement::new(undo::binlog_statement(&self.events)));
        self.events.clear();
        self.last = 0;
    }
}

/// How long the number of the table is.
fn table_number(kind: EventKind, format: &FormatDescription) -> usize {
    match format.post_header_length(kind) {
        Some(6) => 4,
        _ => 6,
    }
}

/// The event as it would be without a checksum.
fn bare(event: &RawEvent<'_>, format: &FormatDescription) -> Vec<u8> {
    let mut bytes = event.bytes().to_vec();
    if format.has_checksums() {
        bytes.truncate(bytes.len().saturating_sub(4));
        let length = u32::try_from(bytes.len()).unwrap_or_default().to_le_bytes();
        if let Some(place) = bytes.get_mut(9..13) {
            place.copy_from_slice(&length);
        }
    }
    bytes
}
