//! `LOAD DATA` in statement format: the file's content in blocks, then the statement.

use super::query::{Query, QueryFrame};
use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// The first block of a file to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeginLoadQuery<'a> {
    /// Which file the blocks belong to.
    pub file_id: u32,
    /// Its first bytes.
    pub data: &'a [u8],
}

/// A further block of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendBlock<'a> {
    /// Which file the block belongs to.
    pub file_id: u32,
    /// The bytes.
    pub data: &'a [u8],
}

/// The file is not needed: loading failed on the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeleteFile {
    /// Which file.
    pub file_id: u32,
}

/// The statement that loads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecuteLoadQuery<'a> {
    /// Which file the blocks before it made.
    pub file_id: u32,
    /// The statement, with the file's name on the source.
    pub query: Query<'a>,
    /// Where in the text the file's name begins.
    pub name_start: u32,
    /// Where it ends.
    pub name_end: u32,
    /// What happens to rows that exist: 0 error, 1 ignore, 2 replace.
    pub duplicates: u8,
}

impl<'a> BeginLoadQuery<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        Ok(Self { file_id: body.u32("the file's number")?, data: body.take_rest() })
    }
}

impl<'a> AppendBlock<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        Ok(Self { file_id: body.u32("the file's number")?, data: body.take_rest() })
    }
}

impl DeleteFile {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        Ok(Self { file_id: body_of(event, format).u32("the file's number")? })
    }
}

impl<'a> ExecuteLoadQuery<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let frame = QueryFrame::decode(&mut body)?;
        let file_id = body.u32("the file's number")?;
        let name_start = body.u32("where the file's name begins")?;
        let name_end = body.u32("where the file's name ends")?;
        let duplicates = body.u8("what happens to duplicates")?;
        let query = frame.finish(&mut body)?;
        Ok(Self { file_id, query, name_start, name_end, duplicates })
    }
}
