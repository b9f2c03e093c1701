//! What is wrong with the bytes: in one event, and in a file.

use std::io;

use crate::event::{ChecksumMismatch, EventKind};

/// An event's bytes are not what its kind has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}, byte {at} of the event: expected {expected}, found {found}")]
pub struct BodyError {
    /// The event's kind.
    pub kind: EventKind,
    /// Where in the event.
    pub at: usize,
    /// What should be there.
    pub expected: &'static str,
    /// What is there.
    pub found: String,
}

/// A file ends in the middle of an event: its server died while it wrote, or is still writing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} ends in the middle of the event at {offset}: {have} bytes are there{}",
    said_needed(*.needed))]
pub struct Torn {
    /// The file.
    pub file: String,
    /// Where the event begins.
    pub offset: u64,
    /// How many bytes of it are there. Zero bytes that a crash left at the end of a file count.
    pub have: u64,
    /// How long the event is, if its header says.
    pub needed: Option<u64>,
}

fn said_needed(needed: Option<u64>) -> String {
    match needed {
        Some(needed) => format!(" of {needed}"),
        None => ", less than an event's header".to_owned(),
    }
}

/// Bytes in a file that no server wrote so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file} is damaged at {offset}: {why}")]
pub struct Corrupt {
    /// The file.
    pub file: String,
    /// Where the event begins.
    pub offset: u64,
    /// What is wrong.
    pub why: Damage,
}

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Its length is not possible.
    #[error("expected an event, found {kind} with a length of {length} bytes")]
    Length {
        /// What its header says it is.
        kind: EventKind,
        /// The length.
        length: u32,
    },
    /// Its bytes are not those that were written.
    #[error("{kind}: {mismatch}")]
    Checksum {
        /// What its header says it is.
        kind: EventKind,
        /// The two checksums.
        mismatch: ChecksumMismatch,
    },
    /// The file does not begin with the format of its events.
    #[error("expected a format description first, found {0}")]
    NoFormat(EventKind),
    /// An event's content.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Why reading a file did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The operating system refused.
    #[error("{file} could not be read at {offset}: {source}")]
    Io {
        /// The file.
        file: String,
        /// Where.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The file ends in the middle of an event.
    #[error(transparent)]
    Torn(#[from] Torn),
    /// The file is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The file is encrypted: only its server can read it.
    #[error("{file} is encrypted by its server from {offset} on; only the server can read it")]
    Encrypted {
        /// The file.
        file: String,
        /// From where on.
        offset: u64,
    },
    /// The file is something else.
    #[error("{file} is no binary log: expected fe 62 69 6e at its start, found {found}")]
    NotABinlog {
        /// The file.
        file: String,
        /// Its first bytes.
        found: String,
    },
}
