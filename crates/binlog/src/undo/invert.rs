//! One rows event turned round: the opposite change, the last row first, in events that are no
//! larger than what a statement takes.

use std::ops::Range;

use crate::event::{
    Column, EventHeader, EventKind, FormatDescription, RawEvent, RowsChange, RowsEvent,
};

/// Bit of a rows event's flags: the last of its statement. Each that is made here is: servers
/// close the tables with it, so each has its own table map before it.
const STATEMENT_END: u16 = 1;
/// Foreign keys are not looked at: what is gone back to was there, and no change of a parent may
/// reach its children, which have events of their own.
const NO_FOREIGN_KEY_CHECKS: u16 = 2;

/// What came of an event.
pub(super) struct Inverted {
    /// The events, in the order in which they are to be applied.
    pub(super) events: Vec<Vec<u8>>,
    /// How many rows they have.
    pub(super) rows: u64,
}

/// How large events may be.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    /// Opened rows of a compressed event.
    pub(super) opened: usize,
    /// An event should not be larger: a row that is stands alone.
    pub(super) wanted: usize,
    /// An event must not be larger.
    pub(super) most: usize,
}

/// Turns an event round, or says what is in the way.
pub(super) fn invert(
    event: &RawEvent<'_>,
    format: &FormatDescription,
    columns: &[Column],
    sizes: Sizes,
) -> Result<Inverted, String> {
    let kind = event.kind();
    if kind == EventKind::PARTIAL_UPDATE_ROWS {
        return Err("JSON values are given as differences (binlog_row_value_options)".to_owned());
    }
    let rows = RowsEvent::decode(event, format).map_err(|error| error.to_string())?;
    if !rows.shows_all() {
        return Err("its rows do not show all columns (binlog_row_image is not FULL)".to_owned());
    }
    let opened = rows.opened(sizes.opened).ok_or_else(|| {
        format!("its compressed rows cannot be opened, or are larger than {} bytes", sizes.opened)
    })?;
    let spans = rows.spans(&opened, columns).ok_or_else(|| match unknown_type(columns) {
        Some((at, kind)) => format!("column {at} has a type that is not known (number {kind})"),
        None => "its rows are not what its table map says".to_owned(),
    })?;
    let head =
        head(event, format, &rows).ok_or_else(|| format!("{kind} cannot be turned round"))?;
    let mut events = Vec::new();
    let mut current = head.clone();
    let part = |range: &Range<usize>| opened.get(range.clone()).unwrap_or_default();
    for span in spans.iter().rev() {
        let length = span.before.len() + span.after.len();
        if head.len() + length > sizes.most {
            return Err(format!(
                "a row of {length} bytes does not fit into a statement (max_allowed_packet)"
            ));
        }
        if current.len() > head.len() && current.len() + length > sizes.wanted {
            events.push(finish(std::mem::replace(&mut current, head.clone())));
        }
        // Of an update the new row comes first now, and the old one second.
        current.extend_from_slice(part(&span.after));
        current.extend_from_slice(part(&span.before));
    }
    if current.len() > head.len() {
        events.push(finish(current));
    }
    Ok(Inverted { events, rows: u64::try_from(spans.len()).unwrap_or(u64::MAX) })
}

/// An event without its rows; `None` if the server has other fixed parts than are written here.
fn head(event: &RawEvent<'_>, format: &FormatDescription, rows: &RowsEvent<'_>) -> Option<Vec<u8>> {
    let opposite = match rows.change {
        RowsChange::Inserted => 2,
        RowsChange::Updated => 0,
        RowsChange::Deleted => -2,
    };
    // What was compressed is written plainly.
    let plain = match event.kind().0 {
        kind @ (23..=25 | 30..=32) => kind,
        kind @ 166..=168 => kind - 143,
        kind @ 169..=171 => kind - 139,
        _ => return None,
    };
    let kind = EventKind(plain.checked_add_signed(opposite)?);
    let fixed = if kind.0 >= 30 { 10 } else { 8 };
    if format.post_header_length(kind) != Some(fixed) {
        return None;
    }
    let mut bytes = bare_header(event.header(), kind).to_vec();
    bytes.extend_from_slice(rows.table_id.to_le_bytes().get(..6)?);
    let flags = rows.flags | STATEMENT_END | NO_FOREIGN_KEY_CHECKS;
    bytes.extend_from_slice(&flags.to_le_bytes());
    if kind.0 >= 30 {
        // Version 2: no further data, in a length that counts itself.
        bytes.extend_from_slice(&2_u16.to_le_bytes());
    }
    put_packed(&mut bytes, rows.columns);
    match rows.change {
        RowsChange::Updated => {
            bytes.extend_from_slice(rows.shown_after);
            bytes.extend_from_slice(rows.shown);
        }
        RowsChange::Inserted | RowsChange::Deleted => bytes.extend_from_slice(rows.shown),
    }
    Some(bytes)
}

/// The table map as it is given before each event: without checksum and place.
pub(super) fn table_map(event: &RawEvent<'_>, format: &FormatDescription) -> Vec<u8> {
    let mut bytes = bare_header(event.header(), event.kind()).to_vec();
    bytes.extend_from_slice(event.body(format));
    finish(bytes)
}

/// A header whose event stands in no file.
fn bare_header(header: EventHeader, kind: EventKind) -> [u8; EventHeader::LENGTH] {
    EventHeader { kind, length: 0, end_position: 0, ..header }.to_bytes()
}

/// Writes the length of an event into its header.
pub(super) fn finish(mut event: Vec<u8>) -> Vec<u8> {
    const LENGTH: usize = 9;
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX).to_le_bytes();
    if let Some(place) = event.get_mut(LENGTH..LENGTH + 4) {
        place.copy_from_slice(&length);
    }
    event
}

/// A length-encoded number of the client protocol.
fn put_packed(bytes: &mut Vec<u8>, number: u64) {
    let [a, b, c, ..] = number.to_le_bytes();
    match number {
        0..=250 => bytes.push(a),
        251..=0xffff => bytes.extend_from_slice(&[0xfc, a, b]),
        0x1_0000..=0xff_ffff => bytes.extend_from_slice(&[0xfd, a, b, c]),
        _ => {
            bytes.push(0xfe);
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// The first column whose values' size is not known, counted from 1, and its type.
fn unknown_type(columns: &[Column]) -> Option<(usize, u8)> {
    let found = columns.iter().position(|column| !column.has_known_size())?;
    Some((found + 1, columns.get(found)?.kind))
}
