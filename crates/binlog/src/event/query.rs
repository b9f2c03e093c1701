//! A statement as text: DDL, BEGIN and COMMIT, and with statement format everything.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::{EventKind, FormatDescription, RawEvent, Statement, split_fixed};
use crate::BodyError;
use crate::cursor::Cursor;

/// A statement and what it needs to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The connection that ran it.
    pub thread_id: u32,
    /// How many seconds it took.
    pub execution_seconds: u32,
    /// The error it ended with on the source, which a replica expects as well; 0 for none.
    pub error_code: u16,
    /// The default database.
    pub database: &'a [u8],
    /// Settings of the session, in the server's encoding.
    pub status_variables: &'a [u8],
    /// The statement as it was sent, in whatever character set. MariaDB's compressed form is
    /// still compressed: [`Query::text`] opens it.
    pub statement: &'a [u8],
    /// Whether `statement` is compressed (MariaDB's event 165).
    pub compressed: bool,
}

/// What precedes a query's variable part.
pub(super) struct QueryFrame {
    thread_id: u32,
    execution_seconds: u32,
    database: usize,
    error_code: u16,
    status_variables: usize,
}

impl QueryFrame {
    pub(super) fn decode(body: &mut Cursor<'_>) -> Result<Self, BodyError> {
        Ok(Self {
            thread_id: body.u32("the thread id")?,
            execution_seconds: body.u32("the execution time")?,
            database: usize::from(body.u8("the length of the database's name")?),
            error_code: body.u16("the error code")?,
            status_variables: usize::from(body.u16("the length of the status variables")?),
        })
    }

    pub(super) fn finish<'a>(self, body: &mut Cursor<'a>) -> Result<Query<'a>, BodyError> {
        let status_variables = body.take(self.status_variables, "the status variables")?;
        let database = body.take(self.database, "the database's name")?;
        body.take(1, "the zero byte after the database's name")?;
        Ok(Query {
            thread_id: self.thread_id,
            execution_seconds: self.execution_seconds,
            error_code: self.error_code,
            database,
            status_variables,
            statement: body.take_rest(),
            compressed: false,
        })
    }
}

/// Thread id, execution time, length of the database's name, error code, length of the status
/// variables.
const FIXED: u8 = 13;

impl<'a> Query<'a> {
    /// Reads event 2 or 165.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let (mut fixed, mut body) = split_fixed(event, format, FIXED)?;
        let mut query = QueryFrame::decode(&mut fixed)?.finish(&mut body)?;
        query.compressed = event.kind() == EventKind::QUERY_COMPRESSED;
        Ok(query)
    }

    /// The first `limit` bytes of the statement, uncompressed. Of a compressed one that cannot be
    /// opened, what could be.
    pub fn head(&self, limit: usize) -> Cow<'a, [u8]> {
        if self.compressed {
            return Cow::Owned(inflate_head(self.statement, limit));
        }
        Cow::Borrowed(self.statement.get(..limit).unwrap_or(self.statement))
    }

    /// The statement for people, at most `limit` bytes of it; what is not UTF-8 is replaced.
    pub fn text(&self, limit: usize) -> String {
        String::from_utf8_lossy(&self.head(limit)).into_owned()
    }

    /// The default database for people.
    pub fn database_name(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.database)
    }

    /// What the statement does to the boundaries of transactions.
    pub fn class(&self) -> Statement {
        Statement::of(&self.head(Statement::HEAD))
    }
}

/// How long the content of MariaDB's compressed record is, as the record says.
pub(super) fn stored_length(record: &[u8]) -> Option<usize> {
    let lengths = record.first().map(|byte| usize::from(byte & 7))?;
    let bytes = record.get(1..lengths.checked_add(1)?)?;
    let number = bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    usize::try_from(number).ok()
}

/// The content of MariaDB's compressed record, whole or up to `limit` bytes.
///
/// A record is: one byte with the number of length bytes in its low three bits, that many bytes
/// of the original length (high byte first), then a zlib stream.
pub(super) fn inflate_head(record: &[u8], limit: usize) -> Vec<u8> {
    let mut content = Vec::new();
    let lengths = record.first().map_or(0, |byte| usize::from(byte & 7));
    if let Some(zlib) = record.get(lengths.saturating_add(1)..) {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        // What was read before an error stays in `content`.
        let _ = ZlibDecoder::new(zlib).take(limit).read_to_end(&mut content);
    }
    content
}
