//! MySQL's compressed transaction: all its events in one.

use super::{FormatDescription, RawEvent, body_of};
use crate::BodyError;

/// How a payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// Not at all.
    Off,
    /// In a way that is not known here.
    Unknown(u64),
}

/// A whole transaction in one event, usually compressed. [`crate::payload`] opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionPayload<'a> {
    /// How it is compressed.
    pub compression: Compression,
    /// Its size when opened, as the event says.
    pub uncompressed_size: Option<u64>,
    /// The bytes.
    pub payload: &'a [u8],
}

impl<'a> TransactionPayload<'a> {
    /// Reads the event: fields of type, length and value up to type 0, then the payload.
    pub fn decode(event: &RawEvent<'a>, format: &FormatDescription) -> Result<Self, BodyError> {
        let mut body = body_of(event, format);
        let mut compression = Compression::Off;
        let (mut size, mut uncompressed_size) = (None, None);
        loop {
            let field = body.packed("a field's type")?;
            if field == 0 {
                break;
            }
            let length = body.packed("a field's length")?;
            let mut value = body;
            body.take_long(length, "a field")?;
            match field {
                1 => size = Some(value.packed("the payload's size")?),
                2 => {
                    compression = match value.packed("the compression")? {
                        0 => Compression::Zstd,
                        255 => Compression::Off,
                        other => Compression::Unknown(other),
                    }
                }
                3 => uncompressed_size = Some(value.packed("the uncompressed size")?),
                _ => {}
            }
        }
        let payload = match size {
            Some(size) => body.take_long(size, "the payload")?,
            None => body.take_rest(),
        };
        Ok(Self { compression, uncompressed_size, payload })
    }
}
