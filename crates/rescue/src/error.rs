//! Why a rescue did not go on.

use std::io;
use std::path::PathBuf;

use primacy_binlog::{ArchiveError, CutError, ReadError};
use primacy_host::HostError;
use primacy_replication::SourceError;
use primacy_types::Address;

/// Why files could not be read, saved or served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RescueError {
    /// The host did not give its files.
    #[error(transparent)]
    Host(#[from] HostError),
    /// There are no such files.
    #[error("no {what} are found at {base}")]
    NoFiles {
        /// Binary logs or relay logs.
        what: &'static str,
        /// Where they should be.
        base: PathBuf,
    },
    /// A copy of binary logs lacks the file in which it is known to go on.
    #[error("{file} is not in {folder}")]
    NotCopied {
        /// The file.
        file: String,
        /// The folder.
        folder: PathBuf,
    },
    /// What is needed first is gone: purged, or never there.
    #[error("the oldest of the {what} at {base} begins after what is needed, {needed}")]
    BeginsTooLate {
        /// Binary logs or relay logs.
        what: &'static str,
        /// Where they are.
        base: PathBuf,
        /// From where on events are needed.
        needed: String,
    },
    /// A file could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What is missing could not be cut out.
    #[error(transparent)]
    Cut(#[from] CutError),
    /// What was saved could not be opened or is not what was saved.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Our own folder could not be written.
    #[error("{path} could not be written: {source}")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No address of this machine leads to the server.
    #[error("no address of this machine leads to {server}, so it cannot fetch from here: {source}")]
    NoAddress {
        /// The server.
        server: Address,
        /// What the system said.
        source: io::Error,
    },
    /// No source could be started.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A thread that did the work ended early.
    #[error("the work was ended early: {0}")]
    Ended(String),
}

impl RescueError {
    /// Bytes are not what they were when they were written.
    pub fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Read(ReadError::Corrupt(_))
                | Self::Cut(CutError::Stopped { .. } | CutError::Read(ReadError::Corrupt(_)))
        )
    }

    /// There may be something to be had: nothing says that the files are not there or cannot be
    /// read, or what stands before the damage in them can be.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Read(ReadError::Corrupt(_)) => true,
            Self::Host(error) => error.is_passing(),
            Self::NoAddress { .. } | Self::Write { .. } | Self::Source(_) | Self::Ended(_) => true,
            Self::NoFiles { .. }
            | Self::NotCopied { .. }
            | Self::BeginsTooLate { .. }
            | Self::Read(_)
            | Self::Cut(_)
            | Self::Archive(_) => false,
        }
    }
}
