//! MySQL's event at the head of a binary log: the transactions of all files before it.

use primacy_types::{GtidSource, MySqlGtidSet};
use uuid::Uuid;

use super::{FormatDescription, RawEvent, Tag, body_of};
use crate::cursor::Cursor;
use crate::{BodyError, gtids};

/// The transactions of all files before this one. In a relay log: those received before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PreviousGtids {
    /// The set.
    pub set: MySqlGtidSet,
}

/// In the highest byte of the first word: the sources carry tags (MySQL 8.3 and later write it
/// only if one has a tag). The number of sources is then in the six bytes between.
const WITH_TAGS: u8 = 1;

impl PreviousGtids {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let set = decode_set(&mut body)?;
        if !body.is_done() {
            let left = format!("{} bytes more", body.rest().len());
            return Err(body.wrong("the end of the GTID set", left));
        }
        Ok(Self { set })
    }
}

/// Reads a set in the binary form that events and COM_BINLOG_DUMP_GTID share.
fn decode_set(body: &mut Cursor<'_>) -> Result<MySqlGtidSet, BodyError> {
    let word = body.u64("the number of sources")?;
    let tagged = word.to_le_bytes()[7] == WITH_TAGS;
    let sources = if tagged { (word << 8) >> 16 } else { word };
    let mut parts = Vec::new();
    for _ in 0..sources {
        let uuid = Uuid::from_bytes(body.array("a source's UUID")?);
        let tag = if tagged { tag(body)? } else { None };
        let source = GtidSource { uuid, tag };
        let intervals = body.u64("the number of intervals")?;
        let mut numbers = Vec::new();
        for _ in 0..intervals {
            let first = body.u64("the first number of an interval")?;
            // The number after the last.
            let after = body.u64("the end of an interval")?;
            if first == 0 || after <= first || after > i64::MAX as u64 {
                return Err(body.wrong("an interval", format!("{first} up to {after}")));
            }
            numbers.push((first, after - 1));
        }
        parts.push(gtids::set_of(&source, &numbers));
    }
    Ok(gtids::union_all(parts))
}

/// A tag: its length, shifted by one bit, then its letters.
fn tag(body: &mut Cursor<'_>) -> Result<Option<String>, BodyError> {
    let length = usize::from(body.u8("a tag's length")? >> 1);
    let text = body.take(length, "a tag")?;
    let Some(tag) = Tag::new(text) else {
        return Err(body.wrong("a tag", String::from_utf8_lossy(text).into_owned()));
    };
    Ok((!tag.is_empty()).then(|| tag.as_str().to_owned()))
}
