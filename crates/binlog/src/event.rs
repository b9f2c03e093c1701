//! Events: the header that each has, the borrowed bytes of one, and what is in those bodies that
//! cutting and showing need.
//!
//! Decoding borrows from the event; nothing here reads files.

mod body;
mod control;
mod format;
mod gtid;
mod gtid_list;
mod header;
mod kind;
mod load;
mod mariadb_gtid;
mod payload;
mod previous_gtids;
mod query;
mod raw;
mod rotate;
mod row_image;
mod rows;
mod statement;
mod table_map;
mod tagged;
mod variables;
mod xa;

pub use body::EventBody;
pub use control::{BinlogCheckpoint, Heartbeat, Incident, StartEncryption};
pub use format::{ChecksumAlgorithm, FormatDescription};
pub use gtid::{GtidEvent, GtidOf, MySqlGtid, Tag};
pub use gtid_list::GtidList;
pub use header::{EventFlags, EventHeader};
pub use kind::EventKind;
pub use load::{AppendBlock, BeginLoadQuery, DeleteFile, ExecuteLoadQuery};
pub use mariadb_gtid::{MariaDbGtidEvent, MariaDbGtidFlags};
pub use payload::{Compression, TransactionPayload};
pub use previous_gtids::PreviousGtids;
pub use query::Query;
pub use raw::{ChecksumMismatch, MAX_EVENT_LENGTH, RawEvent};
pub use rotate::Rotate;
pub use rows::{RowSpan, RowsChange, RowsEvent};
pub use statement::{Statement, XaVerb};
pub use table_map::{Column, TableMap};
pub use variables::{IntVar, IntVarKind, Rand, UserVar};
pub use xa::{XaPrepare, Xid};

use crate::BodyError;
use crate::cursor::Cursor;

/// The body of an event, ready to be read.
fn body_of<'a>(event: &RawEvent<'a>, format: &FormatDescription) -> Cursor<'a> {
    Cursor::new(event.kind(), event.body(format), EventHeader::LENGTH)
}

/// The fixed part of a body and what follows it. A newer server may have made the fixed part
/// longer than is known here: the format description says how long it is.
fn split_fixed<'a>(
    event: &RawEvent<'a>,
    format: &FormatDescription,
    known: u8,
) -> Result<(Cursor<'a>, Cursor<'a>), BodyError> {
    let mut body = body_of(event, format);
    let length = format.post_header_length(event.kind()).unwrap_or(0).max(known);
    let fixed = body.take(usize::from(length), "the fixed part of the event")?;
    Ok((Cursor::new(event.kind(), fixed, EventHeader::LENGTH), body))
}
