//! Rows that were inserted, changed or deleted.

use std::borrow::Cow;

use super::query::inflate_head;
use super::row_image::{bit, pass_image, pass_partial_options};
use super::{Column, EventHeader, EventKind, FormatDescription, RawEvent, split_fixed};
use crate::BodyError;
use crate::cursor::Cursor;

/// What happened to the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsChange {
    /// They were inserted.
    Inserted,
    /// They were changed: each row stands in its old and its new form.
    Updated,
    /// They were deleted.
    Deleted,
}

/// Rows of one table that one statement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsEvent<'a> {
    /// Which table: see [`super::TableMap::table_id`].
    pub table_id: u64,
    /// Bit 0: the last rows of the statement.
    pub flags: u16,
    /// What happened to them.
    pub change: RowsChange,
    /// How many columns the table has.
    pub columns: u64,
    /// Which columns the (old) rows show, one bit each.
    pub shown: &'a [u8],
    /// Which columns the new rows of an update show; else the same as `shown`.
    pub shown_after: &'a [u8],
    /// The rows; compressed in MariaDB's events 166 to 171.
    pub rows: &'a [u8],
    kind: EventKind,
}

/// Table number and flags.
const FIXED: u8 = 8;

impl<'a> RowsEvent<'a> {
    /// Reads a rows event of any version.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let kind = event.kind();
        let (mut fixed, mut body) = split_fixed(event, format, FIXED)?;
        let table_id = fixed.number(6, "the table's number")?;
        let flags = fixed.u16("the flags")?;
        if matches!(kind.0, 30..=32 | 39 | 169..=171) {
            // Version 2: further data of a length that counts itself.
            let length = usize::from(fixed.u16("the length of the extra data")?);
            let Some(length) = length.checked_sub(2) else {
                return Err(fixed.wrong("the length of the extra data", length.to_string()));
            };
            body.take(length, "the extra data")?;
        }
        let change = match kind.0 {
            23 | 30 | 166 | 169 => RowsChange::Inserted,
            24 | 31 | 39 | 167 | 170 => RowsChange::Updated,
            25 | 32 | 168 | 171 => RowsChange::Deleted,
            _ => return Err(body.wrong("a rows event", kind.to_string())),
        };
        let columns = body.packed("the number of columns")?;
        let bits = columns.div_ceil(8);
        let shown = body.take_long(bits, "which columns are shown")?;
        let shown_after = match change {
            RowsChange::Updated => body.take_long(bits, "which new columns are shown")?,
            RowsChange::Inserted | RowsChange::Deleted => shown,
        };
        let rows = body.take_rest();
        Ok(Self { table_id, flags, change, columns, shown, shown_after, rows, kind })
    }

    /// The rows, opened up to `limit` bytes if they are compressed.
    pub fn images(&self, limit: usize) -> Cow<'a, [u8]> {
        match self.kind.0 {
            166..=171 => Cow::Owned(inflate_head(self.rows, limit)),
            _ => Cow::Borrowed(self.rows),
        }
    }

    /// How many rows there are in a table with these columns; `None` if they cannot be counted:
    /// a column's type is not known, or the bytes do not end where a row does.
    pub fn count(&self, columns: &[Column], limit: usize) -> Option<u64> {
        if u64::try_from(columns.len()) != Ok(self.columns) {
            return None;
        }
        let images = self.images(limit);
        let mut rows = Cursor::new(self.kind, &images, EventHeader::LENGTH);
        if (0..columns.len()).all(|index| !bit(self.shown, index)) && !rows.is_done() {
            return self.count_empty(rows.rest());
        }
        let mut count = 0_u64;
        while !rows.is_done() {
            pass_image(&mut rows, columns, self.shown)?;
            if self.change == RowsChange::Updated {
                if self.kind == EventKind::PARTIAL_UPDATE_ROWS {
                    pass_partial_options(&mut rows, columns)?;
                }
                pass_image(&mut rows, columns, self.shown_after)?;
            }
            count = count.checked_add(1)?;
        }
        Some(count)
    }

    /// Rows that show no column at all have no bytes to count, or MariaDB's one byte each.
    fn count_empty(&self, rows: &[u8]) -> Option<u64> {
        (self.change == RowsChange::Inserted && rows.iter().all(|byte| *byte == 0xff))
            .then(|| u64::try_from(rows.len()).ok())
            .flatten()
    }
}
