//! Opens MySQL's compressed transactions, up to a limit: what is inside, event by event.

use std::io::Read;

use ruzstd::decoding::StreamingDecoder;

use crate::BodyError;
use crate::event::{Compression, EventHeader, RawEvent, TransactionPayload};

/// Why a compressed transaction was not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// It is larger than the caller takes.
    #[error("the transaction is larger than {limit} bytes when opened")]
    TooLarge {
        /// What the caller takes.
        limit: usize,
    },
    /// It is compressed in a way that is not known.
    #[error("the transaction is compressed in an unknown way (type {0})")]
    Unknown(u64),
    /// The compressed bytes are damaged.
    #[error("the compressed transaction cannot be opened: {0}")]
    Damaged(String),
}

/// The events of a compressed transaction, one after another.
pub fn decompress(payload: &TransactionPayload<'_>, limit: usize) -> Result<Vec<u8>, PayloadError> {
    match payload.compression {
        Compression::Off if payload.payload.len() > limit => Err(PayloadError::TooLarge { limit }),
        Compression::Off => Ok(payload.payload.to_vec()),
        Compression::Zstd => unzstd(payload.payload, limit),
        Compression::Unknown(other) => Err(PayloadError::Unknown(other)),
    }
}

fn unzstd(mut compressed: &[u8], limit: usize) -> Result<Vec<u8>, PayloadError> {
    let damaged = |error: &dyn std::fmt::Display| PayloadError::Damaged(error.to_string());
    let mut opened = Vec::new();
    // A server that compresses while it writes leaves several frames.
    while !compressed.is_empty() {
        let decoder = StreamingDecoder::new(&mut compressed).map_err(|e| damaged(&e))?;
        let left = limit.saturating_sub(opened.len()).saturating_add(1);
        let mut bounded = decoder.take(u64::try_from(left).unwrap_or(u64::MAX));
        bounded.read_to_end(&mut opened).map_err(|e| damaged(&e))?;
        if opened.len() > limit {
            return Err(PayloadError::TooLarge { limit });
        }
    }
    Ok(opened)
}

/// The events inside an opened transaction. They have no checksums:
/// [`crate::FormatDescription::without_checksums`] reads them.
#[derive(Clone, Debug)]
pub struct InnerEvents<'a> {
    left: &'a [u8],
    offset: u64,
}

impl<'a> InnerEvents<'a> {
    /// Over the bytes that [`decompress`] gave.
    pub const fn new(opened: &'a [u8]) -> Self {
        Self { left: opened, offset: 0 }
    }
}

impl<'a> Iterator for InnerEvents<'a> {
    type Item = Result<RawEvent<'a>, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left.is_empty() {
            return None;
        }
        let length = EventHeader::read(self.left).and_then(|h| usize::try_from(h.length).ok());
        let length = length.unwrap_or(0).max(EventHeader::LENGTH).min(self.left.len());
        let (event, left) = self.left.split_at(length);
        let event = RawEvent::new(event, self.offset);
        // After an event that cannot be one there is no telling where the next begins.
        self.left = if event.is_ok() { left } else { &[] };
        self.offset = self.offset.saturating_add(length as u64);
        Some(event)
    }
}
