//! The names of transactions, and MySQL's events 33 and 34 that carry them.

use std::fmt;

use primacy_types::{GtidSource, MariaDbGtid, MySqlGtidSet};
use uuid::Uuid;

use super::{EventKind, FormatDescription, RawEvent, body_of, tagged};
use crate::BodyError;
use crate::cursor::Cursor;

/// How a transaction is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GtidOf {
    /// By MySQL's GTID.
    MySql(MySqlGtid),
    /// By MariaDB's GTID.
    MariaDb(MariaDbGtid),
    /// Not at all: MySQL wrote an anonymous GTID event.
    Anonymous,
}

/// One MySQL transaction: `uuid[:tag]:number`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MySqlGtid {
    /// `server_uuid` of the server where it was first committed.
    pub uuid: Uuid,
    /// The tag; empty without one.
    pub tag: Tag,
    /// Its number, from 1.
    pub number: u64,
}

/// The tag of a MySQL GTID (since 8.3): up to 32 lower-case letters, digits and `_`, or nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    bytes: [u8; 32],
    length: u8,
}

impl Tag {
    /// The tag of this text; `None` if it cannot be one.
    pub fn new(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; 32];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        bytes.make_ascii_lowercase();
        let fits = text.iter().all(|c| c.is_ascii_alphanumeric() || *c == b'_')
            && !text.first().is_some_and(u8::is_ascii_digit);
        fits.then_some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    /// As text; empty without a tag.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl MySqlGtid {
    /// Who numbered it.
    pub fn source(&self) -> GtidSource {
        let tag = (!self.tag.is_empty()).then(|| self.tag.as_str().to_owned());
        GtidSource { uuid: self.uuid, tag }
    }

    /// Whether the set holds it.
    pub fn is_in(&self, set: &MySqlGtidSet) -> bool {
        set.intervals().any(|(source, intervals)| {
            let nearest = intervals.partition_point(|(_, last)| *last < self.number);
            source.uuid == self.uuid
                && source.tag.as_deref().unwrap_or_default() == self.tag.as_str()
                && intervals.get(nearest).is_some_and(|(first, _)| *first <= self.number)
        })
    }
}

impl fmt::Display for MySqlGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tag.is_empty() {
            write!(f, "{}:{}", self.uuid, self.number)
        } else {
            write!(f, "{}:{}:{}", self.uuid, self.tag.as_str(), self.number)
        }
    }
}

impl fmt::Display for GtidOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(gtid) => gtid.fmt(f),
            Self::MariaDb(gtid) => gtid.fmt(f),
            Self::Anonymous => f.write_str("anonymous"),
        }
    }
}

/// MySQL's event before each transaction: its name, and how it may be applied in parallel.
///
/// Fields that a server's version did not write yet are `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GtidEvent {
    /// The transaction's name; `None` if it is anonymous.
    pub gtid: Option<MySqlGtid>,
    /// Bit 0: the transaction may have statements that cannot be rolled back.
    pub flags: u8,
    /// Number of the transaction in this file that must be committed before it starts.
    pub last_committed: Option<i64>,
    /// Its own number in this file.
    pub sequence_number: Option<i64>,
    /// Microseconds since 1970 when it was committed on the server that wrote this file.
    pub immediate_commit_timestamp: Option<u64>,
    /// The same on the server where it was first committed.
    pub original_commit_timestamp: Option<u64>,
    /// Length of the whole transaction in bytes, this event included.
    pub transaction_length: Option<u64>,
    /// Version of the server that wrote this file, as 90704.
    pub immediate_server_version: Option<u32>,
    /// Version of the server where it was first committed.
    pub original_server_version: Option<u32>,
    /// Commit group of group replication.
    pub commit_group_ticket: Option<u64>,
}

impl GtidEvent {
    /// Reads event 33, 34 or 42.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        let body = body_of(event, format);
        if event.kind() == EventKind::TAGGED_GTID {
            return tagged::decode(body);
        }
        decode_untagged(body, event.kind())
    }

    /// Reads only how the transaction is named.
    pub fn decode_name(
        event: &RawEvent<'_>,
        format: &FormatDescription,
    ) -> Result<GtidOf, BodyError> {
        if event.kind() == EventKind::TAGGED_GTID {
            return Ok(Self::decode(event, format)?.name());
        }
        let (_, gtid) = decode_start(&mut body_of(event, format), event.kind())?;
        Ok(gtid.map_or(GtidOf::Anonymous, GtidOf::MySql))
    }

    /// How the transaction is named.
    pub fn name(&self) -> GtidOf {
        self.gtid.map_or(GtidOf::Anonymous, GtidOf::MySql)
    }
}

