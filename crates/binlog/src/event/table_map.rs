//! Which table the rows that follow belong to, and what its columns look like in them.

use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// One column of a table, as far as the size of its values goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// The server's number of the type (`enum_field_types`).
    pub kind: u8,
    /// What the type needs to know besides: a length, a precision; 0 for most.
    pub metadata: u16,
}

impl Column {
    /// Whether it is known how many bytes its values have in an image of a row.
    pub fn has_known_size(self) -> bool {
        super::row_image::is_known(self)
    }
}

/// Which table the rows that follow belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMap<'a> {
    /// The number by which rows events of this transaction refer to it.
    pub table_id: u64,
    /// Its database.
    pub database: &'a [u8],
    /// Its name.
    pub table: &'a [u8],
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Which columns may be NULL, then names, signs and character sets if the server was told to
    /// write them (`binlog_row_metadata`).
    pub details: &'a [u8],
}

impl<'a> TableMap<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        // Before 5.1.4 the table's number had four bytes; nothing so old is supported.
        let table_id = body.number(6, "the table's number")?;
        body.u16("the flags")?;
        let length = body.packed("the length of the database's name")?;
        let database = body.take_long(length, "the database's name")?;
        body.take(1, "the zero byte after the database's name")?;
        let length = body.packed("the length of the table's name")?;
        let table = body.take_long(length, "the table's name")?;
        body.take(1, "the zero byte after the table's name")?;
        let count = body.packed("the number of columns")?;
        let kinds = body.take_long(count, "the columns' types")?;
        let length = body.packed("the length of the columns' metadata")?;
        let mut sizes = body;
        body.take_long(length, "the columns' metadata")?;
        let mut columns = Vec::with_capacity(kinds.len());
        for kind in kinds {
            let [high, low] = match metadata_size(*kind) {
                0 => [0, 0],
                1 => [0, sizes.u8("a column's metadata")?],
                // Of strings and decimals the first byte is the more significant one: a type and
                // a length, a precision and a scale. Lengths of VARCHAR are little-endian.
                _ if first_byte_is_high(*kind) => sizes.array("a column's metadata")?,
                _ => sizes.u16("a column's metadata")?.to_be_bytes(),
            };
            columns.push(Column { kind: *kind, metadata: u16::from_be_bytes([high, low]) });
        }
        Ok(Self { table_id, database, table, columns, details: body.take_rest() })
    }
}

/// Numbers of column types (`enum_field_types` of both families).
pub(super) mod types {
    pub(in super::super) const TINY: u8 = 1;
    pub(in super::super) const SHORT: u8 = 2;
    pub(in super::super) const LONG: u8 = 3;
    pub(in super::super) const FLOAT: u8 = 4;
    pub(in super::super) const DOUBLE: u8 = 5;
    pub(in super::super) const NULL: u8 = 6;
    pub(in super::super) const TIMESTAMP: u8 = 7;
    pub(in super::super) const LONGLONG: u8 = 8;
    pub(in super::super) const INT24: u8 = 9;
    pub(in super::super) const DATE: u8 = 10;
    pub(in super::super) const TIME: u8 = 11;
    pub(in super::super) const DATETIME: u8 = 12;
    pub(in super::super) const YEAR: u8 = 13;
    pub(in super::super) const NEWDATE: u8 = 14;
    pub(in super::super) const VARCHAR: u8 = 15;
    pub(in super::super) const BIT: u8 = 16;
    pub(in super::super) const TIMESTAMP2: u8 = 17;
    pub(in super::super) const DATETIME2: u8 = 18;
    pub(in super::super) const TIME2: u8 = 19;
    pub(in super::super) const BLOB_COMPRESSED: u8 = 140;
    pub(in super::super) const VARCHAR_COMPRESSED: u8 = 141;
    pub(in super::super) const VECTOR: u8 = 242;
    pub(in super::super) const JSON: u8 = 245;
    pub(in super::super) const NEWDECIMAL: u8 = 246;
    pub(in super::super) const ENUM: u8 = 247;
    pub(in super::super) const SET: u8 = 248;
    pub(in super::super) const TINY_BLOB: u8 = 249;
    pub(in super::super) const MEDIUM_BLOB: u8 = 250;
    pub(in super::super) const LONG_BLOB: u8 = 251;
    pub(in super::super) const BLOB: u8 = 252;
    pub(in super::super) const VAR_STRING: u8 = 253;
    pub(in super::super) const STRING: u8 = 254;
    pub(in super::super) const GEOMETRY: u8 = 255;
}

/// How many bytes of metadata a type has in the event.
const fn metadata_size(kind: u8) -> usize {
    match kind {
        types::FLOAT
        | types::DOUBLE
        | types::TIMESTAMP2
        | types::DATETIME2
        | types::TIME2
        | types::BLOB_COMPRESSED
        | types::VECTOR
        | types::JSON
        | types::TINY_BLOB
        | types::MEDIUM_BLOB
        | types::LONG_BLOB
        | types::BLOB
        | types::GEOMETRY => 1,
        types::VARCHAR
        | types::BIT
        | types::VARCHAR_COMPRESSED
        | types::NEWDECIMAL
        | types::ENUM
        | types::SET
        | types::VAR_STRING
        | types::STRING => 2,
        _ => 0,
    }
}

const fn first_byte_is_high(kind: u8) -> bool {
    matches!(kind, types::NEWDECIMAL | types::ENUM | types::SET | types::VAR_STRING | types::STRING)
}
