//! The event at the head of every file: which server wrote it, and how.

use primacy_types::{Flavor, ServerVersion};

use super::{EventFlags, EventHeader, EventKind, RawEvent};
use crate::BodyError;
use crate::cursor::Cursor;

/// Whether events end in a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChecksumAlgorithm {
    /// They do not.
    Off,
    /// CRC32 of all bytes before it.
    Crc32,
}

/// Which server wrote the events that follow, and what they look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatDescription {
    /// The server's version as it wrote it, as `9.7.4-1` or `10.11.6-MariaDB-log`.
    pub server_version: String,
    /// MySQL or MariaDB.
    pub flavor: Flavor,
    /// The version, if the text is one.
    pub version: Option<ServerVersion>,
    /// Seconds since 1970 when the server started, if the file is its first since then; else 0.
    /// To a replica it means: what the server had open at that time was rolled back.
    pub created: u32,
    /// Whether events end in a checksum.
    pub checksum: ChecksumAlgorithm,
    /// The file is being written, or its server crashed while it wrote it.
    pub in_use: bool,
    /// It heads a relay log: written by the replica, not received from its source.
    pub relay_log: bool,
    /// Size of the fixed part of each kind of event, from kind 1 on.
    post_header_lengths: Vec<u8>,
    /// Whether it has a checksum itself.
    knows_checksums: bool,
}

/// Kinds of events that the last servers without checksums knew (MySQL 5.5, MariaDB 5.2).
const LENGTHS_BEFORE_CHECKSUMS: usize = 27;

/// Format version, server version, creation time and header length.
const FIXED: usize = 2 + 50 + 4 + 1;

impl FormatDescription {
    /// Reads the event.
    pub fn decode(event: &RawEvent<'_>) -> Result<Self, BodyError> {
        let header = event.header();
        let kind = header.kind;
        let bytes = event.bytes().get(EventHeader::LENGTH..).unwrap_or_default();
        let mut body = Cursor::new(kind, bytes, EventHeader::LENGTH);
        if kind != EventKind::FORMAT_DESCRIPTION {
            return Err(body.wrong("a format description", kind.to_string()));
        }
        match body.u16("the format's version")? {
            4 => {}
            other => return Err(body.wrong("version 4 of the format", other.to_string())),
        }
        let text = body.take(50, "the server's version")?;
        let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
        let server_version = String::from_utf8_lossy(text).into_owned();
        let created = body.u32("the creation time")?;
        match body.u8("the length of event headers")? {
            19 => {}
            other => return Err(body.wrong("event headers of 19 bytes", other.to_string())),
        }
        let version: Option<ServerVersion> = server_version.parse().ok();
        let mut lengths = body.take_rest();
        // Told by the size, not by the version: a damaged version must not switch checks off.
        let knows_checksums = lengths.len() > LENGTHS_BEFORE_CHECKSUMS;
        let mut checksum = ChecksumAlgorithm::Off;
        if knows_checksums {
            let at = EventHeader::LENGTH + FIXED;
            let Some((rest, [algorithm, ..])) = lengths.split_last_chunk::<5>() else {
                let tail = Cursor::new(kind, lengths, at);
                return Err(tail.wrong("the checksum algorithm", "the event's end".to_owned()));
            };
            lengths = rest;
            checksum = match algorithm {
                // 255: a server that knows checksums does not know yet what its source does.
                0 | 255 => ChecksumAlgorithm::Off,
                1 => ChecksumAlgorithm::Crc32,
                other => {
                    let tail = Cursor::new(kind, &[], at + lengths.len());
                    return Err(tail.wrong("checksum algorithm 0 or 1", other.to_string()));
                }
            };
        }
        // A server whose version text was configured does not say its name there, but MariaDB
        // numbers its own events from 160.
        let mariadb = lengths.len() > 150 || version.is_some_and(ServerVersion::is_mariadb);
        Ok(Self {
            server_version,
            flavor: if mariadb { Flavor::MariaDb } else { Flavor::MySql },
            version,
            created,
            checksum,
            in_use: header.flags.has(EventFlags::BINLOG_IN_USE),
            relay_log: header.flags.has(EventFlags::RELAY_LOG),
            post_header_lengths: lengths.to_vec(),
            knows_checksums,
        })
    }

    /// Size of the fixed part of this kind's body; `None` if the server did not know the kind.
    pub fn post_header_length(&self, kind: EventKind) -> Option<u8> {
        let index = usize::from(kind.0).checked_sub(1)?;
        self.post_header_lengths.get(index).copied()
    }

    /// Whether the events that follow end in a checksum.
    pub const fn has_checksums(&self) -> bool {
        matches!(self.checksum, ChecksumAlgorithm::Crc32)
    }

    /// Whether events that are read by the one mean the same read by the other.
    pub(crate) fn reads_like(&self, other: &Self) -> bool {
        self.checksum == other.checksum
            && self.server_version == other.server_version
            && self.post_header_lengths == other.post_header_lengths
    }

    /// Whether this event itself ends in a checksum.
    pub(crate) const fn knows_checksums(&self) -> bool {
        self.knows_checksums
    }

    /// The same, for events without checksums: those inside a compressed transaction.
    #[must_use]
    pub fn without_checksums(&self) -> Self {
        Self { checksum: ChecksumAlgorithm::Off, ..self.clone() }
    }
}