/// Says that the dependencies of parallel apply follow.
const LOGICAL_TIMESTAMPS: u8 = 2;

/// The flags and the name.
fn decode_start(
    body: &mut Cursor<'_>,
    kind: EventKind,
) -> Result<(u8, Option<MySqlGtid>), BodyError> {
    let flags = body.u8("the flags")?;
    let uuid = Uuid::from_bytes(body.array("the source's UUID")?);
    let number = body.u64("the transaction's number")?;
    if kind != EventKind::GTID {
        return Ok((flags, None));
    }
    if number == 0 || number >= i64::MAX as u64 {
        return Err(body.wrong("a transaction number", number.to_string()));
    }
    Ok((flags, Some(MySqlGtid { uuid, tag: Tag::default(), number })))
}

fn decode_untagged(mut body: Cursor<'_>, kind: EventKind) -> Result<GtidEvent, BodyError> {
    let (flags, gtid) = decode_start(&mut body, kind)?;
    let mut event = GtidEvent { flags, gtid, ..GtidEvent::default() };
    // 5.6 ends here or writes another type code.
    if body.is_done() || body.u8("the type of timestamps")? != LOGICAL_TIMESTAMPS {
        return Ok(event);
    }
    event.last_committed = Some(body.u64("last_committed")?.cast_signed());
    event.sequence_number = Some(body.u64("sequence_number")?.cast_signed());
    // 5.7 ends here.
    if body.rest().len() < 7 {
        return Ok(event);
    }
    let immediate = body.number(7, "the commit timestamp")?;
    const OTHER_FOLLOWS: u64 = 1 << 55;
    let original = if immediate & OTHER_FOLLOWS == 0 {
        immediate
    } else {
        body.number(7, "the original commit timestamp")?
    };
    event.immediate_commit_timestamp = Some(immediate & !OTHER_FOLLOWS);
    event.original_commit_timestamp = Some(original);
    if body.is_done() {
        return Ok(event);
    }
    event.transaction_length = Some(body.packed("the transaction's length")?);
    if body.rest().len() < 4 {
        return Ok(event);
    }
    let immediate = body.u32("the server's version")?;
    const VERSION_FOLLOWS: u32 = 1 << 31;
    let original = if immediate & VERSION_FOLLOWS == 0 {
        immediate
    } else {
        body.u32("the original server's version")?
    };
    event.immediate_server_version = Some(immediate & !VERSION_FOLLOWS);
    event.original_server_version = Some(original);
    if body.rest().len() >= 8 {
        event.commit_group_ticket = Some(body.u64("the commit group's ticket")?);
    }
    Ok(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gtid_is_looked_up_in_a_set() {
        let set: MySqlGtidSet = "3e11fa47-71ca-11e1-9e33-c80aa9429562:3-5:9,\
            3e11fa47-71ca-11e1-9e33-c80aa9429562:backup:1-2"
            .parse()
            .unwrap();
        let uuid = "3e11fa47-71ca-11e1-9e33-c80aa9429562".parse().unwrap();
        let is_in = |tag: &str, number| {
            MySqlGtid { uuid, tag: Tag::new(tag.as_bytes()).unwrap(), number }.is_in(&set)
        };
        let plain: Vec<u64> = (1..=10).filter(|n| is_in("", *n)).collect();
        assert_eq!(plain, [3, 4, 5, 9]);
        let tagged: Vec<u64> = (1..=4).filter(|n| is_in("Backup", *n)).collect();
        assert_eq!(tagged, [1, 2]);
    }

    #[test]
    fn what_is_no_tag() {
        for text in ["1a", "a-b", "a b", &"a".repeat(33)] {
            assert_eq!(Tag::new(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Tag::new(b"_A1").unwrap().as_str(), "_a1");
    }
}
