//! Any event, decoded.

use super::{
    AppendBlock, BeginLoadQuery, BinlogCheckpoint, DeleteFile, EventKind, ExecuteLoadQuery,
    FormatDescription, GtidEvent, GtidList, Heartbeat, Incident, IntVar, MariaDbGtidEvent,
    PreviousGtids, Query, Rand, RawEvent, Rotate, RowsEvent, StartEncryption, TableMap,
    TransactionPayload, UserVar, XaPrepare, Xid, body_of,
};
use crate::BodyError;

/// What is in an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventBody<'a> {
    /// 15: which server wrote what follows.
    FormatDescription(Box<FormatDescription>),
    /// 4: the next file.
    Rotate(Rotate<'a>),
    /// 3: the server was shut down.
    Stop,
    /// 35: the transactions of earlier files (MySQL).
    PreviousGtids(PreviousGtids),
    /// 163: the same (MariaDB).
    GtidList(GtidList),
    /// 33, 34, 42: a transaction follows (MySQL).
    Gtid(Box<GtidEvent>),
    /// 162: a transaction follows (MariaDB).
    MariaDbGtid(MariaDbGtidEvent<'a>),
    /// 2, 165: a statement.
    Query(Query<'a>),
    /// 16: the transaction is committed.
    Xid(Xid),
    /// 38: the XA transaction is prepared.
    XaPrepare(XaPrepare<'a>),
    /// 40: a compressed transaction.
    TransactionPayload(TransactionPayload<'a>),
    /// 19: a table whose rows follow.
    TableMap(TableMap<'a>),
    /// 23 to 25, 30 to 32, 39, 166 to 171: rows.
    Rows(RowsEvent<'a>),
    /// 29, 160: the statement whose rows follow.
    RowsQuery(&'a [u8]),
    /// 5: a number for the next statement.
    IntVar(IntVar),
    /// 13: seeds for the next statement.
    Rand(Rand),
    /// 14: a user variable for the next statement.
    UserVar(UserVar<'a>),
    /// 17: the first block of a file to load.
    BeginLoadQuery(BeginLoadQuery<'a>),
    /// 9: a further block.
    AppendBlock(AppendBlock<'a>),
    /// 11: the file is not needed.
    DeleteFile(DeleteFile),
    /// 18: the statement that loads it.
    ExecuteLoadQuery(ExecuteLoadQuery<'a>),
    /// 26: the source lost events.
    Incident(Incident<'a>),
    /// 27, 41: the source is alive.
    Heartbeat(Heartbeat<'a>),
    /// 164: what follows is encrypted (MariaDB).
    StartEncryption(StartEncryption),
    /// 161: what crash recovery needs (MariaDB).
    BinlogCheckpoint(BinlogCheckpoint<'a>),
    /// Anything else: the bytes after the header.
    Other(&'a [u8]),
}

impl<'a> EventBody<'a> {
    /// Decodes the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        Ok(match event.kind() {
            EventKind::FORMAT_DESCRIPTION => {
                Self::FormatDescription(Box::new(FormatDescription::decode(event)?))
            }
            EventKind::ROTATE => Self::Rotate(Rotate::decode(event, format)?),
            EventKind::STOP => Self::Stop,
            EventKind::PREVIOUS_GTIDS => Self::PreviousGtids(PreviousGtids::decode(event, format)?),
            EventKind::GTID_LIST => Self::GtidList(GtidList::decode(event, format)?),
            EventKind::GTID | EventKind::ANONYMOUS_GTID | EventKind::TAGGED_GTID => {
                Self::Gtid(Box::new(GtidEvent::decode(event, format)?))
            }
            EventKind::MARIADB_GTID => Self::MariaDbGtid(MariaDbGtidEvent::decode(event, format)?),
            EventKind::QUERY | EventKind::QUERY_COMPRESSED => {
                Self::Query(Query::decode(event, format)?)
            }
            EventKind::XID => Self::Xid(Xid::decode(event, format)?),
            EventKind::XA_PREPARE => Self::XaPrepare(XaPrepare::decode(event, format)?),
            EventKind::TRANSACTION_PAYLOAD => {
                Self::TransactionPayload(TransactionPayload::decode(event, format)?)
            }
            EventKind::TABLE_MAP => Self::TableMap(TableMap::decode(event, format)?),
            kind if kind.is_rows() => Self::Rows(RowsEvent::decode(event, format)?),
            EventKind::ROWS_QUERY => {
                let mut body = body_of(event, format);
                // Its first byte holds a length that is too small for long statements.
                body.u8("the statement's length")?;
                Self::RowsQuery(body.rest())
            }
            EventKind::ANNOTATE_ROWS => Self::RowsQuery(event.body(format)),
            EventKind::INTVAR => Self::IntVar(IntVar::decode(event, format)?),
            EventKind::RAND => Self::Rand(Rand::decode(event, format)?),
            EventKind::USER_VAR => Self::UserVar(UserVar::decode(event, format)?),
            EventKind::BEGIN_LOAD_QUERY => {
                Self::BeginLoadQuery(BeginLoadQuery::decode(event, format)?)
            }
            EventKind::APPEND_BLOCK => Self::AppendBlock(AppendBlock::decode(event, format)?),
            EventKind::DELETE_FILE => Self::DeleteFile(DeleteFile::decode(event, format)?),
            EventKind::EXECUTE_LOAD_QUERY => {
                Self::ExecuteLoadQuery(ExecuteLoadQuery::decode(event, format)?)
            }
            EventKind::INCIDENT => Self::Incident(Incident::decode(event, format)?),
            EventKind::HEARTBEAT | EventKind::HEARTBEAT_V2 => {
                Self::Heartbeat(Heartbeat::decode(event, format)?)
            }
            EventKind::START_ENCRYPTION => {
                Self::StartEncryption(StartEncryption::decode(event, format)?)
            }
            EventKind::BINLOG_CHECKPOINT => {
                Self::BinlogCheckpoint(BinlogCheckpoint::decode(event, format)?)
            }
            _ => Self::Other(event.body(format)),
        })
    }
}
