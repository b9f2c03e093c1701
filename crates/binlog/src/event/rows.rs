//! Rows that were inserted, changed or deleted.

use std::borrow::Cow;
use std::ops::Range;

use super::query::{inflate_head, stored_length};
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

/// Where one row stands among the rows of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowSpan {
    /// The row; of an update, as it was before.
    pub before: Range<usize>,
    /// The row after the update; empty for what is no update.
    pub after: Range<usize>,
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

    /// The rows, opened if they are compressed; `None` if they are larger than `limit` then, or
    /// cannot be opened to their end.
    pub fn opened(&self, limit: usize) -> Option<Cow<'a, [u8]>> {
        if !matches!(self.kind.0, 166..=171) {
            return Some(Cow::Borrowed(self.rows));
        }
        let length = stored_length(self.rows).filter(|length| *length <= limit)?;
        let opened = inflate_head(self.rows, length.saturating_add(1));
        (opened.len() == length).then_some(Cow::Owned(opened))
    }

    /// Whether each row shows all columns, before and after.
    pub fn shows_all(&self) -> bool {
        let all =
            |bits| (0..self.columns).all(|at| usize::try_from(at).is_ok_and(|at| bit(bits, at)));
        all(self.shown) && all(self.shown_after)
    }

    /// Where each row stands in `opened` (from [`RowsEvent::opened`]), in a table with these
    /// columns; `None` if that cannot be told: a column's type is not known, the bytes do not end
    /// where a row does, or values are given as differences.
    pub fn spans(&self, opened: &[u8], columns: &[Column]) -> Option<Vec<RowSpan>> {
        if u64::try_from(columns.len()) != Ok(self.columns)
            || columns.is_empty()
            || self.kind == EventKind::PARTIAL_UPDATE_ROWS
        {
            return None;
        }
        let mut rows = Cursor::new(self.kind, opened, EventHeader::LENGTH);
        let place = |rows: &Cursor<'_>| opened.len() - rows.rest().len();
        let mut spans = Vec::new();
        while !rows.is_done() {
            let start = place(&rows);
            pass_image(&mut rows, columns, self.shown)?;
            let middle = place(&rows);
            if self.change == RowsChange::Updated {
                pass_image(&mut rows, columns, self.shown_after)?;
            }
            let end = place(&rows);
            if end == start {
                // Rows without a byte cannot be told apart, nor counted.
                return None;
            }
            spans.push(RowSpan { before: start..middle, after: middle..end });
        }
        Some(spans)
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
