//! Events about the log itself: incident, heartbeat, encryption, checkpoint.

use super::{EventKind, FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// The source lost events: a replica stops here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident<'a> {
    /// 1: events were lost.
    pub number: u16,
    /// What the server said.
    pub message: &'a [u8],
}

impl<'a> Incident<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let number = body.u16("the incident's number")?;
        let length = usize::from(body.u8("the message's length")?);
        Ok(Self { number, message: body.take(length, "the message")? })
    }
}

/// The source is alive and has nothing to send; stands in no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The source's current file.
    pub file: &'a [u8],
    /// Where it would write next.
    pub position: u64,
}

impl<'a> Heartbeat<'a> {
    /// Reads either version of the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let mut heartbeat = Self { file: &[], position: u64::from(event.header().end_position) };
        if event.kind() != EventKind::HEARTBEAT_V2 {
            heartbeat.file = body.take_rest();
            return Ok(heartbeat);
        }
        // Fields of type, length and value, up to type 0.
        while !body.is_done() {
            let field = body.packed("a field's type")?;
            if field == 0 {
                break;
            }
            let length = body.packed("a field's length")?;
            let at = body;
            let value = body.take_long(length, "a field")?;
            match field {
                1 => heartbeat.file = value,
                2 => heartbeat.position = at.clone().packed("the position")?,
                _ => {}
            }
        }
        Ok(heartbeat)
    }
}

/// MariaDB: everything after this event is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartEncryption {
    /// How it is encrypted; 1 is the only one so far.
    pub scheme: u8,
    /// Version of the key.
    pub key_version: u32,
}

impl StartEncryption {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        Ok(Self { scheme: body.u8("the scheme")?, key_version: body.u32("the key's version")? })
    }
}

/// MariaDB: the oldest file that crash recovery still needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinlogCheckpoint<'a> {
    /// Its name.
    pub file: &'a [u8],
}

impl<'a> BinlogCheckpoint<'a> {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let length = u64::from(body.u32("the name's length")?);
        Ok(Self { file: body.take_long(length, "the file's name")? })
    }
}
