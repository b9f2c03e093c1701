//! What can be wrong with an archive.

use std::io;
use std::path::{Path, PathBuf};

use crate::{BodyError, ReadError};

/// Why an archive was not written or not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The operating system refused.
    #[error("could not {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder exists already: saved transactions are never overwritten.
    #[error("{} exists already; saved transactions are not overwritten", .0.display())]
    Exists(PathBuf),
    /// The manifest cannot be read.
    #[error("{} is not a manifest of saved binary logs: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A number is not the one in the manifest.
    #[error("{}: expected {expected} {what} as the manifest says, found {found}", file.display())]
    Count {
        /// The file.
        file: PathBuf,
        /// What was counted.
        what: &'static str,
        /// The manifest's number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// The events are not those that were saved.
    #[error(
        "{}: the events are not those that were saved: expected SHA-256 {expected}, found {found}",
        folder.display()
    )]
    Altered {
        /// The folder.
        folder: PathBuf,
        /// The manifest's checksum.
        expected: String,
        /// The events' checksum.
        found: String,
    },
    /// A place that a reader shall start from is not in the archive.
    #[error("{asked} is not a place between transactions here; the archive holds {holds}")]
    NoSuchPlace {
        /// The place.
        asked: String,
        /// What the archive holds.
        holds: String,
    },
    /// A transaction has no GTID, so it cannot be told whether the receiver has it.
    #[error("{file}: the transaction at {start} has no GTID, so a receiver cannot ask by GTID")]
    Anonymous {
        /// The file.
        file: String,
        /// Where it begins.
        start: u64,
    },
    /// The transactions are not in the order of their positions.
    #[error("the source's events go back from {after} to {next}; they cannot be saved in order")]
    OutOfOrder {
        /// Where the last one ended.
        after: String,
        /// Where this one begins.
        next: String,
    },
    /// A saved file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// An event's content.
    #[error("{file}: {source}")]
    Body {
        /// The file.
        file: String,
        /// What is wrong.
        source: BodyError,
    },
}

impl ArchiveError {
    pub(super) fn io(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), source }
    }
}
