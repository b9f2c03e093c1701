//! One event as it stands in the file: borrowed, byte for byte.

use super::{EventHeader, EventKind, FormatDescription};
use crate::BodyError;

/// The longest event that is believed: the largest `max_allowed_packet`, and some for its frame.
pub const MAX_EVENT_LENGTH: u32 = (1 << 30) + (1 << 24);

/// Size of the CRC32 at the end of an event.
const CHECKSUM_LENGTH: usize = 4;

/// One event with header and checksum, and where it stands.
#[derive(Clone, Copy, Debug)]
pub struct RawEvent<'a> {
    bytes: &'a [u8],
    header: EventHeader,
    offset: u64,
}

/// The bytes of an event are not those that were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("checksum {stored:08x} is stored, the bytes give {computed:08x}")]
pub struct ChecksumMismatch {
    /// The checksum at the event's end.
    pub stored: u32,
    /// The checksum of the bytes before it.
    pub computed: u32,
}

impl<'a> RawEvent<'a> {
    /// The event that is exactly `bytes` and stands at `offset` in its file.
    pub fn new(bytes: &'a [u8], offset: u64) -> Result<Self, BodyError> {
        let wrong = |kind, expected, found| BodyError { kind, at: 0, expected, found };
        let Some(header) = EventHeader::read(bytes) else {
            let found = format!("{} bytes", bytes.len());
            return Err(wrong(EventKind(0), "an event header of 19 bytes", found));
        };
        if usize::try_from(header.length) != Ok(bytes.len()) || header.length > MAX_EVENT_LENGTH {
            let found = format!("a length of {} for {} bytes", header.length, bytes.len());
            return Err(wrong(header.kind, "the event's own length", found));
        }
        Ok(Self { bytes, header, offset })
    }

    /// For the reader, which has checked the length.
    pub(crate) const fn from_checked(bytes: &'a [u8], header: EventHeader, offset: u64) -> Self {
        Self { bytes, header, offset }
    }

    /// Its header.
    pub const fn header(&self) -> EventHeader {
        self.header
    }

    /// What it is.
    pub const fn kind(&self) -> EventKind {
        self.header.kind
    }

    /// All bytes: header, body and checksum.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where it begins in the file it was read from.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the next event begins in the file it was read from.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }

    /// What follows the header, without checksum.
    pub fn body(&self, format: &FormatDescription) -> &'a [u8] {
        let after = self.bytes.get(EventHeader::LENGTH..).unwrap_or_default();
        if !self.has_checksum(format) {
            return after;
        }
        after.len().checked_sub(CHECKSUM_LENGTH).and_then(|n| after.get(..n)).unwrap_or_default()
    }

    /// Whether the last four bytes are a checksum. A format description has one even if the
    /// events after it have none (`Format_description_log_event::write`, MySQL 5.6 to 9.7).
    fn has_checksum(&self, format: &FormatDescription) -> bool {
        match self.header.kind {
            EventKind::FORMAT_DESCRIPTION => format.knows_checksums(),
            _ => format.has_checksums(),
        }
    }

    /// Whether the bytes are those that were written; always, if the file has no checksums.
    pub fn verify(&self, format: &FormatDescription) -> Result<(), ChecksumMismatch> {
        if !self.has_checksum(format) {
            return Ok(());
        }
        let Some((covered, stored)) = self.bytes.split_last_chunk::<CHECKSUM_LENGTH>() else {
            return Err(ChecksumMismatch { stored: 0, computed: 0 });
        };
        let computed = match self.header.kind {
            EventKind::FORMAT_DESCRIPTION => format_checksum(covered),
            _ => crc32fast::hash(covered),
        };
        let stored = u32::from_le_bytes(*stored);
        if stored == computed { Ok(()) } else { Err(ChecksumMismatch { stored, computed }) }
    }
}

/// The checksum of a format description is that of its bytes before the server marked the file
/// as being in use.
fn format_checksum(covered: &[u8]) -> u32 {
    const FLAGS: usize = 17;
    let mut crc = crc32fast::Hasher::new();
    match (covered.get(..FLAGS), covered.get(FLAGS), covered.get(FLAGS + 1..)) {
        (Some(before), Some(flags), Some(after)) => {
            crc.update(before);
            crc.update(&[flags & !1]);
            crc.update(after);
        }
        _ => crc.update(covered),
    }
    crc.finalize()
}
